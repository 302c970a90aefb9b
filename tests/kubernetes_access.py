"""A Kubernetes API as tests speak to it: one class with the few requests they need.

`Access` knows an address, a certificate and tokens. It shares no code with the pack's own client,
so that a mistake there is not repeated here. Who starts the servers is told in live_kubernetes.py.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from urllib.parse import urlencode, urlsplit

ADMIN = "admintoken"
# Users without any right of their own; a test gives them what it is about by Role and RoleBinding.
USERS = ("observe", "heal", "chaos", "nobody")

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

# Kinds that `get` and its like find by name alone; another is reached by `ask` with its path.
GROUPS = {
    "v1": (
        "Namespace Node Pod Service Endpoints Event ConfigMap Secret ServiceAccount ResourceQuota "
        "LimitRange PersistentVolumeClaim PersistentVolume"
    ),
    "apps/v1": "Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision",
    "batch/v1": "Job",
    "batch/v1beta1": "CronJob",
    "policy/v1beta1": "PodDisruptionBudget",
    "autoscaling/v1": "HorizontalPodAutoscaler",
    "networking.k8s.io/v1": "NetworkPolicy Ingress",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "coordination.k8s.io/v1": "Lease",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "scheduling.k8s.io/v1": "PriorityClass",
}
VERSION_OF = {kind: version for version, kinds in GROUPS.items() for kind in kinds.split()}
WITHOUT_NAMESPACE = frozenset(
    "Namespace Node PersistentVolume ClusterRole ClusterRoleBinding CustomResourceDefinition "
    "PriorityClass".split()
)


class Refused(Exception):
    """The API answered with an error: `status` (HTTP), `reason` and `body` (parsed)."""

    def __init__(self, method, path, status, body) -> None:
        self.status = status
        self.body = body
        self.reason = body.get("reason", "") if isinstance(body, dict) else ""
        message = body.get("message", body) if isinstance(body, dict) else body
        super().__init__("%s %s: %d %s: %s" % (method, path, status, self.reason, message))


def plural(kind: str) -> str:
    """The word of a kind in a path: Pod is pods, NetworkPolicy networkpolicies."""
    word = kind.lower()
    if word == "endpoints":
        return word
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith("s") else "s")


def path_of(kind: str, namespace: str = "", name: str = "", version: str = "") -> str:
    """The path of a kind's collection or of one object; `version` as in apiVersion."""
    version = version or VERSION_OF[kind]
    path = ("/apis/" if "/" in version else "/api/") + version
    if namespace and kind not in WITHOUT_NAMESPACE:
        path += "/namespaces/" + namespace
    return path + "/" + plural(kind) + ("/" + name if name else "")


