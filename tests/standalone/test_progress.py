"""Progress for a person: one line per step, colour only where it is wanted, nothing that moves a
cursor.
"""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from standalone.executions import Event
from standalone.progress import Progress, reason_of


def shown(kind: str, colour: bool = False, **data: Any) -> str:
    stream = io.StringIO()
    Progress(stream, colour)(Event(time.time(), kind, data))
    return stream.getvalue()


def finished(colour: bool = False, **data: Any) -> str:
    given = {"ref": "p.act", "status": "succeeded", "runner": "python-script", "seconds": 1.25}
    return shown("execution_finished", colour, **dict(given, **data))


def test_step_has_its_time_its_outcome_and_how_long_it_took() -> None:
    assert finished().split() == ["0.0s", "p.act", "succeeded,", "1.2", "s"]


def test_task_of_a_workflow_is_indented_and_named() -> None:
    line = finished(parent="x", task="verify")
    assert line.split("s  ", 1)[1].startswith("  p.act (verify)")


def test_failure_says_why() -> None:
    line = finished(status="failed", result={"result": {"error": "no route"}})
    assert line.endswith(": no route\n")


@pytest.mark.parametrize("colour", [True, False])
def test_colour_is_there_only_when_asked_for(colour: bool) -> None:
    assert ("\x1b[32m" in finished(colour)) is colour


def test_stream_that_is_no_terminal_gets_no_colour() -> None:
    stream = io.StringIO()
    Progress(stream).say("hello", "good")
    assert "\x1b" not in stream.getvalue()


def test_text_from_outside_moves_no_cursor_and_fills_no_screen() -> None:
    line = finished(status="failed", result={"error": "\x1b[2J\r\n" + "x" * 5000})
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert len(line) < 300


@pytest.mark.parametrize("kind", ["rule_passed_over", "unheard_of"])
def test_what_nobody_watches_is_not_shown(kind: str) -> None:
    assert shown(kind, rule="r") == ""


@pytest.mark.parametrize(
    "result, reason",
    [
        ({"result": {"error": "inner"}, "error": "outer"}, "inner"),
        ({"result": "None", "error": "outer"}, "outer"),
        ({"errors": [{"message": "bad  expression"}], "output": None}, "bad expression"),
        ({"result": "None", "stderr": "Traceback\nValueError: last\n"}, "ValueError: last"),
        ({"result": "None", "stderr": ""}, ""),
        (None, ""),
    ],
)
def test_reason_is_found_wherever_the_runner_puts_it(result: Any, reason: str) -> None:
    assert reason_of(result) == reason
