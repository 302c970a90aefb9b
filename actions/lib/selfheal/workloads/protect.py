"""What must not be touched, whoever asks: the cluster's own namespaces, the pack's own, and what
people have annotated out (`selfheal/ignore`).

What cannot be read counts as protected. A name that is none is refused too, so that no spelling of
a protected name gets past.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Mapping, Optional, Sequence, Tuple

from selfheal.apis.kubernetes import paths
from selfheal.exceptions import InvalidInput
from selfheal.records import dataclass
from selfheal.workloads import owners, shape
from selfheal.workloads.model import Ref

SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease")
IGNORE = "selfheal/ignore"


@dataclass(frozen=True)
class Protection:
    """Namespaces that are out of bounds (small letters; `*` stands for any text), and the one that
    the pack itself runs in ("" when it runs in none).
    """

    namespaces: Tuple[str, ...] = SYSTEM_NAMESPACES
    own_namespace: str = ""


def of_settings(settings: Mapping[str, Any]) -> Protection:
    """What the settings of a target protect, beside what is always protected."""
    from selfheal.apis.kubernetes import access

    more = settings.get("protected_namespaces")
    named = [_plain(one) for one in more if isinstance(one, str)] if isinstance(more, list) else []
    own = _plain(access.own_namespace(settings))
    return Protection((*SYSTEM_NAMESPACES, *(one for one in named if one)), own)


def is_protected_namespace(name: str, protection: Protection) -> bool:
    """Whether a namespace is out of bounds, the pack's own included."""
    plain = _plain(name)
    return (bool(plain) and plain == protection.own_namespace) or any(
        fnmatchcase(plain, pattern) for pattern in protection.namespaces
    )


def is_ignored(value: Any) -> bool:
    """Whether people have annotated an object out, or the pods that it makes."""
    template = shape.mapping(value, "spec", "template")
    return _is_marked(value) or _is_marked(template)


def why_not(
    ref: Ref,
    protection: Protection,
    namespace: Optional[Mapping[str, Any]],
    objects: Sequence[Any] = (),
) -> str:
    """Why `ref` must not be touched, in words; empty when it may be.

    `namespace` is the object of its namespace, None when it could not be read (a node has none and
    needs none). `objects` are the workload or node itself and the pods that would be touched.
    """
    try:
        paths.checked_name(ref.name)
        if ref.namespace or ref.kind != "Node":
            paths.checked_namespace(ref.namespace)
    except InvalidInput as error:
        return str(error)
    if ref.namespace:
        words = _why_not_namespace(ref.namespace, protection, namespace)
        if words:
            return words
    for one in objects:
        name = shape.place(one)[1]
        if not isinstance(one, dict) or not name:
            return "%s cannot be read, so whether it may be touched is not known" % ref
        if is_ignored(one):
            whose = str(ref) if name == ref.name else "%s of %s" % (name, ref)
            return "%s is annotated %s: remove that to let it be healed" % (whose, IGNORE)
        if owners.is_mirror(one):
            return (
                "pod %s mirrors a static pod: only the file on its node changes it, deleting it "
                "does nothing" % name
            )
    return ""


def _why_not_namespace(
    name: str, protection: Protection, namespace: Optional[Mapping[str, Any]]
) -> str:
    if _plain(name) == protection.own_namespace:
        return "%s is the namespace that this pack runs in" % name
    if is_protected_namespace(name, protection):
        return "%s is a protected namespace (kubernetes.protected_namespaces)" % name
    if not isinstance(namespace, dict) or shape.place(namespace)[1] != name:
        return (
            "namespace %s cannot be read, so whether it is annotated %s is not known: allow the "
            "verb get on namespaces" % (name, IGNORE)
        )
    if is_ignored(namespace):
        return "namespace %s is annotated %s: remove that to let it be healed" % (name, IGNORE)
    return ""


def _is_marked(value: Any) -> bool:
    annotations = shape.mapping(shape.metadata(value), "annotations")
    if IGNORE not in annotations:
        return False
    found = annotations[IGNORE]
    return not (isinstance(found, str) and found.strip().lower() == "false")


def _plain(name: str) -> str:
    return name.strip().lower()
