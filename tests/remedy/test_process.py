"""Child processes: what they see, how they end, and that they cannot outlive us."""

from __future__ import annotations

import ast
import base64
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from selfheal.config import Config
from selfheal.exceptions import ExternalError, InvalidInput
from selfheal.remedy import process
from selfheal.remedy.model import Command

LIBRARY = str(Path(process.__file__).resolve().parents[2])
SHOW = Command(
    argv=(
        sys.executable,
        "-S",
        "-c",
        ("import os, base64; print(base64.b64encode(os.environb[b'VALUE']).decode())"),
    )
)


def sh(script: str) -> Command:
    return Command(script=script, interpreter=("/bin/sh",))


def run(command, timeout_s=180.0, should_stop=None, **values):
    return process.run(command, process.environment(values), timeout_s, should_stop=should_stop)


def lives(pid: int) -> bool:
    try:
        state = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def gone_within(pids, seconds) -> bool:
    deadline = time.monotonic() + seconds
    while any(lives(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def pids_in(path, count, seconds=180.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        words = path.read_text().split() if path.exists() else []
        if len(words) == count:
            return [int(word) for word in words]
        time.sleep(0.01)
    raise AssertionError("%s never held %d numbers" % (path, count))


HOSTILE = (
    "$(touch owned)",
    "`touch owned`",
    "; touch owned #",
    "a\nb\r\nc",
    "\"'\\",
    "-rf /",
    "{{ x }}",
    "<% ctx() %>",
    "\x1b[31m",
    "%s%n",
    "\u202e\u2028",
    "*",
    "~",
    "$IFS",
)


@settings(max_examples=25)
@example("$(touch owned)\n`touch owned`\n\"'\\;touch owned")
@given(
    st.one_of(st.sampled_from(HOSTILE), st.text(max_size=200)).filter(
        lambda text: (
            "\x00" not in text and
            text.isascii() or
            not any("\ud800" <= c <= "\udfff" for c in text) and
            "\x00" not in text
        )
    )
)
def test_a_value_arrives_byte_for_byte(text):
    assert base64.b64decode(run(SHOW, VALUE=text).stdout) == text.encode("utf-8")


def test_nothing_in_a_value_is_evaluated_by_the_shell_that_prints_it(tmp_path):
    for text in HOSTILE:
        ended = process.run(
            sh('printf %s "$VALUE"'), process.environment({"VALUE": text}), 180, str(tmp_path)
        )
        assert ended.stdout == text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value, words",
    [("a\x00b", "NUL"), ("a\ud800b", "not valid Unicode"), ("x" * 200000, "200000 bytes long")],
)
def test_a_value_that_no_variable_can_hold_is_refused_by_name(value, words):
    with pytest.raises(InvalidInput, match="the value of VALUE.*%s" % words):
        process.environment({"VALUE": value})


def test_the_child_does_not_see_our_secrets(monkeypatch):
    monkeypatch.setenv("ST2_ACTION_AUTH_TOKEN", "s3cret")
    ended = run(sh("env"), A="1")
    assert "s3cret" not in ended.stdout and "ST2_" not in ended.stdout
    assert "A=1" in ended.stdout.splitlines()


def test_a_script_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    ended = run(sh("echo here; exit 7"))
    assert (ended.exit_code, ended.stdout) == (7, "here\n")
    assert list(tmp_path.iterdir()) == []


def test_an_argument_is_never_read_as_shell():
    assert run(Command(argv=("/bin/echo", "$(id)", "; id"))).stdout == "$(id) ; id\n"


def test_a_program_that_does_not_exist_is_an_error_that_names_it():
    with pytest.raises(ExternalError, match="cannot start 'no-such-program'.*No such file"):
        run(Command(argv=("no-such-program",)))


def timed_out(script, path, count):
    """The processes of a script that was timed out after it had written `count` of them down."""
    for seconds in (1.0, 10.0, 120.0):  # a slow machine may need longer to begin than it is given
        ended = run(sh(script), seconds)
        assert (ended.stopped, ended.exit_code) == ("timeout", None)
        if path.exists() and len(path.read_text().split()) >= count:
            break
    return [int(word) for word in path.read_text().split()]


def test_the_deadline_ends_the_whole_group(tmp_path):
    pids = tmp_path / "pids"
    script = "echo $$ >> %s; sleep 900 & echo $! >> %s; sleep 900" % (pids, pids)
    found = timed_out(script, pids, 2)
    assert len(found) >= 2 and gone_within(found, 180.0)


def test_who_ignores_term_is_killed(tmp_path):
    pids = tmp_path / "pids"
    script = "trap '' TERM; echo $$ >> %s; while :; do sleep 0.1; done" % pids
    assert gone_within(timed_out(script, pids, 1), 180.0)


def test_a_running_command_can_be_stopped():
    started = time.monotonic()
    ended = run(
        sh("sleep 900"),
        should_stop=lambda: "interrupted" if time.monotonic() > started + 0.2 else "",
    )
    assert ended.stopped == "interrupted"


def test_a_daemon_that_keeps_the_output_open_does_not_hold_us_up(tmp_path):
    ended = run(sh("sleep 900 & echo $! > %s/pids; echo started" % tmp_path), 180)
    pid = pids_in(tmp_path / "pids", 1)[0]
    try:
        assert (ended.exit_code, ended.stdout, ended.stopped) == (0, "started\n", "")
        assert lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 32 * 1024, 32 * 1024 + 1, 3_000_000])
