"""What people type in chat: each line with the alias that takes it and the parameters it gives.

Every format of every alias stands here at least once (see test_chat_commands).
"""

from __future__ import annotations

INCIDENT = "inc-01jd5k3x9q-8f2k1z"
QUESTION = "apr-01jd5k3x9q-8f2k1z"
LETTER = "msg-01jd5k3x9q-8f2k1z"
SILENCE = "sil-01jd5k3x9q-8f2k1z"
ALERT = '{"alertname": "ServiceDown", "severity": "critical", "instance": "web-1:9100"}'
MATCHERS = '{alertname="DiskFull",instance=~"web.*"}'
ABOUT = {"incident_id": INCIDENT}
CART = {"kind": "deployment", "namespace": "shop", "name": "cart"}

LINES = [
    # Incidents.
    ("heal status", "heal_status", {}),
    ("heal incidents", "heal_list", {"status": "unresolved"}),
    ("heal incidents escalated", "heal_list", {"status": "escalated"}),
    ("heal list", "heal_list", {"status": "unresolved"}),
    ("heal list active", "heal_list", {"status": "active"}),
    (
        "heal list severity=critical",
        "heal_list",
        {"status": "unresolved", "severity": "critical"},
    ),
    (
        "heal incidents critical",
        "heal_list",
        {"severity": "critical", "status": "unresolved"},
    ),
    ("heal list warning open", "heal_list", {"severity": "warning", "status": "open"}),
    ("heal incident " + INCIDENT, "heal_show", ABOUT),
    ("heal show " + INCIDENT, "heal_show", ABOUT),
    ("heal timeline " + INCIDENT, "heal_timeline", ABOUT),
    ("heal why " + INCIDENT, "heal_why", ABOUT),
    ("heal close " + INCIDENT, "heal_close", ABOUT),
    ("heal escalate " + INCIDENT, "heal_escalate", ABOUT),
    ("heal undo " + INCIDENT, "heal_undo", ABOUT),
    ("heal respond " + INCIDENT, "heal_respond", ABOUT),
    ("heal alert " + ALERT, "heal_alert", {"alert_data": ALERT}),
    (
        "heal alert %s response_level=manual" % ALERT,
        "heal_alert",
        {"alert_data": ALERT, "response_level": "manual"},
    ),
    ("heal try " + ALERT, "heal_try", {"alert_data": ALERT}),
    # Approvals.
    ("heal approvals", "heal_approvals", {"question": ""}),
    ("heal approvals " + QUESTION, "heal_approvals", {"question": QUESTION}),
    ("heal approvals " + INCIDENT, "heal_approvals", {"question": INCIDENT}),
    ("heal approvals status=all", "heal_approvals", {"question": "", "status": "all"}),
    (
        "heal approve " + QUESTION,
        "heal_approve",
        {"question": QUESTION, "code": "", "comment": ""},
    ),
    (
        "heal approve %s bcdfgh" % INCIDENT,
        "heal_approve",
        {"question": INCIDENT, "code": "bcdfgh", "comment": ""},
    ),
    (
        "heal approve %s BCDFGH the sale is over" % QUESTION,
        "heal_approve",
        {"question": QUESTION, "code": "BCDFGH", "comment": "the sale is over"},
    ),
    ("heal reject " + INCIDENT, "heal_reject", {"question": INCIDENT, "comment": ""}),
    (
        "heal reject %s not before the sale is over" % QUESTION,
        "heal_reject",
        {"question": QUESTION, "comment": "not before the sale is over"},
    ),
    # Runbooks.
    ("heal runbooks", "heal_runbooks", {}),
    ("heal runbooks for " + INCIDENT, "heal_runbooks", ABOUT),
    (
        "heal run start_failed_unit for " + INCIDENT,
        "heal_run",
        {"name": "start_failed_unit", "incident_id": INCIDENT},
    ),
    (
        "heal run start_failed_unit for %s dry_run=true anyway=true" % INCIDENT,
        "heal_run",
        {
            "name": "start_failed_unit",
            "incident_id": INCIDENT,
            "dry_run": "true",
            "anyway": "true",
        },
    ),
    # Kubernetes.
    ("heal restart deployment shop/cart", "heal_restart", CART),
    (
        "heal rollback statefulset shop/db cluster=prod dry_run=true",
        "heal_rollback",
        {
            "kind": "statefulset",
            "namespace": "shop",
            "name": "db",
            "cluster": "prod",
            "dry_run": "true",
        },
    ),
    ("heal scale deployment shop/cart to 5", "heal_scale", dict(CART, to="5")),
    (
        "heal delete-pods any shop/cart most=3",
        "heal_delete_pods",
        dict(CART, kind="any", most="3"),
    ),
    (
        "heal reschedule pod shop/cart-6b7f9-x2x4z avoid_node=true",
        "heal_reschedule",
        {"kind": "pod", "namespace": "shop", "name": "cart-6b7f9-x2x4z", "avoid_node": "true"},
    ),
    ("heal cordon worker-3", "heal_cordon", {"name": "worker-3"}),
    ("heal uncordon worker-3", "heal_uncordon", {"name": "worker-3"}),
    # The guard.
    ("heal pause global", "heal_pause", {"scope": "global"}),
    ("heal pause namespace=shop", "heal_pause", {"scope": "", "namespace": "shop"}),
    (
        "heal pause remedy=restart minutes=30 reason='we move'",
        "heal_pause",
        {"scope": "", "remedy": "restart", "minutes": "30", "reason": "we move"},
    ),
    ("heal resume global", "heal_resume", {"scope": "global"}),
    ("heal resume incident=" + INCIDENT, "heal_resume", {"scope": "", "incident": INCIDENT}),
    ("heal pauses", "heal_pauses", {}),
    ("heal breakers", "heal_breaker_list", {"state": "amiss"}),
    ("heal breakers open", "heal_breaker_list", {"state": "open"}),
    ("heal breaker list", "heal_breaker_list", {"state": "amiss"}),
    ("heal breaker list closed", "heal_breaker_list", {"state": "closed"}),
    ("heal breaker reset restart_web", "heal_breaker_reset", {"name": "restart_web"}),
    (
        "heal breaker force restart_web open 30 it does harm now",
        "heal_breaker_force",
        {"name": "restart_web", "state": "open", "minutes": "30", "reason": "it does harm now"},
    ),
    ("heal audit all", "heal_audit", {"scope": "all"}),
    ("heal audit " + INCIDENT, "heal_audit", {"scope": INCIDENT}),
    # Silences.
    (
        "heal silence %s for 30" % MATCHERS,
        "heal_silence",
        {"matchers": MATCHERS, "minutes": "30", "comment": ""},
    ),
    (
        "heal silence %s for 90 minutes the disk is being grown" % MATCHERS,
        "heal_silence",
        {"matchers": MATCHERS, "minutes": "90", "comment": "the disk is being grown"},
    ),
    (
        "heal silence alertname=DiskFull for 30m",
        "heal_silence",
        {"matchers": "alertname=DiskFull", "minutes": "30", "comment": ""},
    ),
    (
        "heal silence %s for 30" % INCIDENT,
        "heal_silence",
        {"incident_id": INCIDENT, "minutes": "30", "comment": ""},
    ),
    ("heal unsilence " + SILENCE, "heal_unsilence", {"silence_id": SILENCE}),
    ("heal unsilence " + INCIDENT, "heal_unsilence", ABOUT),
    ("heal silences", "heal_silences", {"state": "active"}),
    ("heal silences expired", "heal_silences", {"state": "expired"}),
    # Escalation, report.
    ("heal ack " + INCIDENT, "heal_ack", dict(ABOUT, note="")),
    (
        "heal ack %s I restart the database" % INCIDENT,
        "heal_ack",
        dict(ABOUT, note="I restart the database"),
    ),
    ("heal acknowledge " + INCIDENT, "heal_ack", dict(ABOUT, note="")),
    ("heal report " + INCIDENT, "heal_report", ABOUT),
    # Tickets and what waits for them.
    ("heal tickets", "heal_tickets", {}),
    (
        "heal tickets status=open tracker=jira",
        "heal_tickets",
        {"status": "open", "tracker": "jira"},
    ),
    ("heal tickets open", "heal_tickets", {"status": "open"}),
    ("heal tickets for " + INCIDENT, "heal_tickets", ABOUT),
    ("heal ticket sync", "heal_ticket_sync", {"incident_id": ""}),
    ("heal ticket sync " + INCIDENT, "heal_ticket_sync", ABOUT),
    ("heal outbox", "heal_outbox", {"status": "open"}),
    ("heal outbox dead channel=jira", "heal_outbox", {"status": "dead", "channel": "jira"}),
    ("heal outbox retry " + LETTER, "heal_outbox_retry", {"outbox_id": LETTER}),
    (
        "heal outbox retry ticket:servicenow.default",
        "heal_outbox_retry",
        {"channel": "ticket:servicenow.default"},
    ),
    ("heal outbox discard " + LETTER, "heal_outbox_discard", {"outbox_id": LETTER, "reason": ""}),
    (
        "heal outbox discard %s told by phone" % LETTER,
        "heal_outbox_discard",
        {"outbox_id": LETTER, "reason": "told by phone"},
    ),
    # selfheal itself.
    ("heal health", "heal_health", {}),
    ("heal check", "heal_check", {}),
    ("heal stats", "heal_stats", {"hours": "24"}),
    ("heal stats 168", "heal_stats", {"hours": "168"}),
    ("heal help", "heal_help", {"topic": ""}),
    ("heal help breaker force", "heal_help", {"topic": "breaker force"}),
]

