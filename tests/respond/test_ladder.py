"""Escalating by ladder, on the store and against real servers: each channel is told once, further
people while nobody acknowledges, the end in the same thread, and nothing about what nobody heard
of.
"""

from __future__ import annotations

import threading

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.incidents import registry
from selfheal.operate.housekeeping import housekeeping
from selfheal.outbox import letters
from selfheal.respond import acknowledge, calls, escalate, finish, ladder
from selfheal.store import open_store
from tests import mail_server, scene, stub_pagerduty, stub_slack

LADDER = [
    {"after_minutes": 0, "by": ["pagerduty", "slack"]},
    {"after_minutes": 15, "by": ["email", "slack"]},
    {"after_minutes": 30, "by": ["webhook"]},
]


class World:
    """All channels there are, each a real server, and a context that reaches them."""

    def __init__(self, url, receiver, slack, pagerduty, mail, **escalation):
        self.receiver, self.slack, self.pagerduty, self.mail = receiver, slack, pagerduty, mail
        self.sections = {
            "notify": {
                **scene.webhook(receiver),
                "slack": slack.by_token(timeout_s=60),
                "pagerduty": pagerduty.settings(timeout_s=60),
                "email": mail.settings(timeout_s=60),
                "links": {"st2_web_url": "https://st2.example/"},
            },
            "escalation": {"ladder": LADDER, **escalation},
        }
        self.url, self.clock = url, scene.Clock()
        self.ctx = scene.context(url, self.clock, **self.sections)

    def later(self, minutes):
        """So many minutes pass, then housekeeping comes."""
        self.clock.at += 60 * minutes
        result = housekeeping(self.ctx)
        assert {one["part"] for one in result["problems"]} <= {"dispatch"}  # there is no StackStorm
        return result["parts"]["ladder"]

    def counts(self):
        """How many messages (PagerDuty, Slack, mail, webhook) got."""
        return (
            len(self.pagerduty.events), len(self.slack.posted), len(self.mail.mails),
            len(self.receiver.requests),
        )


@pytest.fixture
def world(url, receiver):
    with stub_slack.Stub() as slack, stub_pagerduty.Stub() as pagerduty:
        with mail_server.Server() as mail:
            made = World(url, receiver, slack, pagerduty, mail)
            yield made
            made.ctx.close()


def escalated(world, incident_id="inc-1", **columns):
    scene.incident(world.ctx.store, incident_id, run_id="5f1", **columns)
    return escalate.escalate_to_oncall(world.ctx, incident_id, reason="not_resolved")


def test_first_rung_is_told_at_once_and_once(world):
    result = escalated(world)
    assert result["delivered"] and world.counts() == (1, 1, 0, 0)
    again = escalate.escalate_to_oncall(world.ctx, "inc-1", reason="not_resolved")
    assert again["outbox_id"] == result["outbox_id"] and world.counts() == (1, 1, 0, 0)
    assert list(world.pagerduty.alerts) == ["escalation:inc-1:0"]
    assert world.pagerduty.events[0]["client_url"] == "https://st2.example/#/history/5f1"
    assert scene.kinds(world.ctx.store) == ["escalated", "notified", "notified"]


def test_while_nobody_acknowledges_further_people_are_called(world):
    escalated(world)
    assert world.later(10)["told"] == 0
    assert world.later(6)["told"] == 2 and world.counts() == (1, 2, 1, 0)
    assert world.slack.posted[1]["thread_ts"] == world.slack.posted[0]["ts"]
    assert "16 minutes" in world.slack.posted[1]["text"]
    assert "(not acknowledged)" in world.mail.mails[0]["message"]["Subject"]
    assert world.later(20)["told"] == 1 and world.counts() == (1, 2, 1, 1)
    assert world.receiver.messages[0]["unacknowledged_minutes"] == 36
    assert world.later(600)["told"] == 0
    assert scene.kinds(world.ctx.store).count("escalated_further") == 2


