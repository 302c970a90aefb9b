"""Where the API keeps what: paths of objects and collections, and what a path is about.

A name goes into a path only when it is one that Kubernetes itself allows (RFC 1123): what is no
name, such as `../kube-system/pods/x`, is refused before anything is sent.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import quote, unquote, urlencode

from selfheal.exceptions import InvalidInput
from selfheal.text import one_line

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
_SUBDOMAIN = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z")
_SUBRESOURCE = re.compile(r"[a-z]{1,40}\Z")
_GROUP_VERSION = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,200}[a-z0-9])?/)?v[0-9][a-z0-9]{0,20}\Z")
_LONGEST_NAME = 253
_OF_NAMESPACE = ("status", "finalize")  # parts of a namespace, not kinds that live in it


class Resource(NamedTuple):
    """How a kind is found: its word in paths, its API group ("" for the core), the versions that
    this pack reads, the one to prefer first, and whether its objects live in a namespace.
    """

    plural: str
    group: str = ""
    versions: Tuple[str, ...] = ("v1",)
    is_namespaced: bool = True


KINDS: Dict[str, Resource] = {
    "Pod": Resource("pods"),
    "Service": Resource("services"),
    "Endpoints": Resource("endpoints"),
    "Event": Resource("events"),
    "ConfigMap": Resource("configmaps"),
    "PersistentVolumeClaim": Resource("persistentvolumeclaims"),
    "Node": Resource("nodes", is_namespaced=False),
    "Namespace": Resource("namespaces", is_namespaced=False),
    "Deployment": Resource("deployments", "apps"),
    "StatefulSet": Resource("statefulsets", "apps"),
    "DaemonSet": Resource("daemonsets", "apps"),
    "ReplicaSet": Resource("replicasets", "apps"),
    "ControllerRevision": Resource("controllerrevisions", "apps"),
    "Job": Resource("jobs", "batch"),
    "CronJob": Resource("cronjobs", "batch", ("v1", "v1beta1")),
    "PodDisruptionBudget": Resource("poddisruptionbudgets", "policy", ("v1", "v1beta1")),
    "HorizontalPodAutoscaler": Resource(
        "horizontalpodautoscalers", "autoscaling", ("v2", "v2beta2", "v1")
    ),
}


class Asked(NamedTuple):
    """What a path is about; "" for what it does not say."""

    group: str
    version: str
    namespace: str
    resource: str
    name: str
    subresource: str

    @property
    def resource_words(self) -> str:
        """As RBAC writes it: pods, pods/eviction, deployments.apps."""
        plural = "%s.%s" % (self.resource, self.group) if self.group else self.resource
        return "%s/%s" % (plural, self.subresource) if self.subresource else plural


def checked_name(name: Any, what: str = "name") -> str:
    """`name` when an object may be called so (RFC 1123 subdomain). Raises InvalidInput."""
    if isinstance(name, str) and len(name) <= _LONGEST_NAME and _SUBDOMAIN.match(name):
        return name
    raise InvalidInput(
        "%s is no %s in Kubernetes: small letters, digits, '-' and '.', beginning and ending with "
        "a letter or digit, at most %d of them" % (_shown(name), what, _LONGEST_NAME)
    )


def checked_namespace(namespace: Any) -> str:
    """`namespace` when one may be called so (RFC 1123 label). Raises InvalidInput."""
    if isinstance(namespace, str) and _LABEL.match(namespace):
        return namespace
    raise InvalidInput(
        "%s is no namespace: small letters, digits and '-', beginning and ending with a letter or "
        "digit, at most 63 of them" % _shown(namespace)
    )


def resource_of(kind: str) -> Resource:
    """How `kind` is found. Raises InvalidInput for a kind that the pack does not know."""
    found = KINDS.get(kind)
    if found is None:
        raise InvalidInput("%s is none of the kinds %s" % (_shown(kind), ", ".join(sorted(KINDS))))
    return found


def collection(kind: str, namespace: str = "", version: str = "") -> str:
    """The path of all objects of `kind`, those of one namespace when given.

    `version` is one that the server serves; the newest that the pack reads when left out (see
    `Client.collection`). Raises InvalidInput.
    """
    resource = resource_of(kind)
    group_version = "/".join(
        part for part in (resource.group, version or resource.versions[0]) if part
    )
    if not _GROUP_VERSION.match(group_version):
        raise InvalidInput("%s is no version of an API" % _shown(version))
    root = ("/apis/" if resource.group else "/api/") + group_version
    if namespace == "":
        return "%s/%s" % (root, resource.plural)
    if not resource.is_namespaced:
        raise InvalidInput("a %s lives in no namespace, not in %s" % (kind, _shown(namespace)))
    return "%s/namespaces/%s/%s" % (root, checked_namespace(namespace), resource.plural)


def path(
    kind: str, namespace: str = "", name: str = "", subresource: str = "", version: str = ""
) -> str:
    """The path of one object, or of its `subresource` such as "status" or "eviction".

    `version` as for `collection`. Raises InvalidInput, also when the namespace is missing.
    """
    if resource_of(kind).is_namespaced and namespace == "":
        raise InvalidInput("which namespace is %s %s in? None was given" % (kind, _shown(name)))
    found = "%s/%s" % (collection(kind, namespace, version), checked_name(name))
    if subresource == "":
        return found
    if not (isinstance(subresource, str) and _SUBRESOURCE.match(subresource)):
        raise InvalidInput("%s is no part of a %s" % (_shown(subresource), kind))
    return "%s/%s" % (found, subresource)


def asked_of(path: str) -> Asked:
    """What `path` is about, as the API server reads it: the empty Asked for what is no resource."""
    parts = [unquote(part) for part in path.partition("?")[0].strip("/").split("/")]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, rest = "", parts[1:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, rest = parts[1], parts[2:]
    else:
        return Asked("", "", "", "", "", "")
    version, rest = rest[0], rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACE:
        namespace, rest = rest[1], rest[2:]
    rest += ["", ""]
    return Asked(group, version, namespace, rest[0], rest[1], rest[2])


def verb_of(method: str, path: str) -> str:
    """The verb by which RBAC knows a request: get, list, watch, create, update, patch, delete."""
    if method == "GET":
        if asked_of(path).name:
            return "get"
        return "watch" if re.search(r"[?&]watch=(?:true|1)\b", path) else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, "")


def with_query(path: str, query: Optional[Mapping[str, Any]]) -> str:
    """`path` with `query` behind it: booleans as true and false, None left out, a list as several
    of one name.
    """
    pairs: List[Tuple[str, str]] = []
    for key, value in (query or {}).items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if one is not None:
                pairs.append((key, str(one).lower() if isinstance(one, bool) else str(one)))
    return "%s?%s" % (path, urlencode(pairs, quote_via=quote)) if pairs else path


def _shown(value: Any) -> str:
    return one_line(repr(value), 100)
