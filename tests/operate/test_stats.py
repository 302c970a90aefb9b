"""Statistics: what is counted, that nothing is counted twice or lost between records, and what
being up means.
"""

from __future__ import annotations

import json
import logging

import pytest

from selfheal.diagnose import solutions
from selfheal.errors import tally
from selfheal.exceptions import InvalidInput
from selfheal.incidents import model, registry, timeline
from selfheal.operate.housekeeping import housekeeping
from selfheal.operate.stats import EVERY_S, GAP_S, last_record, record_statistics, stats
from selfheal.store import load
from tests import scene

HOUR = 3600.0


@pytest.fixture(params=scene.BOTH)
def ctx(request, tmp_path):
    return scene.context(scene.store_url(request.param, tmp_path))


@pytest.fixture
def quick(tmp_path):
    """On SQLite alone: for what does not depend on the database."""
    return scene.context(scene.store_url("sqlite", tmp_path))


def opened(ctx, name, source="elk", **columns):
    scene.incident(ctx.store, name, source=source, **columns)
    timeline.record(ctx.store, name, "opened", "opened")


def tried(ctx, name, status="done", verified=None):
    scene.execution(ctx.store, "exe-" + name, name, status=status, verified=verified)
    ctx.store.execute(
        "UPDATE execution_history SET finished_at = ? WHERE id = ?",
        (None if status == "running" else ctx.clock.at, "exe-" + name),
    )


def lived(ctx):
    """One incident of every fate: the names say which."""
    for name in ("healed", "gone", "byhand", "disproven", "broken", "lying", "ticket"):
        opened(ctx, name, source="alertmanager" if name == "ticket" else "elk")
    for name in ("healed", "disproven", "broken", "lying"):
        timeline.record(ctx.store, name, "analyzed", "looked at")
    ctx.clock.at += 120
    tried(ctx, "healed", verified=1)
    tried(ctx, "disproven", verified=0)
    tried(ctx, "broken", status="failed")
    tried(ctx, "lying", status="running")
    registry.resolve(ctx.store, "healed", "remediated", "closed")
    registry.resolve(ctx.store, "gone", "self_resolved", "closed")
    ctx.clock.at += 60
    registry.resolve(ctx.store, "byhand", "manual", "closed")
    for name in ("disproven", "broken"):
        registry.hand_over(ctx.store, name, model.ESCALATED, "help")
    registry.hand_over(ctx.store, "ticket", model.TICKETED, "later")
    ctx.clock.at += 30


def test_every_fate_of_an_incident_is_counted(ctx):
    lived(ctx)
    found = stats(ctx, 1)
    assert found["incidents"] == {
        "detected": 7,
        "reopened": 0,
        "analysed": 4,
        "resolved": 3,
        "remediated": 1,
        "self_resolved": 1,
        "manual": 1,
        "escalated": 2,
        "observed": 0,
        "ticketed": 1,
        "failed": 2,
    }
    for name in ("detected", "analysed", "resolved", "failed"):
        assert found[name] == found["incidents"][name]
    assert found["open"] == {"active": 1, "handed_over": 3}
    assert found["remediations"] == {"tried": 4, "succeeded": 1, "failed": 2, "undecided": 1}
    assert (found["success_rate"], found["success"]) == (0.333, "1 of 3, 1 undecided")
    assert found["mean_time_to_resolve_s"] == 140.0  # two after 120 s, one after 180 s
    assert found["by_source"]["alertmanager"]["detected"] == 1
    assert found["by_source"]["elk"]["mean_time_to_resolve_s"] == 140.0
    assert found["by_source"]["alertmanager"]["open"] == {"active": 0, "handed_over": 1}
    assert "7 incidents detected" in found["summary"] and "1 of 3" in found["summary"]
    json.dumps(found)


def test_only_what_happened_within_the_hours_counts(ctx):
    lived(ctx)
    ctx.clock.at += 2 * HOUR
    opened(ctx, "new")
    assert stats(ctx, 1)["detected"] == 1 and stats(ctx, 1)["resolved"] == 0
    assert stats(ctx, 1)["open"]["active"] == 2  # what is open is open, however old
    assert stats(ctx, 1)["success"] == "none tried" and stats(ctx, 1)["success_rate"] is None
    assert stats(ctx, 3)["detected"] == 8


def test_dry_runs_and_refusals_are_no_tries(quick):
    opened(quick, "inc-1")
    scene.execution(quick.store, "exe-1", status="planned", dry_run=1)
    scene.execution(quick.store, "exe-2", status="refused")
    assert stats(quick)["remediations"]["tried"] == 0
    assert stats(quick)["success"] == "none tried"


def test_remediation_that_nobody_judged_yet_is_no_failure(quick):
    opened(quick, "inc-1", status="verifying")
    tried(quick, "inc-1")
    assert (stats(quick)["success"], stats(quick)["success_rate"]) == ("none judged yet", None)
    registry.resolve(quick.store, "inc-1", "remediated", "its signal went away after the fix")
    assert (stats(quick)["success"], stats(quick)["success_rate"]) == ("1 of 1", 1.0)


def test_reopened_incident_is_timed_from_its_return(quick):
    opened(quick, "inc-1")
    quick.clock.at += 1000
    registry.resolve(quick.store, "inc-1", "manual", "closed")
    quick.clock.at += 5000
    quick.store.execute("UPDATE incidents SET status = 'open', resolved_at = NULL, reopened = 1")
    timeline.record(quick.store, "inc-1", "reopened", "back")
    quick.clock.at += 50
    registry.resolve(quick.store, "inc-1", "remediated", "closed")
    found = stats(quick)
    assert found["mean_time_to_resolve_s"] == 50.0
    assert (found["incidents"]["reopened"], found["resolved"]) == (1, 2)


