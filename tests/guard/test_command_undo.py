"""Undo records before the command policy: judged again, whatever the database says."""

from __future__ import annotations

import os

import pytest

from selfheal.exceptions import Refused
from selfheal.guard import command_check
from selfheal.remedy import execute
from selfheal.remedy.model import Command
from tests.guard.test_command_check import book, command, config, script, undo_action


def test_an_undo_record_is_judged_again_and_its_words_rebuilt():
    action = command_check.permitted_undo(config(), undo_action("systemctl", "stop", "nginx"))
    assert action["argv"] == ["systemctl", "--no-pager", "stop", "nginx"]
    with pytest.raises(Refused, match="rule rm"):
        command_check.permitted_undo(config(), undo_action("rm", "-rf", "/"))


def test_an_undo_record_that_makes_no_sense_is_refused():
    for broken in ({"kind": "command"}, {"kind": "command", "argv": 7}, {}, {"kind": "x"}):
        with pytest.raises(Refused, match="cannot be understood|by hand"):
            command_check.permitted_undo(config(), broken)


def test_the_script_of_an_undo_record_may_run_beside_its_runbook(tmp_path):
    script(tmp_path)
    undo = {"command": {"argv": ["sh", "scripts/do.sh"]}}
    runbook = book(tmp_path, dict(command("true"), undo=undo))
    folder = os.path.dirname(runbook.path)
    settings = config(resolver={"runbook_paths": [folder]})
    action = dict(execute.describe(runbook.steps[0].undo.act, 5.0), cwd=folder)
    assert command_check.permitted_undo(settings, action)["argv"] == ["sh", "scripts/do.sh"]
    old = {key: value for key, value in action.items() if key != "files"}
    assert command_check.permitted_undo(settings, old)["argv"] == ["sh", "scripts/do.sh"]
    with pytest.raises(Refused):
        command_check.permitted_undo(settings, dict(action, cwd=str(tmp_path)))


def test_an_undo_record_brings_no_script_from_where_no_runbooks_are(tmp_path):
    script(tmp_path)
    folder = str(tmp_path / "runbooks")
    settings = config(resolver={"runbook_paths": [folder]})
    inline = execute.describe(Command(script="touch x", interpreter=("sh",)), 5.0)
    assert command_check.permitted_undo(settings, dict(inline, cwd=folder))
    for elsewhere in (str(tmp_path), "/", "", folder + "/scripts"):
        with pytest.raises(Refused, match="runbook_paths"):
            command_check.permitted_undo(settings, dict(inline, cwd=elsewhere))
    with pytest.raises(Refused, match="runbook_paths"):
        wrong = config(resolver={"runbook_paths": 7})
        command_check.permitted_undo(wrong, dict(inline, cwd=folder))
