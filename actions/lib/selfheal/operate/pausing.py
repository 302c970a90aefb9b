"""The brake in people's hands: pause and resume remedies, and see what is paused, frozen or quiet.

`pause` tells what it stopped: which incidents wait from now on, and which remedies were under way.
What a remedy then meets is the guard's (guard.pause, guard.windows).
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.exceptions import ConfigError, InvalidInput, StoreError
from selfheal.guard import pause as pauses
from selfheal.guard import quiet, windows
from selfheal.guard.pause import Pause, Scope
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import catalogue, journal
from selfheal.store import load
from selfheal.store.engine import placeholders
from selfheal.text import counted, iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Row

CLOCK = "clock"
LONGEST_MINUTES = 366 * 24 * 60
MAX_LOOKED_AT = 2000  # incidents at work that a pause is compared with, the oldest first
MAX_TOLD = 100  # of them, those listed and told so on their timelines


def pause(
    ctx: Context,
    scope: str = "",
    namespace: str = "",
    cluster: str = "",
    remedy: str = "",
    incident: str = "",
    reason: str = "",
    minutes: float = 0,
    stop_running: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Let no remedy begin in a scope, for `minutes` (0: until resumed); with `stop_running` those
    under way stop before their next step.

    The scope is said in words (see guard.pause) or by naming it: namespace, cluster, remedy,
    incident. Returns {"scope", "who", "reason", "until", "stop_running", "was_paused", "waiting":
    [{"incident_id", "status", "title"}], "waiting_count", "running": [{"execution_id",
    "incident_id", "remedy", "will_stop"}], "running_count", "note", "summary"}. Raises InvalidInput
    for a scope that is empty, a wildcard or unknown, NotFound for an incident there is not.
    """
    what = _scope(scope, namespace, cluster, remedy, incident)
    if what.kind == pauses.INCIDENT:
        registry.get(ctx.store, what.name)
    until = _until(ctx, minutes)
    made, before = pauses.begin(ctx.store, what, who, reason, until, bool(stop_running))
    waiting: List[Row] = []
    running: List[Row] = []
    try:
        waiting, running = _held(ctx, what)
        _tell(ctx, waiting, "paused", "remedies wait: %s" % made, made)
        note = _unknown(ctx, what)
    except StoreError as error:  # it is paused, whatever more there is to say of it
        note = "what it stopped cannot be told: %s" % error
    return {
        "scope": made.words,
        "who": made.who,
        "reason": made.reason,
        "until": _when(made.until),
        "stop_running": made.stops_running,
        "was_paused": None if before is None else _shown(before),
        "waiting": [_incident(row) for row in waiting[:MAX_TOLD]],
        "waiting_count": len(waiting),
        "running": [_execution(row, made.stops_running) for row in running[:MAX_TOLD]],
        "running_count": len(running),
        "note": note,
        "summary": _summary(made, before, waiting, running, note),
    }


def resume(
    ctx: Context,
    scope: str = "",
    namespace: str = "",
    cluster: str = "",
    remedy: str = "",
    incident: str = "",
    who: str = "",
) -> Dict[str, Any]:
    """End the pause of a scope; the scope `clock` says that the machine's clock is right again.

    Returns {"scope", "resumed", "was": the pause or None, "still_paused": [other pauses],
    "summary"}; for the clock "hosts" and "budgets" as well, see guard.clock.trust. Raises
    InvalidInput as `pause` does.
    """
    if str(scope or "").strip().lower() == CLOCK:
        return _trust_clock(ctx, who)
    what = _scope(scope, namespace, cluster, remedy, incident)
    was = pauses.end(ctx.store, what, who)
    if what.kind == pauses.GLOBAL:
        broken = pauses.end_unreadable(ctx.store, who)
        was = was or next(iter(broken), None)
    others = pauses.live(ctx.store)
    if was is not None:
        words = "%s was resumed by %s" % (what, pauses.name_of(who))
        _tell(ctx, _held(ctx, what)[0], "resumed", words, was)
        summary = "%s is resumed; it was paused by %s since %s" % (what, was.who, iso(was.since))
    else:
        summary = "%s is not paused, so nothing was changed" % what
    if others:
        summary += "; still paused: %s" % ", ".join(one.words for one in others[:10])
    elif was is None:
        summary += "; nothing is paused now"
    return {
        "scope": str(what),
        "resumed": was is not None,
        "was": None if was is None else _shown(was),
        "still_paused": [_shown(one) for one in others[:MAX_TOLD]],
        "summary": summary,
    }


