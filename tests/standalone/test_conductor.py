"""The conductor without any process: what a workflow asks for next, given how its actions ended."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from standalone.conductor import ActionRequest, Conductor
from standalone.orquesta_compat import load_workflow

Build = Callable[..., Conductor]


@pytest.fixture()
def build(tmp_path: Path) -> Build:
    def conductor(
        text: str, inputs: Optional[Dict[str, Any]] = None, keys: Any = None
    ) -> Conductor:
        path = tmp_path / "workflow.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")

        def read_key(name: str, decrypt: bool) -> Tuple[bool, Any]:
            return name in (keys or {}), (keys or {}).get(name)

        context = {"st2": {"action_execution_id": "ex-1", "user": "stanley"}, "parent": {}}
        return Conductor(load_workflow(path), inputs or {}, context, read_key)

    return conductor


def python(**result: Any) -> Dict[str, Any]:
    return {"result": result, "stdout": "", "stderr": "", "exit_code": 0}


def named(requests: List[ActionRequest]) -> List[str]:
    return [request.task_id for request in requests]


CHOICE = """
    version: 1.0
    input: [strategy]
    vars: [verdict: none]
    tasks:
      decide:
        action: p.decide
        input: {strategy: <% ctx().strategy %>}
        next:
          - when: <% succeeded() and result().result.strategy = "auto" %>
            do: act
          - when: <% succeeded() and result().result.strategy != "auto" %>
            publish: [verdict: manual]
            do: ticket
          - when: <% failed() %>
            publish: [verdict: broken]
            do: [ticket]
      act:
        action: p.act
        next: [{when: <% succeeded() %>, publish: [verdict: done]}]
      ticket:
        action: p.ticket
        input: {why: <% ctx().verdict %>}
    output: [verdict: <% ctx().verdict %>]
    """


def test_branch_follows_the_result(build: Build) -> None:
    conductor = build(CHOICE, {"strategy": "auto"})
    (decide,) = conductor.start()
    assert decide == ActionRequest("decide", 0, None, "p.decide", {"strategy": "auto"}, 0)
    (act,) = conductor.finished(decide, "succeeded", python(strategy="auto"))
    assert act.task_id == "act"
    assert conductor.finished(act, "succeeded", python()) == []
    assert (conductor.status, conductor.result()) == ("succeeded", {"output": {"verdict": "done"}})


@pytest.mark.parametrize("status", ["failed", "timeout", "abandoned"])
def test_failure_of_every_kind_takes_the_failed_branch(build: Build, status: str) -> None:
    conductor = build(CHOICE)
    (decide,) = conductor.start()
    (ticket,) = conductor.finished(decide, status, {"result": "None"})
    assert (ticket.task_id, ticket.input) == ("ticket", {"why": "broken"})
    conductor.finished(ticket, "succeeded", python())
    assert conductor.status == "succeeded"


def test_failure_without_a_branch_fails_the_workflow_with_its_output(build: Build) -> None:
    conductor = build(CHOICE)
    (decide,) = conductor.start()
    (act,) = conductor.finished(decide, "succeeded", python(strategy="auto"))
    assert conductor.finished(act, "failed", {"result": "None"}) == []
    assert conductor.status == "failed"
    assert conductor.result()["output"] == {"verdict": "none"}
    assert conductor.result()["errors"][0]["task_id"] == "act"


def test_wrong_expression_fails_the_workflow_on_the_spot(build: Build) -> None:
    conductor = build(CHOICE)
    (decide,) = conductor.start()
    assert conductor.finished(decide, "succeeded", python()) == []
    assert conductor.status == "failed"


@pytest.mark.parametrize("hostile", ["{{ .Values.x }}", "<%= erb %>", "<% @ %>"])
def test_hostile_workflow_input_fails_before_any_task(build: Build, hostile: str) -> None:
    conductor = build(CHOICE, {"strategy": hostile})
    assert conductor.start() == []
    assert conductor.status == "failed"


def test_expression_inside_data_is_evaluated_as_orquesta_does(build: Build) -> None:
    (decide,) = build(CHOICE, {"strategy": "<% 6 * 7 %>"}).start()
    assert decide.input == {"strategy": 42}


def test_items_run_as_many_at_a_time_as_allowed_and_give_a_list(build: Build) -> None:
    conductor = build(
        """
        version: 1.0
        input: [xs]
        tasks:
          each:
            with: {items: <% ctx().xs %>, concurrency: 2}
            action: p.one
            input: {x: <% item() %>}
            delay: 3
            next: [{when: <% succeeded() %>, publish: [got: <% result().select($.result.y) %>]}]
        output: [got: <% ctx().got %>]
        """,
        {"xs": [1, 2, 3]},
    )
    first, second = conductor.start()
    assert [(r.item_id, r.input, r.delay_s) for r in (first, second)] == [
        (0, {"x": 1}, 3),
        (1, {"x": 2}, 3),
    ]
    (third,) = conductor.finished(second, "succeeded", python(y=20))
    assert (third.item_id, third.delay_s) == (2, 0)
    assert conductor.finished(first, "succeeded", python(y=10)) == []
    assert conductor.finished(third, "succeeded", python(y=30)) == []
    assert (conductor.status, conductor.result()["output"]) == ("succeeded", {"got": [10, 20, 30]})


def test_one_failed_item_fails_the_task(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          each:
            with: <% list(1, 2) %>
            action: p.one
        """)
    first, second = conductor.start()
    conductor.finished(first, "failed", python())
    conductor.finished(second, "succeeded", python())
    assert conductor.status == "failed"


