"""Have the errors stopped: only what the logs were looked at for is believed."""

from __future__ import annotations

import pytest

from selfheal.errors.book import ErrorBook
from selfheal.errors.record import Document, Judgement
from selfheal.errors.watch import evaluate
from selfheal.incidents import registry
from selfheal.respond.verify import verify_resolution
from selfheal.store import checkpoints
from selfheal.verify import ask, errors
from selfheal.verify.model import parse_checks
from tests import scene
from tests.intake import log_scene

ORIGIN = "main"
FINGERPRINT = "v1:00000000000000000001"
CHECKS = parse_checks([{"alert": "resolved"}])
QUESTION = {"hold_s": 20.0, "limit_s": 300.0}


class Logs:
    """Errors of one kind in the logs of a target, and how far they were looked at."""

    def __init__(self, url):
        self.clock = scene.Clock()
        self.ctx = scene.context(url, self.clock, resolver={})
        self.book = ErrorBook(self.ctx.store, log_scene.SCOPE)
        self.number = 0

    def log(self, ago_s, many=1, fingerprint=FINGERPRINT):
        pairs = []
        for _ in range(many):
            self.number += 1
            document = Document(
                "%s/logs/%d" % (ORIGIN, self.number),
                ORIGIN,
                self.clock.at - ago_s,
                "error",
                host="web-1",
            )
            pairs.append((document, Judgement(fingerprint, "error", "application", "error", "r")))
        self.book.store(pairs)

    def looked(self, ago_s=0.0, name="elk:" + ORIGIN):
        checkpoints.write(self.ctx.store, name, {"until": self.clock.at - ago_s})

    def incident(self, gap_s=10.0):
        """The incident of five errors, one each `gap_s`, the last now."""
        for number in range(5):
            self.log((4 - number) * gap_s)
        [incident_id] = evaluate(self.ctx, ORIGIN, self.clock.at).incidents
        return incident_id

    def ask(self, incident_id, since, **more):
        question = errors.Question(since, **dict(QUESTION, **more))
        incident = registry.get(self.ctx.store, incident_id)
        [look] = ask.look(self.ctx, incident, CHECKS, question)
        return look


@pytest.fixture
def logs(url):
    made = Logs(url)
    yield made
    made.ctx.close()


def test_nothing_is_known_before_the_logs_were_looked_at(logs):
    incident_id = logs.incident()
    since = logs.clock.at
    look = logs.ask(incident_id, since)
    assert (look.healthy, look.is_known) == (False, False)
    assert "never" in look.answer
    logs.looked()
    logs.clock.at += 3600
    look = logs.ask(incident_id, since)
    assert (look.healthy, look.is_known) == (False, False)
    assert "looked at until 22:13:20 only" in look.answer


def test_errors_are_over_when_the_logs_were_looked_at_for_long_enough(logs):
    incident_id = logs.incident(gap_s=1)
    since = logs.clock.at
    logs.clock.at += 19
    logs.looked()
    look = logs.ask(incident_id, since)
    assert (look.healthy, look.is_known) == (False, True)
    assert "at this rate 20 s without one are needed" in look.answer
    logs.clock.at += 1
    logs.looked()
    look = logs.ask(incident_id, since)
    assert (look.healthy, look.is_known) == (True, True)
    assert look.asked == "the logs, for a further error of %s" % FINGERPRINT
    assert look.answer == "none since 22:13:20, looked at until 22:13:40"


def test_a_further_error_is_one_and_its_own_quiet_counts(logs):
    incident_id = logs.incident(gap_s=1)
    since = logs.clock.at
    logs.clock.at += 30
    logs.log(10)
    logs.log(12)
    logs.looked()
    look = logs.ask(incident_id, since)
    assert (look.healthy, look.is_known) == (False, True)
    assert look.answer.startswith("2 further errors since 22:13:20, the last at 22:13:40")
    logs.clock.at += 10
    logs.looked()
    assert logs.ask(incident_id, since).healthy


def test_rare_errors_must_stay_away_for_longer(logs):
    incident_id = logs.incident(gap_s=50)
    since = logs.clock.at
    logs.clock.at += 100
    logs.looked()
    assert not logs.ask(incident_id, since).healthy
    logs.clock.at += 20
    logs.looked()
    assert logs.ask(incident_id, since).healthy
    assert not logs.ask(incident_id, since, hold_s=121).healthy


def test_but_never_for_longer_than_there_is_time(logs):
    incident_id = logs.incident(gap_s=70)
    since = logs.clock.at
    logs.clock.at += 30
    logs.looked()
    assert logs.ask(incident_id, since, limit_s=50.0).healthy


def test_other_errors_change_nothing(logs):
    incident_id = logs.incident(gap_s=1)
    since = logs.clock.at
    logs.clock.at += 20
    logs.log(1, many=9, fingerprint="v1:00000000000000000002")
    logs.looked()
    assert logs.ask(incident_id, since).healthy


def test_an_error_of_the_future_counts_from_when_it_was_seen(logs):
    incident_id = logs.incident(gap_s=1)
    since = logs.clock.at
    logs.clock.at += 5
    logs.log(-600)
    logs.clock.at += 20
    logs.looked()
    assert logs.ask(incident_id, since).healthy