class Access:
    """One API server at `url`, asked as the administrator unless a token is given."""

    def __init__(self, url: str, ca_file: str) -> None:
        self.url = url
        self.ca_file = str(ca_file)

    def connection(self, timeout_s: float = 30.0) -> http.client.HTTPSConnection:
        """A new connection to the server; who asked for it closes it."""
        address = urlsplit(self.url)
        context = ssl.create_default_context(cafile=self.ca_file)
        return http.client.HTTPSConnection(
            address.hostname, address.port, timeout=timeout_s, context=context
        )

    def ask(self, method, path, body=None, token=ADMIN, content_type=JSON, timeout_s=120.0):
        """What one request answered: JSON parsed, anything else as text. Raises Refused, or
        OSError when nobody listens or the answer is not whole.
        """
        connection = self.connection(timeout_s)
        try:
            content = None if body is None else json.dumps(body)
            headers = {"Content-Type": content_type, "Accept": "application/json, */*"}
            if token:
                headers["Authorization"] = "Bearer " + token
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
            is_json = JSON in answer.getheader("Content-Type", "")
        except http.client.HTTPException as error:  # it was killed as it answered
            raise ConnectionError("%s %s: %r" % (method, path, error)) from error
        finally:
            connection.close()
        parsed = json.loads(text) if is_json and text else text
        if answer.status >= 400:
            raise Refused(method, path, answer.status, parsed)
        return parsed

    def create(self, manifest, token=ADMIN):
        """Create the object of a manifest (apiVersion and kind in it); what the server made."""
        about = manifest["metadata"]
        path = path_of(
            manifest["kind"], about.get("namespace", ""), version=manifest["apiVersion"]
        )
        return self.ask("POST", path, manifest, token)

    def get(self, kind, name, namespace="", token=ADMIN):
        """One object; raises Refused with status 404 when there is none."""
        return self.ask("GET", path_of(kind, namespace, name), token=token)

    def find(self, kind, namespace="", token=ADMIN, **query):
        """The objects of a kind: a list. `query` such as labelSelector="app=web"."""
        path = path_of(kind, namespace) + ("?" + urlencode(query) if query else "")
        return self.ask("GET", path, token=token)["items"]

    def patch(self, kind, name, namespace, change, part="", content_type=MERGE, token=ADMIN):
        """Merge `change` into an object, or into its `part` such as "status" or "scale"."""
        path = path_of(kind, namespace, name) + ("/" + part if part else "")
        return self.ask("PATCH", path, change, token, content_type)

    def delete(self, kind, name, namespace="", token=ADMIN, **options):
        """Delete an object; `options` as in DeleteOptions, such as gracePeriodSeconds=0."""
        return self.ask("DELETE", path_of(kind, namespace, name), options or None, token)

    def namespace(self, prefix: str = "test") -> str:
        """A new, empty namespace with a name that no other test has."""
        made = self.ask(
            "POST",
            "/api/v1/namespaces",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"generateName": prefix + "-"},
            },
        )
        return made["metadata"]["name"]

    def until(self, condition, within_s: float = 300.0, what: str = ""):
        """The first true thing that `condition()` returns; an AssertionError when time is up.
        What is refused meanwhile (404: not there yet) or not written yet is no answer.
        """
        deadline = time.monotonic() + within_s
        while True:
            last = None
            try:
                found = condition()
                if found:
                    return found
            except (Refused, LookupError) as error:
                last = error
            assert time.monotonic() < deadline, "not within %g s: %s %r" % (within_s, what, last)
            time.sleep(0.05)

    def token_for(self, user: str) -> str:
        """The token of one of USERS, or of `admin`."""
        if user == "admin":
            return ADMIN
        if user not in USERS:
            raise ValueError("%s is none of %s; use account()" % (user, ", ".join(USERS)))
        return user + "token"

    def account(self, namespace: str, rules=(), cluster_rules=(), name: str = "tester") -> str:
        """The token of a new service account that may do what `rules` say in its namespace and
        what `cluster_rules` say everywhere: [{"apiGroups", "resources", "verbs"}].
        """
        about = {"name": name, "namespace": namespace}
        subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": about})
        self.allow(subject, rules, namespace)
        self.allow(subject, cluster_rules)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 36000},
        }
        path = path_of("ServiceAccount", namespace, name) + "/token"
        return self.ask("POST", path, request)["status"]["token"]

    def allow(self, subject, rules, namespace: str = "") -> None:
        """Give rights to a user (a name of USERS) or a subject, in a namespace or everywhere; they
        hold when this returns.
        """
        if not rules:
            return
        if isinstance(subject, str):
            subject = {"kind": "User", "name": subject, "apiGroup": "rbac.authorization.k8s.io"}
        scope = "" if namespace else "Cluster"
        version = "rbac.authorization.k8s.io/v1"
        name = "-".join(
            part for part in (subject.get("namespace"), subject["name"]) if part
        ).lower()
        about = {"generateName": name + "-"}
        if namespace:
            about["namespace"] = namespace
        role = self.create(
            {
                "apiVersion": version,
                "kind": scope + "Role",
                "metadata": about,
                "rules": list(rules),
            }
        )
        self.create(
            {
                "apiVersion": version,
                "kind": scope + "RoleBinding",
                "metadata": about,
                "subjects": [subject],
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": scope + "Role",
                    "name": role["metadata"]["name"],
                },
            }
        )
        self.until(lambda: self.is_allowed(subject, rules[-1], namespace), what="the rights hold")

    def is_allowed(self, subject, rule, namespace: str = "") -> bool:
        """Whether the API lets a user or service account do what `rule` says now: it judges by a
        copy of the roles that is a little behind.
        """
        user = subject["name"]
        if subject["kind"] == "ServiceAccount":
            user = "system:serviceaccount:%s:%s" % (subject["namespace"], user)
        resource, _, part = rule["resources"][0].partition("/")
        asked = {
            "namespace": namespace,
            "group": rule["apiGroups"][0],
            "verb": rule["verbs"][0],
            "resource": resource,
            "subresource": part,
            "name": next(iter(rule.get("resourceNames", ())), ""),
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": asked},
        }
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        return self.ask("POST", path, review)["status"]["allowed"]

    def kubeconfig(self, path, token=ADMIN, namespace: str = "default") -> str:
        """Write a kubeconfig file to `path` for who has the token; the path as text."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": self.url, "certificate-authority": self.ca_file},
                }
            ],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [
                {
                    "name": "test",
                    "context": {"cluster": "test", "user": "test", "namespace": namespace},
                }
            ],
            "current-context": "test",
        }
        with open(str(path), "w", encoding="utf-8") as file:
            json.dump(config, file)  # JSON is YAML: no YAML writer is needed.
        return str(path)

    def target(self, *namespaces, token=ADMIN, **more):
        """The pack's setting of this cluster, limited to `namespaces`; `more` is added as it is.
        A request has longer than by default: on a slow machine the servers stand still at times.
        """
        return {
            "timeout_s": 120,
            "url": self.url,
            "token": token,
            "ca_file": self.ca_file,
            "namespaces": list(namespaces),
            **more,
        }