# What the end of a line may say beyond its own words, by alias: `key=value` pairs that StackStorm
# takes as parameters. All others are refused.
MAY_ADD = {
    "heal_list": {"severity", "source", "hours", "limit"},
    "heal_timeline": {"limit"},
    "heal_alert": {"response_level"},
    "heal_try": {"response_level"},
    "heal_approvals": {"status", "incident_id", "limit"},
    "heal_run": {"dry_run", "anyway"},
    "heal_restart": {"cluster", "dry_run"},
    "heal_rollback": {"cluster", "dry_run"},
    "heal_scale": {"cluster", "dry_run", "by"},
    "heal_delete_pods": {"cluster", "dry_run", "most"},
    "heal_reschedule": {"cluster", "dry_run", "most", "avoid_node"},
    "heal_cordon": {"cluster", "dry_run"},
    "heal_uncordon": {"cluster", "dry_run"},
    "heal_pause": {
        "namespace", "cluster", "remedy", "incident", "minutes", "reason", "stop_running",
    },
    "heal_resume": {"namespace", "cluster", "remedy", "incident"},
    "heal_breaker_list": {"kind", "limit"},
    "heal_breaker_reset": {"reason"},
    "heal_audit": {"seal", "expected_seal"},
    "heal_tickets": {"status", "tracker", "limit"},
    "heal_outbox": {"channel", "incident_id", "limit"},
    "heal_unsilence": {"others", "cluster"},
    "heal_silence": {"cluster"},
    "heal_silences": {"incident_id", "cluster", "limit"},
}
# What every action of a runner takes, and does no harm.
HARMLESS = {"python-script": {"debug", "log_level", "timeout"}, "orquesta": {"notify"}}
