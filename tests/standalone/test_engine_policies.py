"""Concurrency policies: what is held back, what is canceled, by which attributes it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import pytest

from standalone.engine import Engine
from standalone.executions import Execution
from standalone.packs import Policy
from standalone.policies import LATER, NEVER, NOW, Policies
from tests.standalone.miniature import Miniature, eventually


def execution(number: int, **parameters: Any) -> Execution:
    return Execution(
        id=str(number),
        action_ref="mini.slow",
        runner_type="python-script",
        parameters=parameters,
        status="running",
        started_at=0.0,
    )


def idle() -> None:
    """Begins or holds nothing."""


def limited(threshold: int = 1, action: str = "delay", attributes: Any = None) -> Policies:
    return Policies(
        [
            Policy(
                ref="mini.p",
                name="p",
                pack="mini",
                resource_ref="mini.slow",
                policy_type="action.concurrency.attr" if attributes else "action.concurrency",
                parameters={"threshold": threshold, "action": action, "attributes": attributes},
            )
        ]
    )


def test_beyond_the_threshold_executions_wait_for_one_to_end() -> None:
    policies, begun = limited(threshold=2), []  # type: ignore[var-annotated]
    verdicts = [policies.admit(execution(n), lambda n=n: begun.append(n), idle) for n in range(4)]
    assert verdicts == [NOW, NOW, LATER, LATER]
    for begin in policies.release("0"):
        begin()
    assert begun == [2]
    for begin in policies.release("1") + policies.release("2"):
        begin()
    assert begun == [2, 3]


def test_attribute_counts_apart_and_one_not_passed_counts_together() -> None:
    policies = limited(attributes=["target"])
    a, b = {"target": "a"}, {"target": "b"}
    wanted: List[Dict[str, Any]] = [a, b, a, {}, {"other": 1}]
    verdicts = [policies.admit(execution(n, **each), idle, idle) for n, each in enumerate(wanted)]
    assert verdicts == [NOW, NOW, LATER, NOW, LATER]


def test_cancel_is_instead_of_waiting() -> None:
    policies = limited(action="cancel")
    assert [policies.admit(execution(n), idle, idle) for n in range(2)] == [NOW, NEVER]
    assert policies.release("0") == []
    assert policies.admit(execution(3), idle, idle) == NOW


def test_one_that_gave_up_waiting_takes_no_room() -> None:
    policies = limited()
    for number in range(2):
        policies.admit(execution(number), idle, idle)
    assert policies.release("1") == []
    assert policies.release("0") == []
    assert policies.admit(execution(2), idle, idle) == NOW


@pytest.fixture()
def engine(tmp_path: Path) -> Any:
    mini = Miniature(tmp_path)
    mini.write(
        "policies/one.yaml",
        """
        name: one
        resource_ref: mini.slow
        policy_type: action.concurrency.attr
        parameters: {action: delay, threshold: 1, attributes: [path]}
        """,
    )
    with mini.engine() as running:
        yield running


def test_second_on_the_same_target_waits_and_then_runs(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    first = engine.run("mini.slow", {"path": str(path)}, wait=False)
    second = engine.run("mini.slow", {"path": str(path)}, wait=False)
    assert engine.execution(second.id).status == "delayed"
    eventually(path.exists, "the first runs")
    engine.cancel(first.id)
    eventually(lambda: engine.execution(second.id).status == "running", "the second runs")
    engine.cancel(second.id)
    assert engine.wait_idle(180)
    assert [each.status for each in engine.executions()] == ["canceled", "canceled"]


def test_delayed_execution_can_be_canceled(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    first = engine.run("mini.slow", {"path": str(path)}, wait=False)
    second = engine.run("mini.slow", {"path": str(path)}, wait=False)
    engine.cancel(second.id)
    assert engine.execution(second.id).status == "canceled"
    assert engine.execution(first.id).status == "running"
