"""Is the alert that raised an incident still there: asked of Alertmanager where it came from one,
of the logs where errors in them raised it, of Kubernetes itself where a look at it did, else of the
store.

An alert that Alertmanager never knew (raised by hand) is absent there from the start, so that
proves nothing and its rows in the store are asked instead. Silenced and inhibited alerts still
fire: they count as there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional

from selfheal.breakers import service
from selfheal.records import dataclass
from selfheal.text import counted, without_credentials
from selfheal.verify import errors
from selfheal.workloads import SOURCE as KUBERNETES

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

SOURCE = "alertmanager"
SETTLED_S = 300.0  # Prometheus sends what fires again well within this
_FIRING = "firing"


@dataclass(frozen=True)
class AlertState:
    """Whether an alert of the incident fires, and the answer that says so. What is not known
    fires.
    """

    is_firing: bool
    answer: str
    is_known: bool = True


def target_of(ctx: Context, incident: Incident) -> Optional[Dict[str, Any]]:
    """Settings of the Alertmanager that knows the incident's alerts; None when there is none to
    ask.
    """
    if not incident.source.startswith(SOURCE):
        return None
    return ctx.config.target_for("alertmanager", incident.cluster)


def describe(ctx: Context, incident: Incident) -> str:
    """What is asked of whom, in one line."""
    if incident.source == errors.SOURCE:
        return errors.describe(ctx, incident)
    if incident.source == KUBERNETES:
        return str(kubernetes().describe(ctx, incident))
    target = target_of(ctx, incident)
    if target is None:
        return "the alerts received for this incident: does one still fire?"
    return "Alertmanager %s: is an alert of this incident active?" % without_credentials(
        str(target["url"])
    )


def state(
    ctx: Context, incident: Incident, question: Optional[errors.Question] = None
) -> AlertState:
    """Whether an alert of the incident fires now. `question` says since when errors in the logs
    must have stayed away. Raises ExternalError when Alertmanager or Kubernetes cannot be asked,
    ConfigError when we may not.
    """
    if incident.source == errors.SOURCE:
        goes_on, is_known, answer = errors.answer(ctx, incident, question)
        return AlertState(goes_on, answer, is_known)
    if incident.source == KUBERNETES:
        goes_on, is_known, answer = kubernetes().answer(ctx, incident)
        return AlertState(goes_on, answer, is_known)
    target = target_of(ctx, incident)
    if target is None:
        return _by_store(ctx, incident)
    from selfheal.apis import alertmanager

    ours = set(_fingerprints(ctx, incident))
    name = service.name_of(ctx.config, SOURCE, target)
    alerts = service.call(ctx, name, lambda: alertmanager.active_alerts(ctx.http, target))
    active = [str(entry.get("fingerprint")) for entry in alerts]
    there = sorted(ours.intersection(active))
    if there:
        return AlertState(
            True,
            "%d of the incident's %s active there (%s)"
            % (len(there), counted(len(ours), "alert"), ", ".join(there[:3])),
        )
    return AlertState(
        False,
        "none of the incident's %s is among the %d active there"
        % (counted(len(ours), "alert"), len(active)),
    )


def kubernetes() -> Any:
    """The room that looks at Kubernetes: loaded only where that is asked."""
    from selfheal.verify import kubernetes as looking

    return looking


def _by_store(ctx: Context, incident: Incident) -> AlertState:
    rows = ctx.store.query(
        "SELECT status, COUNT(*) AS many FROM alerts WHERE incident_id = ? GROUP BY status",
        (incident.id,),
    )
    counts = {str(row["status"]): int(row["many"]) for row in rows}
    fires = counts.get(_FIRING, 0)
    if counts:
        return AlertState(
            fires > 0, "%d of %s still firing" % (fires, counted(sum(counts.values()), "alert"))
        )
    cleared_at = ctx.store.value("SELECT cleared_at FROM incidents WHERE id = ?", (incident.id,))
    return AlertState(
        cleared_at is None,
        "the incident %s" % ("is not cleared" if cleared_at is None else "is cleared"),
    )


def _fingerprints(ctx: Context, incident: Incident) -> List[str]:
    rows = ctx.store.query(
        "SELECT DISTINCT fingerprint FROM alerts WHERE incident_id = ?", (incident.id,)
    )
    return [str(row["fingerprint"]) for row in rows]


def is_believable(ctx: Context, incident: Incident) -> bool:
    """Whether an absence may be taken for the end of the alert: a freshly started Alertmanager has
    forgotten all. Kubernetes shows a state, and not what it remembers of one.
    """
    if incident.source == KUBERNETES:
        return True
    target = target_of(ctx, incident)
    if target is None:
        return incident.is_cleared
    from selfheal.apis import alertmanager

    name = service.name_of(ctx.config, SOURCE, target)
    now = ctx.clock.now()
    up_s = service.call(ctx, name, lambda: alertmanager.uptime_s(ctx.http, target, now))
    return up_s >= SETTLED_S