def pause_list(ctx: Context) -> Dict[str, Any]:
    """What holds remedies back now or soon: {"pauses", "windows", "quiet_hours", "changes",
    "summary"}; see guard.windows.describe and guard.quiet.describe.
    """
    now = ctx.clock.now()
    found = pauses.live(ctx.store)
    open_windows = windows.describe(ctx.config, now)
    hours = quiet.describe(ctx.config, now)
    words = [str(one) for one in found[:10]]
    words += [_window_words(one) for one in open_windows if one["is_open"]]
    words += ["quiet hours: %s" % one["name"] for one in hours if one["is_quiet"]]
    return {
        "pauses": [_shown(one) for one in found[:MAX_TOLD]],
        "windows": open_windows,
        "quiet_hours": hours,
        "changes": [
            {
                "at": iso(row["at"]),
                "change": row["change"],
                "scope": row["words"],
                "who": row["who"],
                "reason": row["reason"],
            }
            for row in pauses.changes(ctx.store)
        ],
        "summary": "; ".join(words) or "nothing is paused, and no window is open",
    }


def _trust_clock(ctx: Context, who: str) -> Dict[str, Any]:
    from selfheal.guard import clock

    told = clock.trust(ctx, str(who or ""))
    hosts = ", ".join(told["hosts"])
    return {
        **told,
        "scope": CLOCK,
        "resumed": bool(told["hosts"]),
        "was": None,
        "still_paused": [_shown(one) for one in pauses.live(ctx.store)[:MAX_TOLD]],
        "summary": "from now on the clocks count as right, says %s; until now they did %s"
        % (pauses.name_of(who), "not on %s" % hosts if hosts else "on every host as well"),
    }


def _scope(scope: str, namespace: str, cluster: str, remedy: str, incident: str) -> Scope:
    """The one scope that the parameters name. Raises InvalidInput for none and for several."""
    named = {
        kind: str(value).strip()
        for kind, value in (
            (pauses.NAMESPACE, namespace),
            (pauses.CLUSTER, cluster),
            (pauses.REMEDY, remedy),
            (pauses.INCIDENT, incident),
        )
        if str(value or "").strip()
    }
    if not named:
        return pauses.scope_of(scope)
    if pauses.CLUSTER in named and pauses.NAMESPACE in named:
        within = named.pop(pauses.CLUSTER)
        pauses.scope_of("%s=%s" % (pauses.CLUSTER, within))
        named[pauses.NAMESPACE] = "%s/%s" % (within, named[pauses.NAMESPACE])
    if str(scope or "").strip() or len(named) > 1:
        asked = ([str(scope)] if scope else []) + ["%s=%s" % pair for pair in named.items()]
        raise InvalidInput(
            "%s is more than one scope; pause one after the other" %
            one_line(", ".join(asked), 200)
        )
    return pauses.scope_of("%s=%s" % next(iter(named.items())))


def _until(ctx: Context, minutes: Any) -> Optional[float]:
    is_figure = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if not is_figure or not math.isfinite(minutes) or not 0 <= minutes <= LONGEST_MINUTES:
        raise InvalidInput(
            "minutes must be from 1 to %d, or 0 for until it is resumed, not %s"
            % (LONGEST_MINUTES, one_line(repr(minutes), 40))
        )
    return ctx.store.now() + 60.0 * minutes if minutes else None