def test_acknowledging_stops_the_ladder_and_all_who_were_told_learn_who_it_is(world):
    escalated(world)
    world.later(16)
    result = acknowledge.acknowledge(world.ctx, "inc-1", who="ann", note="on it")
    assert result["acknowledged"] and result["is_new"] and result["by"] == "ann"
    assert world.counts() == (2, 3, 2, 0)
    assert world.pagerduty.alerts["escalation:inc-1:0"]["status"] == "acknowledged"
    assert "Acknowledged by ann: on it." in stub_slack.words(world.slack.posted[2])
    assert world.slack.posted[2]["thread_ts"] == world.slack.posted[0]["ts"]
    assert world.mail.mails[1]["message"]["In-Reply-To"] == (
        world.mail.mails[0]["message"]["Message-ID"]
    )
    again = acknowledge.acknowledge(world.ctx, "inc-1", who="bob")
    assert (again["is_new"], again["by"]) == (False, "ann") and "ann" in again["note"]
    assert world.later(600)["told"] == 0 and world.counts() == (2, 3, 2, 0)
    assert scene.kinds(world.ctx.store).count("acknowledged") == 1


def test_end_is_told_in_the_same_thread_to_those_who_were_told(world):
    escalated(world)
    finish.close_incident(world.ctx, "inc-1")
    world.later(1)
    assert world.counts() == (2, 2, 0, 0)
    assert world.pagerduty.alerts["escalation:inc-1:0"]["status"] == "resolved"
    assert world.slack.posted[1]["thread_ts"] == world.slack.posted[0]["ts"]
    assert "Resolved: closed by hand." in world.slack.posted[1]["text"]
    world.later(600)
    assert world.counts() == (2, 2, 0, 0)


def test_channel_that_never_heard_of_it_is_not_told_of_its_end(world):
    world.slack.fail_next("429", 9)
    result = escalated(world)
    assert result["delivered"] and world.counts() == (1, 0, 0, 0)
    finish.close_incident(world.ctx, "inc-1")
    world.later(0)
    world.later(60)
    world.later(60)
    world.slack._faults.clear()
    world.later(600)
    assert world.slack.posted == [] and len(world.pagerduty.events) == 2
    rows = world.ctx.store.query("SELECT status FROM outbox WHERE channel = 'slack:default'")
    assert [row["status"] for row in rows] == ["discarded"]


def test_message_that_may_have_arrived_is_followed_by_its_end(world):
    world.slack.fail_next("drop_after")
    escalated(world)
    finish.close_incident(world.ctx, "inc-1")
    world.later(60)
    world.later(60)
    assert [("Resolved" in one["text"]) for one in world.slack.posted] == [False, False, True]


def test_signal_that_is_gone_calls_nobody_further(world):
    escalated(world)
    registry.update(world.ctx.store, "inc-1", cleared_at=world.clock.at)
    assert world.later(60)["told"] == 0 and world.counts()[2:] == (0, 0)
    registry.update(world.ctx.store, "inc-1", cleared_at=None)
    assert world.later(1)["told"] == 3  # mail, Slack and webhook: two rungs are due, each once


def test_incident_opened_anew_is_called_anew_and_the_old_call_ends(world):
    escalated(world)
    registry.update(world.ctx.store, "inc-1", status="analyzing", reopened=1)
    escalate.escalate_to_oncall(world.ctx, "inc-1", reason="not_resolved")
    world.later(1)
    assert {key: one["status"] for key, one in world.pagerduty.alerts.items()} == {
        "escalation:inc-1:0": "resolved", "escalation:inc-1:1": "triggered"
    }
    assert "opened anew" in world.slack.posted[-1]["text"]


def test_what_comes_back_after_its_end_is_said_in_the_thread_and_wakes_nobody_at_once(world):
    store = world.ctx.store
    first = escalated(world)["outbox_id"]
    finish.close_incident(world.ctx, "inc-1")
    world.later(1)
    assert world.counts() == (2, 2, 0, 0)
    registry.update(store, "inc-1", status="escalated", reopened=1)
    with store.transaction("incidents"):
        ladder.join(world.ctx, registry.get(store, "inc-1"), first)
    world.later(1)
    assert world.counts() == (2, 3, 0, 0) and "It is back." in world.slack.posted[2]["text"]
    assert world.slack.posted[2]["thread_ts"] == world.slack.posted[0]["ts"]
    assert "reply_broadcast" not in world.slack.posted[2]
    world.later(15)  # it stays, and nobody has acknowledged
    assert world.counts() == (2, 4, 1, 0)
    finish.close_incident(world.ctx, "inc-1")
    world.later(1)
    assert world.counts() == (3, 5, 2, 0) and "Resolved:" in world.slack.posted[4]["text"]


def test_channel_that_is_down_keeps_no_other_waiting(world):
    world.pagerduty.stop()
    result = escalated(world)
    assert result["delivered"] and world.counts() == (0, 1, 0, 0)
    assert scene.kinds(world.ctx.store) == ["escalated", "notified", "delivery_failed"] or (
        scene.kinds(world.ctx.store) == ["escalated", "delivery_failed", "notified"]
    )


