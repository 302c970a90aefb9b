"""The thread of a cause that keeps going away and coming back: its last word is true at any time,
and it is rarely a new one.
"""

from __future__ import annotations

import pytest

from selfheal.incidents import registry
from selfheal.respond import acknowledge, calls, escalate, finish, ladder, telling
from tests import scene, stub_pagerduty, stub_slack
from tests.respond.test_flapping import Life, living

LADDER = [
    {"after_minutes": 0, "by": ["pagerduty", "slack"]},
    {"after_minutes": 15, "by": ["slack"]},
]


class Thread(Life):
    """A life whose calls are told by real servers; `words` are the texts of the thread."""

    def __init__(self, made, slack, pagerduty):
        super().__init__(made.ctx, made.clock, made.bus)
        self.slack, self.pagerduty = slack, pagerduty
        notify = {
            "slack": slack.by_token(timeout_s=60), "pagerduty": pagerduty.settings(timeout_s=60)
        }
        made.ctx.config.values.update(notify=notify, escalation={"ladder": LADDER})

    def minute(self):
        super().minute()
        ladder.climb(self.ctx)
        telling.deliver(self.ctx)
        self.is_true()

    def is_true(self):
        """The last word fits what the incident is."""
        row = self.ctx.store.one("SELECT * FROM incidents ORDER BY id DESC LIMIT 1")
        last = self.words()[-1]
        if last.startswith("Resolved"):
            assert row["status"] == "resolved", last
        elif last.startswith(("called", "It is back.")):
            assert row["status"] != "resolved", last
        else:  # what is true in both states
            assert "coming back" in last or "thread ends here" in last or "Acknowledged" in last

    def words(self, first=0):
        """What follows the title of each message to the thread that message `first` began."""
        begun = self.slack.posted[first]
        return ["called"] + [
            one["text"].partition("\n\n")[2].strip()
            for one in self.slack.posted[first + 1:]
            if one.get("thread_ts") == begun["ts"]
        ]

    def flap(self, times, rest_s=0.0):
        for _ in range(times):
            self.send(firing=True)
            self.minute()
            self.send(firing=False)
            self.minute()
            self.clock.advance(rest_s)


@pytest.fixture
def thread(tmp_path, url):
    with stub_slack.Stub() as slack, stub_pagerduty.Stub() as pagerduty:
        made = living(tmp_path, script="", url=url)
        yield Thread(made, slack, pagerduty)


def status_of(thread):
    return [one["status"] for one in thread.pagerduty.alerts.values()]


def test_thread_never_ends_with_a_wrong_word_and_grows_by_one_an_hour(thread):
    thread.flap(5)
    before = thread.words()
    assert "does not follow each time" in before[-1] and "4 times by now" in before[-1]
    thread.flap(60, rest_s=4 * 60)  # five hours
    said = thread.words()[len(before):]
    assert 3 <= len(said) <= 5
    assert all("keeps going away and coming back" in one for one in said)
    counts = [int(one.split()[2]) for one in said]
    assert counts == sorted(counts) and 4 < counts[0] and counts[-1] > 40
    assert not any("not acknowledged" in one["text"] for one in thread.slack.posted)
    for _ in range(2 * 61):
        thread.minute()
    assert len(thread.words()) <= len(before) + len(said) + 2
    assert thread.words()[-1].startswith(
        "Resolved: it has stayed away for 60 minutes, after it had been opened again 64 times."
    )
    assert status_of(thread) == ["resolved"]
    ended = len(thread.words())
    for _ in range(2 * 61):
        thread.minute()
    assert len(thread.words()) == ended


def test_first_returns_are_said_each(thread):
    thread.flap(4)
    assert [one.split(".")[0].split(":")[0] for one in thread.words()] == [
        "called", "Resolved", "It is back", "Resolved", "It is back", "Resolved", "It is back",
        "Resolved",
    ]


def test_what_comes_to_stay_is_called_anew_and_the_old_thread_says_so(thread):
    thread.flap(8)
    thread.send(firing=True)
    for _ in range(2 * 62):
        thread.minute()
    first, second = [n for n, one in enumerate(thread.slack.posted) if "thread_ts" not in one]
    assert "thread ends here" in thread.words(first)[-1]
    assert status_of(thread) == ["resolved", "triggered"]
    for _ in range(2 * 16):
        thread.minute()
    assert thread.words(second)[-1].startswith("Nobody has acknowledged this")  # its ladder goes on
    assert "thread ends here" in thread.words(first)[-1]
    thread.send(firing=False)
    thread.minute()
    assert thread.words(second)[-1].startswith("Resolved:")
    assert status_of(thread) == ["resolved", "resolved"]


def test_what_comes_back_worse_is_called_anew_and_the_old_thread_says_so(thread):
    for _ in range(6):
        thread.send(firing=True, severity="error")
        thread.minute()
        thread.send(firing=False, severity="error")
        thread.minute()
    thread.send(firing=True, severity="critical")
    thread.minute()
    first, second = [n for n, one in enumerate(thread.slack.posted) if "thread_ts" not in one]
    assert "thread ends here" in thread.words(first)[-1]
    assert len(thread.words(second)) == 1


def test_person_who_closes_it_has_the_last_word(thread):
    thread.flap(6)
    incident_id = thread.send(firing=True)
    thread.minute()
    finish.close_incident(thread.ctx, incident_id, resolution=finish.MANUAL)
    thread.minute()
    assert thread.words()[-1].startswith("Resolved: closed by hand")
    thread.minute()
    assert thread.words()[-2].startswith(("It keeps going", "Opened again"))


def test_person_who_takes_it_while_it_comes_and_goes_stands_in_the_thread(thread):
    thread.flap(6)
    incident_id = thread.send(firing=True)
    thread.minute()
    result = acknowledge.acknowledge(thread.ctx, incident_id, who="ann")
    assert result["is_new"] and thread.words()[-1].startswith("Acknowledged by ann")
    assert registry.get(thread.ctx.store, incident_id).status == "escalated"


def test_what_had_stayed_is_over_when_it_ends(thread):
    thread.flap(6)
    incident_id = thread.send(firing=True)
    thread.minute()
    acknowledge.acknowledge(thread.ctx, incident_id, who="ann")  # so nobody is called anew
    for _ in range(2 * 61):
        thread.minute()
    thread.send(firing=False)
    thread.minute()
    last = thread.words()[-1]
    assert last.startswith("Resolved: the signal went away by itself, after it had been opened")


def test_thread_is_not_over_while_another_incident_of_it_is_open(thread):
    thread.flap(6)
    store = thread.ctx.store
    (call_id,) = calls.returning(store)
    other = scene.incident(store, "inc-other", status="escalated", group_key="another")
    calls.join(store, registry.get(store, other), call_id)
    thread.clock.advance(61 * 60)
    ladder.climb(thread.ctx)
    telling.deliver(thread.ctx)
    assert not thread.words()[-1].startswith("Resolved")
    assert calls.members(store, call_id) == [other] and not calls.is_over(store, call_id)


def test_setting_that_is_none_keeps_nobody_else_from_being_called(thread):
    thread.flap(6)
    ctx = thread.ctx
    other = scene.incident(ctx.store, "inc-other", status="open", group_key="another")
    escalate.escalate_to_oncall(ctx, other)
    ctx.config.values["safety"] = {"flap_quiet_minutes": "an hour"}
    thread.clock.advance(16 * 60)
    assert ladder.climb(ctx)["told"] == 1
