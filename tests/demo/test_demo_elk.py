"""The demo that watches a log: found by its errors, healed, proven by reading on, closed."""

import re

from tests.demo.test_demo_runs import HEALED


def test_errors_in_a_log_are_found_healed_proven_and_closed(demo):
    run = demo("--scenario", "elk").finish()
    assert run.code == 0, run.text
    assert run.result["status"] == "resolved"
    assert run.result["strategy"] == "automated"
    assert run.result["actions"] == HEALED[1:]  # nobody told the pack: its sensor found out
    assert "elk_error_response starts incident_response" in run.text
    assert re.search(r"\d+ errors of one kind in the log: ApplicationErrors", run.text)
    assert re.search(r"order \S+ waits: the spool is locked by process \d+", run.text)
    assert re.search(r"for a further error of v1:[0-9a-f]{20}: none since \S+, looked at", run.text)
    placed, done = re.search(r"(\d+) orders placed, (\d+) worked off, 0 waiting", run.text).groups()
    assert placed == done
    assert run.text.isascii()
    assert run.is_gone()


def test_it_needs_no_prometheus(demo):
    run = demo("--scenario", "elk", "--live").finish()
    assert run.code == 2
    assert "watches a log file" in run.text