def _held(ctx: Context, scope: Scope) -> Tuple[List[Row], List[Row]]:
    """(incidents at work, remedies under way) in the scope, both oldest first."""
    states = sorted(model.ACTIVE)
    incidents = ctx.store.query(
        "SELECT id, status, title, cluster, namespace, plan FROM incidents "
        "WHERE status IN (%s) ORDER BY opened_at, id LIMIT ?" % placeholders(states),
        (*states, MAX_LOOKED_AT),
    )
    executions = ctx.store.query(
        "SELECT e.id, e.remedy, e.incident_id, i.cluster, i.namespace FROM execution_history e "
        "JOIN incidents i ON i.id = e.incident_id WHERE e.status = ? ORDER BY e.started_at, e.id "
        "LIMIT ?",
        (journal.RUNNING, MAX_LOOKED_AT),
    )
    running = [row for row in executions if _is_in(scope, row, row["incident_id"], row["remedy"])]
    under_way = {row["incident_id"] for row in running}
    waiting = [
        row
        for row in incidents
        if row["id"] not in under_way and _is_in(scope, row, row["id"], _planned(row))
    ]
    return waiting, running


def _is_in(scope: Scope, row: Row, incident_id: str, remedy: str) -> bool:
    cluster, namespace = str(row["cluster"] or ""), str(row["namespace"] or "")
    return pauses.holds(scope, cluster, namespace, remedy, incident_id)


def _planned(row: Row) -> str:
    plan = load(row["plan"]) or {}
    return "%s:%s" % (plan.get("remedy"), plan.get("runbook"))


def _tell(ctx: Context, rows: List[Row], kind: str, message: str, one: Pause) -> None:
    """Note it once on the timelines of the incidents that it concerns, not of all in a storm."""
    data = {"scope": one.words, "paused_by": one.who, "since": one.since, "until": one.until}
    for row in rows[:MAX_TOLD]:
        once = "%s:%s:%d" % (kind, one.words, round(one.since * 1000))
        timeline.record(ctx.store, row["id"], kind, message, data, ctx.run_id, once)


def _unknown(ctx: Context, scope: Scope) -> str:
    """What to look at when nothing is known by the name that was paused: it may be mistyped."""
    if scope.kind == pauses.REMEDY:
        try:
            loaded = catalogue.load(catalogue.search_paths(ctx.config))
        except ConfigError:
            return ""
        names = [one.name for one in loaded.runbooks]
        wanted = scope.name.rpartition(":")[2].lower()
    elif scope.kind in (pauses.NAMESPACE, pauses.CLUSTER):
        column = scope.kind
        rows = ctx.store.query(
            "SELECT DISTINCT %s FROM incidents WHERE %s IS NOT NULL LIMIT 1000" % (column, column)
        )
        names, wanted = [str(row[column]) for row in rows], scope.name.lower()
    else:
        return ""
    if wanted in [name.lower() for name in names]:
        return ""
    near = difflib.get_close_matches(wanted, names, 1, 0.6)
    hint = "did you mean %s?" % one_line(near[0], 80) if near else "it is paused all the same"
    return "no %s %s is known so far; %s" % (scope.kind, scope.name, hint)


def _summary(
    made: Pause, before: Optional[Pause], waiting: List[Row], running: List[Row], note: str
) -> str:
    words = [str(made) if before is None else "%s (it was paused already)" % made]
    words.append("%s at work get no remedy" % counted(len(waiting), "incident"))
    if running:
        fate = "stop before their next step" if made.stops_running else "run to their end"
        words.append("%s under way: they %s" % (counted(len(running), "execution"), fate))
    return "; ".join([*words, note] if note else words)


def _shown(one: Pause) -> Dict[str, Any]:
    return {
        "scope": one.words,
        "who": one.who,
        "reason": one.reason,
        "since": iso(one.since),
        "until": _when(one.until),
        "stop_running": one.stops_running,
    }


def _incident(row: Row) -> Dict[str, Any]:
    return {
        "incident_id": row["id"],
        "status": row["status"],
        "title": one_line(str(row["title"]), 200),
    }


def _execution(row: Row, will_stop: bool) -> Dict[str, Any]:
    return {
        "execution_id": row["id"],
        "incident_id": row["incident_id"],
        "remedy": row["remedy"],
        "will_stop": will_stop,
    }


def _window_words(one: Dict[str, Any]) -> str:
    if one["trouble"]:
        return "everything is frozen: %s" % one["trouble"]
    return "%s window %s until %s" % (one["kind"], one["name"], one["until"])


def _when(at: Optional[float]) -> Optional[str]:
    return None if at is None else iso(at)
