"""What matters now, on one screen."""

from __future__ import annotations

import pytest

from selfheal.guard import pause as pauses
from selfheal.operate.overview import MOST_SHOWN, overview
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path):
    made = scenes.context_for(tmp_path, clock=scenes.StillClock())
    yield made
    made.close()


def test_nothing_amiss_is_said_in_two_lines(ctx):
    found = overview(ctx)
    assert found["lines"][0] == "0 incidents not resolved"
    assert (found["open"], found["incidents"], found["waiting"]) == (0, [], 0)
    assert found["next"] in ("heal health", "heal stats")


def test_who_is_to_act_comes_before_what_is_only_recorded(ctx):
    for status, severity in (
        ("observed", "critical"), ("open", "info"), ("escalated", "warning"),
        ("resolved", "critical"), ("remediating", "critical"),
    ):
        scenes.add_incident(ctx.store, status=status, severity=severity, title=status)
    found = overview(ctx)
    assert [one["status"] for one in found["incidents"]] == [
        "remediating", "escalated", "open", "observed",
    ]
    assert found["counts"] == {"observed": 1, "open": 1, "escalated": 1, "remediating": 1}
    assert found["open"] == 4
    assert found["next"] == "heal timeline " + found["incidents"][0]["incident_id"]


def test_many_incidents_keep_it_to_one_screen(ctx):
    for _number in range(40):
        scenes.add_incident(ctx.store, title="x" * 5000, severity="critical")
    pauses.begin(ctx.store, pauses.scope_of("global"), "bob", "we move", None, False)
    found = overview(ctx)
    assert len(found["incidents"]) == MOST_SHOWN and len(found["lines"]) <= 10
    assert found["lines"][-1] == "and %d more: heal incidents" % (40 - MOST_SHOWN)
    assert any(line.startswith("PAUSED: global is paused by bob") for line in found["lines"])
    assert max(len(line) for line in found["lines"]) < 400


@pytest.mark.parametrize(
    ("seconds", "age"), [(30, "0 min"), (3540, "59 min"), (7300, "2 h"), (400000, "4 days")]
)
def test_an_incident_tells_how_old_it_is(ctx, seconds, age):
    scenes.add_incident(ctx.store, opened_at=ctx.store.now() - seconds)
    assert overview(ctx)["incidents"][0]["age"] == age


def test_a_question_comes_first_unless_its_time_is_over(ctx, tmp_path):
    from selfheal.respond.analyze import analyze_incident
    from selfheal.respond.approval.asking import request_approval

    scenes.write_runbook(tmp_path, risk="destructive")
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    request_approval(ctx, incident_id)
    found = overview(ctx)
    assert found["waiting"] == 1 and found["next"] == "heal approvals"
    ctx.clock.advance(86400)
    assert overview(ctx)["waiting"] == 0


def test_secrets_are_hidden(tmp_path):
    ctx = scenes.context_for(tmp_path, values={"notify": {"webhook": {"token": "tok-sekrit-1"}}})
    scenes.add_incident(ctx.store, title="leaked tok-sekrit-1")
    assert "sekrit" not in repr(overview(ctx))
    ctx.close()
