"""The life of a group of errors: over the threshold, going on, quiet, back; one open incident at a
time.
"""

from __future__ import annotations

import pytest

from selfheal.incidents import dispatch, model, registry, timeline
from selfheal.incidents.signal import time_text
from selfheal.store import load
from tests import alert_scene, book_scene, scene
from tests.alert_scene import alert_states, incidents
from tests.book_scene import NOW, evaluate, pair, pairs

MINUTE = 60.0
NOTHING = (0, 0, [], [], 0)


@pytest.fixture
def clock():
    return scene.Clock(NOW)


@pytest.fixture
def ctx(url, clock):
    return book_scene.context(url, clock)


@pytest.fixture
def book(ctx):
    return book_scene.book(ctx)


class Log:
    """Errors of one pattern that come as time goes by; each call is one poll."""

    def __init__(self, ctx):
        self.ctx, self.book, self.number = ctx, book_scene.book(ctx), 0

    def errors(self, count, after=0.0, **more):
        """Let `after` seconds pass, then log `count` errors now, and poll."""
        self.ctx.clock.at += after
        at = self.ctx.clock.at - NOW
        self.number += count
        found = pairs(count, at, 0.001, self.number - count, **more)
        self.book.store(found)
        return evaluate(self.ctx)

    def silence(self, seconds):
        """Let time pass without an error, and poll."""
        self.ctx.clock.at += seconds
        return evaluate(self.ctx)


@pytest.fixture
def log(ctx):
    return Log(ctx)


def group(ctx):
    (row,) = ctx.store.query("SELECT * FROM error_groups")
    return row


def kinds(ctx, incident_id):
    return [entry["kind"] for entry in timeline.entries(ctx.store, incident_id)]


def close(ctx, incident_id, resolution="remediated"):
    assert registry.resolve(ctx.store, incident_id, resolution, "closed")


def test_threshold_of_distinct_documents_opens_one_incident(ctx, book):
    book.store(pairs(4))
    book.store(pairs(4))
    assert evaluate(ctx) == NOTHING and incidents(ctx.store) == []
    book.store(pairs(5))
    done = evaluate(ctx)
    (incident,) = incidents(ctx.store)
    assert done == (1, 0, [incident["id"]], [], 0)
    assert (incident["status"], incident["source"], incident["alert_type"]) == (
        "open", "elk", "ApplicationErrors",
    )
    assert incident["title"] == "5 errors in 5 min: boom <num>"
    assert (incident["instance"], incident["service"]) == ("node-1", "web")
    row = group(ctx)
    assert row["incident_id"] == incident["id"] and row["alerting_since"] == time_text(NOW)
    assert (row["pending_from"], row["alerts"]) == (None, 1)
    assert evaluate(ctx) == NOTHING


def test_signal_says_what_happened_where(ctx, book):
    book.store(pairs(5, namespace="shop", workload="web", pod="web-1", container="c",
                     cluster="eu", error_type="database", severity="critical", rule="db",
                     message="dead {{ x }}"))
    evaluate(ctx)
    (incident,) = incidents(ctx.store)
    signal = load(incident["signal"])
    assert signal["labels"] == {
        "alertname": "DatabaseErrors", "error_type": "database", "severity": "critical",
        "fingerprint": book_scene.judgement().fingerprint, "rule": "db", "origin": "logs",
        "cluster": "eu", "namespace": "shop", "workload": "web", "host": "node-1",
        "program": "web", "pod": "web-1", "container": "c",
    }
    shown = signal["annotations"]
    assert shown["sample"] == "dead {{ x }}" and shown["count"] == "5"
    assert shown["first_seen"] == time_text(NOW) and shown["last_seen"] == time_text(NOW + 4)
    assert (incident["cluster"], incident["namespace"], incident["workload"]) == (
        "eu", "shop", "web",
    )


def test_severity_is_the_worst_of_the_window(ctx, book):
    book.store([pair(n, n, severity=severity) for n, severity in
                enumerate(["warning", "critical", "warning", "info", "warning"])])
    evaluate(ctx)
    assert incidents(ctx.store)[0]["severity"] == "critical"


@pytest.mark.parametrize(("last", "many"), [(299.999, 1), (300.0, 0)])
def test_window_is_open_at_its_end(ctx, book, last, many):
    book.store(pairs(4) + [pair(9, last)])
    evaluate(ctx)
    assert len(incidents(ctx.store)) == many


def test_errors_in_two_places_do_not_add_up(ctx, book):
    book.store(pairs(4) + pairs(4, first=10, host="node-2"))
    assert evaluate(ctx) == NOTHING


def test_window_may_begin_before_what_is_pending(ctx, book):
    book.store(pairs(4))
    evaluate(ctx)
    book.store([pair(9, 200.0)])
    assert evaluate(ctx).raised == 1


def test_late_document_completes_a_window_of_the_past(ctx, book, clock):
    clock.at += 3000
    book.store(pairs(4) + [pair(8, 3000.0)])
    evaluate(ctx)
    book.store([pair(9, 100.0)])
    assert evaluate(ctx, NOW).raised == 1
    assert group(ctx)["alerting_since"] == time_text(NOW)


