"""Findings of many pods become few signals: one for each unhealthy state of an owner, however many
of its pods are in it.

A cause is an owner (cluster, kind, namespace, name), so five crashed pods of a deployment are one
incident, and what else is wrong with it joins. What is kept of a cluster are counts and the names
of a few pods.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import field, replace
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from selfheal.config import DEFAULT_TARGET
from selfheal.incidents.signal import FIRING, RESOLVED, Signal, time_text
from selfheal.records import dataclass
from selfheal.text import counted, one_line
from selfheal.workloads import SOURCE
from selfheal.workloads.causes import primary
from selfheal.workloads.model import Finding, Ref

MOST_NAMES = 20  # of pods that a signal names
_MAX_NAME = 253  # the longest name that Kubernetes allows
_MAX_WORDS = 1000
_WITHOUT_WORKLOAD = ("Node", "Namespace")
# What is seen on these takes more than their own list and that of the pods.
_NEEDS = {
    "Service": ("Service", "Endpoints", "Pod"),
    "ReplicaSet": ("ReplicaSet", "Deployment", "Pod"),
    "ControllerRevision": ("ControllerRevision", "StatefulSet", "DaemonSet", "Pod"),
}


class Cause(NamedTuple):
    """What an incident about an owner says of itself."""

    alert_type: str
    title: str
    labels: Dict[str, str]
    annotations: Dict[str, str]


@dataclass
class Sick:
    """One state of one owner: an example, how many objects are in it, the names of a few, and of
    which kind they are (what had to be listed to see it).
    """

    finding: Finding
    seen_on: str
    count: int = 0
    restarts: int = 0
    pods: List[str] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """One more object of the owner is in this state."""
        self.count += 1
        self.restarts += finding.restarts or 0
        if finding.pod and finding.pod not in self.pods:
            if len(self.pods) < MOST_NAMES:
                self.pods.append(finding.pod)


class Findings:
    """What a look has found, by owner and state."""

    def __init__(self) -> None:
        self._owners: Dict[Ref, Dict[str, Sick]] = {}

    def add(self, findings: Iterable[Finding], seen_on: str) -> None:
        """Take in what is wrong with one object of kind `seen_on`."""
        for finding in findings:
            states = self._owners.setdefault(finding.owner, {})
            name = finding.state.name
            sick = states.get(name)
            if sick is None:
                sick = states[name] = Sick(finding, seen_on)
            sick.add(finding)

    def drop(self, owner: Ref) -> None:
        """Leave out what was found of `owner`."""
        self._owners.pop(owner, None)

    def owners(self) -> List[Ref]:
        """Whoever is sick, in a fixed order."""
        return sorted(self._owners, key=str)

    def of(self, owner: Ref) -> List[Sick]:
        """What is wrong with `owner`, by the names of the states."""
        states = self._owners.get(owner, {})
        return [states[name] for name in sorted(states)]

    def cause_of(self, owner: Ref) -> Optional[Sick]:
        """What best explains the rest of what is wrong with `owner`."""
        states = self._owners.get(owner)
        if not states:
            return None
        # Each pod has its say: what one of forty has is not what is wrong with them.
        best = primary(
            replace(sick.finding, pod=pod)
            for sick in self.of(owner)
            for pod in sick.pods or [sick.finding.pod]
        )
        return states[best.state.name] if best is not None else None

    def __len__(self) -> int:
        return sum(len(states) for states in self._owners.values())


@dataclass(frozen=True)
class Place:
    """A target as signals name it: its name in the settings, and the label that says so."""

    target: str
    cluster_label: str

    @property
    def cluster(self) -> Optional[str]:
        """The cluster's name; a single target written flat has none."""
        return None if self.target == DEFAULT_TARGET else self.target


def cause_of(place: Place, owner: Ref, findings: Sequence[Finding]) -> Optional[Cause]:
    """What explains best all that is wrong with `owner`; None when nothing is."""
    found = Findings()
    found.add((one for one in findings if one.owner == owner), owner.kind)
    sick = found.cause_of(owner)
    return None if sick is None else cause_by(place, owner, sick)


def cause_by(place: Place, owner: Ref, sick: Sick) -> Cause:
    """What an incident about `owner` says of itself when `sick` is its cause."""
    return Cause(
        sick.finding.state.alert_type,
        title_of(owner, sick),
        labels_of(place, owner, sick),
        annotations_of(owner, sick),
    )


def needs_of(seen_on: str) -> Tuple[str, ...]:
    """The kinds that must have been listed completely to say that nothing is seen on `seen_on`."""
    return _NEEDS.get(seen_on, (seen_on or "Pod", "Pod"))


