"""Following log files: every error line once, whatever becomes of the file."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from pathlib import Path

import pytest

from selfheal.incidents.signal import epoch_of
from selfheal.store import load
from tests.intake.log_scene import Machine, errors


def test_new_error_lines_are_stored_once_and_others_are_not(machine):
    machine.write("app.log", "error before anybody looked")
    assert machine.look()["found"] == 0
    machine.write("app.log", "all is well", *errors(1, 3), "nothing to see")
    found = machine.look()
    assert (found["found"], found["new"], found["files"]) == (3, 3, 1)
    assert machine.look()["found"] == 0
    assert machine.stored() == errors(1, 3)


def test_it_works_on_both_databases(url, tmp_path):
    machine = Machine(url, tmp_path)
    machine.look()
    machine.write("app.log", *errors(1, 3))
    assert machine.look()["new"] == 3
    machine.rename("app.log", "app.log.1")
    machine.write("app.log", *errors(4, 5))
    assert machine.look()["new"] == 2
    machine.ctx.close()


def test_a_file_may_be_read_from_its_start(tmp_path):
    machine = Machine("sqlite:///%s" % (tmp_path / "db"), tmp_path, from_start=True)
    machine.write("app.log", *errors(1, 2))
    assert machine.look()["new"] == 2


def test_a_file_that_appears_later_is_read_from_its_start(machine):
    machine.look()
    machine.write("new.log", *errors(1, 2))
    assert machine.look()["new"] == 2


def test_a_pattern_that_is_added_later_begins_at_the_end_of_what_is_there(machine):
    machine.look()
    machine.write("other.txt", "error of long ago")
    machine.ctx.config.values["log_files"]["paths"].append(machine.path("*.txt"))
    assert machine.look()["new"] == 0
    machine.write("other.txt", *errors(1, 1))
    machine.look()
    assert machine.stored() == errors(1, 1)


def test_a_partial_line_waits_for_its_newline_and_is_taken_after_a_while(machine):
    machine.look()
    machine.write("app.log", "error one", "error tw", end="\n")
    os.truncate(machine.path("app.log"), len("error one\nerror tw"))
    machine.touch("app.log")
    machine.look(passes_s=3)
    assert machine.stored() == ["error one"]
    machine.write("app.log", "o")
    machine.look(passes_s=3)
    assert machine.stored() == ["error one", "error two"]
    machine.write("app.log", "error without newline", end="")
    machine.look(passes_s=3)
    assert len(machine.stored()) == 2
    machine.look(passes_s=10)
    assert machine.stored()[-1] == "error without newline"


def test_the_rest_of_a_trace_is_waited_for(machine):
    machine.look()
    machine.write("app.log", "ERROR order failed", "java.lang.IllegalStateException: no price")
    machine.look(passes_s=1)
    assert machine.stored() == []
    machine.write("app.log", "\tat com.acme.Shop.price(Shop.java:12)")
    machine.look(passes_s=3)
    assert len(machine.stored()) == 1
    [row] = machine.rows()
    assert "Shop.price" in row["message"] + str(load(row["detail"]))


def test_lines_without_a_time_are_of_now_and_nothing_is_wrong_with_them(machine):
    machine.look()
    machine.write("app.log", *errors(1, 3))
    assert machine.look()["rejected"] == 0
    assert {row["logged_at"] for row in machine.rows()} == {machine.clock.at}


@pytest.mark.parametrize("zone, hours", [("UTC0", 0), ("EST5", 5), ("CET-1", -1)])
def test_times_without_a_zone_are_this_machines(machine, monkeypatch, zone, hours):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        machine.look()
        machine.write("app.log", "2026-11-21 10:30:00,000 ERROR order failed")
        machine.look()
    finally:
        monkeypatch.undo()
        time.tzset()
    [row] = machine.rows()
    assert row["logged_at"] == epoch_of("2026-11-21T10:30:00.000Z") + hours * 3600


def test_until_is_moved_only_as_far_as_was_read(machine):
    machine.look()
    assert machine.look()["checkpoint"] == machine.clock.at
    machine.write("app.log", "error to be continued")
    assert machine.look(passes_s=1)["checkpoint"] == machine.clock.at - 1  # never backwards
    machine.write("app.log", "\tat a.b(C.java)")
    assert machine.look(passes_s=1.5)["checkpoint"] == machine.clock.at - 2
    assert machine.look()["lag_s"] == 0.0


def test_program_and_host_come_from_the_line_else_from_the_file(machine):
    machine.look()
    os.mkdir(machine.path("nginx"))
    machine.ctx.config.values["log_files"]["paths"].append(machine.path("nginx/*.log"))
    machine.look()
    machine.write("shop.log", "error of the shop")
    machine.write("nginx/error.log", "error of nginx")
    machine.write("all.log", "<11>Nov 21 22:00:00 web-7 sshd[7]: error: of ssh")
    machine.look()
    found = {row["program"]: row["host"] for row in machine.rows()}
    here = socket.gethostname()
    assert found == {"shop": here, "nginx": here, "sshd": "web-7"}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: os.symlink("/etc/passwd", path), "symbolic link"),
        (lambda path: os.mkfifo(path), "no regular file"),
        (lambda path: os.mkdir(path), "a directory"),
    ],
    ids=["link", "fifo", "directory"],
)
def test_what_is_no_file_is_refused_and_others_go_on(machine, make, reason):
    machine.look()
    make(machine.path("strange.log"))
    machine.ctx.config.values["log_files"]["paths"].append(machine.path("strange.log"))
    machine.write("app.log", *errors(1, 1))
    found = machine.look()
    named = machine.path("strange.log")
    if reason == "a directory":  # the pattern means it as well, and that is nobody's mistake
        assert named not in found["troubles"] or reason in found["troubles"][named]
        machine.ctx.config.values["log_files"]["paths"] = [named]
        found = dict(found, troubles=machine.look()["troubles"])
    assert reason in found["troubles"][named]
    assert machine.stored() == errors(1, 1)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/null", "a part of the system"),
        ("/proc/self/environ", "a part of the system"),
        ("relative.log", "whole path"),
    ],
)
def test_paths_that_make_no_sense_are_refused(machine, path, reason):
    machine.ctx.config.values["log_files"]["paths"] = [path]
    assert reason in machine.look()["troubles"][path]


@contextlib.contextmanager
def without_rights():
    """As a user who may read only what is open to all; root reads everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_cannot_be_read_has_its_own_message_and_others_go_on():
    with tempfile.TemporaryDirectory() as directory:  # one that others may enter
        os.chmod(directory, 0o777)
        os.mkdir(directory + "/db", 0o777)
        url = "sqlite:///%s/db/selfheal.db" % directory
        machine = Machine(url, Path(directory))
        machine.write("secret.log", "error of long ago")
        os.chmod(machine.path("secret.log"), 0)
        with without_rights():
            machine.look()
        machine.write("app.log", *errors(1, 1))
        with without_rights():
            found = machine.look()
        assert "Permission denied; let the user" in found["troubles"][machine.path("secret.log")]
        assert machine.stored() == errors(1, 1)
        assert found["checkpoint"] == machine.clock.at  # it was never read: nothing is missed
        os.chmod(machine.path("secret.log"), 0o644)
        with without_rights():
            machine.look()
        machine.write("secret.log", *errors(2, 2))
        with without_rights():
            assert machine.look()["troubles"] == {}
        assert machine.stored() == errors(1, 2)
        os.chmod(machine.path("secret.log"), 0)
        machine.write("secret.log", *errors(3, 3))
        with without_rights():
            found = machine.look()
        assert machine.path("secret.log") in found["troubles"]
        assert found["checkpoint"] == machine.clock.at - 60  # what it has to say is not known
        machine.ctx.close()


