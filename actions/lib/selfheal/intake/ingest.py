"""The two ways in for alerts: Alertmanager's webhook body, and an alert that a person hands over.

Both store first and start responses afterwards: what is stored is never lost, and a trigger that
did not get out is injected again by housekeeping.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.breakers import service
from selfheal.exceptions import InvalidInput, SelfhealError
from selfheal.incidents import model, timeline
from selfheal.incidents.alerts import MANUAL_SOURCE
from selfheal.incidents.attach import Attachment, AttachSettings, attach
from selfheal.incidents.dispatch import dispatch
from selfheal.incidents.signal import Signal
from selfheal.intake import rejects
from selfheal.intake.alertmanager import SOURCE, Parsed, Reading, parse_alerts, parse_body
from selfheal.store import Row, Store
from selfheal.store.engine import in_chunks, placeholders

if TYPE_CHECKING:
    from selfheal.context import Context

_MAX_LISTED = 500
_NAMES = ("alertname", "alert_name", "alert", "name")
_TEXTS = ("summary", "description", "message", "runbook_url")
_FORMS = (
    'give at least {"alertname": ...}, or an alert with its labels, or a whole Alertmanager body'
)
_FIELDS = ("status", "startsAt", "endsAt", "generatorURL", "fingerprint")


def ingest_alertmanager(ctx: Context, payload: Dict[str, Any]) -> Dict[str, Any]:
    """Take one webhook body in: alerts become incidents, waiting incidents get responses.

    Returns {"incidents": [{incident_id, status, is_new, alert_type}], "opened", "reopened",
    "attached", "cleared" (counts), "rejected": [{reason}], "missing": alerts that Alertmanager left
    out and could not be fetched, "dispatched", "waiting" (counts), "storm": bool, "error": why
    triggers did not get out}. Raises InvalidInput for a body that cannot be used (its start is kept
    in rejected_signals), StoreError.
    """
    parsed = _parsed(ctx, payload, reading_for(ctx))
    fetched, trouble = _left_out(ctx, parsed) if parsed.truncated else ([], "")
    missing = max(0, parsed.truncated - len(fetched))
    attachment = attach(ctx.store, parsed.signals + fetched, settings_for(ctx))
    if missing:
        _note_missing(ctx.store, attachment.touched, parsed, missing, trouble)
    started = dispatch(ctx, cleared=attachment.cleared)
    return _result(ctx.store, attachment, parsed.rejected, started, missing)


def prometheus_alert_handler(
    ctx: Context, alert_data: Any, response_level: str = "auto", dry_run: bool = False
) -> Dict[str, Any]:
    """Take an alert from a person, and respond to its incident now, past the limit of a batch.

    `alert_data` is a webhook body, one alert ({"labels": ...}), a list of alerts, or plain names
    and values ({"alertname", "severity", ...}). `response_level` and `dry_run` are set on the
    incident, also on one that is open already. Returns ingest_alertmanager's result and
    {"incident_id", "status"} of the most severe incident. Raises InvalidInput when no alert can be
    read from it, StoreError.
    """
    if response_level not in model.RESPONSE_LEVELS:
        raise InvalidInput(
            "response_level is %r; it can be %s"
            % (response_level, ", ".join(model.RESPONSE_LEVELS))
        )
    body, source = _as_body(alert_data)
    parsed = _parsed(ctx, body, reading_for(ctx, source))
    if not parsed.signals:
        raise InvalidInput(
            "no alert can be read from alert_data: %s"
            % (parsed.rejected[0][0] if parsed.rejected else "its list of alerts is empty")
        )
    attachment = attach(ctx.store, parsed.signals, settings_for(ctx, response_level, dry_run))
    started = dispatch(ctx, cleared=attachment.cleared, force=attachment.touched)
    result = _result(ctx.store, attachment, parsed.rejected, started, parsed.truncated)
    first = result["incidents"][0]
    return {"incident_id": first["incident_id"], "status": first["status"], **result}


def reading_for(ctx: Context, source: str = SOURCE, is_answer: bool = False) -> Reading:
    """How alerts are read under this configuration. Raises ConfigError."""
    return Reading(
        now=ctx.clock.now(),
        group_by=tuple(str(name) for name in ctx.config.get("incidents.group_by") or ()),
        cluster_label=str(ctx.config.get("routing.cluster_label")),
        max_bytes=int(ctx.config.number("incidents.max_label_bytes")),
        source=source,
        is_answer=is_answer,
    )


def settings_for(
    ctx: Context, response_level: Optional[str] = None, dry_run: Optional[bool] = None
) -> AttachSettings:
    """How incidents are opened under this configuration. Raises ConfigError."""
    return AttachSettings(
        ctx.config.number("incidents.reopen_minutes"),
        response_level,
        dry_run,
        ctx.config.number("safety.flap_quiet_minutes"),
    )


def _parsed(ctx: Context, body: Any, reading: Reading) -> Parsed:
    try:
        parsed = parse_body(body, reading)
    except InvalidInput as error:
        rejects.record(ctx.store, reading.source, [(str(error), body)])
        raise
    rejects.record(ctx.store, reading.source, parsed.rejected)
    return parsed


def _left_out(ctx: Context, parsed: Parsed) -> Tuple[List[Signal], str]:
    """(alerts of the body's group that were left out of it, why they could not be fetched)."""
    cluster = parsed.common_labels.get(str(ctx.config.get("routing.cluster_label")))
    target = ctx.config.target_for("alertmanager", cluster)
    if target is None:
        return [], "alertmanager.url is not set, so the others cannot be fetched"
    from selfheal.apis import alertmanager

    try:
        answer = service.call(
            ctx,
            service.name_of(ctx.config, SOURCE, target),
            lambda: alertmanager.active_alerts(
                ctx.http, target, parsed.group_labels, muted=False
            ),
        )
    except SelfhealError as error:
        return [], str(error)
    ours = [alert for alert in answer if parsed.receiver in receivers_of(alert)]
    signals, rejected = parse_alerts(ours, reading_for(ctx, is_answer=True))
    rejects.record(ctx.store, SOURCE, rejected)
    known = {signal.fingerprint for signal in parsed.signals}
    return [signal for signal in signals if signal.fingerprint not in known], ""


def receivers_of(alert: Mapping[str, Any]) -> List[str]:
    """The names of the receivers that an alert of the API is routed to."""
    receivers = alert.get("receivers")
    return (
        [str(receiver.get("name")) for receiver in receivers if isinstance(receiver, Mapping)]
        if isinstance(receivers, list)
        else []
    )


def _note_missing(
    store: Store, incident_ids: Sequence[str], parsed: Parsed, missing: int, trouble: str
) -> None:
    key = hashlib.sha256(parsed.group_key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    why = trouble or "its API does not list them as firing any more"
    message = (
        "Alertmanager left %d alerts out of this notification (max_alerts of its receiver): "
        "%s" % (missing, why)
    )
    for incident_id in incident_ids:
        timeline.record(
            store,
            incident_id,
            "alerts_missing",
            message,
            {"missing": missing},
            once="missing:%s:%d" % (key, missing),
        )


def _result(
    store: Store,
    attachment: Attachment,
    rejected: Sequence[Tuple[str, Any]],
    started: Dict[str, Any],
    missing: int,
) -> Dict[str, Any]:
    new = set(attachment.opened)
    incidents = [
        {
            "incident_id": row["id"],
            "status": row["status"],
            "is_new": row["id"] in new,
            "alert_type": row["alert_type"],
        }
        for row in _rows(store, attachment.touched[:_MAX_LISTED])
    ]
    return {
        "incidents": incidents,
        "opened": len(attachment.opened),
        "reopened": len(attachment.reopened),
        "attached": len(attachment.attached),
        "cleared": len(attachment.cleared),
        "rejected": [{"reason": reason} for reason, _ in rejected[: rejects.MAX_KEPT]],
        "missing": missing,
        "dispatched": len(started["dispatched"]),
        "waiting": started["waiting"],
        "storm": started["storm"],
        "error": started["error"],
    }


def _rows(store: Store, incident_ids: Sequence[str]) -> List[Row]:
    found: List[Row] = []
    for chunk in in_chunks(list(incident_ids), 400):
        found += store.query(
            "SELECT id, status, alert_type, severity FROM incidents WHERE id IN (%s)"
            % placeholders(chunk),
            chunk,
        )
    return sorted(found, key=lambda row: (model.severity_rank(row["severity"]), row["id"]))


def _as_body(alert_data: Any) -> Tuple[Any, str]:
    """(a webhook body, its source). Only a whole body is taken for Alertmanager's own word."""
    if isinstance(alert_data, (list, tuple)):
        return {"alerts": list(alert_data)}, MANUAL_SOURCE
    if not isinstance(alert_data, Mapping):
        raise InvalidInput("alert_data is no object; %s" % _FORMS)
    if "alerts" in alert_data:
        return alert_data, SOURCE
    if isinstance(alert_data.get("labels"), Mapping):
        return {"alerts": [alert_data]}, MANUAL_SOURCE
    plain = dict(alert_data)
    alert: Dict[str, Any] = {name: plain.pop(name) for name in _FIELDS if name in plain}
    annotations = plain.pop("annotations", None)
    alert["annotations"] = dict(annotations) if isinstance(annotations, Mapping) else {}
    alert["annotations"].update((name, plain.pop(name)) for name in _TEXTS if name in plain)
    name = next((plain.pop(key) for key in _NAMES if plain.get(key)), None)
    if name is None:
        raise InvalidInput("alert_data names no alert; %s" % _FORMS)
    alert["labels"] = {**plain, "alertname": name}
    return {"alerts": [alert]}, MANUAL_SOURCE
