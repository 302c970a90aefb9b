"""What the demo prints fits the terminal, is plain in a pipe, and cannot be used to steer a
terminal.
"""

import io
import os
import pty
import re

import pytest

from standalone.demo import terminal
from standalone.demo.terminal import Terminal
from standalone.demo.view import View, label_of

ESCAPES = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
COLOUR = "\x1b[32m"


class Watched(io.StringIO):
    """A stream that somebody watches."""

    encoding = "utf-8"

    def isatty(self):
        return True


def painted(environment, width=80):
    stream = Watched()
    view = View(Terminal(stream, environment))
    view.title("a title", "what it is about " * 12)
    view.step("good", "analyze", "claimed", ["runbook release_orders fits " * 6], "green", 0.21)
    view.timeline("inc-1", [{"at": 0.0, "kind": "opened", "message": "the alert fires " * 12}])
    view.end(True, "resolved " * 20, ["details " * 30])
    return stream.getvalue()


@pytest.mark.parametrize("width", [50, 80, 120, 300])
def test_no_line_is_wider_than_the_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = ESCAPES.sub("", painted({"TERM": "xterm"})).split("\n")
    assert max(len(line) for line in lines) <= min(width, terminal.MAX_WIDTH)


def test_colour_on_a_terminal():
    assert COLOUR in painted({"TERM": "xterm"})
    assert "✔" in painted({"TERM": "xterm"})


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}, {"TERM": "xterm", "NO_COLOR": "1"}])
def test_no_colour_where_it_is_not_wanted(environment):
    assert not ESCAPES.search(painted(environment))


def test_a_pipe_gets_plain_ascii_and_unbroken_lines():
    stream = io.StringIO()
    view = View(Terminal(stream, {"TERM": "xterm"}))
    view.step("good", "analyze", "x" * 300 + " \u2192 \u2026 \u00e9", (), "green")
    view.tick()
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    assert "x" * 300 + " -> ... ?" in stream.getvalue()


@pytest.mark.parametrize("environment", [{"TERM": "xterm"}, {"TERM": "dumb"}])
def test_text_cannot_steer_the_terminal(environment):
    stream = Watched()
    View(Terminal(stream, environment)).step(
        "good", "x", "a\x1b[2Jb\rc\x07d\x9b2Je\nf", ["\x1b]0;t\x07"]
    )
    shown = ESCAPES.sub("", stream.getvalue().replace("\x1b[2J", "STEERED"))
    assert "STEERED" not in shown
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


def test_the_last_line_is_replaced_by_the_next_step():
    stream = Watched()
    view = View(Terminal(stream, {"TERM": "xterm"}))
    view.action_started("1", "remediate")
    view.tick()
    view.action_finished(
        {"id": "1", "ref": "p.remediate", "status": "succeeded", "seconds": 1.0}, []
    )
    assert "remediate" in stream.getvalue().split("\r\x1b[2K")[1]
    assert stream.getvalue().split("\r\x1b[2K")[2].endswith("1.00 s\x1b[0m\n")


def test_a_failed_action_says_why():
    stream = io.StringIO()
    event = {
        "id": "1",
        "ref": "selfheal.remediate",
        "task": "remediate",
        "status": "failed",
        "seconds": 0.5,
        "result": {"result": {"error_type": "Refused", "error": "not allowed here"}},
    }
    View(Terminal(stream, {})).action_finished(event, [])
    assert "failed" in stream.getvalue() and "not allowed here" in stream.getvalue()


def test_outcomes_are_shown_in_a_word():
    stream = io.StringIO()
    view = View(Terminal(stream, {}))
    for task, result, word in [
        ("decide", {"strategy": "automated"}, "automated"),
        ("verify", {"resolved": False}, "not resolved"),
        ("verify", {"resolved": True}, "resolved"),
        ("undo", {"outcome": "undone"}, "undone"),
    ]:
        event = {"id": "1", "ref": "p.x", "task": task, "status": "succeeded", "seconds": 0.5}
        view.action_finished({**event, "result": {"result": result}}, [])
        assert stream.getvalue().split("\n")[-2].split("  ")[-2] == word


def test_labels_are_tasks_or_actions():
    assert label_of({"ref": "selfheal.analyze_incident", "task": "analyze"}) == "analyze"
    assert label_of({"ref": "selfheal.ingest_alertmanager", "task": None}) == "ingest_alertmanager"


def test_a_real_terminal_is_recognised():
    leader, follower = pty.openpty()
    try:
        with os.fdopen(follower, "w", encoding="utf-8") as stream:
            assert Terminal(stream, {"TERM": "xterm"}).is_live
            assert not Terminal(stream, {"TERM": "dumb"}).is_live
    finally:
        os.close(leader)
