"""A close look at what an incident is about, before anything is decided: kept with the incident,
told on its timeline, and its cause refreshed by what is wrong now.

A look that fails, or for which there is nobody to ask, changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from selfheal.diagnose import record
from selfheal.exceptions import SelfhealError, StoreError
from selfheal.guard import locks
from selfheal.incidents import registry, timeline
from selfheal.text import counted
from selfheal.workloads import SOURCE
from selfheal.workloads.subject import subject_of

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.diagnose.kubernetes.scene import Bundle
    from selfheal.incidents.model import Incident

SECTION = "kubernetes"
DIAGNOSED = "diagnosed"


def look_closely(ctx: Context, incident: Incident, run_id: str) -> Optional[record.Diagnosis]:
    """What a look at Kubernetes found, stored; None where the incident names nothing of it, or no
    target is configured. Raises StoreError.
    """
    if not applies(ctx, incident):
        return None
    from selfheal.diagnose.kubernetes import bundle as kubernetes  # the dearest there is to import

    found = kubernetes.collect(ctx, incident)
    diagnosis = found.as_diagnosis()
    with ctx.store.transaction("incidents", "diagnoses"):
        diagnosis_id = record.keep(ctx.store, diagnosis, incident.id)
        timeline.record(
            ctx.store,
            incident.id,
            DIAGNOSED,
            _in_words(diagnosis),
            {
                "diagnosis_id": diagnosis_id,
                "missing": [one["part"] for one in diagnosis.missing],
                "hidden": diagnosis.hidden,
                "took_s": diagnosis.took_s,
            },
            run_id or None,
        )
    _refresh(ctx, incident, found, run_id)
    return diagnosis


def applies(ctx: Context, incident: Incident) -> bool:
    """Whether there is something of Kubernetes to look at and a target to ask."""
    if subject_of(incident) is None:
        return False
    if incident.source == SOURCE:
        return True
    try:
        return ctx.config.target_name(SECTION, incident.cluster) is not None
    except SelfhealError:
        return False


def _in_words(diagnosis: record.Diagnosis) -> str:
    words = "looked at %s in Kubernetes: %s" % (
        diagnosis.subject, counted(len(diagnosis.facts), "fact"),
    )
    if diagnosis.missing:
        parts = ", ".join(dict.fromkeys(one["part"] for one in diagnosis.missing))
        words += "; could not be found out: %s" % parts
    return words


def _refresh(ctx: Context, incident: Incident, found: Bundle, run_id: str) -> None:
    """Make what is wrong now the cause of an incident that a look at Kubernetes raised: its type
    chooses the runbook. One that an alert raised keeps the name of its alert.
    """
    if incident.source != SOURCE or found.ref is None or not found.lasting:
        return
    from selfheal.incidents import causes
    from selfheal.intake.kubernetes import grouping
    from selfheal.workloads.states import STATES

    place = grouping.Place(found.target, str(ctx.config.get("routing.cluster_label")))
    cause = grouping.cause_of(place, found.ref, found.lasting)
    if cause is None or cause.alert_type == incident.alert_type:
        return
    known = STATES.get(incident.labels.get("state", ""))
    now = STATES.get(cause.labels.get("state", ""))
    if known and now and known.name not in found.sees and known.priority <= now.priority:
        return  # only the sensor can see that, and it explains more
    # By hand the incident is held under a name of the hand's own.
    holder = run_id or locks.holder(ctx.store, registry.lock_name(incident.id)) or ""
    try:
        causes.change(ctx.store, incident.id, *cause, run_id=holder)
    except StoreError:
        raise
    except SelfhealError as error:
        ctx.log.warning("the cause of %s stays as it is: %s", incident.id, error)
