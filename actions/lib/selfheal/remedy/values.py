"""What a runbook's references stand for in one incident: labels, annotations, its own fields, what
steps brought.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from selfheal.exceptions import Refused
from selfheal.remedy.model import KubernetesAct, Reference, Runbook
from selfheal.store import dump
from selfheal.workloads.subject import subject_of

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

StepFields = Mapping[str, Mapping[str, str]]
# Fields of an incident that tell nothing of what is to be done, or go on changing.
_UNTELLING = ("id", "severity", "title")


def resolve(reference: Reference, incident: Incident, steps: StepFields) -> Optional[str]:
    """The text that `reference` stands for, or None when there is none (yet)."""
    if reference.step is not None:
        return steps.get(reference.step, {}).get(reference.parts[2])
    if reference.parts[0] == "incident":
        found: Any = getattr(incident, reference.parts[1])
    else:
        found = (incident.labels if reference.parts[0] == "labels" else incident.annotations).get(
            reference.parts[1]
        )
    return None if found is None else str(found)


def missing(runbook: Runbook, incident: Incident) -> List[str]:
    """References of the runbook's `values` that this incident cannot fill, those to steps aside."""
    return [
        str(reference)
        for _name, reference in runbook.values
        if reference.step is None and resolve(reference, incident, {}) is None
    ]


def lacks(runbook: Runbook, lacking: Sequence[str]) -> str:
    """Why a runbook whose references are `lacking` cannot be carried out, and what to do."""
    return (
        "runbook %s needs %s, which this incident does not have; send the alert with it or take it "
        "out of the runbook's values, then analyze the incident again"
        % (runbook.name, ", ".join(lacking))
    )


def variables(runbook: Runbook, incident: Incident, steps: StepFields) -> Dict[str, str]:
    """The variables for a command now; those from steps that have not run are left out. Raises
    Refused when one lacks.
    """
    lacking = missing(runbook, incident)
    if lacking:
        raise Refused(lacks(runbook, lacking))
    pairs = ((name, resolve(reference, incident, steps)) for name, reference in runbook.values)
    return {name: value for name, value in pairs if value is not None}


def digest(runbook: Runbook, incident: Incident) -> str:
    """What tells the values that `runbook` is given in this incident from those in another: the
    same runbook starts another unit by another label. Those that steps bring are not known yet.
    """
    telling: List[List[Any]] = [
        [name, resolve(reference, incident, {})]
        for name, reference in runbook.values
        if reference.step is None and
        not (reference.parts[0] == "incident" and reference.parts[1] in _UNTELLING)
    ]
    if any(isinstance(step.act, KubernetesAct) for step in runbook.steps):
        telling.append(["kubernetes", workload_of(incident)])  # what the operation is done on
    return hashlib.sha256(dump(telling).encode("ascii")).hexdigest()


def workload_of(incident: Any) -> Dict[str, str]:
    """What a Kubernetes operation for `incident` is done on: {"cluster", "kind", "namespace",
    "name"}, empty where it does not say. `incident` may be a deed of the guard.
    """
    subject = subject_of(incident)
    return {
        "cluster": incident.cluster or "",
        "kind": subject.kind if subject else "",
        "namespace": subject.namespace if subject else "",
        "name": subject.name if subject else "",
    }
