"""What Alertmanager says now against what we believe, and both ways mended.

The webhook is fast, the poll is true: an alert whose webhook was lost opens its incident here, one
that ended unseen is resolved here. A failing or freshly started Alertmanager resolves nothing, and
one answer without an alert is not enough: it must be missing twice. A silenced or inhibited alert
still fires: it resolves nothing, but opens nothing either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.config import DEFAULT_TARGET, Config
from selfheal.incidents import model
from selfheal.incidents.alerts import FIRING
from selfheal.incidents.attach import LATE_MESSAGE_S, attach
from selfheal.incidents.dispatch import dispatch
from selfheal.incidents.signal import RESOLVED, Signal, time_text
from selfheal.intake import rejects
from selfheal.intake.alertmanager import SOURCE, parse_alerts
from selfheal.intake.ingest import reading_for, receivers_of, settings_for
from selfheal.store import Row, Store, checkpoints

if TYPE_CHECKING:
    from selfheal.context import Context

# Prometheus repeats firing alerts at least each minute or so; before that a new Alertmanager knows
# only some.
SETTLED_S = 300.0
# Two looks closer together than this (two sensors) count as one.
MISSED_TWICE_AFTER_S = 20.0


def reconcile(ctx: Context, target_name: str, target: Mapping[str, Any]) -> Dict[str, Any]:
    """Compare with the Alertmanager `target` (named `target_name` in the configuration) and mend
    both ways.

    Returns {"active": alerts that fire there, "muted": silenced or inhibited ones among them,
    "opened", "reopened", "attached", "resolved" (alerts that ended unseen), "cleared",
    "dispatched", "waiting", "settled": whether it has run long enough to be believed about ends,
    "error"}. Raises ExternalError or ConfigError when it cannot be asked, StoreError; then nothing
    was resolved.
    """
    from selfheal.apis import alertmanager

    looked_at = ctx.clock.now()
    answer = alertmanager.active_alerts(ctx.http, target)
    settled = alertmanager.uptime_s(ctx.http, target, ctx.clock.now()) >= SETTLED_S
    known = _known(ctx.store, ctx.config, target_name)
    signals, rejected = parse_alerts(
        [alert for alert in answer if _is_ours(alert, target)], reading_for(ctx, is_answer=True)
    )
    rejects.record(ctx.store, SOURCE, rejected)
    there = {signal.fingerprint for signal in signals} | {
        str(alert.get("fingerprint")) for alert in answer
    }
    new = _unseen(signals, answer, known, looked_at)
    ended = _ended(ctx.store, target_name, known, there, looked_at) if settled else []
    attachment = attach(ctx.store, new + ended, settings_for(ctx))
    started = dispatch(ctx)
    closing = dispatch(ctx, cleared=attachment.cleared) if attachment.cleared else started
    return {
        "active": len(answer),
        "muted": sum(1 for alert in answer if _is_muted(alert)),
        "opened": len(attachment.opened),
        "reopened": len(attachment.reopened),
        "attached": len(attachment.attached),
        "resolved": len(ended),
        "cleared": len(attachment.cleared),
        "dispatched": len(started["dispatched"]),
        "waiting": started["waiting"],
        "settled": settled,
        "error": started["error"] or closing["error"],
    }


def target_name_for(config: Config, cluster: Optional[str]) -> Optional[str]:
    """The name of the target that `Config.target_for` gives for the cluster; None when there is
    none.
    """
    targets = config.targets("alertmanager")
    if cluster and cluster in targets:
        return cluster
    if DEFAULT_TARGET in targets:
        return DEFAULT_TARGET
    return next(iter(targets)) if len(targets) == 1 else None


def _known(store: Store, config: Config, target_name: str) -> Dict[str, List[Row]]:
    """Our firing alerts that this target must know, by fingerprint."""
    rows = store.query(
        "SELECT a.fingerprint, a.starts_at, a.last_seen_at, i.status AS incident_status, "
        "i.resolved_at, i.cluster, "
        "i.group_key, i.alert_type, i.severity FROM alerts a JOIN incidents i ON i.id = "
        "a.incident_id "
        "WHERE a.status = ? AND a.source = ?",
        (FIRING, SOURCE),
    )
    targets: Dict[Optional[str], bool] = {}
    found: Dict[str, List[Row]] = {}
    for row in rows:
        cluster = row["cluster"]
        if cluster not in targets:
            targets[cluster] = target_name_for(config, cluster) == target_name
        if targets[cluster]:
            found.setdefault(row["fingerprint"], []).append(row)
    return found


def _unseen(
    signals: List[Signal], answer: List[Dict[str, Any]], known: Mapping[str, List[Row]], now: float
) -> List[Signal]:
    """Alerts that fire there and not here, and those that still fire although their incident is
    closed.
    """
    muted = {str(alert.get("fingerprint")) for alert in answer if _is_muted(alert)}
    found = []
    for signal in signals:
        rows = known.get(signal.fingerprint, [])
        is_open = any(
            row["incident_status"] != model.RESOLVED or
            abs(now - (row["resolved_at"] or 0)) < LATE_MESSAGE_S
            for row in rows
        )
        if not is_open and signal.fingerprint not in muted:
            found.append(signal)
    return found


def _ended(
    store: Store, target_name: str, known: Mapping[str, List[Row]], there: Any, looked_at: float
) -> List[Signal]:
    """The ends of alerts that were missing there now and the time before."""
    name = "alertmanager_missed:%s" % target_name
    before: Dict[str, float] = checkpoints.read(store, name) or {}
    now = store.now()
    missed: Dict[str, float] = {}
    ended: List[Signal] = []
    for fingerprint, rows in known.items():
        if fingerprint in there or any(looked_at <= row["last_seen_at"] <= now for row in rows):
            continue  # it is there, or a message about it came while we asked
        since = min(before.get(fingerprint, looked_at), looked_at)  # the clock may step back
        if looked_at - since >= MISSED_TWICE_AFTER_S:
            ended += [_end_of(row, since) for row in rows]
        else:
            missed[fingerprint] = since
    if missed != before:
        checkpoints.write(store, name, missed)
    return ended


def _end_of(row: Row, ended_at: float) -> Signal:
    """The end of the alert at `ended_at`, when it was first missed: a start after that is new."""
    return Signal(
        fingerprint=row["fingerprint"],
        starts_at=row["starts_at"],
        status=RESOLVED,
        alert_name=row["alert_type"],
        severity=row["severity"],
        title=row["alert_type"],
        source=SOURCE,
        group_key=row["group_key"],
        labels={},
        annotations={},
        ends_at=max(time_text(ended_at), row["starts_at"]),
    )


def _is_ours(alert: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    """Whether the alert is routed to us, if the target's setting `receiver` names a receiver."""
    receiver = target.get("receiver")
    return not receiver or receiver in receivers_of(alert)


def _is_muted(alert: Mapping[str, Any]) -> bool:
    status = alert.get("status")
    return isinstance(status, Mapping) and status.get("state") == "suppressed"
