"""The stores of tests leave nothing behind, not even those of runs that were killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests import stores

HOURS_AGO = time.time() - 2 * stores.LEFT_AFTER_S


def left(directory, name, pid=None, changed_at=HOURS_AGO):
    """The data of a server that has (had) process `pid`."""
    made = directory / (stores.PREFIX + name)
    (made / "base").mkdir(parents=True)
    (made / "base" / "1").write_bytes(b"rows")
    if pid is not None:
        (made / "postmaster.pid").write_text("%s\n%s\n" % (pid, made))
    os.utime(str(made), (changed_at, changed_at))
    return made


@pytest.fixture
def ended_pid():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_data_of_dead_servers_is_swept(tmp_path, ended_pid):
    killed, stopped = left(tmp_path, "killed", ended_pid), left(tmp_path, "stopped")
    stores.sweep(tmp_path)
    assert not killed.exists()
    assert not stopped.exists()


@pytest.mark.parametrize("words", ["", "soon", "99999999999999999999"])
def test_old_data_whose_pid_was_never_written_whole_is_swept(tmp_path, words):
    broken = left(tmp_path, "broken", words)
    stores.sweep(tmp_path)
    assert not broken.exists()


def test_data_of_a_living_server_stays(tmp_path):
    kept = left(tmp_path, "living", os.getpid())
    stores.sweep(tmp_path)
    assert (kept / "base" / "1").exists()


def test_fresh_data_stays_though_no_server_has_begun(tmp_path, ended_pid):
    young = left(tmp_path, "young", changed_at=time.time())
    killed = left(tmp_path, "killed", ended_pid, changed_at=time.time())
    stores.sweep(tmp_path)
    assert young.exists()
    assert killed.exists()


def test_what_is_not_ours_stays(tmp_path):
    other = tmp_path / "someone-elses"
    other.mkdir()
    os.utime(str(other), (HOURS_AGO, HOURS_AGO))
    stores.sweep(tmp_path)
    assert other.exists()
