"""The command line: what goes to stdout, what to stderr, and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Callable, List, Tuple

import pytest

from standalone import cli
from tests.standalone.miniature import Miniature, eventually

ROOT = Path(cli.__file__).resolve().parent.parent
Command = Callable[..., Tuple[int, str, str]]

INCIDENTS = """
import json, os
def incident_list(config, hours=24, limit=50):
    if not os.path.exists(%(path)r):
        return True, {"incidents": [], "count": 0}
    with open(%(path)r) as source:
        found = [json.loads(line) for line in source]
    return True, {"incidents": found[::-1], "count": len(found)}
def close(config, incident_id):
    with open(%(path)r, "a") as target:
        status = "open" if incident_id.endswith("9") else "resolved"
        line = {"incident_id": incident_id, "status": status, "severity": "critical", "title": "t"}
        target.write(json.dumps(line) + "\\n")
    return True, {}
"""


@pytest.fixture()
def mini(tmp_path: Path) -> Miniature:
    pack = Miniature(tmp_path)
    pack.write("actions/lib/minilib/listing.py", INCIDENTS % {"path": str(tmp_path / "incidents")})
    for name, parameters in (
        (
            "incident_list",
            "  hours: {type: integer, default: 24}\n  limit: {type: integer, default: 50}",
        ),
        ("close", "  incident_id: {type: string, required: true}"),
    ):
        pack.write(
            "actions/%s.yaml" % name,
            (
                "name: %s\nrunner_type: python-script\nentry_point: run.py\nparameters:\n"
                "  function: {type: string, immutable: true, default: minilib.listing.%s}\n%s\n"
                % (name, name, parameters)
            ),
        )
    pack.rule(
        "respond",
        """
        trigger: {type: mini.alert}
        action: {ref: mini.close, parameters: {incident_id: "{{ trigger.incident_id }}"}}
        """,
    )
    return pack


@pytest.fixture()
def command(mini: Miniature, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(name: str, *arguments: str) -> Tuple[int, str, str]:
        code = cli.main(
            [
                name,
                *arguments,
                "--pack",
                str(mini.root),
                "--home",
                str(mini.home),
                "--timeout",
                "600",
            ]
        )
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def body(tmp_path: Path, value: Any) -> str:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return str(path)


def lines(text: str) -> List[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_webhook_prints_one_json_line_per_incident_and_nothing_else(
    command: Command, tmp_path: Path
) -> None:
    code, out, err = command("webhook", "alerts", body(tmp_path, {"numbers": [1, 2]}), "--json")
    assert code == 0
    assert sorted((each["incident_id"], each["status"]) for each in lines(out)) == [
        ("inc-1", "resolved"),
        ("inc-2", "resolved"),
    ]
    assert "rule mini.hook runs mini.ingest" in err
    assert "mini.close" in err


def test_webhook_tells_only_of_incidents_it_touched(command: Command, tmp_path: Path) -> None:
    command("webhook", "alerts", body(tmp_path, {"numbers": [1]}))
    code, out, _ = command("webhook", "alerts", body(tmp_path, {"numbers": [2]}))
    assert (code, out.split()[:3]) == (0, ["inc-2", "resolved", "critical"])


def test_webhook_whose_incident_has_not_ended_exits_1(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("webhook", "alerts", body(tmp_path, {"numbers": [1, 9]}), "--json")
    assert code == 1
    assert sorted(each["status"] for each in lines(out)) == ["open", "resolved"]


def test_webhook_whose_action_failed_without_an_incident_exits_1(
    command: Command, tmp_path: Path
) -> None:
    code, out, err = command("webhook", "alerts", body(tmp_path, {"nothing": 1}), "--json")
    assert (code, out) == (1, "")
    assert "failed" in err


def test_webhook_nobody_takes_says_which_there_are(command: Command, tmp_path: Path) -> None:
    code, _, err = command("webhook", "elsewhere", body(tmp_path, {}))
    assert code == 2
    assert "Registered are: alerts" in err


def test_webhook_of_a_rule_that_is_off_says_how_to_run_it(
    mini: Miniature, command: Command, tmp_path: Path
) -> None:
    mini.rule(
        "quiet",
        """
        trigger: {type: core.st2.webhook, parameters: {url: quiet}}
        action: {ref: mini.echo}
        """,
        enabled=False,
    )
    code, _, err = command("webhook", "quiet", body(tmp_path, {}))
    assert code == 2
    assert "--enable quiet" in err
    assert command("webhook", "quiet", body(tmp_path, {}), "--enable", "quiet")[0] == 0


def test_run_prints_the_result(command: Command) -> None:
    code, out, err = command("run", "echo", "value=a=b")
    assert (code, json.loads(out), err) == (0, {"value": "a=b"}, "")


def test_run_reads_values_by_their_declared_type(mini: Miniature, command: Command) -> None:
    mini.write(
        "actions/typed.yaml",
        """
        name: typed
        runner_type: python-script
        entry_point: run.py
        parameters:
          function: {type: string, immutable: true, default: minilib.typed.typed}
          n: {type: integer}
          x: {type: number}
          sure: {type: boolean}
          items: {type: array}
          more: {type: object}
          text: {type: string}
        """,
    )
    mini.write(
        "actions/lib/minilib/typed.py", "def typed(config, **given):\n    return True, given\n"
    )
    code, out, _ = command(
        "run", "mini.typed", "n=3", "x=0.5", "sure=true", "items=a,b", 'more={"a": 1}', "text=7"
    )
    assert code == 0
    assert json.loads(out) == {
        "n": 3,
        "x": 0.5,
        "sure": True,
        "items": ["a", "b"],
        "more": {"a": 1},
        "text": "7",
    }


def test_failed_run_exits_1_with_the_reason(command: Command) -> None:
    code, out, err = command("run", "refuse")
    assert (code, json.loads(out)["error"]) == (1, "not now")
    assert err == "mini.refuse: failed: not now\n"


def test_run_as_json_is_the_whole_execution(command: Command) -> None:
    code, out, err = command("run", "fail", "incident_id=i", "--json")
    (execution,) = lines(out)
    assert (code, execution["status"], execution["result"]["exit_code"]) == (1, "failed", 1)
    assert "boom i" in execution["result"]["stderr"]
    assert err == ""


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (("run", "nobody"), "There is no action nobody"),
        (("run", "echo", "value"), "name=value"),
        (("run", "echo", "nope=1"), "nope"),
        (("run", "flaky", "path=p", "good_at=x"), "good_at is an integer"),
        (("run", "resolved"), "incident_id"),
        (("sensor", "Nobody", "--once"), "no sensor Nobody"),
        (("trigger", "mini.alert", "{"), "The payload is not JSON"),
        (("trigger", "mini.nothing", "{}"), "There is no trigger mini.nothing"),
        (("run", "flaky", "path=p", "--config", "/no/such/file"), "/no/such/file"),
        (("alias", "do it"), "No alias understands"),
        (("webhook", "alerts", "/no/such/file"), "/no/such/file"),
    ],
)
def test_what_cannot_be_run_exits_2_with_the_reason(
    command: Command, arguments: Tuple[str, ...], reason: str
) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert reason in err


def test_python_without_the_packages_is_told_which_one_has_them() -> None:
    bare = subprocess.run(
        [sys.executable, "-S", "-m", "standalone", "--help"],
        cwd=str(ROOT),
        env={**os.environ, "PYTHONPATH": ""},
        stderr=subprocess.PIPE,
        check=False,
    )
    assert bare.returncode == 2
    assert bare.stderr.startswith(b"This Python has no module ")
    assert b".venv/bin/python -m standalone" in bare.stderr


def test_trigger_is_followed_to_the_end(command: Command) -> None:
    code, out, _ = command("trigger", "mini.alert", '{"incident_id": "inc-5"}', "--json")
    assert (code, [each["action"]["ref"] for each in lines(out)]) == (0, ["mini.close"])


def test_sensor_once_runs_what_it_caused(mini: Miniature, command: Command, tmp_path: Path) -> None:
    mini.sensors()
    code, _, err = command("sensor", "CountingSensor", "--once")
    assert code == 0
    assert "polled 1" in err
    assert "sensed-1" in (tmp_path / "incidents").read_text(encoding="utf-8")
    assert command("sensor", "DyingSensor", "--once")[0] == 1


def test_alias_is_understood_and_answered_in_its_format(mini: Miniature, command: Command) -> None:
    mini.write(
        "aliases/say.yaml",
        """
        name: say
        action_ref: mini.echo
        formats: ["say {{ value=nothing }}"]
        result: {format: "it said {{ execution.result.result.value }}, {{ execution.status }}"}
        """,
    )
    assert command("alias", "say hello")[:2] == (0, "it said hello, succeeded\n")
    assert command("alias", "say")[1] == "it said nothing, succeeded\n"


@pytest.mark.parametrize(
    "arguments", [[], ["run"], ["webhook"], ["serve"], ["sensor"], ["alias"], ["trigger"]]
)
def test_help_is_there_for_every_command(
    arguments: List[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments + ["--help"])
    assert ended.value.code == 0
    assert "usage: python -m standalone" in capsys.readouterr().out


def test_serve_takes_webhooks_with_its_key_until_interrupted(mini: Miniature) -> None:
    environment = dict(os.environ, SELFHEAL_HOME=str(mini.home))
    environment.pop("SELFHEAL_API_KEY", None)
    served = subprocess.Popen(
        [sys.executable, "-m", "standalone", "serve", "--port", "0", "--pack", str(mini.root)],
        cwd=str(ROOT),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        first = served.stdout.readline()
        second = served.stdout.readline()
        url, key = second.split()[1], second.split()[-1]
        assert url.startswith("http://127.0.0.1:") and url.endswith("/v1/webhooks/alerts")
        assert "Pack mini 1.0.0" in first
        assert (mini.home / "api_key").stat().st_mode & 0o077 == 0
        request = urllib.request.Request(
            url, b'{"numbers": [4]}', {"St2-Api-Key": key, "Content-Type": "application/json"}
        )
        assert urllib.request.urlopen(request, timeout=180).status == 202
        written = mini.root.parent / "incidents"
        eventually(
            lambda: written.exists() and "inc-4" in written.read_text(encoding="utf-8"),
            "it was healed",
        )
        served.send_signal(signal.SIGTERM)
        assert served.wait(180) == 0
    finally:
        served.kill()
        served.communicate()


def test_serve_at_a_port_that_is_taken_names_it(command: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        code, _, err = command("serve", "--port", str(port))
    assert code == 2
    assert "port %d" % port in err and "another port" in err


def test_inquiry_is_asked_at_the_terminal(mini: Miniature) -> None:
    import pty

    mini.workflow(
        "asks",
        """
        version: 1.0
        vars: [said: nothing]
        tasks:
          ask:
            action: core.ask
            input:
              schema:
                type: object
                properties: {approved: {type: boolean, description: "Go ahead?", required: true}}
            next: [{when: <% succeeded() %>, publish: [said: <% result().response.approved %>]}]
        output: [said: <% ctx().said %>]
        """,
    )
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "standalone",
            "run",
            "asks",
            "--json",
            "--pack",
            str(mini.root),
            "--home",
            str(mini.home),
        ],
        cwd=str(ROOT),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        os.close(theirs)
        os.write(ours, b"y\n")
        out, err = asked.communicate(timeout=180)
    finally:
        asked.kill()
        os.close(ours)
    assert "Go ahead? [y/N]" in err
    assert asked.returncode == 0
    assert lines(out)[0]["result"] == {"output": {"said": True}}
