"""Escalations under faults at random: channels that fail, drop connections before and after they
took a message, processes that die between sending and marking, people who acknowledge and close at
any moment. Whatever happens, each channel hears the beginning before the end, each part once where
the channel can tell, and the last word is the right one.

SELFHEAL_LADDERS=200 runs so many; a few always run.
"""

from __future__ import annotations

import json
import os
import random

import pytest

from selfheal.incidents import registry
from selfheal.operate.housekeeping import housekeeping
from selfheal.outbox import claims, letters
from selfheal.respond import acknowledge, escalate, finish, telling
from tests import mail_server, scene, stub_pagerduty, stub_slack

MANY = int(os.environ.get("SELFHEAL_LADDERS", "6"))
LADDER = [
    {"after_minutes": 0, "by": ["pagerduty", "slack"]},
    {"after_minutes": 10, "by": ["email"]},
    {"after_minutes": 20, "by": ["slack", "webhook"]},
]
FAULTS = ("429", "500", "drop_before", "drop_after")
KEY = "escalation:inc-1:0"


class Dying(BaseException):
    """The process is gone."""


@pytest.fixture(params=range(MANY))
def chance(request):
    return random.Random(request.param)


def dies(monkeypatch, chance):
    """Now and then a process dies after the other system took a letter, before that is marked."""
    marked = claims.arrived

    def arrived(*arguments):
        if chance.random() < 0.2:
            raise Dying
        marked(*arguments)

    monkeypatch.setattr(claims, "arrived", arrived)


def attempt(work, *arguments, **more):
    try:
        work(*arguments, **more)
    except Dying:
        pass


def fail_some(chance, slack, pagerduty, mail, receiver):
    if chance.random() < 0.4:
        slack.fail_next(chance.choice(FAULTS))
    if chance.random() < 0.4:
        pagerduty.fail_next(chance.choice(FAULTS))
    if chance.random() < 0.4:
        mail.answers.append(chance.choice(["451 later", "drop", "554 no"]))
    receiver.answers = [chance.choice([(500, {}, b""), (200, {}, b"")])]


def test_whatever_fails_the_story_is_told_in_order_to_its_end(
    tmp_path, receiver, chance, monkeypatch
):
    with stub_slack.Stub() as slack, stub_pagerduty.Stub() as pagerduty:
        with mail_server.Server() as mail:
            ctx = scene.context(
                scene.store_url("sqlite", tmp_path),
                notify={
                    **scene.webhook(receiver),
                    "slack": slack.by_token(timeout_s=60),
                    "pagerduty": pagerduty.settings(timeout_s=60),
                    "email": mail.settings(timeout_s=60),
                },
                escalation={"ladder": LADDER},
            )
            taken = []  # what the webhook answered with 2xx
            receiver.on_request = lambda request: (
                taken.append(json.loads(request["body"])) if receiver.answers[0][0] < 300 else None
            )
            dies(monkeypatch, chance)
            scene.incident(ctx.store)
            closes_at = chance.randrange(1, 9)
            acknowledges_at = chance.randrange(0, 12)
            for turn in range(9):
                fail_some(chance, slack, pagerduty, mail, receiver)
                if turn == 0:
                    attempt(escalate.escalate_to_oncall, ctx, "inc-1", reason="strategy")
                if turn == acknowledges_at:
                    attempt(acknowledge.acknowledge, ctx, "inc-1", who="ann")
                if turn == closes_at:
                    attempt(finish.close_incident, ctx, "inc-1")
                attempt(housekeeping, ctx)
                ctx.clock.at += 60 * chance.choice([1, 6, 11])
            monkeypatch.undo()
            slack._faults.clear()
            pagerduty._faults.clear()
            mail.answers.clear()
            receiver.answers = [(200, {}, b"")]
            for _ in range(12):  # all is well again
                ctx.clock.at += 3600
                housekeeping(ctx)
                telling.deliver(ctx)
            check(ctx, slack, pagerduty, mail, taken)
            ctx.close()


def check(ctx, slack, pagerduty, mail, taken):
    assert registry.get(ctx.store, "inc-1").status == "resolved"
    assert letters.pending_count(ctx.store) == 0
    # PagerDuty: one alert, and it is resolved; no event but of that one.
    assert set(pagerduty.alerts) <= {KEY}
    assert all(one["status"] == "resolved" for one in pagerduty.alerts.values())
    # Slack may say a thing twice, but the beginning first and the end last, in one thread.
    says = ["Resolved:" in one["text"] for one in slack.posted]
    assert says == sorted(says)
    if says:
        assert says[-1] and not says[0]
    # Each letter of a mail is one Message-ID; the end answers the beginning.
    subjects = {}
    for one in mail.mails:
        subjects.setdefault(one["message"]["Message-ID"], one["message"])
    texts = ["Resolved:" in mail_text(one) for one in subjects.values()]
    assert texts == sorted(texts) and texts.count(True) <= 1
    if texts:
        assert texts[-1] and not texts[0]
    # The webhook drops what comes twice by its key.
    kinds = list({one["id"]: one["kind"] for one in taken}.values())
    assert kinds in ([], ["escalation", "resolved"], ["escalation", "acknowledged", "resolved"])
    # Each rung was told once on the timeline, and nobody was called after it was acknowledged.
    happened = scene.kinds(ctx.store)
    assert happened.count("resolved") == 1 and happened.count("acknowledged") <= 1
    assert happened.count("escalated_further") <= 2
    if "acknowledged" in happened:
        assert "escalated_further" not in happened[happened.index("acknowledged"):]


def mail_text(message):
    return message.get_body(("plain",)).get_content()
