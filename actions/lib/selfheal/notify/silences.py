"""Carries silences to Alertmanager: makes one, makes it longer, ends it.

Before a silence is made the alerts that it would mute are counted, by Alertmanager itself: more
than safety.max_silenced_alerts are refused. A silence is found again by the id in its comment, so
that a lost answer makes no second one. What became of it stands on the incident's timeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.apis import silences as api
from selfheal.apis.matchers import NOT_EQUAL, NOT_REGEX, Matchers, parse
from selfheal.config import target_key
from selfheal.exceptions import ConfigError, NotFound, Refused
from selfheal.notify import silence_rows as rows
from selfheal.notify.silence_rows import Wanted
from selfheal.store import chain
from selfheal.text import counted, iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.outbox.carrying import Letter

SECTION = "alertmanager"
AUTHOR = "selfheal"
# A silence that begins a little ago begins now, also where Alertmanager's clock is behind ours.
_BEGUN_S = 300.0
_NAMED = 5


def SERVICE(letter: Letter) -> str:
    """The circuit breaker's name of the Alertmanager that the letter is for."""
    return target_key(SECTION, letter.target)


def problem(ctx: Context, target: str) -> str:
    """Why no silence can be brought to the Alertmanager `target`; empty when one can."""
    try:
        target_of(ctx, target)
    except ConfigError as error:
        return str(error)
    return ""


def target_of(ctx: Context, name: str) -> Dict[str, Any]:
    """The settings of the Alertmanager called `name`. Raises ConfigError when there is none."""
    found = ctx.config.targets(SECTION).get(name)
    if found is None:
        raise ConfigError(
            "no Alertmanager is configured as %r: set alertmanager.url, or alertmanager.%s.url"
            % (name, name)
        )
    return found


def carry(ctx: Context, letter: Letter) -> Dict[str, Any]:
    """Do what the letter asks for. Returns {"silence_id", "alerts" (how many it mutes now),
    "ends_at", "note"} of a silence that was made, {"ended", "note"} of one that was ended.

    Raises Refused, NotFound for what a person asked for; what is refused to the pack itself is only
    noted (`note`), since nothing can be done about it.
    """
    target = target_of(ctx, letter.target)
    if letter.kind == rows.END:
        return _end(ctx, letter, target)
    wanted = rows.get(ctx.store, str(letter.payload.get("silence")))
    if wanted is None or not wanted.is_living:
        return {"silence_id": "", "note": "it is not wanted any more"}
    if wanted.ends_at <= ctx.clock.now():
        rows.over(ctx.store, wanted.id, rows.ENDED)
        message = "not silenced: it was to end at %s, before it could be made" % iso(wanted.ends_at)
        _note(ctx, letter, wanted, "silence_refused", message, {"matchers": wanted.matchers})
        return {"silence_id": "", "note": message}
    try:
        return _make(ctx, letter, target, wanted)
    except Refused as error:
        _leave(ctx, target, wanted)
        message = "not silenced: %s" % error
        _note(ctx, letter, wanted, "silence_refused", message, {"matchers": wanted.matchers})
        if letter.payload.get("by_hand"):
            raise
        return {"silence_id": "", "note": one_line(message, 500)}


def _make(
    ctx: Context, letter: Letter, target: Mapping[str, Any], wanted: Wanted
) -> Dict[str, Any]:
    matchers = parse(wanted.matchers)
    caught = count(ctx, target, matchers)
    before = next((one for one in _ours(ctx, target, wanted) if one.is_living), None)
    silence_id = api.write(
        ctx.http,
        target,
        matchers,
        ctx.clock.now() - _BEGUN_S if before is None else before.starts_at,
        wanted.ends_at,
        author_of(wanted.created_by),
        "%s [%s]" % (wanted.comment, wanted.id),
        "" if before is None else before.id,
    )
    _verify(ctx, target, silence_id, matchers)
    rows.made(ctx.store, wanted.id, silence_id)
    facts = {"silence_id": silence_id, "alerts": len(caught), "ends_at": iso(wanted.ends_at)}
    message = "%s in Alertmanager until %s (%s now): %s" % (
        "silenced" if before is None else "the silence was made to last",
        facts["ends_at"],
        counted(len(caught), "alert"),
        one_line(wanted.matchers, 500),
    )
    _note(ctx, letter, wanted, "silenced", message, dict(facts, matchers=wanted.matchers))
    return dict(facts, note="")


def _leave(ctx: Context, target: Mapping[str, Any], wanted: Wanted) -> None:
    """A refused silence is over; one that was only to last longer ends when it would have."""
    found = api.read(ctx.http, target, wanted.silence_id) if wanted.silence_id else None
    if found is not None and found.is_living:
        rows.lasts_until(ctx.store, wanted.id, found.ends_at)
    else:
        rows.over(ctx.store, wanted.id, rows.REFUSED)


