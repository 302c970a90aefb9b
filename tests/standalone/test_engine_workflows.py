"""Workflows with real processes: approval, sub-workflows, retries, delays, cancellation, and data
that is code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from standalone.engine import Engine, Execution, InquiryError
from tests.standalone.miniature import Heard, Miniature, eventually, is_alive

ASKS = """
    version: 1.0
    vars: [verdict: none]
    tasks:
      ask:
        action: core.ask
        input:
          route: selfheal
          schema:
            type: object
            properties:
              approved: {type: boolean, description: go, required: true}
              by: {type: string}
        next:
          - when: <% succeeded() and result().response.approved %>
            publish: [verdict: yes_go]
            do: work
          - when: <% succeeded() and not result().response.approved %>
            publish: [verdict: no_go]
      work: {action: mini.echo, input: {value: x}}
    output: [verdict: <% ctx().verdict %>]
    """


@pytest.fixture()
def mini(tmp_path: Path) -> Miniature:
    pack = Miniature(tmp_path)
    pack.workflow("asks", ASKS)
    return pack


def of(engine: Engine, ref: str) -> List[Execution]:
    return [each for each in engine.executions() if each.action_ref == ref]


def assert_gone(path: Path) -> None:
    pids = [int(pid) for pid in path.read_text(encoding="ascii").split()]
    assert len(pids) == 2
    eventually(lambda: not any(is_alive(pid) for pid in pids), "the action and its child are gone")


@pytest.mark.parametrize("approved, verdict, works", [(True, "yes_go", 1), (False, "no_go", 0)])
def test_workflow_pauses_for_an_answer_and_follows_it(
    mini: Miniature, approved: bool, verdict: str, works: int
) -> None:
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        execution = engine.run("mini.asks", wait=False)
        assert engine.wait_idle(180)
        assert engine.execution(execution.id).status == "paused"
        (inquiry,) = engine.pending_inquiries()
        assert [each["payload"] for each in heard.of("trigger_injected")] == [
            {"id": inquiry.id, "route": "selfheal"}
        ]
        engine.answer_inquiry(inquiry.id, {"approved": approved, "by": "me"})
        assert engine.wait_idle(180)
        ended = engine.execution(execution.id)
        assert (ended.status, ended.result) == ("succeeded", {"output": {"verdict": verdict}})
        assert len(of(engine, "mini.echo")) == works
        assert engine.execution(inquiry.id).result["response"] == {"approved": approved, "by": "me"}


def test_answer_that_does_not_fit_is_refused_and_the_inquiry_stays(mini: Miniature) -> None:
    with mini.engine() as engine:
        engine.run("mini.asks", wait=False)
        (inquiry,) = engine.pending_inquiries()
        with pytest.raises(InquiryError, match="approved"):
            engine.answer_inquiry(inquiry.id, {"by": "me"})
        assert engine.pending_inquiries()
        engine.answer_inquiry(inquiry.id, {"approved": False})
        with pytest.raises(InquiryError, match="answered already"):
            engine.answer_inquiry(inquiry.id, {"approved": True})
        with pytest.raises(InquiryError, match="no inquiry"):
            engine.answer_inquiry("none", {"approved": True})


def test_inquiry_in_a_sub_workflow_pauses_the_workflow_above(mini: Miniature) -> None:
    mini.workflow(
        "outer",
        """
        version: 1.0
        vars: [verdict: none]
        tasks:
          inner:
            action: mini.asks
            next: [{when: <% succeeded() %>, publish: [verdict: <% result().output.verdict %>]}]
        output: [verdict: <% ctx().verdict %>]
        """,
    )
    with mini.engine() as engine:
        outer = engine.run("mini.outer", wait=False)
        assert engine.wait_idle(180)
        assert [each.status for each in engine.executions()] == ["paused", "paused", "pending"]
        engine.answer_inquiry(engine.pending_inquiries()[0].id, {"approved": True})
        assert engine.wait_idle(180)
        ended = engine.execution(outer.id)
    assert (ended.status, ended.result["output"]) == ("succeeded", {"verdict": "yes_go"})


def test_answer_given_the_moment_the_inquiry_opens_is_taken(mini: Miniature) -> None:
    with mini.engine() as engine:
        engine.subscribe(
            lambda event: (
                engine.answer_inquiry(event.data["id"], {"approved": True})
                if event.kind == "inquiry_opened"
                else None
            )
        )
        assert engine.run("mini.asks", timeout=180).result == {"output": {"verdict": "yes_go"}}


def test_failed_task_of_a_sub_workflow_fails_it_and_the_one_above(mini: Miniature) -> None:
    mini.workflow("inner", "version: 1.0\ntasks: {a: {action: mini.fail}}\n")
    mini.workflow("outer", "version: 1.0\ntasks: {a: {action: mini.inner}}\n")
    with mini.engine() as engine:
        assert engine.run("mini.outer", timeout=180).status == "failed"
        assert [each.status for each in engine.executions()] == ["failed"] * 3


def test_retry_with_a_delay_runs_until_it_succeeds(mini: Miniature, tmp_path: Path) -> None:
    mini.workflow(
        "tries",
        """
        version: 1.0
        input: [path]
        tasks:
          try:
            action: mini.flaky
            input: {path: <% ctx().path %>, good_at: 3}
            retry: {count: 3, delay: 1}
        """,
        "path: {type: string}",
    )
    with mini.engine() as engine:
        ended = engine.run("mini.tries", {"path": str(tmp_path / "tries")}, timeout=180)
        assert ended.status == "succeeded"
        assert [each.status for each in of(engine, "mini.flaky")] == [
            "failed",
            "failed",
            "succeeded",
        ]
        assert ended.seconds >= 2


def test_items_run_side_by_side(mini: Miniature) -> None:
    mini.workflow(
        "each",
        """
        version: 1.0
        tasks:
          each:
            with: <% list(a, b, c) %>
            action: mini.echo
            input: {value: <% item() %>}
            next: [{when: <% succeeded() %>, publish: [all: <% result().select($.result.value) %>]}]
        output: [all: <% ctx().all %>]
        """,
    )
    with mini.engine() as engine:
        assert engine.run("mini.each", timeout=180).result == {"output": {"all": ["a", "b", "c"]}}


def test_canceled_workflow_kills_what_it_runs(mini: Miniature, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    mini.workflow(
        "long",
        """
        version: 1.0
        input: [path]
        tasks:
          a: {action: mini.slow, input: {path: <% ctx().path %>}, next: [{do: b}]}
          b: {action: mini.echo}
        """,
        "path: {type: string}",
    )
    with mini.engine() as engine:
        execution = engine.run("mini.long", {"path": str(path)}, wait=False)
        eventually(
            lambda: path.exists() and " " in path.read_text(encoding="ascii"), "the action runs"
        )
        engine.cancel(execution.id)
        assert engine.wait_idle(180)
        assert engine.execution(execution.id).status == "canceled"
        assert [each.status for each in of(engine, "mini.slow")] == ["canceled"]
        assert of(engine, "mini.echo") == []
    assert_gone(path)


def test_stopped_engine_leaves_no_process(mini: Miniature, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    engine = mini.engine().start()
    engine.run("mini.slow", {"path": str(path)}, wait=False)
    eventually(lambda: path.exists() and " " in path.read_text(encoding="ascii"), "the action runs")
    engine.stop()
    assert_gone(path)


def test_task_that_times_out_takes_the_failed_branch(mini: Miniature, tmp_path: Path) -> None:
    mini.workflow(
        "late",
        """
        version: 1.0
        input: [path]
        tasks:
          a:
            action: mini.slow
            input: {path: <% ctx().path %>, timeout: 1}
            next: [{when: <% failed() %>, publish: [error: <% result().error %>], do: b}]
          b: {action: mini.echo}
        output: [error: <% ctx().error %>]
        """,
        "path: {type: string}",
    )
    with mini.engine() as engine:
        ended = engine.run("mini.late", {"path": str(tmp_path / "p")}, timeout=180)
        assert ended.result["output"] == {"error": "Action failed to complete in 1 seconds"}
        assert [each.status for each in of(engine, "mini.slow")] == ["timeout"]


def test_core_inject_trigger_and_noop_do_what_they_say(mini: Miniature) -> None:
    heard = Heard()
    with mini.engine(on_event=heard) as engine:
        injected = engine.run(
            "core.inject_trigger", {"trigger_name": "x.y", "payload": {"a": 1}}, timeout=180
        )
        assert engine.run("core.noop", timeout=180).status == "succeeded"
    assert injected.status == "succeeded"
    assert {"a": 1} in [
        each["payload"] for each in heard.of("trigger_injected") if each["trigger"] == "x.y"
    ]


# ---- data is code: what a workflow carries is evaluated again unless it is neutralised

CARRIES = """
    version: 1.0
    tasks:
      read:
        action: mini.fetch
        next: [{when: <% succeeded() %>, publish: [log: <% result().result.log %>], do: ticket}]
      ticket:
        action: mini.echo
        input: {value: "Log: <% ctx().log %>"}
        next: [{when: <% succeeded() %>, publish: [said: <% result().result.value %>]}]
    """


def carried(mini: Miniature, log: str) -> Dict[str, Any]:
    mini.write(
        "actions/lib/minilib/fetching.py",
        "def fetch(config):\n    return True, {'log': %r}\n" % log,
    )
    mini.write(
        "actions/fetch.yaml",
        """
        name: fetch
        runner_type: python-script
        entry_point: run.py
        parameters:
          function: {type: string, immutable: true, default: minilib.fetching.fetch}
        """,
    )
    mini.workflow("carries", CARRIES)
    with mini.engine() as engine:
        ended = engine.run("mini.carries", timeout=180)
        tickets = of(engine, "mini.echo")
    return {
        "status": ended.status,
        "errors": ended.result.get("errors"),
        "ticket": tickets[0].result["result"]["value"] if tickets else None,
    }


def test_secret_named_in_a_log_line_reaches_the_next_task_in_clear(mini: Miniature) -> None:
    found = carried(mini, "boom {{ config_context.password }}")
    assert (found["status"], found["ticket"]) == ("succeeded", "Log: boom s3cret")


def test_expression_in_a_log_line_is_evaluated(mini: Miniature) -> None:
    assert carried(mini, "boom <% 6 * 7 %>")["ticket"] == "Log: boom 42"


def test_unknown_name_in_a_log_line_fails_the_workflow(mini: Miniature) -> None:
    found = carried(mini, "boom {{ foo }}")
    assert (found["status"], found["ticket"]) == ("failed", None)
    assert "foo" in found["errors"][0]["message"]


@pytest.mark.parametrize(
    "log",
    [
        "{\u2060{ config_context.password }\u2060}",
        "<\u2060% ctx() %\u2060>",
        "{\u2060% raw %\u2060} $(reboot) `id` \x1b[31m 'q' \"d\" \\ \n end",
    ],
)
def test_neutralised_text_comes_through_untouched(mini: Miniature, log: str) -> None:
    found = carried(mini, log)
    assert (found["status"], found["ticket"]) == ("succeeded", "Log: " + log)
