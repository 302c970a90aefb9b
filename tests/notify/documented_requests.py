"""The requests that docs/integrations shows: what the carriers really send about one incident.

    python -m tests.notify.documented_requests    writes them into the pages

A page has a line `<!-- request: NAME -->` above the block in which the request stands.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    for folder in ("actions/lib", "."):
        sys.path.insert(0, str(ROOT / folder))

from selfheal.notify import mail, messages, pagerduty, slack, threads, webhook
from selfheal.outbox import letters
from selfheal.outbox.carrying import Letter
from selfheal.respond import calls
from tests import mail_server, scene, stub_pagerduty, stub_slack
from tests.notify.test_messages import make

PAGES = {
    "webhook": ("webhook-escalation", "webhook-acknowledged", "webhook-resolved"),
    "pagerduty": ("pagerduty-trigger", "pagerduty-acknowledge", "pagerduty-resolve"),
    "slack": ("slack-webhook", "slack-thread"),
    "email": ("email",),
}
_BLOCK = re.compile(r"(<!-- request: ([a-z-]+) -->\n```[a-z]*\n)(.*?)(\n```)", re.DOTALL)
_INCIDENT = "inc-01jd5k3x9q-8f2k1z"
_ABOUT = "escalation:%s:0" % _INCIDENT
_FIRST, _SECOND = "msg-01jd5k4a2b-3c4d5e", "msg-01jd5k9f7g-6h7j8k"


def page(name):
    """The path of one page."""
    return ROOT / "docs" / "integrations" / ("%s.md" % name)


def shown(name):
    """{request: text} as the page shows them."""
    return {found[1]: found[2] for found in _BLOCK.findall(page(name).read_text("utf-8"))}


def sent():
    """{request: text} as they are sent."""
    with tempfile.TemporaryDirectory() as directory, stub_slack.Stub() as slack_server:
        with stub_pagerduty.Stub() as pager, mail_server.Server() as mails:
            with scene.Receiver() as receiver:
                notify = {
                    **scene.webhook(receiver, token="the-token"),
                    "slack": {
                        **slack_server.by_token(timeout_s=60),
                        "hook": slack_server.by_webhook(timeout_s=60),
                    },
                    "pagerduty": pager.settings(timeout_s=60),
                    "email": mails.settings(timeout_s=60),
                }
                ctx = scene.context(scene.store_url("sqlite", Path(directory)), notify=notify)
                _carry_all(ctx)
                found = _written(receiver, slack_server, pager, mails)
                ctx.close()
                return found


def _carry_all(ctx):
    said = threads.first(_escalation(), _ABOUT)
    has_it = threads.acknowledged(said, _ABOUT, _FIRST, "ann", "looking at the database")
    is_over = threads.resolved(said, _ABOUT, _FIRST, "closed by hand")
    for module, channel in ((webhook, "webhook"), (pagerduty, "pagerduty:default")):
        module.carry(ctx, _letter(_FIRST, "escalation", channel, said))
        module.carry(ctx, _letter(_SECOND, "acknowledged", channel, has_it))
        module.carry(ctx, _letter(_SECOND, "resolved", channel, is_over))
    mail.carry(ctx, _letter(_FIRST, "escalation", "email:default", said))
    slack.carry(ctx, _letter(_FIRST, "acknowledged", "slack:hook", has_it))
    first = letters.post(ctx.store, "escalation", None, "first", said, channel="slack:default")
    answer = slack.carry(ctx, _letter(first, "escalation", "slack:default", said))
    ctx.store.execute(
        "UPDATE outbox SET status = 'sent', answer = ? WHERE id = ?", (json.dumps(answer), first)
    )
    slack.carry(ctx, _letter(_SECOND, "resolved", "slack:default", dict(is_over, thread=first)))


def _escalation():
    incident = make(
        id=_INCIDENT, reopened=0, alert_count=1, plan=None, analysis=None, reasons=None,
        strategy="manual", run_id="65a1",
    )
    return messages.escalation(
        messages.Account(incident, web_url="https://stackstorm.example.net"), "strategy"
    )


def _letter(letter_id, kind, channel, payload):
    return Letter(
        id=letter_id, kind=kind, incident_id=_INCIDENT, channel=channel,
        target=channel.partition(":")[2], queue="", payload=calls.for_channel(channel, payload),
        attempts=1, created_at=scene.START, may_have_arrived=False,
    )


def _written(receiver, slack_server, pager, mails):
    found = dict(zip(PAGES["webhook"], (_webhook(one) for one in receiver.requests)))
    found.update(
        zip(PAGES["pagerduty"], (
            _http("https://events.pagerduty.com/v2/enqueue", one) for one in pager.requests
        ))
    )
    by_hook, _, in_thread = slack_server.requests
    found["slack-webhook"] = _http("https://hooks.slack.com/services/T…/B…/…", by_hook)
    found["slack-thread"] = _http(
        "https://slack.com/api/chat.postMessage", in_thread, "Authorization: Bearer xoxb-…"
    )
    found["email"] = _mail(mails.mails[0]["message"])
    return found


def _webhook(request):
    headers = ("Authorization: Bearer the-token", "Idempotency-Key: %s" %
               request["headers"]["idempotency-key"])
    return _http("https://hooks.example.net/selfheal", request, *headers)


def _http(url, request, *headers):
    body = json.dumps(json.loads(request["body"]), indent=2, ensure_ascii=False)
    kind = request.get("headers", {}).get("content-type", "application/json")
    return "\n".join(["POST %s" % url, *headers, "Content-Type: %s" % kind, "", body])


def _mail(message):
    """The headers but those that part the bodies, and the text."""
    left_out = ("content-type", "mime-version")
    lines = ["%s: %s" % pair for pair in message.items() if pair[0].lower() not in left_out]
    text = message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    return "\n".join([*lines, "", text.strip()])


def write():
    """Put what is sent into the pages."""
    found = sent()
    for name in PAGES:
        text = page(name).read_text("utf-8")
        page(name).write_text(
            _BLOCK.sub(lambda one: one.group(1) + found[one.group(2)] + one.group(4), text),
            "utf-8",
        )


if __name__ == "__main__":
    write()
