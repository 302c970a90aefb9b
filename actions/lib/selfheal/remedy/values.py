"""What a runbook's references stand for in one incident: labels, annotations, its own fields, what
steps brought.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.exceptions import Refused
from selfheal.remedy.model import Reference, Runbook

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

StepFields = Mapping[str, Mapping[str, str]]


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


def variables(runbook: Runbook, incident: Incident, steps: StepFields) -> Dict[str, str]:
    """The variables for a command now; those from steps that have not run are left out. Raises
    Refused when one lacks.
    """
    lacking = missing(runbook, incident)
    if lacking:
        raise Refused(
            "runbook %s needs %s, which this incident does not have"
            % (runbook.name, ", ".join(lacking))
        )
    pairs = ((name, resolve(reference, incident, steps)) for name, reference in runbook.values)
    return {name: value for name, value in pairs if value is not None}
