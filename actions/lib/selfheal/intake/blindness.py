"""A source that nobody could look at for a while is an incident of its own: while it lasts, what
breaks there goes unseen.

Whether anybody looked is asked of the checkpoint, so that one sensor that is cut off raises nothing
while another sees. The end of the signal is the first look that succeeds.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Collection, List, Mapping, Optional

from selfheal.incidents.alerts import FIRING
from selfheal.incidents.attach import attach
from selfheal.incidents.dispatch import dispatch
from selfheal.incidents.signal import RESOLVED, Signal, time_text
from selfheal.intake import components as sources
from selfheal.intake.ingest import settings_for
from selfheal.records import dataclass
from selfheal.store import checkpoints
from selfheal.store import status as states
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

ALERT_NAME = "BlindSpot"
SOURCE = "selfheal"
_CANNOT_SEARCH = "errors in %s are not seen: it cannot be searched"
_CANNOT_ASK = "sick workloads of %s are not seen: its API cannot be asked"
# What stays to be read of a component that has stopped to work.
_KEPT = ("checkpoint",)
_CLOCK_STEP_S = 60.0  # clocks of two sensors differ by less
# For a rule, when not even the database can be told.
TRIGGER = "selfheal.blind_spot"


@dataclass
class Trouble:
    """What one sensor knows of a source it cannot look at: since when (epoch s), why, how often it
    tried.
    """

    since: float
    error: str
    failures: int


def fingerprint_of(component: str) -> str:
    """The fingerprint of the signal about `component` (elk:NAME, log_files, kubernetes:NAME)."""
    return "blind:%s" % component


def report(ctx: Context, component: str, trouble: Trouble) -> str:
    """Say in system_status that `component` cannot be looked at, and open the incident about it
    when that lasts for longer than monitoring.blind_minutes; the state it is in. Raises StoreError.
    """
    store = ctx.store
    row = states.of(store, component) or {}
    looked_at = checkpoints.number(checkpoints.read(store, component), "looked_at")
    if looked_at is not None and looked_at > ctx.clock.now() + _CLOCK_STEP_S:
        looked_at = None  # by a clock that was set back since
    since = _blind_since(row, looked_at, trouble.since)
    is_blind = is_long(ctx, since)
    status = states.BLIND if is_blind else states.FAILING
    detail = row.get("detail")
    kept = {key: detail[key] for key in _KEPT if key in detail} if isinstance(detail, dict) else {}
    told = {"error": trouble.error, "failures": trouble.failures, "unseen_since": since}
    states.note(store, component, status, {**kept, **told})
    if is_blind:
        raise_incident(ctx, component, since, trouble.error)
    return status


def is_long(ctx: Context, since: float) -> bool:
    """Whether who has not looked since then (epoch s) counts as blind."""
    return ctx.clock.now() - since >= ctx.config.number("monitoring.blind_minutes") * 60


def raise_incident(ctx: Context, component: str, since: float, error: str) -> bool:
    """Open the incident about `component`, blind since `since` (epoch s); whether it was opened or
    reopened now. Raises StoreError.
    """
    # The start that is firing already, if there is one: it is one blindness, however often told.
    starts_at = (_firing(ctx, component) or [time_text(since)])[0]
    attachment = attach(
        ctx.store, [_signal(component, starts_at, FIRING, error)], settings_for(ctx)
    )
    dispatch(ctx)
    return bool(attachment.opened or attachment.reopened)


def end_incident(ctx: Context, component: str, blind_since: Optional[float] = None) -> bool:
    """The source is seen again: end what is firing about it. `blind_since` (epoch s) is set when it
    was blind for too long and nobody could record it then; it is recorded now. Whether there was
    anything to end. Raises StoreError.
    """
    starts = _firing(ctx, component)
    if not starts and blind_since is not None:
        starts = [time_text(blind_since)]
    if not starts:
        return False
    now = time_text(ctx.clock.now())
    ends = [_signal(component, start, RESOLVED, "", max(now, start)) for start in starts]
    attachment = attach(ctx.store, ends, settings_for(ctx))
    if attachment.cleared:
        dispatch(ctx, cleared=attachment.cleared)
    return True


def end_removed(ctx: Context, components: Collection[str]) -> List[str]:
    """End what is firing about sources that are no longer configured, since nobody will see them
    again; their names. `components` are the configured ones. Raises StoreError.
    """
    rows = ctx.store.query(
        "SELECT DISTINCT fingerprint FROM alerts WHERE status = ? AND source = ? AND "
        "fingerprint LIKE ?",
        (FIRING, SOURCE, fingerprint_of("%")),
    )
    prefix = len(fingerprint_of(""))
    firing = sorted(str(row["fingerprint"])[prefix:] for row in rows)
    removed = [component for component in firing if component not in components]
    for component in removed:
        end_incident(ctx, component)
    return removed


def tell_past_the_store(ctx: Context, component: str, since: float, error: str) -> None:
    """Have a rule tell people that `component` is blind, when the store cannot hold an incident.
    Raises ExternalError.
    """
    minutes = max(0, int(ctx.clock.now() - since)) // 60
    ctx.platform.inject(
        TRIGGER,
        {
            "component": component,
            "since": iso(since),
            "minutes": minutes,
            "error": one_line(error, 500),
        },
    )


def _blind_since(
    row: Mapping[str, Any], looked_at: Optional[float], first_failure: float
) -> float:
    """The last look of whichever sensor; else since when the first of them could not."""
    if looked_at is not None:
        return looked_at
    detail = row.get("detail")
    known = detail.get("unseen_since") if isinstance(detail, dict) else None
    is_known = row.get("status") in (states.FAILING, states.BLIND)
    return float(known) if is_known and isinstance(known, (int, float)) else first_failure


def _firing(ctx: Context, component: str) -> List[str]:
    rows = ctx.store.query(
        "SELECT starts_at FROM alerts WHERE fingerprint = ? AND status = ? ORDER BY starts_at",
        (fingerprint_of(component), FIRING),
    )
    return [str(row["starts_at"]) for row in rows]


def _signal(
    component: str, starts_at: str, status: str, error: str, ends_at: Optional[str] = None
) -> Signal:
    fingerprint = fingerprint_of(component)
    title = _CANNOT_ASK if sources.is_cluster(component) else _CANNOT_SEARCH
    title = title % component
    return Signal(
        fingerprint=fingerprint,
        starts_at=starts_at,
        status=status,
        alert_name=ALERT_NAME,
        severity="critical",
        title=title,
        source=SOURCE,
        group_key="v1:%s" % hashlib.sha256(fingerprint.encode("utf-8")).hexdigest()[:20],
        labels={"alertname": ALERT_NAME, "severity": "critical", "target": component},
        annotations={"summary": title, "description": one_line(error, 1000)},
        ends_at=ends_at,
        grouping={"alertname": ALERT_NAME, "target": component},
    )
