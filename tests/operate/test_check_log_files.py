"""What check_config says of the log files that are meant."""

from __future__ import annotations

import os

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.operate import configuration
from selfheal.operate.check_log_files import lines


def rows(*paths):
    return lines(Context(Config({"log_files": {"paths": list(paths)}})))


def test_off_until_a_path_is_named():
    [(what, state, detail, _)] = rows()
    assert (what, state) == ("log_files", "off")
    assert "no log files are followed" in detail


def test_files_are_counted_and_strange_ones_named(tmp_path):
    (tmp_path / "a.log").touch()
    (tmp_path / "b.log").touch()
    (tmp_path / "b.log.1").touch()
    os.symlink("/etc/passwd", str(tmp_path / "link.log"))
    first, second = rows(str(tmp_path / "*.log*"))
    assert first[1:3] == ("on", "2 files on this machine")
    assert second[1] == "warning" and "symbolic link" in second[2]


def test_patterns_that_mean_nothing_are_a_warning(tmp_path):
    [(_, state, _, do)] = rows(str(tmp_path / "*.log"))
    assert state == "warning" and "correct log_files.paths" in do


def test_each_path_without_a_file_is_named_beside_those_that_have_one(tmp_path):
    (tmp_path / "shop.log").touch()
    first, second = rows(str(tmp_path / "shop.log"), str(tmp_path / "shpo.log"))
    assert first[1:3] == ("on", "1 file on this machine")
    assert second[1] == "warning" and "shpo.log: no such file" in second[2]


@pytest.mark.parametrize("path", ["app.log", "./app.log", "~/app.log", ""])
def test_a_relative_path_is_a_problem_of_the_configuration(path):
    values = {"log_files": {"paths": ["/var/log/*.log", path]}}
    [problem] = configuration.problems(values, Config({}).schema)
    assert "must be a whole path" in problem