def count(ctx: Context, target: Mapping[str, Any], matchers: Matchers) -> List[Dict[str, Any]]:
    """The alerts that fire and would be muted. Raises Refused when there are more than
    safety.max_silenced_alerts, or when Alertmanager cannot read the matchers.
    """
    caught = api.caught(ctx.http, target, matchers)
    most = int(ctx.config.number("safety.max_silenced_alerts"))
    if len(caught) > most:
        raise Refused(
            "these matchers match %s that fire now (%s), and at most %d may be silenced at once; "
            "add matchers, or raise safety.max_silenced_alerts"
            % (counted(len(caught), "alert"), _named(caught), most)
        )
    return caught


def author_of(who: str) -> str:
    """Who a silence is by, as it stands in Alertmanager."""
    return AUTHOR if who in ("", AUTHOR) else "%s (%s)" % (AUTHOR, one_line(who, 100))


def is_ours(silence: api.Silence) -> bool:
    """Whether selfheal made it."""
    return silence.created_by == AUTHOR or silence.created_by.startswith(AUTHOR + " (")


def _named(alerts: List[Dict[str, Any]]) -> str:
    names: Dict[str, int] = {}
    for alert in alerts:
        labels = alert.get("labels")
        name = str(labels.get("alertname") or "") if isinstance(labels, dict) else ""
        names[name] = names.get(name, 0) + 1
    most = sorted(names.items(), key=lambda pair: (-pair[1], pair[0]))
    listed = ", ".join("%s: %d" % (one_line(name, 60) or "?", many) for name, many in most[:_NAMED])
    return listed + (", ..." if len(most) > _NAMED else "")


def _ours(ctx: Context, target: Mapping[str, Any], wanted: Wanted) -> List[api.Silence]:
    """What Alertmanager has of it: by the id it told, else by the mark in the comment."""
    if wanted.silence_id:
        found = api.read(ctx.http, target, wanted.silence_id)
        if found is not None and found.is_living:
            return [found]
    mark = "[%s]" % wanted.id
    return [one for one in api.listed(ctx.http, target) if is_ours(one) and mark in one.comment]


def _verify(
    ctx: Context, target: Mapping[str, Any], silence_id: str, matchers: Matchers
) -> None:
    """End a silence that is not what was asked for: Alertmanager before 0.22 takes != for =."""
    if not any(one.operator in (NOT_EQUAL, NOT_REGEX) for one in matchers):
        return
    found = api.read(ctx.http, target, silence_id)
    if found is not None and found.matchers != matchers:
        api.expire(ctx.http, target, silence_id)
        raise Refused(
            "this Alertmanager does not know the matchers != and !~ (0.22 and later do); what it "
            "had made of them was ended at once"
        )


def _end(ctx: Context, letter: Letter, target: Mapping[str, Any]) -> Dict[str, Any]:
    wanted = rows.get(ctx.store, str(letter.payload.get("silence") or ""))
    if wanted is None:
        return _end_foreign(ctx, letter, target)
    if wanted.ends_at <= ctx.clock.now():
        rows.over(ctx.store, wanted.id, rows.ENDED)
        return {"ended": 0, "note": "its time was over"}
    living = [one for one in _ours(ctx, target, wanted) if one.is_living]
    for one in living:
        api.expire(ctx.http, target, one.id)
    rows.over(ctx.store, wanted.id, rows.ENDED)
    why = str(letter.payload.get("why") or "")
    if living or letter.may_have_arrived:
        message = "the silence in Alertmanager was ended%s" % (": %s" % why if why else "")
        _note(ctx, letter, wanted, "silence_ended", message, {"matchers": wanted.matchers})
    return {"ended": len(living), "note": "" if living else "Alertmanager had it no more"}


def _end_foreign(
    ctx: Context, letter: Letter, target: Mapping[str, Any]
) -> Dict[str, Any]:
    """End one that the pack has no record of, by Alertmanager's own id."""
    silence_id = str(letter.payload.get("silence_id") or "")
    found: Optional[api.Silence] = api.read(ctx.http, target, silence_id) if silence_id else None
    if found is None:
        raise NotFound("Alertmanager knows of no silence %r" % one_line(silence_id, 80))
    if not found.is_living:
        return {"ended": 0, "note": "it was over already"}
    api.expire(ctx.http, target, found.id)
    return {"ended": 1, "note": ""}


def _note(
    ctx: Context, letter: Letter, wanted: Wanted, kind: str, message: str, data: Dict[str, Any]
) -> None:
    """Write it on the incident's timeline, once for each letter."""
    if wanted.incident_id:
        once = "%s:%s" % (kind, letter.id)
        entry = chain.entry(ctx.store, wanted.incident_id, kind, message, data, None, once)
        chain.append(ctx.store, [entry])