def test_two_sensors_on_one_machine_end_in_the_same_rows(tmp_path):
    url = "sqlite:///%s" % (tmp_path / "db")
    one, other = Machine(url, tmp_path), Machine(url, tmp_path)
    one.look()
    for step in range(6):
        first = step * 2 + 1
        one.write("app.log", *errors(first, first + 1))
        if step % 2:
            one.copy_and_truncate("app.log", "app.log.%d" % (10 - step))
        for sensor in (one, other) if step % 3 else (other, one):
            sensor.look()
    assert one.stored() == errors(1, 12)
    one.ctx.close()
    other.ctx.close()


def test_more_than_one_batch(machine, monkeypatch):
    monkeypatch.setattr("selfheal.intake.files.poll.BATCH", 10)
    machine.look()
    machine.write("a.log", *errors(1, 45))
    machine.write("b.log", *errors(46, 60))
    assert machine.look()["new"] == 60
    assert machine.stored() == errors(1, 60)


def test_a_look_ends_when_its_time_is_up_and_the_next_goes_on(machine, monkeypatch):
    machine.look()
    machine.write("a.log", *["error %05d" % number for number in range(5000)])
    machine.clock.monotonic = iter(range(0, 10**9, 20)).__next__
    found = machine.look()
    assert found["behind"] and 0 < found["new"] < 5000
    assert found["checkpoint"] < machine.clock.at
    for _ in range(20):
        found = machine.look()
    assert not found["behind"] and len(machine.stored()) == 5000


def test_nothing_is_lost_while_the_store_fails(machine, monkeypatch):
    machine.look()
    machine.write("app.log", *errors(1, 3))
    machine.ctx.store.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON error_logs BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    with pytest.raises(Exception, match="full"):
        machine.look()
    machine.ctx.store.execute("DROP TRIGGER broken")
    machine.look()
    assert machine.stored() == errors(1, 3)


def test_while_stackstorm_is_down_errors_are_kept_and_the_checkpoint_waits(machine):
    machine.look()
    before = machine.look()["checkpoint"]
    machine.triggers.down = True
    machine.write("app.log", *["error of one kind" for _ in range(6)])
    found = machine.look()
    assert found["error"] and found["checkpoint"] == before
    assert (found["new"], found["incidents"]) == (6, 1)
    machine.triggers.down = False
    found = machine.look()
    assert (found["error"], found["dispatched"]) == ("", 1)
    assert [trigger for trigger, _ in machine.triggers.sent] == ["selfheal.elk_error"]


def test_incident_is_not_over_because_the_clock_was_set_back(machine):
    machine.look()
    machine.look(passes_s=3600.0)  # the clock was ahead for one look
    machine.clock.at -= 3600.0
    machine.write("app.log", *["error of one kind" for _ in range(6)])
    found = machine.look()
    assert (found["incidents"], found["resolved"]) == (1, 0)
    assert machine.look()["resolved"] == 0