def test_what_was_seen_before_with_a_time_of_the_future_is_no_further_error(logs):
    incident_id = logs.incident(gap_s=1)
    logs.log(-600)
    logs.clock.at += 1
    since = logs.clock.at
    logs.clock.at += 20
    logs.looked()
    assert logs.ask(incident_id, since).healthy


def test_log_files_have_a_checkpoint_of_their_own(logs):
    incident_id = logs.incident(gap_s=1)
    logs.ctx.store.execute("UPDATE error_groups SET origin = ?", ("files:web-1",))
    since = logs.clock.at
    logs.clock.at += 20
    logs.looked()
    assert not logs.ask(incident_id, since).is_known
    logs.looked(name="files:web-1")
    assert logs.ask(incident_id, since).healthy


def test_what_a_storm_counted_is_a_further_error(logs):
    incident_id = logs.incident(gap_s=1)
    since = logs.clock.at
    key = logs.ctx.store.value("SELECT group_key FROM error_groups")
    logs.clock.at += 200
    logs.ctx.store.execute(
        "INSERT INTO error_counts (group_key, minute, stored, counted) VALUES (?, ?, 0, 7)",
        (key, int(logs.clock.at // 60)),
    )
    logs.looked()
    look = logs.ask(incident_id, since)
    assert (look.healthy, "7 further errors" in look.answer) == (False, True)


@pytest.mark.parametrize("value", ["[]", "{", '{"until": NaN}', '{"until": "then"}'])
def test_a_spoiled_checkpoint_proves_nothing(logs, value):
    incident_id = logs.incident()
    logs.looked()
    logs.ctx.store.execute("UPDATE checkpoints SET value = ?", (value,))
    assert not logs.ask(incident_id, since=logs.clock.at + 1).is_known


def test_nobody_has_looked_at_the_future_after_the_clock_was_set_back(logs):
    incident_id = logs.incident()
    at = logs.clock.at
    value = {"until": at + 3600, "looked_at": at}
    checkpoints.write(logs.ctx.store, "elk:" + ORIGIN, value)
    assert not logs.ask(incident_id, since=at + 1).is_known


def test_an_incident_without_a_group_is_unknown(logs):
    scene.incident(logs.ctx.store, source="elk")
    look = logs.ask("inc-1", logs.clock.at)
    assert (look.healthy, look.is_known) == (False, False)


def test_analysis_is_told_how_far_the_logs_were_looked_at(logs):
    incident_id = logs.incident()
    incident = registry.get(logs.ctx.store, incident_id)
    goes_on, is_known, answer = errors.answer(logs.ctx, incident, None)
    assert (goes_on, is_known) == (True, True)
    assert answer == "the last was logged at 22:13:20, looked at until never"


class Sensor:
    """The other process: looks every `every_s` while verification sleeps."""

    def __init__(self, logs, every_s, logs_at=()):
        self.logs, self.every_s, self.logs_at = logs, every_s, list(logs_at)
        self.next_at = logs.clock.at + every_s
        self.sleep, logs.clock.sleep = logs.clock.sleep, self.pass_time

    def pass_time(self, seconds):
        end = self.logs.clock.at + seconds
        while self.next_at <= end:
            self.logs.clock.at = self.next_at
            for at in [at for at in self.logs_at if at <= self.next_at]:
                self.logs_at.remove(at)
                self.logs.log(self.next_at - at)
            self.logs.looked()
            self.next_at += self.every_s
        self.logs.clock.at = end


def test_verification_with_the_default_intervals_succeeds(logs):
    incident_id = logs.incident(gap_s=10)
    Sensor(logs, 60)
    result = verify_resolution(logs.ctx, incident_id, timeout_s=300, hold_s=20, interval_s=5)
    assert result["resolved"], result
    assert result["waited_s"] <= 65
    [check] = result["checks"]
    assert check["answer"].startswith("none since ")


def test_verification_counts_from_the_end_of_the_remediation(logs):
    incident_id = logs.incident(gap_s=1)
    scene.execution(logs.ctx.store, incident_id=incident_id, finished_at=logs.clock.at)
    logs.clock.at += 30
    logs.looked()
    result = verify_resolution(logs.ctx, incident_id, timeout_s=300, hold_s=20, interval_s=5)
    assert (result["resolved"], result["waited_s"]) == (True, 0.0)


def test_verification_fails_while_errors_go_on(logs):
    incident_id = logs.incident(gap_s=10)
    Sensor(logs, 60, [logs.clock.at + 15 * number for number in range(40)])
    result = verify_resolution(logs.ctx, incident_id, timeout_s=300, hold_s=20, interval_s=5)
    assert not result["resolved"]
    assert "further errors" in result["checks"][0]["answer"]


def test_verification_fails_while_nobody_looks(logs):
    incident_id = logs.incident(gap_s=10)
    result = verify_resolution(logs.ctx, incident_id, timeout_s=300, hold_s=20, interval_s=5)
    assert not result["resolved"]
    assert "not known yet" in result["checks"][0]["answer"]
