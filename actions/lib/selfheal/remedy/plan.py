"""The plan for an incident: what would be done, where, at what risk. What is decided and approved
is this, by its hash.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Dict, Mapping

from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.remedy import catalogue, values
from selfheal.remedy.model import RISKS, Runbook
from selfheal.store import dump

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

REMEDY = "runbook"
_HOST_AND_PORT = re.compile(r"([^:]+|\[[^\]]*\]):[0-9]{1,5}\Z")


def build(runbook: Runbook, incident: Incident, confidence: float) -> Dict[str, Any]:
    """The plan to carry out `runbook` for `incident`, as the incident's row holds it."""
    return {
        "remedy": REMEDY,
        "runbook": runbook.name,
        "path": runbook.path,
        "risk": runbook.risk,
        "confidence": round(confidence, 3),
        "steps": [{"name": step.name, "kind": step.kind} for step in runbook.steps],
        "undoable": [step.name for step in runbook.steps if step.undo],
        "scope": scope_of(incident),
        "digest": runbook.digest,
        "values": values.digest(runbook, incident),
    }


def scope_of(incident: Incident) -> str:
    """What the remedy touches, so that two remedies never touch it at once: the workload, else the
    instance without its port (two exporters are on one host), else the service.
    """
    where = [incident.cluster or ""]
    if incident.workload:
        where += [incident.namespace or "", incident.workload]
    elif incident.instance or incident.service:
        where += [_host_of(incident.instance or "") or incident.service or ""]
    else:
        where += [incident.namespace or "", incident.alert_type]
    return "/".join(part for part in where if part) or incident.id


def _host_of(instance: str) -> str:
    found = _HOST_AND_PORT.match(instance)
    return found.group(1) if found else instance


def hash_of(plan: Mapping[str, Any]) -> str:
    """What tells this plan from any other: what is done, by which file content, with which values,
    where, at what risk, and what the command policy said of it.
    """
    telling = {
        key: plan.get(key)
        for key in ("remedy", "runbook", "path", "risk", "steps", "scope", "digest", "values")
    }
    telling.update({key: plan[key] for key in ("commands", "asks") if key in plan})
    return hashlib.sha256(dump(telling).encode("ascii")).hexdigest()


def reload(plan: Mapping[str, Any]) -> Runbook:
    """The runbook of `plan`, read again. Raises Refused when it is gone, broken, or not the one
    that was decided on.
    """
    if plan.get("remedy") != REMEDY or plan.get("risk") not in RISKS:
        raise Refused(
            "the plan names the remedy %r with risk %r; this pack knows only runbooks, "
            "with a risk of %s; analyze the incident again"
            % (plan.get("remedy"), plan.get("risk"), ", ".join(RISKS))
        )
    try:
        runbook = catalogue.read(str(plan.get("path") or ""))
    except (InvalidInput, NotFound) as error:
        raise Refused(
            "the planned runbook cannot be used any more: %s; analyze the incident again" % error
        ) from error
    if runbook.digest != plan.get("digest"):
        raise Refused(
            "the runbook %s has changed since it was decided on; analyze the incident again"
            % runbook.path
        )
    return runbook