def test_hot_group_is_over_the_threshold_once(ctx, log):
    assert log.errors(50).raised == 1
    for _ in range(20):
        assert log.errors(50, after=30).raised == 0
    (incident,) = incidents(ctx.store)
    assert incident["alert_count"] == 1 and group(ctx)["occurrences"] == 1050
    assert kinds(ctx, incident["id"]).count("still_failing") == 1


def test_timeline_hears_of_errors_that_go_on_ever_less_often(ctx, log):
    log.errors(5)
    (incident,) = incidents(ctx.store)
    noted = []
    for minute in range(1, 200):
        before = kinds(ctx, incident["id"]).count("still_failing")
        log.errors(1, after=MINUTE)
        if kinds(ctx, incident["id"]).count("still_failing") > before:
            noted.append(minute)
    assert noted == [5, 15, 35, 75, 155]


def test_errors_that_stop_clear_their_incident(ctx, log):
    log.errors(5)
    assert log.silence(600) == NOTHING
    done = log.silence(1)
    (incident,) = incidents(ctx.store)
    assert done == (0, 1, [], [incident["id"]], 0) and incident["cleared_at"] is not None
    assert list(alert_states(ctx.store).values()) == ["resolved"]
    alert = ctx.store.one("SELECT ends_at FROM alerts")
    assert alert["ends_at"] == time_text(NOW + 0.004)
    assert group(ctx)["alerting_since"] is None
    assert log.silence(600) == NOTHING


def test_source_that_was_not_looked_at_ends_nothing(ctx, clock, log):
    log.errors(5)
    clock.at += 100_000
    assert evaluate(ctx, looked_until=NOW + 600) == NOTHING
    assert evaluate(ctx, origin="another") == NOTHING
    assert evaluate(ctx, looked_until=NOW + 601).resolved == 1


def test_errors_that_were_over_before_they_were_read_open_and_clear(ctx, book, clock):
    book.store(pairs(5))
    clock.at += 7200
    done = evaluate(ctx)
    (incident,) = incidents(ctx.store)
    assert done == (1, 1, [incident["id"]], [incident["id"]], 0)
    assert kinds(ctx, incident["id"]) == ["opened", "alert_resolved"]


def test_closing_of_a_cleared_incident_is_asked_for(ctx, log):
    log.errors(5)
    dispatch.dispatch(ctx)
    done = log.silence(700)
    assert dispatch.dispatch(ctx, cleared=done.cleared)["closing"] == done.cleared


def test_errors_that_come_back_reopen_the_incident(ctx, log):
    log.errors(5)
    done = log.silence(601)
    close(ctx, done.cleared[0], "self_resolved")
    assert log.errors(4, after=60) == NOTHING
    again = log.errors(1, after=1)
    assert again == (1, 0, done.cleared, [], 0)
    (incident,) = incidents(ctx.store)
    assert (incident["status"], incident["reopened"]) == ("open", 1)


def test_errors_that_come_back_late_open_a_new_incident(ctx, log):
    log.errors(5)
    close(ctx, log.silence(601).cleared[0], "self_resolved")
    log.errors(5, after=31 * MINUTE)
    assert [row["status"] for row in incidents(ctx.store)] == ["resolved", "open"]


def test_errors_of_the_last_episode_do_not_count_in_the_next(url, clock):
    """Even where the window is longer than the quiet that ended the episode."""
    ctx = book_scene.context(url, clock, window_minutes=60, quiet_minutes=1)
    log = Log(ctx)
    log.errors(20)
    close(ctx, log.silence(61).cleared[0], "self_resolved")
    assert log.errors(4, after=300) == NOTHING
    assert log.errors(1, after=1).raised == 1
    assert group(ctx)["alerting_since"] == time_text(NOW + 361)


def test_closed_incident_whose_errors_go_on_reopens_by_what_came_after(ctx, log):
    log.errors(50)
    (incident,) = incidents(ctx.store)
    log.errors(10, after=301)  # the back-off of the first alert is over
    ctx.clock.at += 1
    close(ctx, incident["id"])
    assert log.errors(0, after=1) == NOTHING
    assert log.errors(4, after=1) == NOTHING
    assert log.errors(1, after=1).incidents == [incident["id"]]
    assert sorted(alert_states(ctx.store).values()) == ["firing", "superseded"]
    assert group(ctx)["alerting_since"] == time_text(NOW + 304)


def test_no_alert_before_the_backoff_and_then_it_comes_by_itself(ctx, log):
    log.errors(5)
    (incident,) = incidents(ctx.store)
    close(ctx, incident["id"])
    assert log.errors(5, after=60) == (0, 0, [], [], 1)
    assert log.silence(200) == (0, 0, [], [], 1)
    assert log.silence(40).incidents == [incident["id"]]


