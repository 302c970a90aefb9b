"""One cluster's API, as the pack uses it: objects are plain JSON dicts, failures are typed.

`connect` chooses the target by the incident's cluster. A `Client` keeps one connection, gives each
request one deadline (`timeout_s`), waits when the server has no room, renews its credentials once
when the server no longer knows them, and never sends a change twice. It is for one thread.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from selfheal.apis.kubernetes import discovery, failures, paths, settings
from selfheal.apis.kubernetes.access import access_of
from selfheal.apis.kubernetes.connection import Headers, Raw, Wire
from selfheal.apis.kubernetes.credentials import Hide
from selfheal.config import target_key
from selfheal.exceptions import ConfigError, DeadlineExceeded
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.watching import Watch
    from selfheal.context import Context

_JSON = "application/json"
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_FIRST_WAIT_S = 0.5
_MOST_RESTARTS = 3
# The server itself tries for ten seconds and more before it says that the uid is another's.
_EVICTION_S = 30.0
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
Query = Optional[Mapping[str, Any]]
Object = Dict[str, Any]


def connect(ctx: Context, cluster: Optional[str] = None) -> Client:
    """The API of the target that is named as `cluster` is, else `default`, else the only one.

    Nothing is sent yet. Raises ConfigError when no target is meant or its settings cannot be used.
    """
    name = target_name(ctx, cluster)
    target = settings.completed(ctx.config, name, ctx.config.targets(settings.SECTION)[name])
    return connect_target(name, target, ctx.clock, ctx.config.hide)


def target_name(ctx: Context, cluster: Optional[str] = None) -> str:
    """The name of the target that serves `cluster`. Raises ConfigError when there is none."""
    name = ctx.config.target_name(settings.SECTION, cluster)
    if name is not None:
        return name
    known = sorted(ctx.config.targets(settings.SECTION))
    if known:
        raise ConfigError(
            "no Kubernetes target is named %r; there are %s: name one so, or one of them default"
            % (one_line(str(cluster or ""), 80), ", ".join("kubernetes.%s" % one for one in known))
        )
    raise ConfigError(
        "Kubernetes is off: set kubernetes.url, kubernetes.kubeconfig or kubernetes.in_cluster"
    )


def connect_target(
    name: str, target: Mapping[str, Any], clock: Any = None, hide: Optional[Hide] = None
) -> Client:
    """The API of one target with complete `target` settings (see `settings.completed`). `hide` is
    told every secret that is learned. Nothing is sent yet. Raises ConfigError.
    """
    if clock is None:
        from selfheal.context import SystemClock

        clock = SystemClock()
    return Client(name, target, clock, hide)


class Client:
    """The API server of one target. Every method that asks it raises what `failures` has, and
    ConfigError and ExternalError.
    """

    def __init__(
        self, name: str, target: Mapping[str, Any], clock: Any, hide: Optional[Hide] = None
    ) -> None:
        self.name = name
        self.settings: Dict[str, Any] = dict(target)
        self._clock = clock
        key = target_key(settings.SECTION, name)
        server, self._credentials = access_of(key, target, hide)
        self._wire = Wire(server)
        self._timeout_s = float(target.get("timeout_s") or 10)
        self._served: Dict[str, List[str]] = {}
        self._chosen: Dict[str, str] = {}
        self._eviction = ""
        self._hurry_until: Optional[float] = None

    @property
    def url(self) -> str:
        """The address of the API server, fit to show."""
        return self._wire.shown("")

    def close(self) -> None:
        """Close the connection. A later request opens it again."""
        self._wire.close()

    def hurry(self, seconds: float) -> None:
        """Let whatever is asked from now on, but watches, be over in so many seconds. With none
        left a request raises DeadlineExceeded before it is sent.
        """
        self._hurry_until = time.monotonic() + seconds

    # Reading

    def get(self, path: str, query: Query = None) -> Object:
        """The object, or one page of the collection, at `path`."""
        return self._object("GET", path, query)

    def pages(self, path: str, query: Query = None, limit: int = 500) -> Iterator[Optional[Object]]:
        """The collection at `path` as lists of at most `limit` objects.

        When the server has forgotten where we were (410) it begins anew: None comes, and what came
        before it no longer counts. Raises Gone when that goes on.
        """
        token, restarts = "", 0
        while True:
            asked = {**(query or {}), "limit": limit, "continue": token or None}
            try:
                page = self.get(path, asked)
            except failures.Gone:
                restarts += 1
                if not token or restarts > _MOST_RESTARTS:
                    raise
                token = ""
                yield None
                continue
            yield page
            about = page.get("metadata")
            token = str(about.get("continue") or "") if isinstance(about, dict) else ""
            if not token:
                return

    def items(self, path: str, query: Query = None) -> List[Object]:
        """All objects of the collection at `path`; for thousands of them use `pages`."""
        found: List[Object] = []
        for page in self.pages(path, query):
            if page is None:
                found = []
                continue
            items = page.get("items")
            if isinstance(items, list):
                found += [item for item in items if isinstance(item, dict)]
        return found

    def logs(
        self,
        namespace: str,
        pod: str,
        container: str = "",
        previous: bool = False,
        tail_lines: int = 200,
        limit_bytes: int = 65536,
    ) -> str:
        """The last lines that a container wrote, its `previous` run's when asked. Raises
        Unprocessable when there is no such run or no container was named among several.
        """
        query = {
            "container": paths.checked_name(container, "container") if container else None,
            "previous": previous or None,
            "tailLines": tail_lines,
            "limitBytes": limit_bytes,
        }
        asked = paths.with_query(paths.path("Pod", namespace, pod, "log"), query)
        return self._ask("GET", asked, accept="*/*").body.decode("utf-8", "replace")

    def watch(
        self, path: str, query: Query = None, resource_version: str = "", timeout_s: float = 300.0
    ) -> Watch:
        """What changes at `path` after `resource_version`, for `timeout_s` seconds: an iterator of
        (type, object), type ADDED, MODIFIED, DELETED or BOOKMARK. See `watching.Watch`.
        """
        from selfheal.apis.kubernetes.watching import Watch

        return Watch(
            self._wire, self._credentials, self.name, path, query, resource_version, timeout_s
        )

    # Changing

    def create(self, path: str, body: Object, dry_run: bool = False) -> Object:
        """Create `body` in the collection at `path` (or POST it to a subresource)."""
        return self._object("POST", path, _dry(dry_run), body)

    def replace(self, path: str, body: Object, dry_run: bool = False) -> Object:
        """Replace the object at `path`; with a resourceVersion in `body` only if nobody changed it
        since (Changed).
        """
        return self._object("PUT", path, _dry(dry_run), body)

    def patch(self, path: str, body: Any, kind: str = "merge", dry_run: bool = False) -> Object:
        """Patch the object at `path`; `kind` is merge, json (a list of operations) or strategic."""
        return self._object("PATCH", path, _dry(dry_run), body, _PATCHES[kind])

    def delete(
        self,
        path: str,
        uid: str = "",
        resource_version: str = "",
        grace_s: Optional[int] = None,
        propagation: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Delete the object at `path`, only while it has this uid and resource version (Changed);
        `propagation` is Foreground, Background or Orphan.
        """
        options = _delete_options(uid, resource_version, dry_run)
        options.update(apiVersion="v1", kind="DeleteOptions")
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        if propagation:
            options["propagationPolicy"] = propagation
        return self._object("DELETE", path, None, options)

    def evict(self, namespace: str, pod: str, uid: str = "", dry_run: bool = False) -> Object:
        """Ask for a pod to go, as its PodDisruptionBudgets allow (Throttled when they do not)."""
        path = paths.path("Pod", namespace, pod, "eviction")
        if not self._eviction:
            self._eviction = discovery.eviction_version(self)
        body: Object = {
            "apiVersion": self._eviction,
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": _delete_options(uid, "", dry_run),
        }
        least_s = _EVICTION_S if uid else 0.0
        return self._object("POST", path, _dry(dry_run), body, least_s=least_s)

    # What the server is and lets us

    def version(self) -> str:
        """The server's version, such as v1.29.4."""
        return one_line(str(self.get("/version").get("gitVersion") or "unknown"), 40)

    def serves(self, group_version: str) -> bool:
        """Whether the server has this API, such as policy/v1 or v1."""
        group, _, version = group_version.rpartition("/")
        return version in self._versions(group)

    def newest(self, group: str, versions: Sequence[str]) -> str:
        """The first of `versions` that the server has of `group`; "" when it has none."""
        served = self._versions(group)
        return next((version for version in versions if version in served), "")

    def path(self, kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """`paths.path` with the newest version that this server has. Raises NotServed for none."""
        return paths.path(kind, namespace, name, subresource, self._version_of(kind))

    def collection(self, kind: str, namespace: str = "") -> str:
        """`paths.collection` with the newest version that this server has. Raises NotServed."""
        return paths.collection(kind, namespace, self._version_of(kind))

    def can_i(
        self,
        verb: str,
        group: str,
        resource: str,
        subresource: str = "",
        namespace: str = "",
        name: str = "",
    ) -> bool:
        """Whether we may, by the server's own judgement; without a namespace: in all of them."""
        wanted = {
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {key: one for key, one in wanted.items() if one}},
        }
        status = self.create(_REVIEWS, body).get("status")
        return isinstance(status, dict) and status.get("allowed") is True

    def _version_of(self, kind: str) -> str:
        resource = paths.resource_of(kind)
        if len(resource.versions) == 1:
            return resource.versions[0]  # every server that we support has it
        found = self._chosen.get(kind) or discovery.version_with(self, resource)
        if not found:
            raise failures.NotServed(
                "cluster %s has no %s that we can read: it serves %s of the group %s; needed is %s "
                "with %s"
                % (
                    self.name,
                    kind,
                    ", ".join(self._versions(resource.group)) or "nothing",
                    resource.group,
                    " or ".join(resource.versions),
                    resource.plural,
                )
            )
        self._chosen[kind] = found
        return found

    def _versions(self, group: str) -> List[str]:
        if group not in self._served:
            self._served[group] = discovery.versions(self, group)
        return self._served[group]

    def _object(
        self,
        method: str,
        path: str,
        query: Query = None,
        body: Any = None,
        content_type: str = _JSON,
        least_s: float = 0.0,
    ) -> Object:
        asked = paths.with_query(path, query)
        reply = self._ask(method, asked, body, content_type, least_s=least_s)
        return failures.object_of(reply, method, path, self.name)

    def _ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        least_s: float = 0.0,
    ) -> Raw:
        """The 2xx answer. Within the deadline it waits for a server without room, and renews the
        credentials once: in both cases nothing was done yet.
        """
        content = None if body is None else json.dumps(body).encode("ascii")
        headers: Headers = (("Accept", accept),)
        if content is not None:
            headers += (("Content-Type", content_type),)
        identity = self._credentials.current(self._left_s())
        timeout_s = max(self._timeout_s, least_s)
        end = self._end(timeout_s)
        may_renew, tries, waited = True, 0, 0.0
        while True:
            raw = self._wire.ask(method, path, identity, end, content, headers)
            if 200 <= raw.status < 300:
                return raw
            if raw.status == 401 and may_renew and self._credentials.renew(self._left_s()):
                identity, may_renew = self._credentials.current(self._left_s()), False
                end = self._end(timeout_s)
                continue
            error = failures.failure(failures.reply_of(raw), method, path, self.name)
            wait_s = _patience(error, tries)
            left = min(end - time.monotonic(), timeout_s - waited)
            if wait_s is None or wait_s >= left:
                raise error
            self._clock.sleep(wait_s)
            tries, waited = tries + 1, waited + wait_s

    def _end(self, timeout_s: float) -> float:
        """When a request that begins now must be over."""
        left_s = self._left_s()
        return time.monotonic() + (timeout_s if left_s is None else min(timeout_s, left_s))

    def _left_s(self) -> Optional[float]:
        """Seconds until `hurry` ends; None when nobody is in a hurry. Raises DeadlineExceeded."""
        if self._hurry_until is None:
            return None
        left_s = self._hurry_until - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceeded("cluster %s: no time is left to ask it" % self.name)
        return left_s


def _patience(error: Exception, tries: int) -> Optional[float]:
    """Seconds to wait before the same is asked again; None when that would not help."""
    if not isinstance(error, failures.Throttled) or error.is_disruption_budget:
        return None
    return max(error.retry_after_s, _FIRST_WAIT_S * 2.0**tries)


def _dry(dry_run: bool) -> Query:
    return {"dryRun": "All"} if dry_run else None


def _delete_options(uid: str, resource_version: str, dry_run: bool) -> Object:
    conditions = {"uid": uid, "resourceVersion": resource_version}
    options: Object = {}
    if uid or resource_version:
        options["preconditions"] = {key: one for key, one in conditions.items() if one}
    if dry_run:
        options["dryRun"] = ["All"]
    return options
