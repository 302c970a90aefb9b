"""How each part of the pack fares, as it said itself, and which parts have fallen silent.

Rows are written by who does the work (`store.status`); here they are read for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from selfheal.intake import components
from selfheal.intake.elk import reached
from selfheal.store import Row
from selfheal.store import status as states
from selfheal.text import cap, iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

SILENT = "silent"
NEVER = "never"
# A sensor that backs off says something at least this often, in polls; housekeeping runs each
# minute.
_SILENT_AFTER_POLLS = 5
_LEAST_SILENCE_S = 600.0
_HOUSEKEEPING = "housekeeping"
# Rows that are written when something happens and not regularly.
_OCCASIONAL = ("alert_storm", "guard_clock", "remedy_storm")
# What is gone with its settings, and which sensor looks at it.
_SENSORS = {
    "elk": "ElkErrorSensor",
    "log_files": "ElkErrorSensor",
    "kubernetes": "KubernetesHealthSensor",
    "alertmanager_sensor": "AlertmanagerSensor",
}
_WELL = (states.OK, "calm")


def system_status(ctx: Context) -> Dict[str, Any]:
    """{"ok": whether all is well, "components": [{"component", "status", "since", "updated_at",
    "age_s", "summary", "detail"}], "amiss": names of those that are not}.

    `status` is silent for what has not said anything for long, and never for what is configured and
    has never said anything. A source that was removed from the configuration is left out.
    Times are ISO text in UTC. Raises StoreError.
    """
    now = ctx.clock.now()
    rows = states.every(ctx.store)
    expected = _expected(ctx)
    components = [
        _component(ctx, name, row, now)
        for name, row in rows.items()
        if name in expected or name.partition(":")[0] not in _SENSORS
    ]
    components += [
        _shown(name, NEVER, None, None, now, "has not said anything yet; %s" % _ask(name), None)
        for name in expected
        if name not in rows
    ]
    components.sort(key=lambda one: str(one["component"]))
    amiss = [one["component"] for one in components if one["status"] not in _WELL]
    return {"ok": not amiss, "components": components, "amiss": amiss}


def _expected(ctx: Context) -> List[str]:
    """What should have a row under this configuration."""
    alertmanagers = ["alertmanager_sensor:%s" % name for name in ctx.config.targets("alertmanager")]
    return [_HOUSEKEEPING, *alertmanagers, *components.components(ctx.config)]


def _component(ctx: Context, name: str, row: Row, now: float) -> Dict[str, Any]:
    age_s = now - float(row["updated_at"])
    polls_s = _SILENT_AFTER_POLLS * ctx.config.number("monitoring.check_interval")
    status, summary = str(row["status"]), _summary(row["detail"])
    if name not in _OCCASIONAL and age_s > max(polls_s, _LEAST_SILENCE_S):
        summary = "has said nothing since, it was %s; %s" % (status, _ask(name))
        status = SILENT
    detail = row["detail"]
    if name.startswith("elk:") and isinstance(detail, dict):
        until = reached.looked_until(ctx.store, name.partition(":")[2])
        if until is not None:
            detail = dict(detail, checkpoint=iso(until), lag_s=max(0, int(now - until)))
    return _shown(name, status, row["since"], row["updated_at"], now, summary, detail)


def _ask(name: str) -> str:
    """Where a person looks first when `name` says nothing."""
    part = name.partition(":")[0]
    if part == _HOUSEKEEPING:
        return "is the rule selfheal.housekeeping enabled, and does StackStorm's timer run?"
    sensor = _SENSORS.get(part)
    if sensor:
        return "is the sensor selfheal.%s enabled, and was it restarted since it was set?" % sensor
    return "see the log of its container"


def _shown(
    name: str, status: str, since: Any, updated_at: Any, now: float, summary: str, detail: Any
) -> Dict[str, Any]:
    return {
        "component": name,
        "status": status,
        "since": "" if since is None else iso(float(since)),
        "updated_at": "" if updated_at is None else iso(float(updated_at)),
        "age_s": None if updated_at is None else max(0, int(now - float(updated_at))),
        "summary": one_line(summary, 300),
        "detail": cap(detail, 500, 30),
    }


def _summary(detail: Any) -> str:
    """The one thing of `detail` that a person wants to know."""
    found: Tuple[Any, ...] = ()
    if isinstance(detail, dict):
        found = (detail.get("error"), "; ".join(str(one) for one in detail.get("because") or ()))
    elif isinstance(detail, list):
        problems = [one for one in detail if isinstance(one, dict)]
        found = tuple("%s: %s" % (one.get("part"), one.get("error")) for one in problems)
    return next((str(one) for one in found if one), "")
