"""The bench of the fingerprints counts what it says, on a data set of its own."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "fingerprint.py"
ROWS = [
    ("user alice from 10.0.0.1 failed", "E1", "user <*> from <*> failed"),
    ("user bob from 10.0.0.2 failed", "E1", "user <*> from <*> failed"),
    ("user carol from 10.0.0.2 failed", "E2", "user <*> from <*> failed"),
    ("disk 3 is full", "E3", "disk <*> is full"),
    ("disk 4 is full", "E3", "disk <*> is full"),
    ("colour red seen", "E4", "colour <*> seen"),
    ("colour blue seen", "E4", "colour <*> seen"),
]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_fingerprint", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    with (tmp_path / "Own_2k.structured.csv").open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(["LineId", "Content", "EventId", "EventTemplate"])
        writer.writerows([number, *row] for number, row in enumerate(ROWS, 1))
    return tmp_path


def test_a_group_counts_only_when_it_holds_the_very_lines_of_an_event(bench):
    # Groups {0, 1}, {2}, {3, 4}, {5, 6}; predicted {0, 1, 2}, {3, 4}, {5}, {6}: one is right.
    figures = bench.score(list("aaabbcd"), ["E1", "E1", "E2", "E3", "E3", "E4", "E4"])
    assert figures == {"ga": 2 / 7, "fga": 2 * 1 / (4 + 4), "groups": 4, "true_groups": 4}


def test_changed_names_are_counted_by_line(bench):
    assert bench.differing(["a", "b", "c", "d"], ["a", "x", "c", "y"]) == 0.5


def test_the_last_line_is_the_result(data):
    answer = subprocess.run(
        [sys.executable, str(BENCH), "--data", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=True,
    )
    result = json.loads(answer.stdout.splitlines()[-1])
    own = result["sets"]["Own"]
    assert (own["groups"], own["true_groups"]) == (4, 4)
    assert own["ga"] == pytest.approx(2 / 7) and own["fga"] == pytest.approx(2 / 8)
    assert result["by_template"]["mean_ga"] == pytest.approx(5 / 7, abs=1e-4)
    assert set(result["changed_lines"].values()) == {0.0}
    assert result["cpu_lines_per_s"] > 0 and result["lines"] == len(ROWS)
    assert "missing" in result["drain3"] or "default" in result["drain3"]
    assert b"Own" in answer.stderr


def test_says_what_is_missing(tmp_path):
    answer = subprocess.run(
        [sys.executable, str(BENCH), "--data", str(tmp_path)], stderr=subprocess.PIPE
    )
    assert answer.returncode and b"_2k.structured.csv" in answer.stderr
