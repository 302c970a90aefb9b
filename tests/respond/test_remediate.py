"""Carrying out the plan through the action functions: outcomes, records, refusals, locks."""

from __future__ import annotations

import json
import sys

import pytest

from selfheal.guard import locks
from selfheal.incidents import model, registry
from selfheal.remedy import journal
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from tests import web
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


def decided(ctx, run_id="run-1", **fields) -> str:
    """An incident that was analyzed and decided for `run_id`."""
    incident_id = scenes.add_incident(ctx.store, **fields)
    assert analyze_incident(ctx, incident_id, run_id)["state"] == "claimed"
    assert determine_response_strategy(ctx, incident_id, run_id)["strategy"] == "automated"
    return incident_id


def test_all_steps_are_done_and_recorded(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path,
        values={"SERVICE": "labels.service"},
        steps=[
            {
                "name": "restart",
                "command": scenes.shell('echo "restarted $SERVICE" > %s/done' % tmp_path),
            },
            {"name": "look", "command": {"argv": ["cat", str(tmp_path / "done")]}},
        ],
    )
    incident_id = decided(ctx)
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "done"
    assert [(step["name"], step["status"]) for step in answer["steps"]] == [
        ("restart", "done"),
        ("look", "done"),
    ]
    assert (tmp_path / "done").read_text() == "restarted shop\n"
    row = scenes.rows_of(ctx.store, "execution_history")[0]
    assert (row["id"], row["status"], row["verified"]) == (answer["execution_id"], "done", None)
    assert json.loads(row["outcome"])["steps"][1]["stdout"] == "restarted shop\n"
    assert registry.get(ctx.store, incident_id).status == model.REMEDIATING
    kinds = [entry["kind"] for entry in scenes.timeline_of(ctx.store, incident_id)]
    assert kinds == [
        "analyzed",
        "decided",
        "guard_allowed",
        "remediation_started",
        "remediation_step",
        "remediation_step",
        "remediation_finished",
    ]
    assert locks.holder(ctx.store, "target:shop") is None


def test_a_step_that_fails_ends_the_runbook_and_is_told(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path,
        steps=[
            {"name": "break", "command": scenes.shell("echo why >&2; exit 3")},
            {"name": "never", "command": scenes.shell("touch %s/never" % tmp_path)},
        ],
    )
    incident_id = decided(ctx)
    answer = remediate(ctx, incident_id, "run-1")
    assert (answer["outcome"], [step["status"] for step in answer["steps"]]) == (
        "failed",
        ["failed"],
    )
    assert answer["reason"] == "step break: ended with exit code 3; expected 0"
    assert not (tmp_path / "never").exists()
    assert (
        scenes.timeline_of(ctx.store, incident_id, "remediation_step")[0]["data"]["stderr"] ==
        "why\n"
    )


def test_conditions_waits_api_calls_and_values_of_steps(ctx, tmp_path):
    with web.serving() as site:
        scenes.write_runbook(
            tmp_path,
            values={"OLD": "steps.look.stdout", "WHO": "labels.service"},
            steps=[
                {"name": "look", "command": scenes.shell("echo 42; exit 3"), "expect_exit": [3]},
                {
                    "name": "is42",
                    "condition": {"value": "steps.look.stdout", "is": "equals", "to": 42},
                },
                {
                    "name": "big",
                    "condition": {"value": "steps.look.stdout", "is": "greater_than", "to": 7},
                },
                {
                    "name": "mine",
                    "condition": {"value": "labels.service", "is": "starts_with", "to": "sh"},
                },
                {
                    "name": "tell",
                    "api_call": {
                        "method": "POST",
                        "url": site.url + "/x",
                        "json": {"a": ["{"]},
                        "headers": {"X-Why": "heal"},
                        "expect_status": [200],
                    },
                },
                {
                    "name": "body",
                    "condition": {"value": "steps.tell.body", "is": "contains", "to": "ok"},
                },
                {
                    "name": "up",
                    "wait": {"until": {"http": {"url": site.url + "/up"}}, "timeout_s": 120},
                },
                {
                    "name": "use",
                    "command": scenes.shell('printf "%%s %%s" "$OLD" "$WHO" > %s/used' % tmp_path),
                },
                {
                    "name": "enough",
                    "condition": {"value": "annotations.none", "is": "not_empty"},
                    "otherwise": "stop",
                },
                {"name": "never", "command": scenes.shell("touch %s/never" % tmp_path)},
            ],
        )
        answer = remediate(ctx, decided(ctx), "run-1")
    assert (answer["outcome"], len(answer["steps"])) == ("done", 9)
    method, path, body, headers = site.asked[0]
    assert (method, path, json.loads(body), headers["X-Why"]) == (
        "POST",
        "/x",
        {"a": ["{"]},
        "heal",
    )
    assert (tmp_path / "used").read_text() == "42\n shop"
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    "step, words",
    [
        (
            {"condition": {"value": "labels.service", "is": "equals", "to": "x"}},
            "labels.service equals 'x': no",
        ),
        (
            {"api_call": {"method": "GET", "url": "{site}/x", "expect_status": [204]}},
            "answered 200; expected 204",
        ),
        ({"api_call": {"method": "GET", "url": "http://127.0.0.1:1/"}}, "refused"),
        (
            {"wait": {"until": {"http": {"url": "{site}/x", "status": 503}}, "timeout_s": 0.3}},
            "gave up",
        ),
        ({"command": {"argv": ["sleep", "60"]}, "timeout_s": 0.3}, "stopped after "),
        ({"command": {"argv": ["no-such-program"]}}, "cannot start 'no-such-program'"),
    ],
)
def test_each_kind_of_step_can_fail_and_says_why(ctx, tmp_path, step, words):
    with web.serving() as site:
        step = json.loads(json.dumps(step).replace("{site}", site.url))
        scenes.write_runbook(tmp_path, steps=[{"name": "one", **step}])
        answer = remediate(ctx, decided(ctx), "run-1")
    assert answer["outcome"] == "failed"
    assert words in answer["reason"]


