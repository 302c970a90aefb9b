"""The plan for an incident: what would be done, where, at what risk. What is decided and approved
is this, by its hash.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.remedy import catalogue, values
from selfheal.remedy.model import RISKS, KubernetesAct, Runbook, Step
from selfheal.store import dump
from selfheal.verify.model import DEFAULT_CHECKS
from selfheal.workloads import subject

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

REMEDY = "runbook"
KUBERNETES = "kubernetes"  # a single operation that a person asked for; no file stands behind it
_HOST_AND_PORT = re.compile(r"([^:]+|\[[^\]]*\]):[0-9]{1,5}\Z")


def build(runbook: Runbook, incident: Incident, confidence: float) -> Dict[str, Any]:
    """The plan to carry out `runbook` for `incident`, as the incident's row holds it."""
    return _built(REMEDY, runbook, incident, confidence)


def build_typed(act: KubernetesAct, incident: Incident) -> Dict[str, Any]:
    """The plan to carry out the single operation `act` on what the incident is about. Raises
    InvalidInput when there is no such operation.
    """
    return _built(KUBERNETES, _typed(act), incident, 1.0)


def _built(
    remedy: str, runbook: Runbook, incident: Incident, confidence: float
) -> Dict[str, Any]:
    plan = {
        "remedy": remedy,
        "runbook": runbook.name,
        "path": runbook.path,
        "risk": runbook.risk,
        "confidence": round(confidence, 3),
        "steps": [{"name": step.name, "kind": step.kind} for step in runbook.steps],
        "undoable": [step.name for step in runbook.steps if _is_undoable(step)],
        "scope": scope_of(incident),
        "digest": runbook.digest,
        "values": values.digest(runbook, incident),
    }
    acts = [(step.name, step.act) for step in runbook.steps]
    operations = [
        {"step": name, "do": act.do, "options": dict(act.options)}
        for name, act in acts
        if isinstance(act, KubernetesAct)
    ]
    return dict(plan, operations=operations) if operations else plan


def operations_of(plan: Mapping[str, Any]) -> Tuple[KubernetesAct, ...]:
    """The operations on Kubernetes objects that `plan` holds, in order. Raises Refused for one that
    cannot be read.
    """
    entries = plan.get("operations")
    if not entries:
        return ()
    try:
        return tuple(_act_of(entry) for entry in entries)
    except (InvalidInput, LookupError, TypeError, ValueError) as error:
        raise Refused(
            "the plan's operations cannot be read (%s); analyze the incident again" % error
        ) from error


def _act_of(entry: Mapping[str, Any]) -> KubernetesAct:
    from selfheal.remedy.kubernetes import operations  # most plans have none

    return operations.act_of(entry["do"], dict(entry["options"]))


def _typed(act: KubernetesAct) -> Runbook:
    """`act` as a runbook of one step, so that it takes the road that all remedies take."""
    from selfheal.remedy.kubernetes import operations

    act = operations.act_of(act.do, dict(act.options))
    content: List[Any] = [act.do, sorted(dict(act.options).items())]
    return Runbook(
        name=act.do,
        path="",
        digest=hashlib.sha256(dump(content).encode("ascii")).hexdigest(),
        description=operations.in_words(act),
        alert_types=(),
        severities=(),
        labels=(),
        risk=operations.risk_of(act),
        confidence=1.0,
        timeout_s=None,
        values=(),
        steps=(Step(name=act.do, kind=KUBERNETES, act=act),),
        verify=tuple(DEFAULT_CHECKS),
    )


def _is_undoable(step: Step) -> bool:
    if not isinstance(step.act, KubernetesAct):
        return step.undo is not None
    from selfheal.remedy.kubernetes import operations

    return operations.is_undoable(step.act)


def scope_of(incident: Incident) -> str:
    """What the remedy touches, so that two remedies never touch it at once: the node of a cluster,
    the workload, else the instance without its port (two exporters are on one host), else the
    service.
    """
    where = [incident.cluster or ""]
    node = subject.node_of(incident)
    if node:
        where += ["node", node]
    elif incident.workload:
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
    more = ("commands", "asks", "operations")
    telling.update({key: plan[key] for key in more if key in plan})
    return hashlib.sha256(dump(telling).encode("ascii")).hexdigest()


def reload(plan: Mapping[str, Any]) -> Runbook:
    """The runbook of `plan`, read again, or its single operation as one. Raises Refused when it is
    gone, broken, or not the one that was decided on.
    """
    if plan.get("remedy") not in (REMEDY, KUBERNETES) or plan.get("risk") not in RISKS:
        raise Refused(
            "the plan names the remedy %r with risk %r; this pack knows only runbooks and "
            "operations on Kubernetes objects, with a risk of %s; analyze the incident again"
            % (plan.get("remedy"), plan.get("risk"), ", ".join(RISKS))
        )
    if plan.get("remedy") == KUBERNETES:
        return _reloaded_operation(plan)
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


def _reloaded_operation(plan: Mapping[str, Any]) -> Runbook:
    acts = operations_of(plan)
    if len(acts) != 1:
        raise Refused(
            "the plan has %d operations instead of one; analyze the incident again" % len(acts)
        )
    runbook = _typed(acts[0])
    if (runbook.name, runbook.digest) != (plan.get("runbook"), plan.get("digest")):
        raise Refused(
            "the plan's operation %s is not the one that was decided on; analyze the incident again"
            % runbook.name
        )
    return runbook
