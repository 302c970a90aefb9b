"""Circuit breakers for people: which there are and why, closing one, forcing one open or closed.

A breaker is named by its key (`service-0f3a...`, from breaker_list or a refusal) or by what it is
called there (`prometheus`, `runbook:restart|prod/shop/web`). Nothing here works on several at once.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional

from selfheal.breakers import machine, rows
from selfheal.breakers.machine import Breaker
from selfheal.breakers.settings import REMEDY, SERVICE, Stored, settings_of
from selfheal.exceptions import InvalidInput, NotFound, SelfhealError
from selfheal.store import Row
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

UNREADABLE = "unreadable"
MAX_MINUTES = 43200.0
_FORCED = {"open": machine.FORCED_OPEN, "closed": machine.FORCED_CLOSED}
_MAX_REASON = 300
_MAX_WHO = 80
_NEAR = 3
_EVERYTHING = ("all", "any", "every", "everything", "global", "%", "_", ".", "-")


def breaker_list(ctx: Context, state: str = "", kind: str = "", limit: int = 50) -> Dict[str, Any]:
    """{"breakers": [{"name", "key", "kind", "state", "since", "until", "why", "calls", "failures",
    "failure_rate", "slow_rate", "mean_s", "typical_s", "slow_over_s", "wait_s", "probes",
    "last_change": {"at", "from", "to", "reason", "by"} or None}], "count": all there are}.

    Those that are not closed come first, then those used last. `state` is one of them, or amiss for
    all but closed. Times are ISO text in UTC. Raises InvalidInput, StoreError.
    """
    if state not in ("", "amiss", *machine.STATES):
        raise InvalidInput("state must be amiss or one of %s" % ", ".join(machine.STATES))
    if kind not in ("", REMEDY, SERVICE):
        raise InvalidInput("kind must be %s or %s, or empty for both" % (REMEDY, SERVICE))
    parameters: List[Any] = [kind, kind, state, state, machine.CLOSED, state]
    where = (
        "(? = '' OR kind = ?) AND (? = '' OR (? = 'amiss' AND state <> ?) OR state = ?)"
    )
    found = ctx.store.query(
        "SELECT key, kind, name, state FROM circuit_breakers WHERE %s ORDER BY "
        "CASE WHEN state = ? THEN 1 ELSE 0 END, updated_at DESC, key LIMIT ?" % where,
        (*parameters, machine.CLOSED, max(1, min(int(limit), 200))),
    )
    count = ctx.store.value("SELECT COUNT(*) FROM circuit_breakers WHERE %s" % where, parameters)
    changes = rows.last_changes(ctx.store, [str(row["key"]) for row in found])
    return {
        "breakers": [_shown(ctx, row, changes.get(str(row["key"]))) for row in found],
        "count": int(count or 0),
    }


def breaker_reset(
    ctx: Context, name: str, who: str = "", reason: str = "", forget: bool = False
) -> Dict[str, Any]:
    """Close the breaker `name`, whatever it says, and forget its failures; with `forget` also what
    it learned to be slow. The breaker as breaker_list shows it. Raises InvalidInput, NotFound.
    """
    why = "reset by a person: %s" % _reason(reason) if reason else "reset by a person"

    def act(breaker: Breaker) -> None:
        breaker.reset(ctx.clock.now(), why, forget)

    return _changed(ctx, name, who, act, anew=True)


def breaker_force(
    ctx: Context, name: str, state: str, reason: str, minutes: float = 0, who: str = ""
) -> Dict[str, Any]:
    """Hold the breaker `name` open (nothing goes through) or closed (all goes through) for
    `minutes`, 0 for good; `auto` lets it judge by itself again, beginning closed.

    The breaker as breaker_list shows it. Raises InvalidInput, NotFound.
    """
    if state not in (*_FORCED, "auto"):
        raise InvalidInput("state must be open, closed or auto, not %r" % one_line(str(state), 40))
    is_number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if not is_number or not 0 <= minutes <= MAX_MINUTES:
        raise InvalidInput(
            "minutes must be from 0 (for good) to %d, not %r" % (MAX_MINUTES, minutes)
        )
    why = _reason(reason)
    if not why:
        raise InvalidInput("say why: reason=... is what others will read")

    def act(breaker: Breaker) -> None:
        now = ctx.clock.now()
        if state == "auto":
            breaker.reset(now, why)
        else:
            breaker.force(_FORCED[state], now, now + 60.0 * minutes if minutes else None, why)

    return _changed(ctx, name, who, act, anew=state != "closed")


def _changed(
    ctx: Context, name: str, who: str, act: Callable[[Breaker], None], anew: bool
) -> Dict[str, Any]:
    row = _row_of(ctx, name)
    stored = Stored(str(row["kind"]), str(row["key"]), str(row["name"]))
    settings = settings_of(ctx.config, stored.kind)
    by = one_line(str(who or ""), _MAX_WHO) or "somebody without a name"
    rows.change(ctx.store, stored, settings, act, by, anew=anew)
    return _shown(ctx, row, rows.last_changes(ctx.store, [stored.key]).get(stored.key))


def _row_of(ctx: Context, name: str) -> Row:
    """The only breaker that is meant. Raises InvalidInput, NotFound."""
    wanted = one_line(str(name or ""), 300)
    if not wanted or wanted.lower() in _EVERYTHING or "*" in wanted or "?" in wanted:
        raise InvalidInput(
            "%r does not name one circuit breaker: give its key or its name as breaker_list shows "
            "them (its key, where the name itself holds such signs)" % wanted
        )
    found = ctx.store.query(
        "SELECT key, kind, name, state FROM circuit_breakers WHERE key = ? OR name = ? LIMIT 5",
        (wanted, wanted),
    )
    if len(found) > 1:
        keys = ", ".join(str(row["key"]) for row in found)
        raise InvalidInput(
            "several circuit breakers are called %s: name one of %s" % (wanted, keys)
        )
    if found:
        return found[0]
    raise NotFound(
        "there is no circuit breaker %r%s; one exists once its remedy or service was used, see "
        "breaker_list" % (wanted, _near(ctx, wanted))
    )


def _near(ctx: Context, wanted: str) -> str:
    known = ctx.store.query(
        "SELECT key, name FROM circuit_breakers ORDER BY updated_at DESC LIMIT 500"
    )
    names = {str(row["name"]).lower(): str(row["name"]) for row in known}
    names.update({str(row["key"]): str(row["key"]) for row in known})
    near = difflib.get_close_matches(wanted.lower(), list(names), _NEAR, 0.5)
    part = [low for low in names if wanted.lower() in low and low not in near]
    shown = [names[low] for low in (near + part)[:_NEAR]]
    return "; did you mean %s?" % " or ".join(shown) if shown else ""


def _reason(reason: str) -> str:
    return one_line(str(reason or ""), _MAX_REASON)


def _shown(ctx: Context, row: Row, changed: Optional[Row]) -> Dict[str, Any]:
    stored = Stored(str(row["kind"]), str(row["key"]), str(row["name"]))
    shown: Dict[str, Any] = {"name": stored.shown, "key": stored.key, "kind": stored.kind}
    now = ctx.clock.now()
    try:
        breaker = rows.read(ctx.store, stored, settings_of(ctx.config, stored.kind))
        refused = breaker.refusal(now)
    except (SelfhealError, KeyError) as error:
        shown.update(state=UNREADABLE, why=one_line(str(error), 300))
    else:
        shown.update(
            state=breaker.state,
            since=iso(breaker.since),
            until=None if breaker.until is None else iso(breaker.until),
            lets_through=refused is None,
            why=breaker.reason,
            probes=sorted(breaker.probes),
            **breaker.numbers(now),
        )
    shown["last_change"] = changed and {
        "at": iso(changed["at"]),
        "from": changed["from_state"],
        "to": changed["to_state"],
        "reason": changed["reason"],
        "by": changed["changed_by"],
    }
    return shown