def test_the_runbooks_time_ends_all_of_it(tmp_path):
    # By a clock that stands nothing of its time is over before its first step begins.
    ctx = scenes.context_for(tmp_path, clock=scenes.StillClock())
    scenes.write_runbook(
        tmp_path,
        timeout_s=2,
        steps=[
            {"name": "long", "command": {"argv": ["sleep", "60"]}},
            {"name": "never", "command": {"argv": ["true"]}},
        ],
    )
    answer = remediate(ctx, decided(ctx), "run-1")
    assert (answer["outcome"], len(answer["steps"])) == ("failed", 1)
    assert "its whole process group" in answer["reason"]
    ctx.close()


def test_resolver_timeout_bounds_what_a_runbook_asks_for(tmp_path):
    ctx = scenes.context_for(tmp_path, timeout=2)
    scenes.write_runbook(
        tmp_path, timeout_s=3600, steps=[{"name": "long", "command": {"argv": ["sleep", "60"]}}]
    )
    assert remediate(ctx, decided(ctx), "run-1")["outcome"] == "failed"
    ctx.close()


def test_hostile_labels_arrive_whole_and_nothing_is_evaluated(ctx, tmp_path):
    hostile = (
        "$(touch %s/owned) `id` \"'\n{{ config_context.jira_password }} <%% ctx() %%> \u202e"
        % tmp_path
    )
    scenes.write_runbook(
        tmp_path,
        values={"WHAT": "labels.what", "WHY": "annotations.why"},
        steps=[
            {"name": "echo", "command": scenes.shell('printf %%s "$WHAT$WHY" > %s/got' % tmp_path)}
        ],
    )
    incident_id = decided(ctx, labels={"what": hostile}, annotations={"why": hostile})
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    assert (tmp_path / "got").read_bytes() == (hostile * 2).encode("utf-8")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("value", ["a\x00b", "a\ud800"])
def test_a_value_that_no_process_can_take_fails_the_step(ctx, tmp_path, value):
    scenes.write_runbook(tmp_path, values={"WHAT": "labels.what"})
    answer = remediate(ctx, decided(ctx, labels={"what": value}), "run-1")
    assert answer["outcome"] == "failed" and "the value of WHAT" in answer["reason"]


@pytest.mark.parametrize("by_parameter", [True, False])
def test_a_dry_run_tells_the_whole_plan_and_touches_nothing(ctx, tmp_path, by_parameter):
    scenes.write_runbook(
        tmp_path,
        values={"SERVICE": "labels.service"},
        steps=[
            {
                "name": "touch",
                "command": scenes.shell("touch %s/touched" % tmp_path),
                "undo": {"command": {"argv": ["rm", str(tmp_path / "touched")]}},
            },
            {"name": "pause", "wait": {"seconds": 60}},
        ],
    )
    incident_id = decided(ctx, dry_run=0 if by_parameter else 1)
    answer = remediate(ctx, incident_id, "run-1", dry_run=by_parameter)
    assert (answer["outcome"], [step["name"] for step in answer["steps"]]) == (
        "planned",
        ["touch", "pause"],
    )
    assert not (tmp_path / "touched").exists()
    assert scenes.rows_of(ctx.store, "undo_log") == []
    row = scenes.rows_of(ctx.store, "execution_history")[0]
    assert (row["status"], row["dry_run"]) == ("planned", 1)
    told = scenes.timeline_of(ctx.store, incident_id, "remediation_planned")[0]["data"]
    assert told["values"] == {"SERVICE": "shop"}
    assert [step["what"] for step in told["steps"]] == [
        "run a script of 1 lines by /bin/sh",
        "wait 60 s",
    ]
    assert registry.get(ctx.store, incident_id).status == model.ANALYZING


