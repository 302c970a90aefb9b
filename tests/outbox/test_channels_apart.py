"""Channels do not hold up each other, and none is given more than it takes: rest, limits, slow and
silent systems, breakers.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import ExternalError
from selfheal.outbox import claims
from selfheal.outbox.carrying import Later, NotTaken, deliver
from tests import letter_world
from tests.letter_world import post, row_of

HOUR = 3600.0


def test_rest_that_is_asked_for_is_given_to_the_whole_channel(ctx, said):
    known, answers, got = said
    answers.append(NotTaken("answered 429", retry_after_s=600))
    ids = [post(ctx, "a%d" % number) for number in range(3)]
    deliver(ctx, known)
    deliver(ctx, known)
    assert len(got) == 1
    assert row_of(ctx, ids[0])["next_attempt_at"] == ctx.clock.at + 600
    post(ctx, "help", kind="escalation")
    deliver(ctx, known)  # somebody is called all the same
    assert [letter.payload["words"] for letter in got] == ["a0", "help"]
    answers[:] = [{}]
    ctx.clock.at += 599
    assert deliver(ctx, known) == []
    ctx.clock.at += 1
    assert len(deliver(ctx, known)) == 4


def test_rest_is_not_kept_when_a_person_wants_it_tried_or_the_clock_is_set_back(ctx, said):
    known, answers, _got = said
    answers += [NotTaken("answered 429", retry_after_s=99999), {}]
    post(ctx, "a")
    post(ctx, "b")
    deliver(ctx, known)
    assert claims.is_resting(ctx.store, "world")
    claims.disturb(ctx.store, "world")
    assert [one.status for one in deliver(ctx, known)] == ["sent"]
    claims.rest(ctx.store, "world", 99999)
    assert claims.is_resting(ctx.store, "world")
    ctx.clock.at -= 2 * HOUR
    assert not claims.is_resting(ctx.store, "world")


def test_silent_system_ends_the_turn_of_its_channel_only(ctx, monkeypatch):
    calls = []

    def carry(_ctx, letter):
        calls.append(letter.channel)
        if letter.target == "dead":
            raise ExternalError("no connection")
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    for number in range(4):
        post(ctx, "d%d" % number, channel="world:dead")
        post(ctx, "w%d" % number, channel="world:well")
    deliver(ctx, known)
    assert (calls.count("world:dead"), calls.count("world:well")) == (1, 4)


@pytest.mark.parametrize("raised", [
    NotTaken("no session", concerns_all=True),
    letter_world.unreached(ExternalError("no connection")),
    letter_world.caused_by(NotTaken("no token"), letter_world.unreached(ExternalError("refused"))),
])
@pytest.mark.parametrize("kind", ["ticket_comment", "escalation"])
def test_system_that_cannot_be_reached_is_asked_once_a_run(ctx, said, raised, kind):
    known, answers, got = said
    answers.append(raised)
    for number in range(5):
        post(ctx, "t%d" % number, kind=kind)
    ctx.store.execute("UPDATE outbox SET attempts = 7")  # however long it has been so
    deliver(ctx, known)
    assert len(got) == 1
    deliver(ctx, known)
    assert len(got) == 2


def test_what_failed_before_has_its_turn_after_the_others(ctx, monkeypatch):
    calls = []

    def carry(_ctx, letter):
        calls.append(letter.target)
        ctx.clock.at += 1
        if letter.target == "dead":
            ctx.clock.at += 19
            raise NotTaken("it took too long", concerns_all=True)
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    post(ctx, "d", channel="world:dead", kind="escalation")
    deliver(ctx, known)
    ctx.clock.at += 60
    for number in range(3):
        post(ctx, "w%d" % number, channel="world:well")
    post(ctx, "help", channel="world:well", kind="escalation")
    deliver(ctx, known)
    assert calls == ["dead", "well", "well", "well", "well", "dead"]


def test_what_failed_before_has_its_turn_however_much_the_others_have(ctx, monkeypatch):
    calls = []
    known = letter_world.carriers(monkeypatch, carry=lambda _, one: calls.append(one.target) or {})
    post(ctx, "d", channel="world:back", kind="escalation")
    ctx.store.execute("UPDATE outbox SET attempts = 1, last_error = 'no session'")
    for number in range(20):
        post(ctx, "w%d" % number, channel="world:well")
    deliver(ctx, known, limit=10)
    assert calls == ["well"] * 9 + ["back"]


def test_slow_system_costs_the_others_no_turns(ctx, monkeypatch):
    calls = []

    def carry(_ctx, letter):
        calls.append(letter.target)
        ctx.clock.at += 25 if letter.target == "slow" else 1
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    for number in range(30):
        post(ctx, "s%d" % number, channel="world:slow")
        post(ctx, "w%d" % number, channel="world:well")
    deliver(ctx, known, limit=500)
    assert calls.count("slow") <= 2 and calls.count("well") >= 25


def test_limit_is_shared_by_the_channels(ctx, said):
    known, answers, got = said
    answers.append({})
    for number in range(10):
        for target in "abc":
            post(ctx, "%s%d" % (target, number), channel="world:%s" % target)
    assert len(deliver(ctx, known, limit=9)) == 9
    assert sorted(letter.target for letter in got) == ["a"] * 3 + ["b"] * 3 + ["c"] * 3


def test_letter_that_always_breaks_its_system_does_not_hold_up_the_others(ctx, monkeypatch):
    def carry(_ctx, letter):
        if letter.payload["words"] == "poison":
            raise ExternalError("answered 500")
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    poison = post(ctx, "poison")
    for _ in range(4):
        deliver(ctx, known)
        ctx.clock.at += HOUR
    post(ctx, "a", not_before=None)
    ctx.store.execute("UPDATE outbox SET next_attempt_at = ? WHERE id = ?", (0, poison))
    assert [one.status for one in deliver(ctx, known)] == ["pending", "sent"]


def test_what_calls_somebody_goes_first(ctx, said):
    known, answers, got = said
    answers.append({})
    for number in range(3):
        post(ctx, "t%d" % number)
    post(ctx, "help", kind="escalation")
    post(ctx, "told", is_urgent=True)
    ctx.clock.at += 1
    deliver(ctx, known)
    assert {letter.payload["words"] for letter in got[:2]} == {"help", "told"}


@pytest.mark.parametrize(("limit", "patient", "urgent"), [(10, 8, 2), (1, 1, 0), (2, 1, 1)])
def test_channel_takes_no_more_in_a_minute_than_its_limit(ctx, said, limit, patient, urgent):
    known, answers, got = said
    answers.append({})
    ctx.config.values["notify"]["world"]["max_per_minute"] = limit
    for number in range(30):
        post(ctx, "t%d" % number)
    deliver(ctx, known)
    deliver(ctx, known)
    assert len(got) == patient
    for number in range(30):
        post(ctx, "u%d" % number, kind="escalation")
    deliver(ctx, known)
    assert len(got) == patient + urgent
    post(ctx, "elsewhere", channel="world:edge")
    deliver(ctx, known)
    assert got[-1].payload["words"] == "elsewhere"  # each channel has its own
    ctx.clock.at += 60
    deliver(ctx, known)
    assert len(got) == patient + urgent + 1 + limit
    assert not ctx.store.value("SELECT MAX(attempts) FROM outbox WHERE status = 'pending'")


def test_named_target_may_have_its_own_limit(ctx, said):
    known, answers, got = said
    answers.append({})
    ctx.config.values["notify"]["world"] = {"max_per_minute": 1, "edge": {"max_per_minute": 3}}
    for number in range(5):
        post(ctx, "t%d" % number, channel="world:edge")
        post(ctx, "d%d" % number, channel="world:default")
    deliver(ctx, known)
    channels = [letter.channel for letter in got]
    assert (channels.count("world:edge"), channels.count("world:default")) == (2, 1)


def test_breaker_named_by_the_carrier_keeps_patient_letters_back(ctx, monkeypatch):
    calls = []

    def carry(_ctx, letter):
        calls.append(letter.id)
        raise NotTaken("answered 503")

    known = letter_world.carriers(
        monkeypatch, carry=carry, SERVICE=lambda letter: "world.%s" % letter.target
    )
    ids = [post(ctx, "t%d" % number, channel="world:edge") for number in range(20)]
    deliver(ctx, known)
    assert 0 < len(calls) < 20  # it opened in the middle
    before = len(calls)
    deliver(ctx, known)
    assert len(calls) == before
    assert row_of(ctx, ids[-1])["attempts"] == 0
    post(ctx, "help", kind="escalation", channel="world:edge")
    deliver(ctx, known)
    assert len(calls) == before + 1


def test_waiting_for_something_is_no_failure_to_the_breaker(ctx, monkeypatch):
    calls = []

    def carry(_ctx, letter):
        calls.append(letter.id)
        raise Later(60, "not there yet")

    known = letter_world.carriers(monkeypatch, carry=carry, SERVICE="world")
    for number in range(30):
        post(ctx, "t%d" % number)
    deliver(ctx, known)
    assert len(calls) == 30