def test_acknowledged_before_it_was_delivered_further_people_are_not_called(world):
    escalated(world)
    world.mail.answers = ["451 later"] * 9
    world.later(16)
    assert world.counts() == (1, 2, 0, 0)
    acknowledge.acknowledge(world.ctx, "inc-1", who="ann")
    world.mail.answers = []
    world.later(60)
    assert world.mail.mails == []


def test_one_acknowledging_counts_for_all_that_the_message_is_about(world):
    store = world.ctx.store
    first = escalated(world)
    scene.incident(store, "inc-2", status="escalated")
    calls.join(store, registry.get(store, "inc-2"), first["outbox_id"])
    result = acknowledge.acknowledge(world.ctx, "inc-2", who="ann")
    assert result["covers"] == ["inc-1", "inc-2"] and "2 incidents" in result["note"]
    assert "acknowledged" in scene.kinds(store, "inc-1")
    finish.close_incident(world.ctx, "inc-1")
    world.later(1)
    assert world.pagerduty.alerts["escalation:inc-1:0"]["status"] == "acknowledged"
    finish.close_incident(world.ctx, "inc-2")
    world.later(1)
    assert world.pagerduty.alerts["escalation:inc-1:0"]["status"] == "resolved"
    assert "all 2 incidents are closed" in world.slack.posted[-1]["text"]


@pytest.mark.parametrize(
    ("status", "words"), [("open", "nobody was called"), ("resolved", "closed")]
)
def test_acknowledging_what_nobody_was_called_about_says_so(world, status, words):
    scene.incident(world.ctx.store, status=status)
    result = acknowledge.acknowledge(world.ctx, "inc-1", who="ann")
    assert not result["acknowledged"] and words in result["note"]
    assert scene.kinds(world.ctx.store) == []


def test_escalated_without_a_message_of_its_own_is_acknowledged_all_the_same(world):
    store = world.ctx.store
    scene.incident(store, status="escalated")  # such as one that is flapping
    result = acknowledge.acknowledge(world.ctx, "inc-1", who="ann", note="known")
    assert result["acknowledged"] and result["is_new"] and result["covers"] == ["inc-1"]
    again = acknowledge.acknowledge(world.ctx, "inc-1", who="bob")
    assert again["by"] == "ann" and not again["is_new"] and again["at"] == result["at"]
    assert scene.kinds(store) == ["acknowledged"]