def test_nothing_is_done_when_the_alert_went_away_before(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path, steps=[{"name": "a", "command": scenes.shell("touch %s/touched" % tmp_path)}]
    )
    incident_id = decided(ctx)
    scenes.clear(ctx.store, incident_id)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "cleared"
    assert not (tmp_path / "touched").exists()


def test_it_stops_between_two_steps_when_the_alert_goes_away(ctx, tmp_path):
    undo = {"command": scenes.shell("touch %s/undone" % tmp_path)}
    scenes.write_runbook(
        tmp_path,
        steps=[
            {
                "name": "first",
                "command": scenes.shell(
                    '%s -c \'import sqlite3; c = sqlite3.connect("%s"); '
                    'c.execute("UPDATE incidents SET cleared_at = 1"); c.commit()\''
                    % (sys.executable, tmp_path / "selfheal.db")
                ),
                "undo": undo,
            },
            {"name": "second", "command": scenes.shell("touch %s/second" % tmp_path)},
        ],
    )
    incident_id = decided(ctx)
    answer = remediate(ctx, incident_id, "run-1")
    assert (answer["outcome"], [step["name"] for step in answer["steps"]]) == ("cleared", ["first"])
    assert not (tmp_path / "second").exists()
    # The signal is well as things are now, so nothing is taken back, now or by a later response.
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "nothing"
    assert not (tmp_path / "undone").exists()


def test_a_wait_ends_when_the_alert_goes_away(tmp_path):
    clock = scenes.StillClock()
    ctx = scenes.context_for(tmp_path, clock=clock)
    scenes.write_runbook(tmp_path, steps=[{"name": "pause", "wait": {"seconds": 20}}])
    incident_id = decided(ctx)
    sleep = clock.sleep

    def clear_after_three(seconds):
        sleep(seconds)
        if len(clock.slept) == 3:
            scenes.clear(ctx.store, incident_id)

    clock.sleep = clear_after_three
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "cleared"
    assert sum(clock.slept) == 3.0
    ctx.close()


def test_secrets_of_the_configuration_do_not_get_into_the_record(tmp_path):
    ctx = scenes.context_for(tmp_path, values={"notify": {"webhook": {"token": "s3cret-token"}}})
    scenes.write_runbook(
        tmp_path, steps=[{"name": "leak", "command": {"argv": ["echo", "it is s3cret-token"]}}]
    )
    incident_id = decided(ctx)
    remediate(ctx, incident_id, "run-1")
    assert "s3cret-token" not in json.dumps(scenes.timeline_of(ctx.store, incident_id))
    assert "s3cret-token" not in scenes.rows_of(ctx.store, "execution_history")[0]["outcome"]
    ctx.close()


def test_secrets_that_a_step_printed_are_not_kept_for_the_undo_of_the_next(tmp_path):
    ctx = scenes.context_for(tmp_path, values={"notify": {"webhook": {"token": "s3cret-token"}}})
    leak = "printf %7990d 0; echo s3cret-token"  # where the record cuts
    scenes.write_runbook(
        tmp_path,
        steps=[
            {"name": "leak", "command": scenes.shell(leak)},
            {
                "name": "act",
                "command": {"argv": ["true"]},
                "undo": {"command": {"argv": ["true"]}},
            },
        ],
    )
    incident_id = decided(ctx)
    remediate(ctx, incident_id, "run-1")
    everything = json.dumps(
        [
            scenes.rows_of(ctx.store, table)
            for table in ("undo_log", "execution_history", "incident_events")
        ]
    )
    assert "leak" in everything and "s3cr" not in everything
    ctx.close()


def test_the_outcome_is_written_when_the_remedy_breaks_off_by_a_defect(ctx, tmp_path, monkeypatch):
    scenes.write_runbook(tmp_path)
    incident_id = decided(ctx)
    monkeypatch.delattr("selfheal.remedy.steps.carry_out")
    with pytest.raises(AttributeError):
        remediate(ctx, incident_id, "run-1")
    assert scenes.rows_of(ctx.store, "execution_history")[0]["status"] == journal.FAILED
    assert locks.holder(ctx.store, "target:shop") is None
