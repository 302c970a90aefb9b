"""The engine end to end: webhook, rule, action, trigger, rule, workflow, tasks; what a rule may and
may not do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Tuple

import pytest

from standalone.engine import Engine, ParamError, UnknownAction
from tests.standalone.miniature import Heard, Miniature


@pytest.fixture()
def mini(tmp_path: Path) -> Miniature:
    return Miniature(tmp_path)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[Engine, Heard]]:
    heard = Heard()
    with Miniature(tmp_path_factory.mktemp("pack")).engine(on_event=heard) as engine:
        yield engine, heard


def test_webhook_leads_through_rules_and_a_workflow_to_five_tasks(mini: Miniature) -> None:
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        status, _ = engine.post_webhook("alerts", {"numbers": [1, 2]})
        assert status == 202
        assert engine.wait_idle(180)
        records = engine.executions()
    workflows = [each for each in records if each.action_ref == "mini.respond"]
    assert [each.status for each in workflows] == ["succeeded", "succeeded"]
    assert [each.result for each in workflows] == [{"output": {"resolved": True}}] * 2
    assert {each.rule_ref for each in workflows} == {"mini.respond"}
    for workflow in workflows:
        tasks = [each.task_name for each in records if each.parent_id == workflow.id]
        assert tasks == ["one", "two", "three", "four", "five"]
    first = heard.kinds()
    assert first[:3] == ["trigger_injected", "rule_matched", "execution_started"]


def test_rule_that_is_off_runs_only_when_asked_for(mini: Miniature) -> None:
    mini.rule(
        "hook",
        """
        trigger: {type: core.st2.webhook, parameters: {url: alerts}}
        action: {ref: mini.echo, parameters: {value: heard}}
        """,
        enabled=False,
    )
    with mini.engine() as engine:
        assert engine.post_webhook("alerts", {})[0] == 404
    with mini.engine(enable_rules=["hook"]) as engine:
        assert engine.post_webhook("alerts", {})[0] == 202
        assert engine.wait_idle(180)
        assert [each.action_ref for each in engine.executions()] == ["mini.echo"]


def test_rule_whose_parameters_cannot_be_rendered_leaves_a_failed_execution(
    mini: Miniature,
) -> None:
    mini.rule(
        "bad",
        """
        trigger: {type: mini.alert}
        action: {ref: mini.echo, parameters: {value: "{{ trigger.nope }}"}}
        """,
    )
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        engine.inject("mini.alert", {"incident_id": "x"})
        assert engine.wait_idle(180)
        records = engine.executions()
    assert [(each.action_ref, each.status) for each in records] == [("mini.echo", "failed")]
    assert "nope" in records[0].result["error"]
    assert [each["rule"] for each in heard.of("rule_failed")] == ["mini.bad"]


def test_rule_on_a_missing_action_fails_alone(mini: Miniature) -> None:
    mini.rule("missing", "trigger: {type: mini.alert}\naction: {ref: mini.none}\n")
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        engine.inject("mini.alert", {"incident_id": "x", "status": "firing"})
        assert engine.wait_idle(180)
        assert any(each.action_ref == "mini.respond" for each in engine.executions())
    assert [each["reason"] for each in heard.of("rule_failed")] == [
        'Action "mini.none" doesn\'t exist'
    ]


def test_backstop_rule_runs_only_when_no_other_matched(mini: Miniature) -> None:
    mini.rule(
        "rest",
        """
        type: {ref: backstop}
        trigger: {type: mini.alert}
        action: {ref: mini.echo, parameters: {value: rest}}
        """,
    )
    with mini.engine() as engine:
        engine.inject("mini.alert", {"incident_id": "x", "status": "unknown"})
        assert engine.wait_idle(180)
        assert [each.action_ref for each in engine.executions()] == ["mini.echo"]
        engine.inject("mini.alert", {"incident_id": "x", "status": "firing"})
        assert engine.wait_idle(180)
        assert sum(each.action_ref == "mini.echo" for each in engine.executions()) == 1


def test_safety_net_catches_a_workflow_that_never_reached_a_task(
    mini: Miniature, tmp_path: Path
) -> None:
    mini.workflow(
        "broken",
        """
        version: 1.0
        tasks: {a: {action: mini.gone}}
        """,
    )
    mini.rule(
        "net",
        """
        trigger: {type: core.st2.generic.actiontrigger}
        criteria:
          trigger.action_name: {type: inside, pattern: [mini.broken, mini.fail]}
          trigger.status: {type: inside, pattern: [failed, timeout, abandoned]}
        action:
          ref: mini.note
          parameters:
            path: "%s"
            line: "{{ trigger.action_ref }} {{ trigger.status }} {{ trigger.runner_ref }}"
        """
        % (tmp_path / "net"),
    )
    with mini.engine() as engine:
        broken = engine.run("mini.broken", timeout=180)
        engine.run("mini.fail", timeout=180)
        assert engine.wait_idle(180)
    assert broken.status == "failed"
    message = broken.result["errors"][0]["message"]
    assert message == 'The action "mini.gone" is not registered in the database.'
    lines = (tmp_path / "net").read_text(encoding="utf-8").splitlines()
    assert sorted(lines) == ["mini.broken failed orquesta", "mini.fail failed python-script"]


def test_action_trigger_carries_what_stackstorm_puts_into_it(running: Tuple[Engine, Heard]) -> None:
    engine, heard = running
    execution = engine.run("mini.echo", {"value": "v"}, timeout=180)
    assert engine.wait_idle(180)
    payload = [each["payload"] for each in heard.of("trigger_injected")][-1]
    assert payload == {
        "execution_id": execution.id,
        "status": "succeeded",
        "start_timestamp": execution.as_json()["start_timestamp"],
        "action_name": "mini.echo",
        "action_ref": "mini.echo",
        "runner_ref": "python-script",
        "parameters": {"value": "v"},
        "result": execution.result,
    }


@pytest.mark.parametrize(
    "parameters, reason",
    [
        ({"function": "os.system"}, "immutable"),
        ({"valu": "x"}, "valu"),
    ],
)
def test_parameters_that_the_action_does_not_take_are_refused(
    running: Tuple[Engine, Heard], parameters: Any, reason: str
) -> None:
    with pytest.raises(ParamError, match=reason):
        running[0].run("mini.echo", parameters)


def test_unknown_action_is_refused(running: Tuple[Engine, Heard]) -> None:
    with pytest.raises(UnknownAction, match="mini.none"):
        running[0].run("mini.none")


def test_payload_that_does_not_fit_its_trigger_is_refused(running: Tuple[Engine, Heard]) -> None:
    with pytest.raises(ValueError, match="incident_id"):
        running[0].inject("mini.alert", {"incident_id": 5})


def test_database_is_in_home_unless_the_configuration_names_one(
    mini: Miniature, tmp_path: Path
) -> None:
    mini.write(
        "config.schema.yaml",
        """
        database: {type: object, properties: {url: {type: string, default: ""}}}
        """,
    )
    assert mini.engine().config()["database"]["url"] == "sqlite:///%s" % (mini.home / "mini.db")
    named = tmp_path / "named.yaml"
    named.write_text(json.dumps({"database": {"url": "postgresql://x/y"}}), encoding="utf-8")
    assert mini.engine(config_path=named).config()["database"]["url"] == "postgresql://x/y"


def test_configuration_follows_the_datastore_without_a_restart(
    mini: Miniature, tmp_path: Path
) -> None:
    path = tmp_path / "mini.yaml"
    mini.write("config.schema.yaml", "place: {type: string}\n")
    path.write_text('place: "{{ st2kv.system.place }}"\n', encoding="utf-8")
    engine = mini.engine(config_path=path)
    engine.store.set("place", "here")
    assert engine.config()["place"] == "here"
    engine.store.set("place", "yonder")
    assert engine.config()["place"] == "yonder"


def test_configuration_error_fails_the_action_and_names_the_key(
    mini: Miniature, tmp_path: Path
) -> None:
    path = tmp_path / "mini.yaml"
    path.write_text("password: [1]\n", encoding="utf-8")
    with mini.engine(config_path=path) as engine:
        with pytest.raises(ValueError, match="password"):
            engine.run("mini.echo")


def test_secret_parameters_are_masked_in_events_and_records(mini: Miniature) -> None:
    mini.write(
        "actions/echo.yaml",
        """
        name: echo
        runner_type: python-script
        entry_point: run.py
        parameters:
          function: {type: string, immutable: true, default: minilib.work.echo}
          value: {type: string, secret: true}
        """,
    )
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        execution = engine.run("mini.echo", {"value": "hush"}, timeout=180)
    assert execution.result["result"] == {"value": "hush"}
    assert execution.as_json()["parameters"] == {"value": "********"}
    assert all(
        each["parameters"] == {"value": "********"} for each in heard.of("execution_finished")
    )