def test_no_items_is_success_at_once(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          each:
            with: <% list() %>
            action: p.one
            next: [{do: after}]
          after: {action: p.after}
        """)
    assert named(conductor.start()) == ["after"]


def test_retry_asks_again_with_its_delay_until_it_holds(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          check:
            action: p.check
            retry: {when: <% succeeded() and not result().result.ok %>, count: 2, delay: 5}
        """)
    (first,) = conductor.start()
    (second,) = conductor.finished(first, "succeeded", python(ok=False))
    assert (first.delay_s, second.delay_s) == (0, 5)
    assert conductor.finished(second, "succeeded", python(ok=True)) == []
    assert conductor.status == "succeeded"


def test_join_waits_for_all_its_branches(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          start: {action: p.a, next: [{do: [left, right]}]}
          left: {action: p.a, next: [{do: both}]}
          right: {action: p.a, next: [{do: both}]}
          both: {join: all, action: p.a}
        """)
    (start,) = conductor.start()
    left, right = conductor.finished(start, "succeeded", python())
    assert conductor.finished(left, "succeeded", python()) == []
    assert named(conductor.finished(right, "succeeded", python())) == ["both"]


def test_task_without_an_action_needs_none(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          start: {next: [{do: middle}]}
          middle: {next: [{do: end}]}
          end: {action: p.a}
        """)
    assert named(conductor.start()) == ["end"]


ASKING = """
    version: 1.0
    tasks:
      start: {action: core.noop, next: [{do: [ask, work]}]}
      ask: {action: core.ask}
      work: {action: p.work, next: [{do: more}]}
      more: {action: p.more}
    """


def test_inquiry_pauses_the_workflow_once_what_else_runs_has_ended(build: Build) -> None:
    conductor = build(ASKING)
    (start,) = conductor.start()
    ask, work = conductor.finished(start, "succeeded", {})
    conductor.waiting(ask, "pending")
    assert conductor.status == "pausing"
    assert conductor.finished(work, "succeeded", python()) == []
    assert conductor.status == "paused"
    conductor.resumed()
    assert named(conductor.finished(ask, "succeeded", {"response": {"approved": True}})) == ["more"]


def test_answer_may_come_while_another_branch_still_runs(build: Build) -> None:
    conductor = build(ASKING)
    (start,) = conductor.start()
    ask, work = conductor.finished(start, "succeeded", {})
    conductor.waiting(ask, "pending")
    conductor.resumed()
    assert conductor.finished(ask, "succeeded", {"response": {}}) == []
    (more,) = conductor.finished(work, "succeeded", python())
    assert conductor.finished(more, "succeeded", python()) == []
    assert conductor.status == "succeeded"


def test_workflow_that_cannot_be_given_its_action_fails_with_the_reason(build: Build) -> None:
    conductor = build(CHOICE)
    (decide,) = conductor.start()
    conductor.fail(ValueError("no such action"), decide)
    assert conductor.status == "failed"
    assert conductor.result()["errors"][0] == {
        "type": "error",
        "message": "ValueError: no such action",
        "task_id": "decide",
        "route": 0,
    }


def test_canceled_workflow_waits_for_what_runs_and_asks_for_nothing_more(build: Build) -> None:
    conductor = build(CHOICE)
    (decide,) = conductor.start()
    conductor.cancel()
    assert conductor.status == "canceling"
    assert conductor.finished(decide, "succeeded", python(strategy="auto")) == []
    assert conductor.status == "canceled"


def test_cleanup_beside_fail_still_runs(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          work: {action: p.work, next: [{when: <% failed() %>, do: [cleanup, fail]}]}
          cleanup: {action: p.cleanup}
        """)
    (work,) = conductor.start()
    assert named(conductor.finished(work, "failed", python())) == ["cleanup"]
    assert conductor.status == "failed"


def test_earlier_task_and_the_datastore_can_be_read(build: Build) -> None:
    conductor = build(
        """
        version: 1.0
        tasks:
          first: {action: p.first, next: [{do: second}]}
          second:
            action: p.second
            input:
              earlier: <% task(first).result.result.id %>
              status: <% task(first).status %>
              key: <% st2kv('system.place') %>
              missing: <% st2kv('system.nope', default => 'none') %>
              me: <% ctx().st2.action_execution_id %>
        """,
        keys={"system.place": "here"},
    )
    (first,) = conductor.start()
    (second,) = conductor.finished(first, "succeeded", python(id=7))
    assert second.input == {
        "earlier": 7,
        "status": "succeeded",
        "key": "here",
        "missing": "none",
        "me": "ex-1",
    }


def test_missing_key_without_a_default_fails_the_workflow(build: Build) -> None:
    conductor = build("""
        version: 1.0
        tasks:
          first: {action: p.first, input: {key: "<% st2kv('system.nope') %>"}}
        """)
    assert conductor.start() == []
    assert conductor.status == "failed"
    assert "system.nope" in conductor.result()["errors"][0]["message"]