def test_alert_of_which_only_the_end_came_is_not_detected(quick):
    at = quick.clock.at
    opened(quick, "inc-1", status="resolved", opened_at=at, resolved_at=at)
    found = stats(quick)
    assert (found["detected"], found["resolved"], found["mean_time_to_resolve_s"]) == (0, 0, None)


def test_documents_count_by_where_they_came_from(ctx):
    tally.add(ctx.store, {"prod": (90, 2, 5), "edge": (10, 0, 0), "idle": (0, 0, 0)})
    tally.add(ctx.store, {"prod": (-4, 0, 0)})  # a storm was counted again, and more exactly
    found = stats(ctx)
    assert (found["documents"], found["unreadable"], found["errors"]) == (96, 2, 94)
    assert found["new_patterns"] == 5
    assert found["by_origin"] == {
        "edge": {"documents": 10, "unreadable": 0, "new_patterns": 0},
        "prod": {"documents": 86, "unreadable": 2, "new_patterns": 5},
    }
    ctx.clock.at += 25 * HOUR
    assert stats(ctx)["documents"] == 0


@pytest.mark.parametrize("hours", [0, -1, 9000, True, float("nan")])
def test_senseless_hours_are_refused(quick, hours):
    with pytest.raises(InvalidInput, match="hours must be"):
        stats(quick, hours)


def test_parts_say_how_they_are(quick):
    housekeeping(quick)
    assert stats(quick)["components"]["housekeeping"]["status"] == "ok"


def records(ctx):
    rows = ctx.store.query("SELECT figures FROM statistics ORDER BY at")
    return [load(row["figures"]) for row in rows]


def test_a_record_is_written_every_five_minutes_and_told_to_the_log(ctx, caplog):
    caplog.set_level(logging.INFO)
    tally.add(ctx.store, {"prod": (7, 0, 1)})
    opened(ctx, "inc-1")
    ctx.clock.at += EVERY_S
    assert record_statistics(ctx)["documents"] == 7
    for _ in range(4):
        ctx.clock.at += 60
        assert record_statistics(ctx) == {}
    ctx.clock.at += 60
    assert record_statistics(ctx)["documents"] == 0
    assert len(records(ctx)) == 2
    lines = [entry.message for entry in caplog.records if entry.message.startswith("statistics")]
    assert len(lines) == 2 and "documents=7" in lines[0] and "detected=1" in lines[0]


def test_records_follow_each_other_without_gap_or_overlap(ctx):
    for number in range(40):
        tally.add(ctx.store, {"prod": (number, 1, 0)})
        opened(ctx, "inc-%d" % number)
        ctx.clock.at += 97
        record_statistics(ctx)
    ctx.clock.at += EVERY_S
    record_statistics(ctx)
    found = records(ctx)
    for before, after in zip(found, found[1:]):
        assert before["until"] == after["since"]
    total = found[-1]["total"]["counts"]
    assert (total["documents"], total["unreadable"], total["detected"]) == (780, 40, 40)
    assert sum(one["period"]["counts"]["documents"] for one in found) == 780
    assert total["documents"] == stats(ctx)["documents"]


def test_first_record_takes_in_what_was_before_there_were_records(quick):
    lived(quick)
    quick.clock.at += 24 * HOUR
    record_statistics(quick)
    assert records(quick)[0]["total"]["counts"]["detected"] == 7
    assert records(quick)[0]["total"]["resolving"] == {"incidents": 3, "seconds": 420.0}


def test_sums_outlive_what_was_counted(quick):
    lived(quick)
    quick.clock.at += EVERY_S
    record_statistics(quick)
    for table in ("incidents", "incident_events", "execution_history", "error_intake"):
        quick.store.execute("DELETE FROM %s" % table)
    quick.clock.at += EVERY_S
    record_statistics(quick)
    assert records(quick)[-1]["total"]["counts"]["detected"] == 7
    assert records(quick)[-1]["total"]["by_source"]["elk"]["remediated"] == 1


def test_success_rate_so_far_comes_from_what_the_signal_proved(quick):
    scene.incident(quick.store)
    incident = registry.get(quick.store, "inc-1")
    plan = {"remedy": "runbook", "runbook": "restart", "scope": "web"}
    for helped in (True, True, False):
        solutions.record(quick.store, incident, plan, helped, None)
    record_statistics(quick)
    total = records(quick)[0]["total"]
    assert total["remediations"] == {"succeeded": 2, "failed": 1}
    assert total["success_rate"] == 0.667


def test_up_since_the_first_record_after_which_none_was_missing(ctx):
    assert stats(ctx)["uptime"] == {
        "is_up": False,
        "since": None,
        "seconds": 0,
        "last_seen": None,
    }
    start = ctx.clock.at
    for _ in range(10):
        housekeeping(ctx)
        ctx.clock.at += 60
    uptime = stats(ctx)["uptime"]
    assert uptime["is_up"] and uptime["seconds"] == ctx.clock.at - start
    ctx.clock.at += GAP_S
    uptime = stats(ctx)["uptime"]
    assert not uptime["is_up"] and uptime["seconds"] == EVERY_S  # as long as it was seen
    housekeeping(ctx)
    uptime = stats(ctx)["uptime"]
    assert uptime["is_up"] and uptime["seconds"] == 0


def test_clock_that_is_set_back_stops_nothing(quick):
    record_statistics(quick)
    quick.clock.at -= 10 * HOUR
    tally.add(quick.store, {"prod": (3, 0, 0)})
    quick.clock.at += EVERY_S
    assert record_statistics(quick)["documents"] == 3
    quick.clock.at += EVERY_S
    assert record_statistics(quick)["documents"] == 0
    assert last_record(quick.store, quick.clock.at)["at"] == quick.clock.at
