"""orquesta on this Python: loading, inspecting, and StackStorm's own expression functions."""

from __future__ import annotations

from pathlib import Path

import pytest

from standalone import orquesta_compat
from standalone.orquesta_compat import WorkflowFileError, inspect, load_workflow

GOOD = """
version: 1.0
input: [name]
tasks:
  one:
    action: core.noop
    next: [{when: <% succeeded() %>, publish: [seen: <% ctx().name %>], do: two}]
  two:
    action: core.noop
output: [seen: <% ctx().seen %>]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "workflow.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_sound_workflow_has_nothing_to_find(tmp_path: Path) -> None:
    assert inspect(load_workflow(written(tmp_path, GOOD))) == {}


def test_undefined_variable_is_found(tmp_path: Path) -> None:
    found = inspect(load_workflow(written(tmp_path, GOOD.replace("ctx().name", "ctx().nobody"))))
    assert [each["message"] for each in found["context"]] == [
        'Variable "nobody" is referenced before assignment.'
    ] * len(found["context"])


def test_expression_that_does_not_parse_is_found(tmp_path: Path) -> None:
    assert "expressions" in inspect(
        load_workflow(written(tmp_path, GOOD.replace("succeeded()", "succeeded(")))
    )


def test_unknown_task_key_is_found(tmp_path: Path) -> None:
    assert "syntax" in inspect(load_workflow(written(tmp_path, GOOD + "unknown: 1\n")))


def test_stackstorms_own_context_may_be_referred_to(tmp_path: Path) -> None:
    text = GOOD.replace("ctx().name %>]", "ctx().st2.action_execution_id %>]")
    assert inspect(load_workflow(written(tmp_path, text))) == {}


def test_true_in_inline_parameters_is_read_on_every_python(tmp_path: Path) -> None:
    orquesta_compat.prepare()
    from orquesta.utils import parameters

    assert parameters.parse_inline_params("a=TRUE b=false c=1 d='x'") == [
        {"a": True},
        {"b": False},
        {"c": 1},
        {"d": "x"},
    ]


@pytest.mark.parametrize("text", ["{", "[1, 2]", "- {a: 1"])
def test_file_that_is_no_workflow_is_named(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(WorkflowFileError, match="workflow.yaml"):
        load_workflow(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkflowFileError, match="gone.yaml cannot be read"):
        load_workflow(tmp_path / "gone.yaml")


def test_preparing_twice_changes_nothing() -> None:
    orquesta_compat.prepare()
    from orquesta.expressions.functions import base

    before = dict(base.load())
    orquesta_compat.prepare()
    assert base.load() == before
    assert {"st2kv", "task", "ctx", "succeeded"} <= set(before)


def test_tasks_that_share_what_follows_are_composed_once_each(tmp_path: Path) -> None:
    tasks = ["  end: {action: core.noop}"]
    for rung in range(40):
        following = "end" if rung == 39 else "[l%d, r%d]" % (rung + 1, rung + 1)
        for side in "lr":
            tasks.append("  %s%d: {action: core.noop, next: [{do: %s}]}" % (side, rung, following))
    spec = load_workflow(written(tmp_path, "version: 1.0\ntasks:\n" + "\n".join(tasks) + "\n"))
    from orquesta.composers import native

    # 2**40 paths: composing that walks each of them would not come back.
    graph = native.WorkflowComposer.compose(spec)
    assert len(graph._graph.nodes) == 81
    assert len(graph._graph.edges) == 39 * 4 + 2