def prefix_of(target: str) -> str:
    """What the fingerprints of all alerts of a target begin with."""
    return "%s:%s:" % (SOURCE, target)


def fingerprint_of(target: str, owner: Ref, state: str) -> str:
    """The identity of one state of one owner."""
    return prefix_of(target) + _digest([owner.kind, owner.namespace, owner.name, state])


def cause_key(target: str, owner: Ref) -> str:
    """The cause (group key) of whatever is wrong with `owner`."""
    return "v1:" + _digest([SOURCE, target, owner.kind, owner.namespace, owner.name])


def firing(place: Place, owner: Ref, sick: Sick, now: float, starts_at: str = "") -> Signal:
    """The signal that `owner` is in a state since `now`, or since `starts_at` where that is known.
    """
    finding = sick.finding
    labels = labels_of(place, owner, sick)
    is_node = owner.kind in _WITHOUT_WORKLOAD
    return Signal(
        fingerprint=fingerprint_of(place.target, owner, finding.state.name),
        starts_at=starts_at or time_text(now),
        status=FIRING,
        alert_name=finding.state.alert_type,
        severity=finding.state.severity,
        title=title_of(owner, sick),
        source=SOURCE,
        group_key=cause_key(place.target, owner),
        labels=labels,
        annotations=annotations_of(owner, sick),
        cluster=place.cluster,
        namespace=owner.namespace or None,
        workload=None if is_node else owner.name,
        instance=owner.name if is_node else None,
        service=owner.name if owner.kind == "Service" else None,
        grouping=_grouping(place, owner),
    )


def ended(
    fingerprint: str, starts_at: str, group_key: str, alert_type: str, severity: str, at: float
) -> Signal:
    """The end at `at` (epoch s) of an alert that fires; an end before its start is its start."""
    return Signal(
        fingerprint=fingerprint,
        starts_at=starts_at,
        status=RESOLVED,
        alert_name=alert_type,
        severity=severity,
        title=alert_type,
        source=SOURCE,
        group_key=group_key,
        labels={},
        annotations={},
        ends_at=max(time_text(at), starts_at),
    )


def title_of(owner: Ref, sick: Sick) -> str:
    """One line for people: what is wrong with whom."""
    finding = sick.finding
    reason = " (%s)" % finding.reason if finding.reason else ""
    many = ", %s" % counted(sick.count, "pod") if sick.count > 1 and finding.pod else ""
    return one_line("%s: %s%s%s" % (owner, finding.state.alert_type, reason, many))


def labels_of(place: Place, owner: Ref, sick: Sick) -> Dict[str, str]:
    """Where it is and of which kind, with one pod as an example."""
    finding = sick.finding
    is_node = owner.kind in _WITHOUT_WORKLOAD
    found: Dict[str, object] = {
        owner.kind.lower(): owner.name,  # first: a kind may be called as one of the others is
        "alertname": finding.state.alert_type,
        "severity": finding.state.severity,
        "state": finding.state.name,
        "seen_on": sick.seen_on,
        "namespace": owner.namespace,
        "workload": "" if is_node else owner.name,
        "workload_kind": owner.kind,
        "container": finding.container,
        "reason": finding.reason,
        "exit_code": "" if finding.exit_code is None else finding.exit_code,
    }
    # A bare pod is named by its kind already, a node likewise.
    found.setdefault("pod", finding.pod)
    found.setdefault("node", finding.node)
    if place.cluster:
        found[place.cluster_label] = place.cluster
    return {name: one_line(str(value), _MAX_NAME) for name, value in found.items() if value != ""}


def annotations_of(owner: Ref, sick: Sick) -> Dict[str, str]:
    """What people want to read about it."""
    finding = sick.finding
    found = {
        "summary": title_of(owner, sick),
        "description": one_line(finding.words, _MAX_WORDS),
        "message": one_line(finding.message, _MAX_WORDS),
        "pods": ", ".join(sick.pods) + _more(sick),
        "restarts": str(sick.restarts) if sick.restarts else "",
        "since": time_text(finding.since) if finding.since > 0 else "",
    }
    return {name: text for name, text in found.items() if text}


def _more(sick: Sick) -> str:
    hidden = sick.count - len(sick.pods)
    return " and %d more" % hidden if sick.pods and hidden > 0 else ""


def _grouping(place: Place, owner: Ref) -> Dict[str, str]:
    parts: Tuple[Tuple[str, Optional[str]], ...] = (
        ("cluster", place.cluster),
        ("namespace", owner.namespace),
        ("kind", owner.kind),
        ("name", owner.name),
    )
    return {name: value for name, value in parts if value}


def _digest(parts: List[str]) -> str:
    return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:40]
