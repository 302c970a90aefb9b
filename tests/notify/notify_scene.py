"""Messages of one incident for tests of channels, hostile ones among them, and letters that carry
them.
"""

from __future__ import annotations

from selfheal.notify import messages
from selfheal.outbox import letters
from selfheal.respond import telling
from tests.notify.test_messages import ACCOUNT, make

HOSTILE = (
    "<!channel> <@U1> <script>alert(1)</script> & *b* _i_ ~s~ `c` ```pre``` \r\n"
    "Bcc: evil@x.example \r\n.\r\n {{ ctx }} <% x %> \x1b[31m \u202e "
    "[x](javascript:alert(1)) %s \ud800 \U0001f525"
)


def payload(**fields):
    """An escalation's payload."""
    return messages.escalation(ACCOUNT, "not_resolved") if not fields else messages.escalation(
        messages.Account(make(**fields), ACCOUNT.executions, ACCOUNT.not_undone, ACCOUNT.timeline),
        "not_resolved",
    )


def hostile(size=1):
    """An escalation in which every field from outside is hostile, `size` times as long."""
    text = HOSTILE * size
    return payload(
        title=text,
        alert_type=text,
        namespace=text,
        workload=text,
        reasons=[text] * 5,
        analysis={"evidence": [text, {"what": text, "found": text}] * 10 * size},
        signal={
            "labels": {"alertname": text},
            "annotations": {
                "summary": text,
                "description": text,
                "runbook_url": "javascript:alert(1)",
                "dashboard_url": "http://wiki.example/<x>\"'&y=1|evil",
            },
            "generator_url": "http://prometheus.example/graph?g0=a&b=<c>",
        },
    )


def carried(ctx, channel, said, kind="escalation", key="key"):
    """Post a letter and carry it: (the letter's id, what became of it)."""
    outbox_id = letters.post(ctx.store, kind, None, key, said, channel=channel)
    (delivery,) = telling.deliver(ctx, outbox_id)
    return outbox_id, delivery
