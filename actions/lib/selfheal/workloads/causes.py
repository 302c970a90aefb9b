"""Of several things wrong with one workload, which one is it about."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Set

from selfheal.workloads.model import Finding
from selfheal.workloads.states import State

# A state of fewer of the sick pods than one in four is an aside: one pod of forty that was evicted
# does not tell why thirty-nine crash.
_ASIDE = 4


def primary(findings: Iterable[Finding]) -> Optional[Finding]:
    """The finding nearest to the cause, as an example of its state; None when there is none. The
    same findings in another order give the same answer.
    """
    ordered = by_cause(findings)
    return ordered[0] if ordered else None


def by_cause(findings: Iterable[Finding]) -> List[Finding]:
    """All findings, the primary one first: states of a good part of the sick pods by priority, then
    asides; within a state the one that has lasted longest.
    """
    found = list(findings)
    pods: Dict[State, Set[str]] = {}
    for one in found:
        pods.setdefault(one.state, set()).add(one.pod if _is_of_pod(one) else "")
    sick = {name for names in pods.values() for name in names if name}
    asides = {
        state
        for state, names in pods.items()
        if "" not in names and len(names) * _ASIDE < len(sick)
    }
    return sorted(
        found,
        key=lambda one: (
            one.state in asides,
            one.state.priority,
            one.since or float("inf"),
            one.pod,
            one.container,
        ),
    )


def _is_of_pod(finding: Finding) -> bool:
    return finding.state.name.startswith("pod_")
