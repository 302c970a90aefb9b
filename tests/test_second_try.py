"""A run whose tests fail now and then says so, and fails when it happens too often."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs, second_try

ROOT = Path(__file__).resolve().parent.parent
FAILS_ONCE = """
import pathlib
import pytest

@pytest.mark.parametrize("number", range(%d))
def test_luck(number):
    seen = pathlib.Path(__file__).with_name("seen-%%d" %% number)
    had_luck = seen.exists()
    seen.touch()
    assert had_luck, "no luck"
"""


def run(folder, tests, *options):
    """(exit code, output) of pytest with `tests` in a file of its own."""
    file = folder / "test_luck.py"
    file.write_text(tests)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.second_try"]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "-c", "/dev/null", *options, str(file)],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(("luckless", "code"), [(second_try.MOST, 0), (second_try.MOST + 1, 1)])
def test_tests_that_needed_luck_are_named_and_too_many_fail_the_run(tmp_path, luckless, code):
    needs.module("pytest_rerunfailures")
    returned, output = run(tmp_path, FAILS_ONCE % luckless, "--reruns", "1")
    assert returned == code, output
    assert "tried again: %d, at most %d may be" % (luckless, second_try.MOST) in output
    for number in range(luckless):
        assert "::test_luck[%d]" % number in output
    assert "AssertionError: no luck" in output


def test_test_that_fails_twice_fails_the_run(tmp_path):
    needs.module("pytest_rerunfailures")
    returned, output = run(tmp_path, "def test_wrong():\n    assert False\n", "--reruns", "1")
    assert returned == 1, output


def test_run_without_accidents_says_nothing(tmp_path):
    returned, output = run(tmp_path, "def test_right():\n    pass\n")
    assert (returned, "tried again" in output) == (0, False), output