def test_of_long_output_the_start_and_the_end_are_kept(size):
    text = ("%07d\n" * (size // 8 + 1) % tuple(range(size // 8 + 1)))[:size]
    ended = run(
        Command(argv=(sys.executable, "-S", "-c", "import sys; sys.stdout.write(sys.stdin.read())"))
    )
    assert ended.stdout == ""  # nothing is on its standard input
    ended = run(
        Command(
            argv=(
                sys.executable,
                "-S",
                "-c",
                (
                    "import sys; n = %d; sys.stdout.write(('%%07d\\n' * (n // 8 + 1) %% "
                    "tuple(range(n // 8 + 1)))[:n])" % size
                ),
            )
        )
    )
    half = process.MAX_OUTPUT_BYTES // 2
    if size <= 2 * half:
        assert ended.stdout == text
    else:
        assert ended.stdout == "%s\n[... %d bytes left out ...]\n%s" % (
            text[:half],
            size - 2 * half,
            text[-half:],
        )


def test_output_that_is_no_text_is_shown_as_far_as_it_can_be():
    assert run(sh(r"printf 'a\377b'")).stdout == "a\ufffdb"


def test_when_we_are_killed_the_child_and_what_it_started_die(tmp_path):
    script = "echo $$ > %s/pids; sleep 900 & echo $! >> %s/pids; wait" % (tmp_path, tmp_path)
    code = (
        "import sys; sys.path.insert(0, %r)\n"
        "from selfheal.remedy import process\nfrom selfheal.remedy.model import Command\n"
        "process.run(Command(script=%r, interpreter=('/bin/sh',)), process.environment({}), "
        "900)\n" % (LIBRARY, script)
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    pids = pids_in(tmp_path / "pids", 2)
    assert all(lives(pid) for pid in pids)
    parent.kill()
    parent.wait()
    assert gone_within(pids, 180.0)


ENVIRONMENT = Command(argv=(sys.executable, "-S", "-c", "import os; print(dict(os.environ))"))


def test_the_whole_environment_is_ours_and_the_values(monkeypatch):
    for name in ("LD_PRELOAD", "BASH_ENV", "PYTHONPATH", "KUBECONFIG", "http_proxy", "EDITOR"):
        monkeypatch.setenv(name, "")
    seen = set(ast.literal_eval(run(ENVIRONMENT, VALUE="x").stdout))
    ours = {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME"}
    assert {"PATH", "VALUE"} <= seen <= ours | {"VALUE", "LC_CTYPE"}  # Python adds LC_CTYPE


def test_programs_are_not_looked_for_where_everybody_may_write(monkeypatch, tmp_path):
    trap, fine = tmp_path / "trap", tmp_path / "fine"
    for folder in (trap, fine):
        folder.mkdir()
        (folder / "whose").write_text("#!/bin/sh\necho %s\n" % folder.name)
        (folder / "whose").chmod(0o755)
    trap.chmod(0o777)
    relative = os.path.relpath(str(trap))
    monkeypatch.setenv("PATH", ":".join(["", ".", relative, str(trap), "/none", str(fine)]))
    assert process.environment({})[b"PATH"] == os.fsencode(str(fine))
    assert run(Command(argv=("whose",))).stdout == "fine\n"


@pytest.mark.parametrize("path", [None, "", ":.:", "relative:/no/such/folder"])
def test_without_a_usable_path_the_usual_one_counts(monkeypatch, path):
    if path is None:
        monkeypatch.delenv("PATH")
    else:
        monkeypatch.setenv("PATH", path)
    assert b"/usr/bin" in process.environment({})[b"PATH"].split(b":")


def test_words_are_never_read_by_a_shell(tmp_path):
    words = ("$HOME", "`id`", "a;b", "*", "~", "|", ">", str(tmp_path / "x"), "a b", "\n")
    assert run(Command(argv=("/usr/bin/printf", "%s\\n", *words))).stdout == "".join(
        word + "\n" for word in words
    )
    assert list(tmp_path.iterdir()) == []


def test_a_command_has_300_seconds_unless_somebody_says_otherwise():
    assert Config({}).number("resolver.timeout") == 300
