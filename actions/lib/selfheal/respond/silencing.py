"""The silence over an incident's own alerts while a remedy runs, and the end of any silence when
what it was for is over.

A silence is asked for by a letter and made by its carrier; nothing here waits for Alertmanager. It
ends with the remedy's run, with the incident, or by its own time, whichever comes first; the last
needs nobody.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Dict, Optional

from selfheal.exceptions import (
    ConfigError,
    InvalidInput,
    Refused,
    SelfhealError,
)
from selfheal.incidents import model, registry, timeline
from selfheal.notify import silence_rows as rows
from selfheal.notify.silence_rows import Wanted
from selfheal.store import Store
from selfheal.store.engine import placeholders

if TYPE_CHECKING:
    from selfheal.apis.matchers import Matchers
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

SECTION = "alertmanager"
MOST_LISTED = 100
_SLACK_S = 60.0
_JOIN_S = 2.0
_CLOSED = "the incident is closed"
_FIXED = "the remedy's run is over"


def while_fixing(ctx: Context, incident: Incident, seconds: float) -> Optional[threading.Thread]:
    """Ask for a silence over the incident's own firing alerts for a remedy of at most `seconds` and
    its verification, when safety.silence_while_fixing is on.

    Waits for nobody: what is returned carries the letter aside; else housekeeping does. What is in
    the way is told on the timeline, and never in the way of the remedy.
    """
    from selfheal.verify.alert import SOURCE

    if not incident.source.startswith(SOURCE):
        return None
    if not ctx.config.get("safety.silence_while_fixing"):
        return None
    try:
        matchers = own_matchers(ctx.store, incident)
        longest_s = 3600.0 * ctx.config.number("safety.max_silence_hours")
        lasts_s = seconds + ctx.config.number("resolver.verify_timeout") + _SLACK_S
        wanted = rows.want(
            ctx.store,
            target=target_name(ctx, "", incident),
            incident_id=incident.id,
            matchers=text_of(matchers),
            purpose=rows.FIX,
            created_by="",
            comment="selfheal is at work on incident %s" % incident.id,
            ends_at=ctx.store.now() + min(lasts_s, longest_s),
        )
    except (ConfigError, Refused) as error:
        timeline.record(ctx.store, incident.id, "silence_refused", "not silenced: %s" % error)
        return None
    except SelfhealError as error:
        ctx.log.warning("alerts of %s are not silenced: %s", incident.id, error)
        return None
    return _carried_aside(ctx, wanted)


def wait_for(thread: Optional[threading.Thread]) -> None:
    """Give what carries a silence a moment to come to its end: it dies with this process."""
    if thread is not None:
        thread.join(_JOIN_S)


def end(store: Store, incident_id: str, fix_only: bool = False) -> int:
    """Ask for the end of the incident's silences, or only of what was to last while a remedy ran;
    how many. Part of the transaction that ends them.
    """
    why = _FIXED if fix_only else _CLOSED
    return len(rows.end_those_of(store, incident_id, why, fix_only=fix_only))


def settle(ctx: Context) -> Dict[str, int]:
    """Ask for the end of silences whose incident is closed or, of those for a remedy, not at work
    any more: whatever died meanwhile. Returns {"ended", "ran_out"}.
    """
    store = ctx.store
    ran_out = rows.run_out(store)
    at_work = sorted(model.RESPONDING)
    found = store.query(
        "SELECT s.incident_id, i.status FROM silences s JOIN incidents i ON i.id = s.incident_id "
        "WHERE s.status IN (?, ?) AND (i.status = ? OR (s.purpose = ? AND i.status NOT IN (%s)))"
        % placeholders(at_work),
        (rows.ASKED, rows.ACTIVE, model.RESOLVED, rows.FIX, *at_work),
    )
    ended = 0
    for incident_id, status in sorted({(row["incident_id"], row["status"]) for row in found}):
        if status == model.RESOLVED or not registry.is_held(store, incident_id):
            ended += end(store, incident_id, fix_only=status != model.RESOLVED)
    return {"ended": ended, "ran_out": ran_out}


def own_matchers(store: Store, incident: Incident) -> Matchers:
    """Matchers for the alerts of the incident that fire, else for what raised it. Raises Refused
    when they have too little in common.
    """
    from selfheal.apis.matchers import of_labels
    from selfheal.incidents.alerts import FIRING, alerts_of

    firing = [dict(row["labels"] or {}) for row in alerts_of(store, incident.id, FIRING)]
    return narrow(of_labels(firing or [incident.labels]))


def narrow(matchers: Matchers) -> Matchers:
    """`matchers`, which say what is meant. Raises Refused when they match just anything."""
    from selfheal.apis.matchers import too_wide

    problem = too_wide(matchers)
    if problem:
        raise Refused(problem)
    return matchers


def text_of(matchers: Matchers) -> str:
    """`matchers` as people write them."""
    from selfheal.apis.matchers import shown

    return shown(matchers)


def target_name(ctx: Context, cluster: str, incident: Optional[Incident]) -> str:
    """Which Alertmanager is meant. Raises InvalidInput (no such one), ConfigError (none at all)."""
    wanted = cluster or (incident.cluster if incident else None)
    targets = ctx.config.targets(SECTION)
    if cluster and cluster not in targets:
        raise InvalidInput(
            "no Alertmanager is configured for cluster %r; those there are: %s"
            % (cluster[:80], ", ".join(sorted(targets)) or "none")
        )
    name = ctx.config.target_name(SECTION, wanted)
    if name is None:
        raise ConfigError(
            "no Alertmanager can be asked: set alertmanager.url, or name one of its targets by "
            "cluster"
        )
    return name


def _carried_aside(ctx: Context, wanted: Wanted) -> threading.Thread:
    """Carry the letter on a connection of its own, while the remedy goes on."""
    from selfheal.context import Context as Own
    from selfheal.outbox import letters
    from selfheal.respond import telling

    outbox_id = letters.find(ctx.store, rows.key_of(wanted))

    def carry() -> None:
        own = Own(ctx.config, log=ctx.log, clock=ctx.clock, platform=ctx.platform)
        try:
            telling.deliver(own, outbox_id)
        except SelfhealError as error:
            ctx.log.warning("letter %s stays in the outbox: %s", outbox_id, error)
        finally:
            own.close()

    thread = threading.Thread(target=carry, name="silence", daemon=True)
    thread.start()
    return thread
