"""What becomes of a letter: who carries it when, how often, and how long it waits after what its
carrier said.
"""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, DeadlineExceeded, ExternalError, NotFound
from selfheal.outbox import claims, letters
from selfheal.outbox.carrying import Later, NotTaken, deliver
from selfheal.outbox.lanes import SETTINGS_WAIT_S
from tests import letter_world, scene
from tests.letter_world import post, row_of

HOUR = 3600.0


def test_answer_is_kept_plain_and_without_our_secrets(ctx, said):
    known, answers, got = said
    ctx.config.values["notify"]["world"]["token"] = "token-of-ours-1"
    answers.append({"number": "INC7", "echo": "token-of-ours-1", "odd": {1, 2}})
    outbox_id = post(ctx, "a", channel="world:edge")
    (delivery,) = deliver(ctx, known)
    assert (delivery.status, delivery.tried, delivery.attempts) == ("sent", True, 1)
    answer = letters.answer_of(ctx.store, outbox_id)
    assert answer["number"] == "INC7" and "token-of-ours-1" not in str(answer)
    assert (got[0].target, got[0].payload["words"], got[0].may_have_arrived) == ("edge", "a", False)


@pytest.mark.parametrize(
    ("error", "cause", "is_attempt", "is_in_doubt"),
    [
        (NotTaken("answered 429"), "refused", True, False),
        (Later(20, "not there yet"), "later", False, False),
        (ExternalError("no answer in time"), "unknown", True, True),
        (DeadlineExceeded("too slow"), "unknown", True, True),
        (KeyError("a defect of the carrier"), "unknown", True, True),
        (ConfigError("no such group"), "settings", False, True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_failure_says_whether_the_letter_may_have_arrived(
    ctx, said, error, cause, is_attempt, is_in_doubt
):
    known, answers, got = said
    answers += [error, {}]
    outbox_id = post(ctx, "a")
    (delivery,) = deliver(ctx, known)
    assert (delivery.status, delivery.cause) == ("pending", cause)
    row = row_of(ctx, outbox_id)
    assert (row["attempts"], row["in_doubt"]) == (int(is_attempt), int(is_in_doubt))
    assert str(error.args[0]) in row["last_error"] and row["claimed_by"] is None
    assert deliver(ctx, known) == []  # it waits
    ctx.clock.at += SETTINGS_WAIT_S
    assert [one.status for one in deliver(ctx, known)] == ["sent"]
    assert [letter.may_have_arrived for letter in got] == [False, is_in_doubt]


def test_doubt_stays_until_the_letter_has_arrived(ctx, said):
    """A definite no to the second attempt says nothing of what the first one did."""
    known, answers, got = said
    answers += [ExternalError("no answer"), NotTaken("answered 429"), Later(5, "wait"), {}]
    post(ctx, "a")
    for _ in range(4):
        deliver(ctx, known)
        ctx.clock.at += HOUR
    assert [letter.may_have_arrived for letter in got] == [False, True, True, True]


def test_no_for_good_is_dead_at_once(ctx, said):
    known, answers, got = said
    answers.append(NotTaken("answered 400: no such field", is_final=True))
    outbox_id = post(ctx, "a", kind="escalation")
    (delivery,) = deliver(ctx, known)
    assert delivery.status == "dead" and letters.is_dead(ctx.store, outbox_id)
    ctx.clock.at += 30 * HOUR
    assert deliver(ctx, known) == [] and len(got) == 1


@pytest.mark.parametrize(
    ("kind", "error", "ends"),
    [
        ("ticket_comment", ExternalError("no connection"), "dead"),
        ("ticket_comment", NotTaken("answered 503"), "dead"),
        ("ticket_comment", Later(60, "its ticket is not there"), "dead"),
        ("ticket_comment", ConfigError("no such group"), "pending"),
        ("escalation", ExternalError("no connection"), "pending"),
    ],
)
def test_letter_is_given_up_after_three_days_of_failing(ctx, said, kind, error, ends):
    known, answers, _got = said
    answers.append(error)
    outbox_id = post(ctx, "a", kind=kind)
    deliver(ctx, known)
    ctx.clock.at += 71 * HOUR
    deliver(ctx, known)
    assert row_of(ctx, outbox_id)["status"] == "pending"
    ctx.clock.at += HOUR
    deliver(ctx, known)
    assert row_of(ctx, outbox_id)["status"] == ends


def test_time_that_settings_were_wrong_does_not_count_as_failing(ctx, said):
    known, answers, _got = said
    answers.append(ConfigError("no such group"))
    outbox_id = post(ctx, "a")
    deliver(ctx, known)
    ctx.clock.at += 80 * HOUR
    answers[:] = [ExternalError("no connection")]
    deliver(ctx, known)
    assert row_of(ctx, outbox_id)["status"] == "pending"


def test_letter_that_waited_behind_others_is_not_given_up_for_their_time(ctx, said):
    known, answers, _got = said
    answers.append(ExternalError("no connection"))
    first, second = post(ctx, "a", "q"), post(ctx, "b", "q")
    deliver(ctx, known)
    ctx.clock.at += 75 * HOUR
    deliver(ctx, known)
    deliver(ctx, known)
    assert row_of(ctx, first)["status"] == "dead"
    assert row_of(ctx, second)["status"] == "pending"


def test_dead_letter_lets_the_next_of_its_queue_pass_unless_they_build_on_it(ctx, said):
    known, answers, got = said
    answers += [NotTaken("no", is_final=True), NotTaken("no", is_final=True), {}]
    base = post(ctx, "create", "ticket", payload={"is_base": True})
    post(ctx, "comment", "ticket")
    post(ctx, "message", "thread")
    post(ctx, "follow-up", "thread")
    deliver(ctx, known)
    assert [letter.payload["words"] for letter in got] == ["create", "message", "follow-up"]
    assert letters.retry(ctx.store, base, "ann") == [base]
    deliver(ctx, known)
    assert [letter.payload["words"] for letter in got][3:] == ["create", "comment"]


def test_revived_letter_waits_while_a_later_one_of_its_queue_is_carried(ctx, monkeypatch):
    first = post(ctx, "a", "q")
    post(ctx, "b", "q")
    other = scene.context(scene_url(ctx), ctx.clock)
    seen = []

    def carry(_ctx, letter):
        if letter.payload["words"] == "b":
            letters.retry(other.store, first, "ann")
            seen.append(deliver(other, known))
        elif not seen:
            raise NotTaken("no", is_final=True)
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    deliver(ctx, known, limit=2)
    other.close()
    assert seen == [[]]
    deliver(ctx, known)
    assert row_of(ctx, first)["status"] == "sent"


def scene_url(ctx):
    return str(ctx.config.get("database.url"))


def test_one_letter_is_carried_with_what_goes_before_it(ctx, said):
    known, answers, got = said
    answers.append({})
    ids = [post(ctx, "a%d" % number, "q") for number in range(4)]
    post(ctx, "other", "elsewhere")
    deliver(ctx, known, ids[2])
    assert [letter.id for letter in got] == ids[:3]
    deliver(ctx, known, queues=["elsewhere"])
    assert got[-1].payload["words"] == "other" and len(got) == 4
    assert deliver(ctx, known, queues=[]) == []


def test_letter_for_later_is_carried_then(ctx, said):
    known, answers, got = said
    answers.append({})
    post(ctx, "a", not_before=ctx.clock.at + 5 * HOUR)
    ctx.clock.at += 4 * HOUR
    assert deliver(ctx, known) == []
    ctx.clock.at += HOUR
    assert [one.status for one in deliver(ctx, known)] == ["sent"]


def test_carrier_has_less_time_than_its_lease(ctx, monkeypatch, receiver):
    asked = []

    def carry(ctx, _letter):
        for _ in range(3):
            asked.append(ctx.http.request("POST", receiver.url, timeout_s=86400).status)
            ctx.clock.at += claims.LEASE_S / 2
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    post(ctx, "a")
    (delivery,) = deliver(ctx, known)
    assert asked == [200, 200] and delivery.cause == "unknown"
    assert "no time left" in delivery.error


def test_letters_to_nowhere_wait_without_attempts(ctx, monkeypatch, said):
    known = letter_world.carriers(
        monkeypatch, carry=lambda *_: {}, problem=lambda _ctx, target: "%s is off" % target
    )
    outbox_id = post(ctx, "a", channel="world:edge")
    unknown = post(ctx, "b", channel="pigeon")
    found = {one.id: one for one in deliver(ctx, known)}
    assert found[outbox_id].error == "edge is off"
    assert "no carrier goes to pigeon" in found[unknown].error
    assert {one.status for one in found.values()} == {"no_destination"}
    assert row_of(ctx, outbox_id)["attempts"] == 0
    well, answers, _got = said
    answers.append({})
    assert [one.status for one in deliver(ctx, well, outbox_id)] == ["sent"]


def test_carrier_that_cannot_be_loaded_harms_nobody_else(ctx, said):
    known, answers, _got = said
    answers.append({})
    post(ctx, "a", channel="broken")
    post(ctx, "b")
    outcomes = {one.channel: one.status for one in deliver(ctx, {**known, "broken": "no.such"})}
    assert outcomes == {"broken": "no_destination", "world": "sent"}


def test_what_is_gone_on_the_other_side_is_no_reason_to_try_again(ctx, said):
    known, answers, _got = said
    answers.append(NotFound("there is no such ticket"))
    post(ctx, "a")
    (delivery,) = deliver(ctx, known)
    assert (delivery.status, delivery.cause) == ("dead", "refused")
    assert isinstance(delivery.problem, NotFound)


def test_doubt_that_came_up_after_the_letter_was_listed_counts(ctx, monkeypatch):
    """Another worker carried it meanwhile and a person asked for it anew: all but the doubt is as
    it was listed.
    """
    got = []
    first, second = post(ctx, "a"), post(ctx, "b")

    def carry(_ctx, letter):
        if letter.id == first:
            ctx.store.execute("UPDATE outbox SET in_doubt = 1 WHERE id = ?", (second,))
        got.append(letter)
        return {}

    known = letter_world.carriers(monkeypatch, carry=carry)
    deliver(ctx, known)
    assert [letter.may_have_arrived for letter in got] == [False, True]
