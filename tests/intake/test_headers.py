"""Lines parted from the headers that programs write, and lines that only look like that."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.intake.documents.headers import Parted, may_have_header, part


@pytest.mark.parametrize(
    ("line", "parted"),
    [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed on /dev/pts/8",
            Parted(
                "'su root' failed on /dev/pts/8",
                "critical",
                "su",
                "mymachine",
                "2003-10-11T22:14:15.003Z",
            ),
        ),
        (
            '<165>1 2003-10-11T22:14:15Z - app 99 ID [a@1 b="c"][d@1 e="f"] it failed',
            Parted("it failed", "notice", "app", "", "2003-10-11T22:14:15Z"),
        ),
        (
            "<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            Parted("'su root' failed", "critical", "su", "mymachine", "Oct 11 22:14:15"),
        ),
        (
            "Nov 22 01:02:03 web1 sshd[123]: Failed password for root",
            Parted("Failed password for root", "", "sshd", "web1", "Nov 22 01:02:03"),
        ),
        (
            "Nov 22 01:02:03 web1 kernel: [12345.678901] Out of memory: Killed process 123",
            Parted("Out of memory: Killed process 123", "", "kernel", "web1", "Nov 22 01:02:03"),
        ),
        (
            "2026-11-22T01:02:03.123456+00:00 web1 systemd[1]: a.service: Failed",
            Parted("a.service: Failed", "", "systemd", "web1", "2026-11-22T01:02:03.123456+00:00"),
        ),
        (
            "[12345.678901] EXT4-fs error (device sda1)",
            Parted("EXT4-fs error (device sda1)", "", "kernel"),
        ),
        (
            "E1122 01:02:03.123456   12345 kubelet.go:123] Unable to attach",
            Parted("Unable to attach", "error", "", "", "1122 01:02:03.123456"),
        ),
        (
            "2026-11-22 01:02:03,123 ERROR [main] com.foo.Bar - cannot open",
            Parted("cannot open", "error", "com.foo.Bar", "", "2026-11-22 01:02:03,123"),
        ),
        (
            "2026-11-22 01:02:03,123 - myapp.db - ERROR - cannot open",
            Parted("cannot open", "error", "", "", "2026-11-22 01:02:03,123"),
        ),
        ("ERROR:root:cannot open", Parted("cannot open", "error", "root")),
        (
            "[2026-11-22 01:02:03,123: ERROR/ForkPoolWorker-1] Task foo raised",
            Parted("Task foo raised", "error", "", "", "2026-11-22 01:02:03,123"),
        ),
        (
            "2026-11-22 01:02:03.123 | ERROR    | __main__:main:12 - cannot open",
            Parted("cannot open", "error", "__main__", "", "2026-11-22 01:02:03.123"),
        ),
        (
            "2026-11-22T01:02:03.123Z ERROR 1 --- [nio-8080-exec-1] o.s.b.Foo       : it threw",
            Parted("it threw", "error", "o.s.b.Foo", "", "2026-11-22T01:02:03.123Z"),
        ),
        (
            "2026/11/22 01:02:03 [error] 29#29: *12 connect() failed, client: 1.2.3.4",
            Parted("connect() failed, client: 1.2.3.4", "error", "", "", "2026/11/22 01:02:03"),
        ),
        (
            "[Sun Nov 22 01:02:03.123456 2026] [core:error] [pid 1:tid 4] [client 1.2.3.4] AH1: it",
            Parted("AH1: it", "error", "", "", "Sun Nov 22 01:02:03.123456 2026"),
        ),
        (
            '2026-11-22 01:02:03.123 UTC [123] user@db ERROR:  relation "x" does not exist',
            Parted('relation "x" does not exist', "error", "", "", "2026-11-22 01:02:03.123 UTC"),
        ),
        (
            "2026-11-22T01:02:03.123456Z 0 [ERROR] [MY-010119] [Server] Aborting",
            Parted(
                "[MY-010119] [Server] Aborting", "error", "", "", "2026-11-22T01:02:03.123456Z"
            ),
        ),
        (
            "1:M 22 Nov 2026 01:02:03.123 # Can't save in background",
            Parted("Can't save in background", "", "", "", "22 Nov 2026 01:02:03.123"),
        ),
        (
            "[2026-11-22T01:02:03,123][ERROR][o.e.b.Bootstrap          ] [node-1] it failed",
            Parted("it failed", "error", "", "", "2026-11-22T01:02:03,123"),
        ),
        (
            "2026-11-22T01:02:03.123456789Z stderr F E1122 01:02:03.123456   1 a.go:1] no",
            Parted("no", "error", "", "", "2026-11-22T01:02:03.123456789Z"),
        ),
        (
            "[2026-11-22T01:02:03Z ERROR mycrate::db] cannot open",
            Parted("cannot open", "error", "", "", "2026-11-22T01:02:03Z"),
        ),
        (
            "17/06/09 20:10:40 ERROR executor.Executor: Exception in task",
            Parted("Exception in task", "error", "executor.Executor", "", "17/06/09 20:10:40"),
        ),
        (
            "Nov 22, 2026 1:02:03 AM com.foo.Bar doIt\nSEVERE: cannot open",
            Parted("cannot open", "critical", "", "", "Nov 22, 2026 1:02:03 AM"),
        ),
        ("[ERROR] connection lost", Parted("connection lost", "error")),
        ("ERROR: connection lost", Parted("connection lost", "error")),
        ("\x1b[31mERROR\x1b[0m connection lost", Parted("connection lost", "error")),
        ("<3>oops", Parted("oops", "error")),
    ],
)
def test_a_header_is_parted_and_read(line, parted):
    assert part(line) == parted
    assert may_have_header(line)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "E",
        "<",
        "Failed to start",
        "Error: connection lost",
        "ERROR",
        "ERROR in module foo",
        "ERROR is a word",
        "2026-11-22 01:02:03",
        "200 OK but nothing else",
        "<html>not found",
        "<999>no priority",
        "[worker] failed",
        "10.0.0.1 refused",
        "May the force fail",
        "Nov is a month",
        "E12 is no header",
        "java.lang.IllegalStateException: bad",
    ],
)
def test_what_only_looks_like_a_header_stays(line):
    assert part(line) == Parted(line)


def test_words_behind_a_time_are_no_syslog_header_without_a_process_number():
    assert part("2026-11-22T01:02:03Z order failed: timeout").message == "order failed: timeout"


def test_a_word_that_is_a_level_in_the_middle_is_none():
    parted = part("2026-11-22 01:02:03 Got ERROR from upstream")
    assert (parted.message, parted.level) == ("Got ERROR from upstream", "")


@pytest.mark.parametrize(
    "line",
    [
        "[" * 65536,
        "2026-11-22 01:02:03 " + "[a] " * 16000,
        "2026-11-22 01:02:03 " + "a" * 65000,
        "2026-11-22 01:02:03 " + "a " * 32000,
        "2026-11-22 01:02:03 " + "- " * 32000,
        "2026-11-22 01:02:03 " + "1" * 65000,
        "ERROR " + "[x] " * 16000,
        "ERROR " + "a.b" * 20000,
        "ERROR" + " " * 65000,
        "<34>1 a b c d e " + "[x" * 32000,
        "<34>1 a b c d e " + "[x]" * 20000,
        "\x1b[" * 32000,
        "<3>" * 20000,
        "Nov 22 01:02:03 " + "a." * 32000,
    ],
)
def test_a_hostile_line_takes_no_longer_than_a_long_one(line):
    started = time.process_time()
    for _ in range(10):
        part(line)
    assert time.process_time() - started < 2.0  # ten times 64 KB: far from anything quadratic


@given(st.text() | st.from_regex(r"[0-9\[<EN].{0,80}"))
def test_nothing_is_made_up(line):
    parted = part(line)
    assert parted.message in line or "\x1b" in line
    assert not may_have_header(line) or len(parted.message) <= len(line)
