"""One action in its process: environment, import path, parameters, timeouts, and no orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from standalone import runner
from tests.standalone.miniature import Miniature, eventually, is_alive


@pytest.fixture()
def call(tmp_path: Path) -> Any:
    pack = Miniature(tmp_path)

    def build(function: str, timeout_s: int = 600, **parameters: Any) -> runner.Call:
        return runner.Call(
            execution_id="5f0000000000000000000001",
            pack_ref="mini",
            pack_root=pack.root,
            entry_point=pack.root / "actions" / "run.py",
            parameters=dict(parameters, function="minilib.work." + function),
            config={"password": "s3cret"},
            api_url="http://127.0.0.1:9/v1",
            token="t0ken",
            timeout_s=timeout_s,
            env={"EXTRA": "yes", "PYTHONPATH": "/nowhere"},
        )

    return build


def go(call: runner.Call) -> runner.Outcome:
    return runner.run(call, runner.Processes())


def test_result_has_the_shape_of_stackstorms_runner(call: Any) -> None:
    outcome = go(call("echo", value="v"))
    assert outcome.status == "succeeded"
    assert outcome.result == {"result": {"value": "v"}, "exit_code": 0, "stdout": "", "stderr": ""}


def test_false_is_failed_with_its_result_kept(call: Any) -> None:
    outcome = go(call("refuse"))
    assert (outcome.status, outcome.result["result"]) == (
        "failed",
        {"error": "not now", "error_type": "Refused"},
    )


def test_exception_leaves_no_result_but_a_traceback(call: Any) -> None:
    outcome = go(call("fail", incident_id="i"))
    assert (outcome.status, outcome.result["exit_code"], outcome.result["result"]) == (
        "failed",
        1,
        "None",
    )
    assert "RuntimeError: boom i" in outcome.result["stderr"]


def test_process_is_told_what_stackstorm_tells(call: Any) -> None:
    told = go(call("surroundings")).result["result"]
    env = told["env"]
    assert {key: env[key] for key in env if key.startswith("ST2_ACTION_")} == {
        "ST2_ACTION_PACK_NAME": "mini",
        "ST2_ACTION_EXECUTION_ID": "5f0000000000000000000001",
        "ST2_ACTION_API_URL": "http://127.0.0.1:9/v1",
        "ST2_ACTION_AUTH_TOKEN": "t0ken",
        "ST2_ACTION_DEBUG": "False",
    }
    assert env["EXTRA"] == "yes"
    assert told["config"] == {"password": "s3cret"}


def test_import_path_has_the_packs_actions_lib_and_not_its_lib(call: Any) -> None:
    one = call("surroundings")
    told = go(one).result["result"]
    assert told["env"]["PYTHONPATH"].split(os.pathsep)[0] == str(one.pack_root / "actions" / "lib")
    assert str(one.pack_root / "lib") not in told["path"]
    assert "/nowhere" not in told["path"]
    assert not any(Path(each).resolve() == Path(runner.__file__).parent for each in told["path"])
    assert told["path"].index(str(one.pack_root / "actions" / "lib")) < len(told["path"]) - 2


@pytest.mark.parametrize("length", [131000, 131100, 5_000_000])
def test_parameters_of_any_size_arrive(call: Any, length: int) -> None:
    value = "é{{ x }}\x00'\"\n" * (length // 10)
    assert go(call("echo", value=value)).result["result"] == {"value": value}


def test_timeout_kills_the_whole_process_group(call: Any, tmp_path: Path) -> None:
    path = tmp_path / "pids"
    for seconds in (2, 20, 120):  # a slow machine may need longer to begin than to be timed out
        outcome = go(call("slow", timeout_s=seconds, path=str(path)))
        assert outcome.status == "timeout"
        assert outcome.result["error"] == "Action failed to complete in %d seconds" % seconds
        if path.exists() and " " in path.read_text(encoding="ascii"):
            break
    assert outcome.result["result"] == "None"
    pids = [int(pid) for pid in path.read_text(encoding="ascii").split()]
    assert len(pids) == 2
    eventually(lambda: not any(is_alive(pid) for pid in pids), "both processes are gone")


def test_cancel_kills_the_group_and_says_so(call: Any, tmp_path: Path) -> None:
    path, processes = tmp_path / "pids", runner.Processes()
    ended = []
    one = call("slow", path=str(path))
    thread = threading.Thread(target=lambda: ended.append(runner.run(one, processes)))
    thread.start()
    eventually(lambda: path.exists() and " " in path.read_text(encoding="ascii"), "the action runs")
    processes.cancel(one.execution_id)
    thread.join(180)
    assert [each.status for each in ended] == ["canceled"]
    eventually(
        lambda: not any(is_alive(int(pid)) for pid in path.read_text(encoding="ascii").split()),
        "all are gone",
    )


def test_python_that_does_not_exist_is_a_failed_action(call: Any) -> None:
    outcome = runner.run(call("echo"), runner.Processes(), "/no/such/python")
    assert outcome.status == "failed"
    assert "/no/such/python" in outcome.result["error"]


@pytest.mark.parametrize("apart", [False, True], ids=["in its group", "in a session of its own"])
def test_killed_engine_takes_its_actions_with_it(tmp_path: Path, apart: bool) -> None:
    mini, path = Miniature(tmp_path), tmp_path / "pids"
    program = (
        "import sys; sys.path.insert(0, %r)\n"
        "from standalone.engine import Engine\n"
        "Engine(%r, home=%r).start().run('mini.slow', {'path': %r, 'apart': %r})\n"
        % (
            str(Path(runner.__file__).resolve().parent.parent),
            str(mini.root),
            str(mini.home),
            str(path),
            apart,
        )
    )
    engine = subprocess.Popen([sys.executable, "-c", program])
    try:
        eventually(
            lambda: path.exists() and " " in path.read_text(encoding="ascii"), "the action runs"
        )
        pids = [int(pid) for pid in path.read_text(encoding="ascii").split()]
        assert all(is_alive(pid) for pid in pids)
        engine.send_signal(signal.SIGKILL)
        eventually(
            lambda: not any(is_alive(pid) for pid in pids), "the action and its child are gone"
        )
    finally:
        engine.kill()
        engine.wait()


@pytest.mark.parametrize(
    "stdout, status, result",
    [
        ("", "succeeded", "None"),
        ("hello", "succeeded", "None"),
    ],
)
def test_process_that_wrote_no_result_succeeded_with_none(
    stdout: str, status: str, result: str
) -> None:
    outcome = runner.outcome_of(0, stdout, "", None)
    assert (outcome.status, outcome.result["result"], outcome.result["stdout"]) == (
        status,
        result,
        stdout,
    )