def test_two_who_acknowledge_at_the_same_time_are_one(world):
    escalated(world)
    start, results = threading.Barrier(4), []

    def work(name):
        ctx = scene.context(world.url, world.clock, **world.sections)
        start.wait(180)
        results.append(acknowledge.acknowledge(ctx, "inc-1", who=name))
        ctx.close()

    workers = [threading.Thread(target=work, args=("p%d" % number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(180)
    assert [result["is_new"] for result in results].count(True) == 1 and len(results) == 4
    assert len({result["by"] for result in results}) == 1
    assert scene.kinds(world.ctx.store).count("acknowledged") == 1
    assert [event["event_action"] for event in world.pagerduty.events].count("acknowledge") == 1


def test_housekeepers_at_the_same_time_tell_each_rung_once(world):
    escalated(world)
    world.clock.at += 16 * 60
    start = threading.Barrier(4)

    def work():
        ctx = scene.context(world.url, world.clock, **world.sections)
        start.wait(180)
        ladder.climb(ctx)
        ctx.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(180)
    world.later(0)
    assert world.counts() == (1, 2, 1, 0)


def test_failure_of_the_pack_goes_to_the_first_rung(world):
    result = escalate.report_failure(world.ctx, "Sensor", "ended", "5f2")
    assert result["delivered"] and world.counts() == (1, 1, 0, 0)
    escalate.report_failure(world.ctx, "Sensor", "ended", "5f2")
    assert world.counts() == (1, 1, 0, 0)
    assert "https://st2.example/#/history/5f2" in str(world.slack.posted[0]["blocks"])


@pytest.mark.parametrize("name", ["escalate", "report"])
def test_with_the_store_down_the_first_rung_is_told_all_the_same(world, tmp_path, name):
    sections = dict(world.sections)
    url = "sqlite:///%s/none/x.db" % tmp_path
    (tmp_path / "none").write_text("no directory")
    ctx = Context(Config({"database": {"url": url}, **sections}), clock=world.clock)
    if name == "escalate":
        result = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
    else:
        result = escalate.report_failure(ctx, "Sensor", "ended", "5f2", "inc-1")
    assert result["delivered"] and not result["recorded"] and world.counts() == (1, 1, 0, 0)
    assert "inc-1" in stub_slack.words(world.slack.posted[0])


def test_with_the_store_down_a_mail_is_a_mail_whatever_failed(world, tmp_path):
    (tmp_path / "none").write_text("no directory")
    notify = {"email": world.mail.settings(timeout_s=60)}
    database = {"url": "sqlite:///%s/none/x.db" % tmp_path}
    ctx = Context(Config({"database": database, "notify": notify}), clock=world.clock)
    result = escalate.report_failure(ctx, "a <b>\r\nBcc: x@y.example\n", "ended \x00", "")
    assert result["delivered"]
    message = world.mail.mails[0]["message"]
    assert message["Message-ID"].count("@") == 1 and "Bcc" not in message


def test_without_any_channel_the_message_waits_and_goes_when_there_is_one(url, receiver):
    ctx = scene.context(url)
    scene.incident(ctx.store)
    result = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
    assert result["escalated"] and not result["delivered"]
    later = scene.context(url, notify=scene.webhook(receiver))
    housekeeping(later)
    assert [one["kind"] for one in receiver.messages] == ["escalation"]


@pytest.mark.parametrize("wrong", ["often", "inf", "nan"])
def test_repeat_that_is_no_number_keeps_nobody_from_being_called(url, receiver, wrong):
    ctx = scene.context(url, notify=scene.webhook(receiver), escalation={"repeat": wrong})
    scene.incident(ctx.store)
    assert escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")["delivered"]


def test_webhook_that_wants_no_follow_ups_gets_none(url, receiver):
    ctx = scene.context(url, notify=scene.webhook(receiver, follow_ups=False))
    scene.incident(ctx.store)
    escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")
    acknowledge.acknowledge(ctx, "inc-1", who="ann")
    finish.close_incident(ctx, "inc-1")
    housekeeping(ctx)
    assert [one["kind"] for one in receiver.messages] == ["escalation"]


def test_webhook_is_told_who_has_it_and_that_it_is_over(url, receiver):
    ctx = scene.context(url, notify=scene.webhook(receiver))
    scene.incident(ctx.store)
    first = escalate.escalate_to_oncall(ctx, "inc-1", reason="strategy")["outbox_id"]
    acknowledge.acknowledge(ctx, "inc-1", who="ann")
    finish.close_incident(ctx, "inc-1")
    housekeeping(ctx)
    assert [one["kind"] for one in receiver.messages] == [
        "escalation", "acknowledged", "resolved"
    ]
    assert {one["about"] for one in receiver.messages} == {"escalation:inc-1:0"}
    assert receiver.messages[1]["by"] == "ann" and receiver.messages[2]["thread"] == first
    assert all("document" not in one for one in receiver.messages)


def test_swept_incident_takes_its_calls_along(world):
    escalated(world)
    finish.close_incident(world.ctx, "inc-1")
    world.later(1)
    world.clock.at += 400 * 86400
    for _ in range(2):
        housekeeping(world.ctx)
        world.clock.at += 7200
    store = open_store(world.url)
    for table in ("escalations", "escalation_members", "escalation_letters"):
        assert store.query("SELECT * FROM %s" % table) == []


def test_question_goes_to_people_and_not_to_the_pager(world):
    store = world.ctx.store
    with store.transaction("incidents"):
        told = ladder.tell(world.ctx, "approval", "", "approval:1", {"title": "may I?"})
    assert ladder.delivered_now(world.ctx, told) and world.counts() == (0, 1, 0, 0)
    assert letters.find(store, "approval:1") == told[0]


def test_attempt_that_is_tried_again_tells_nobody_and_the_last_one_does(url, receiver, api):
    ctx = scene.context(url, api=api, notify=scene.webhook(receiver), resolver={"max_retries": 3})
    api.answers = [(202, {}, b"{}")]
    scene.incident(ctx.store)
    for attempt in range(1, 4):
        assert registry.claim(ctx.store, "inc-1", "run-%d" % attempt, 60) == registry.CLAIMED
        ctx.clock.at += 120  # the response dies
        assert receiver.requests == []
        housekeeping(ctx)
    assert [one["reason"] for one in receiver.messages] == ["attempts_used"]
    assert registry.get(ctx.store, "inc-1").status == "escalated"
