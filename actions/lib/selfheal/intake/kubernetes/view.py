"""The pods of a cluster as a look knows them: of each its owner and a brief, and of those that are
not well also what may become worse by time alone.

Pods are taken in one by one, from a list or from a watch; the pods themselves are let go. A list
replaces what was known of its namespace, so what is no longer there is gone.
"""

from __future__ import annotations

from dataclasses import field
from typing import (
    Any,
    Collection,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

from selfheal.intake.kubernetes.restarts import Restarts, counts_of
from selfheal.records import dataclass
from selfheal.workloads import others, owners, pods, protect, shape
from selfheal.workloads.model import Finding, Ref, Thresholds

MOST_KEPT = 1000  # pods that are judged anew as time passes, each some 15 kB
_BULKY_OF_SPEC = ("affinity", "tolerations", "topologySpreadConstraints")
_BULKY_OF_CONTAINER = ("env", "envFrom", "volumeMounts", "command", "args", "lifecycle", "ports")
_CONTAINERS = ("containers", "initContainers")
Object = Dict[str, Any]


class Scene(NamedTuple):
    """By what pods are judged. `looked_at` is until when their counts of restarts were known before
    (epoch s), None when they never were; `jobs` names the CronJob of a Job.
    """

    now: float
    looked_at: Optional[float]
    thresholds: Thresholds
    lost_nodes: Collection[str] = ()
    jobs: Mapping[str, str] = {}


@dataclass
class Seen:
    """A pod as it was seen the last time. `pod` is kept of one that is not well, `claims` are the
    volume claims of one that is pending.
    """

    owner: Ref
    brief: pods.Brief
    findings: Tuple[Finding, ...]
    pod: Optional[Object] = None
    claims: Sequence[str] = ()


@dataclass
class View:
    """All pods, by the namespace that was listed ("" for a list of all) and their uid."""

    restarts: Restarts
    is_lasting: bool = False  # beyond one look: then pods that are not well are kept
    _scopes: Dict[str, Dict[str, Seen]] = field(default_factory=dict)
    _kept: int = 0

    def keep_scopes(self, scopes: Sequence[str]) -> None:
        """Forget what is no longer looked at."""
        for scope in [scope for scope in self._scopes if scope not in scopes]:
            del self._scopes[scope]

    def begin(self, scope: str) -> None:
        """A list of `scope` begins, or begins anew."""
        self._scopes[scope + "/new"] = {}

    def end(self, scope: str, is_whole: bool) -> None:
        """The list of `scope` has ended; one that broke off adds to what was known."""
        new = self._scopes.pop(scope + "/new", {})
        if not is_whole:
            new = {**self._scopes.get(scope, {}), **new}
        self._scopes[scope] = new
        self._kept = sum(1 for seen in self.all() if seen.pod is not None)

    def listed(self, scope: str, pod: Object, scene: Scene) -> None:
        """Take in one pod of the list of `scope`."""
        self._put(self._scopes[scope + "/new"], pod, scene)

    def changed(self, scope: str, pod: Object, scene: Scene) -> Tuple[Finding, ...]:
        """Take in one pod of `scope` that was made or changed; what is wrong with it."""
        return self._put(self._scopes.setdefault(scope, {}), pod, scene).findings

    def gone(self, scope: str, pod: Object) -> str:
        """A pod of `scope` is deleted; its uid."""
        uid = uid_of(pod)
        seen = self._scopes.get(scope, {}).pop(uid, None)
        self._kept -= int(seen is not None and seen.pod is not None)
        return uid

    def forget(self) -> None:
        """Know nothing any more."""
        self._scopes.clear()
        self._kept = 0

    def of_uid(self, uid: str) -> Optional[Seen]:
        """The pod of that uid."""
        return next((scope[uid] for scope in self._scopes.values() if uid in scope), None)

    def all(self) -> Iterator[Seen]:
        """Every pod, as it was seen the last time."""
        for scope in self._scopes.values():
            yield from scope.values()

    def pass_time(self, scene: Scene) -> None:
        """Judge those that are not well as they are now."""
        for scope in self._scopes.values():
            for uid in [uid for uid, seen in scope.items() if seen.pod is not None]:
                self._put(scope, scope[uid].pod or {}, scene)

    @property
    def is_crowded(self) -> bool:
        """Whether more pods are not well than can be judged anew as time passes."""
        return self.is_lasting and self._kept >= MOST_KEPT

    def briefs(self) -> Dict[Ref, List[pods.Brief]]:
        """The pods of each owner."""
        found: Dict[Ref, List[pods.Brief]] = {}
        for seen in self.all():
            found.setdefault(seen.owner, []).append(seen.brief)
        return found

    def __len__(self) -> int:
        return sum(len(scope) for scope in self._scopes.values())

    def _put(self, scope: Dict[str, Seen], pod: Object, scene: Scene) -> Seen:
        uid = uid_of(pod)
        owner = owners.of_pod(pod, scene.jobs)
        restarts = self.restarts.seen(
            uid,
            counts_of(pod),
            shape.moment(shape.metadata(pod), "creationTimestamp") or None,
            scene.looked_at,
            scene.now,
            scene.thresholds.restart_window_s,
        )
        findings: Tuple[Finding, ...] = ()
        if not protect.is_ignored(pod):
            findings = pods.findings_of(
                pod, owner, scene.now, scene.thresholds, restarts, scene.lost_nodes
            )
        brief = pods.brief(pod, findings)
        before = scope.get(uid)
        if before is not None and before.pod is not None:
            self._kept -= 1
        seen = Seen(owner, brief, findings)
        if shape.text(shape.mapping(pod, "status"), "phase") == "Pending":
            seen.claims = others.claims_of(pod)
        is_well = brief.is_ready and brief.is_active and not findings
        if self.is_lasting and not is_well and self._kept < MOST_KEPT:
            seen.pod = slim(pod)
            self._kept += 1
        scope[uid] = seen
        return seen


def uid_of(pod: Any) -> str:
    """What tells a pod from a later one of its name."""
    about = shape.metadata(pod)
    return shape.line(about, "uid", 100) or "/".join(shape.place(pod))[:100]


def slim(pod: Object) -> Object:
    """`pod` without what is large and says nothing of its health."""
    found = dict(pod)
    spec = {
        name: value
        for name, value in shape.mapping(pod, "spec").items()
        if name not in _BULKY_OF_SPEC
    }
    for key in _CONTAINERS:
        if key in spec:
            spec[key] = [
                {name: one[name] for name in one if name not in _BULKY_OF_CONTAINER}
                for one in shape.mappings(spec, key)
            ]
    found.update(metadata=slim_metadata(pod), spec=spec)
    return found


def slim_metadata(value: Object) -> Object:
    """The metadata of an object without the list of its fields; who wrote it last, and when, is
    kept.
    """
    about = dict(shape.metadata(value))
    if "managedFields" in about:
        about["managedFields"] = [
            {name: one[name] for name in one if name != "fieldsV1"}
            for one in shape.mappings(about, "managedFields")
        ]
    return about