def test_backoff_doubles_with_each_alert_and_starts_anew_after_a_quiet_day(ctx, log):
    waited = []
    for _ in range(5):
        log.errors(5, after=1)
        close(ctx, group(ctx)["incident_id"])
        start = ctx.clock.at
        assert group(ctx)["alerting_since"] is not None
        log.errors(5, after=1)
        waited.append(round((group(ctx)["next_alert_at"] - start) / MINUTE))
        ctx.clock.at = group(ctx)["next_alert_at"]
        assert log.errors(5).raised == 1
        close(ctx, group(ctx)["incident_id"])
        ctx.clock.at = group(ctx)["next_alert_at"]
    assert waited == [5, 20, 80, 320, 1280]
    log.silence(90_000)
    log.errors(5)
    assert group(ctx)["alerts"] == 1
    assert group(ctx)["next_alert_at"] == ctx.clock.at + 300


def test_errors_that_come_and_go_within_the_backoff_are_told_and_not_alerted(url, clock):
    ctx = book_scene.context(url, clock, realert_minutes=60)
    log = Log(ctx)
    log.errors(5)
    close(ctx, log.silence(601).cleared[0], "self_resolved")
    assert log.errors(5, after=60).waiting == 1
    assert log.silence(599).waiting == 1
    assert log.silence(2) == NOTHING
    (incident,) = incidents(ctx.store)
    assert incident["status"] == model.RESOLVED
    assert kinds(ctx, incident["id"])[-1] == "came_and_went"
    ctx.clock.at += 7200
    assert evaluate(ctx) == NOTHING


def test_clock_that_was_set_back_does_not_silence_a_group(ctx, clock, log):
    log.errors(5)
    close(ctx, incidents(ctx.store)[0]["id"])
    ctx.store.execute("UPDATE error_groups SET next_alert_at = ?", (clock.at + 400 * 86400,))
    assert log.errors(5, after=10).raised == 1


def test_incident_handed_over_still_takes_its_errors(ctx, log):
    log.errors(5)
    (incident,) = incidents(ctx.store)
    registry.hand_over(ctx.store, incident["id"], model.ESCALATED, "yours")
    assert log.errors(50, after=400) == NOTHING
    assert len(incidents(ctx.store)) == 1


def test_group_whose_incident_is_gone_starts_anew(ctx, log):
    log.errors(5)
    for table in ("incidents", "alerts", "incident_events"):
        ctx.store.execute("DELETE FROM %s" % table)
    assert log.errors(5, after=301).raised == 1
    for table in ("incidents", "alerts", "incident_events"):
        ctx.store.execute("DELETE FROM %s" % table)
    assert log.silence(601).resolved == 1
    assert incidents(ctx.store) == [] and group(ctx)["alerting_since"] is None


def test_storm_counts_towards_the_threshold(ctx, book):
    minute = int(NOW // 60)
    shares = [(*pair(1), 4)]
    book.count_storm("logs", minute, [("a", 4, shares)])
    assert evaluate(ctx) == NOTHING
    book.store([pair(2, 60.0)])
    assert evaluate(ctx).raised == 1
    signal = load(incidents(ctx.store)[0]["signal"])
    assert signal["annotations"]["count"] == "5"
    assert "aggregation" in signal["annotations"]["counted"]
    assert signal["starts_at"] == time_text(minute * 60)


def test_storm_alone_opens_an_incident_and_ends_when_it_is_over(ctx, book):
    book.count_storm("logs", int(NOW // 60), [("a", 90_000, [(*pair(1), 90_000)])])
    assert evaluate(ctx).raised == 1
    (incident,) = incidents(ctx.store)
    assert incident["title"].startswith("90000 errors in 5 min: boom")
    ctx.clock.at += 700
    assert evaluate(ctx).cleared == [incident["id"]]


def test_many_groups_are_evaluated_in_parts(ctx, book):
    everything = []
    for number in range(1100):
        everything += pairs(5, first=10 * number, host="node-%d" % number)
    book.store(everything)
    done = evaluate(ctx)
    assert done.raised == 1100 == len(set(done.incidents)) == len(incidents(ctx.store))
    ctx.clock.at += 700
    assert len(evaluate(ctx).cleared) == 1100


def test_hostile_text_opens_an_incident_all_the_same(ctx, book):
    text = "\x00 \ud800 {{ x }} <% y %> \u202e" + "z" * 5000
    book.store(pairs(5, message=text, pod=text, namespace=text, program=text))
    assert evaluate(ctx).raised == 1


def test_failure_in_the_middle_leaves_all_to_the_next_evaluation(ctx, book, monkeypatch):
    from selfheal.errors import watch

    book.store(pairs(5))

    def fails(*_ignored):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(watch, "_settle", fails)
        with pytest.raises(KeyboardInterrupt):
            evaluate(ctx)
    assert incidents(ctx.store) == [] and group(ctx)["pending_from"] == NOW
    assert evaluate(ctx).raised == 1


def test_dispatch_asks_for_a_response_once(url, clock):
    triggers = alert_scene.Triggers()
    ctx = book_scene.context(url, clock, triggers)
    log = Log(ctx)
    log.errors(5)
    dispatch.dispatch(ctx)
    log.errors(50, after=30)
    dispatch.dispatch(ctx)
    assert [name for name, _ in triggers.sent] == ["selfheal.elk_error"]
