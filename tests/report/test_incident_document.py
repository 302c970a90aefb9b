"""An incident as a document: says all that is known, whatever is missing or hostile."""

from __future__ import annotations

from selfheal import document
from selfheal.incidents.model import from_row
from selfheal.report.incident import Told
from selfheal.report.incident import document as report
from selfheal.report.markdown import rendered
from tests import scene

NOW = scene.START


def incident(**changes):
    row = dict.fromkeys(
        ("cluster", "namespace", "workload", "instance", "service", "strategy", "resolution",
         "run_id", "dispatched_at", "cleared_at", "resolved_at", "analysis", "plan", "reasons")
    )
    row.update(
        id="inc-1", group_key="g", source="alertmanager", alert_type="ServiceDown",
        title="web is down", severity="critical", status="open", response_level="auto", dry_run=0,
        signal='{"labels": {"alertname": "ServiceDown"}, "annotations": {"summary": "no answer"}}',
        attempts=1, reopened=0, alert_count=2, opened_at=NOW - 754, updated_at=NOW,
        last_seen_at=NOW,
    )
    row.update(changes)
    return from_row(row)


def whole():
    """A report of everything there can be."""
    execution = {
        "remedy": "runbook:restart", "risk": "reversible", "dry_run": 0, "status": "done",
        "started_at": NOW - 600, "finished_at": NOW - 590, "verified": 1,
        "outcome": {
            "reason": "all steps done",
            "steps": [
                {"name": "restart", "status": "done", "seconds": 1.5, "stdout": "a\nb\n"},
                {"name": "look", "status": "done", "seconds": 0.1, "detail": "is up"},
            ],
        },
    }
    return Told(
        incident(
            status="resolved", resolution="remediated", resolved_at=NOW - 4, reopened=1,
            strategy="automated", reasons='["harmless enough"]', workload="web", namespace="shop",
            analysis='{"evidence": [{"what": "log", "found": "OOMKilled"}]}',
            plan='{"remedy": "runbook", "runbook": "restart", "risk": "reversible",'
            ' "confidence": 0.9, "steps": [{"name": "restart", "kind": "command"}]}',
        ),
        now=NOW,
        alerts=[{"status": "resolved", "starts_at": "2023-11-14T22:00:00Z", "ends_at": None,
                 "labels": {"alertname": "ServiceDown", "instance": "web1"}}],
        executions=[execution],
        undo=[{"step": "restart", "status": "undone", "outcome": {"detail": "scaled back"}}],
        approvals=[{"requested_at": NOW - 700, "status": "used", "decided_by": "jane",
                    "decided_at": NOW - 650, "comment": "go on"}],
        entries=[{"at": NOW - 750, "kind": "opened", "message": "an alert came"}],
        messages=[{"kind": "escalation", "channel": "slack:default", "status": "sent",
                   "sent_at": NOW - 500}],
        tickets=[{"number": "INC0010001", "tracker": "servicenow.default", "status": "resolved",
                  "url": "https://x.example/1"}],
        silences=[{"status": "ended", "ends_at": NOW, "matchers": 'alertname="ServiceDown"'}],
        diagnosis={"facts": [{"what": "pods", "found": "0 of 2 ready"}],
                   "missing": [{"part": "metrics", "why": "refused"}],
                   "logs": [{"container": "app", "pod": "web-1", "lines": ["boom", "bang"]}]},
        links={"alert": "http://prometheus.example/graph?g0=a&b=c"},
    )


def test_report_says_all_that_is_known():
    text = document.plain(report(whole()))
    for said in (
        "[critical] web is down", "resolved after 12 min 30 s: a remediation worked",
        "workload web", "namespace shop", "summary: no answer", "log: OOMKilled", "instance=web1",
        "Strategy: automated", "harmless enough", "runbook restart (risk reversible",
        "step 1: restart (command)", "used by jane", "go on", "runbook:restart (reversible): done",
        "in 10 s, all steps done; the signal became healthy", "restart: done (1.5 s)",
        "    a\n    b",
        "look: done (0.1 s), is up", "restart: undone, scaled back", "pods: 0 of 2 ready",
        "boom", "metrics: refused", "ticket INC0010001 in servicenow.default: resolved",
        "escalation by slack:default: sent at", "silence ended until", "opened: an alert came",
        "http://prometheus.example/graph?g0=a&b=c", "Reopened: 1 time",
    ):
        assert said in text, said


def test_report_of_a_new_incident_has_no_empty_section():
    found = report(Told(incident(), now=NOW))
    text = document.plain(found)
    assert "is open, open for 12 min 34 s" in text
    for absent in ("What was done", "What was decided", "Timeline", "Links", "Who was"):
        assert absent not in text
    assert all(block.lines for block in found)


def test_incident_that_was_decided_and_not_acted_on_says_that_nothing_was_done():
    assert "Nothing was done." in document.plain(
        report(Told(incident(strategy="manual"), now=NOW))
    )


def test_long_timeline_is_cut_and_says_so():
    entries = [{"at": NOW, "kind": "note", "message": "n%d" % n} for n in range(400)]
    text = document.plain(report(Told(incident(), now=NOW, entries=entries, entries_left_out=7)))
    assert "(107 before these are left out)" in text
    assert "note: n399" in text and "note: n99\n" not in text


def test_rows_that_a_hand_wrote_do_not_break_it():
    strange = Told(
        incident(plan='{"steps": "none"}', analysis='{"evidence": 5}', reasons="[1, null]",
                 strategy="?", resolution="odd", resolved_at=NOW),
        now=NOW,
        executions=[{"remedy": None, "risk": None, "status": "x", "started_at": NOW,
                     "outcome": "text"},
                    {"remedy": "r", "risk": "r", "status": "x", "started_at": NOW,
                     "outcome": {"steps": ["a", {"stdout": 5}]}}],
        undo=[{"step": "s", "status": "x", "outcome": None}],
        diagnosis={"facts": "x", "logs": [5, {"lines": None}], "missing": [1]},
    )
    assert "Incident inc-1 is resolved" in document.plain(report(strange))


def test_markdown_has_one_title_and_sections():
    lines = rendered(report(whole())).splitlines()
    assert lines[0] == "# \\[critical\\] web is down"
    assert [line for line in lines if line.startswith("## ")] == [
        "## " + words
        for words in (
            "What happened", "What was decided", "Who was asked", "What was done",
            "What was taken back", "What a close look found", "Who was told", "Timeline (UTC)",
            "Links",
        )
    ]
    assert "- [alert](<http://prometheus.example/graph?g0=a&b=c>)" in lines
    assert "```\na\nb\n```" in rendered(report(whole()))
