"""What is found out: is the signal there, which runbook, what experience says, what could not be
asked.
"""

from __future__ import annotations

import pytest

from selfheal.diagnose import analyze as diagnosis
from selfheal.diagnose import history
from selfheal.incidents import registry
from selfheal.remedy import journal
from tests import web
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, url):
    context = scenes.context_for(tmp_path, url=url)
    yield context
    context.close()


def analysis_of(ctx, incident_id):
    return diagnosis.analyze(ctx, registry.get(ctx.store, incident_id))


def words(analysis):
    return "\n".join("%s: %s" % (item["what"], item["found"]) for item in analysis.evidence)


def past_run(ctx, group_key, status="done", verified=None, name="restart_shop", dry=False):
    incident_id = scenes.add_incident(ctx.store, group_key=group_key, status="resolved")
    execution = journal.begin(
        ctx.store,
        incident_id,
        "old",
        {"remedy": "runbook", "runbook": name, "risk": "reversible"},
        status,
        is_dry=dry,
        outcome={},
    )
    if verified is not None:
        journal.set_verified(ctx.store, execution, verified)


def test_a_fitting_runbook_becomes_a_plan(ctx, tmp_path):
    path = scenes.write_runbook(tmp_path)
    found = analysis_of(
        ctx, scenes.add_incident(ctx.store, namespace="prod", workload="web", cluster="edge")
    )
    assert {
        key: found.plan[key]
        for key in ("remedy", "runbook", "path", "risk", "confidence", "steps", "scope")
    } == {
        "remedy": "runbook",
        "runbook": "restart_shop",
        "path": str(path),
        "risk": "reversible",
        "confidence": 0.9,
        "steps": [{"name": "say", "kind": "command"}],
        "scope": "edge/prod/web",
    }
    assert not found.is_gone


def test_without_a_fitting_runbook_there_is_no_plan_and_broken_ones_are_named(ctx, tmp_path):
    scenes.write_runbook(tmp_path, name="bad", risk="none")
    scenes.write_runbook(
        tmp_path, name="severe", metadata={"alert_type": "ServiceDown", "severity": "info"}
    )
    found = analysis_of(ctx, scenes.add_incident(ctx.store))
    assert found.plan is None
    assert "runbook severe: it is for severity info only" in words(found)
    assert "broken runbook: runbook %s/runbooks/bad.yaml: risk must be one of" % tmp_path in words(
        found
    )


def test_experience_on_the_same_cause_moves_the_confidence(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    for verified in (True, False, False, False):
        past_run(ctx, "same", verified=verified)
    past_run(ctx, "same", status="failed")
    past_run(ctx, "other", verified=False)
    past_run(ctx, "same", name="another", verified=False)
    past_run(ctx, "same")  # nobody judged it
    past_run(ctx, "same", verified=False, dry=True)
    found = analysis_of(ctx, scenes.add_incident(ctx.store, group_key="same", status="open"))
    assert found.plan["confidence"] == pytest.approx((0.9 * 4 + 1) / 9, abs=0.001)
    assert (
        "confidence 0.51: the runbook states 0.90 and helped in 1 of 5 runs on this cause"
        in found.summary
    )
    assert found.times_seen == 8


def test_a_cause_never_seen_says_so(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    found = analysis_of(ctx, scenes.add_incident(ctx.store))
    assert "it has not been tried on this cause" in found.summary
    assert "0 other incidents of this cause in the last 30 days" in words(found)


def test_confidence_stays_between_nothing_and_certainty():
    for helped in (0, 1, 50):
        for failed in (0, 1, 50):
            for confidence in (0.0, 0.5, 1.0):
                assert (
                    0.0 <= history.adjusted(confidence, history.Experience(helped, failed)) <= 1.0
                )


def test_an_alertmanager_that_does_not_answer_is_noted_and_stops_nothing(ctx, tmp_path):
    scenes.write_runbook(tmp_path)
    with web.nobody() as url:
        ctx.config.values["alertmanager"] = {"url": url, "timeout_s": 600}
        found = analysis_of(ctx, scenes.add_incident(ctx.store, source="alertmanager"))
    assert found.plan is not None and not found.is_gone
    assert "could not be asked: GET http://127.0.0.1" in words(found)


@pytest.mark.parametrize(
    "uptime, is_gone", [("2020-01-01T00:00:00.000Z", True), ("2999-01-01T00:00:00.000Z", False)]
)
def test_an_alert_gone_at_its_source_is_believed_unless_the_source_has_just_started(
    ctx, tmp_path, uptime, is_gone
):
    with web.serving() as site:
        answers = {"/api/v2/alerts": b"[]", "/api/v2/status": b'{"uptime": "%s"}' % uptime.encode()}
        site.answers = answers
        ctx.config.values["alertmanager"] = {"url": site.url, "timeout_s": 600}
        assert (
            analysis_of(ctx, scenes.add_incident(ctx.store, source="alertmanager")).is_gone
            is is_gone
        )
