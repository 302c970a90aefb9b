"""A dry run through all steps of the response: the full plan is shown, and every effect that Python
can see is recorded to prove that nothing was touched.
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading

import pytest

from selfheal.incidents import registry
from selfheal.respond import escalate, finish
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate
from tests import web
from tests.remedy import scenes

EFFECTS = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.spawn",
    "os.system",
    "socket.connect",
    "socket.sendto",
)
# What a dry run may write: what is known of the incident, and who holds it.
WRITABLE = {
    "audit_heads",
    "checkpoints",
    "execution_history",
    "incident_events",
    "incidents",
    "locks",
    "system_status",
}


class Recorder:
    """Every effect while it is on: audit events of Python, statements of the database. Threads that
    ran before are others': what earlier tests have started may still be on its way out.
    """

    def __init__(self):
        self.is_on = False
        self._others = frozenset()
        self.events = []
        self.statements = []
        sys.addaudithook(self._hear)  # for good: a hook cannot be taken off again

    def _hear(self, event, arguments):
        if not self.is_on or threading.get_ident() in self._others:
            return
        if event in EFFECTS:
            self.events.append((event, str(arguments)))
        elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
            self.events.append((event, str(arguments)))

    @contextlib.contextmanager
    def recording(self):
        del self.events[:], self.statements[:]
        running = {one.ident for one in threading.enumerate()}
        self._others = frozenset(running - {threading.get_ident()})
        self.is_on = True
        try:
            yield
        finally:
            self.is_on = False

    def tables(self):
        pattern = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)", re.I)
        found = (pattern.match(statement) for statement in self.statements)
        return {match.group(1).lower() for match in found if match}


RECORDER = Recorder()


def steps(tmp_path, url):
    touched = str(tmp_path / "touched")
    return [
        {
            "name": "touch",
            "command": {"argv": ["touch", touched]},
            "undo": {"command": {"argv": ["rm", "-f", touched]}},
        },
        {"name": "script", "command": scenes.shell("touch %s/scripted" % tmp_path)},
        {"name": "call", "api_call": {"method": "POST", "url": url + "/act"}},
        {"name": "rest", "wait": {"seconds": 60}},
    ]


@pytest.mark.parametrize("risk", ["reversible", "destructive"])
def test_every_effect_is_recorded_and_there_is_none(tmp_path, risk):
    ctx = scenes.context_for(tmp_path, clock=scenes.StillClock())
    ctx.store._connection.set_trace_callback(RECORDER.statements.append)
    with web.serving() as site:
        scenes.write_runbook(tmp_path, risk=risk, steps=steps(tmp_path, site.url))
        incident_id = scenes.add_incident(ctx.store, dry_run=1)
        with RECORDER.recording():
            assert analyze_incident(ctx, incident_id, "run-1")["state"] == "claimed"
            strategy = determine_response_strategy(ctx, incident_id, "run-1")["strategy"]
            if strategy == "automated":
                assert remediate(ctx, incident_id, "run-1")["outcome"] == "planned"
            finish.observe_incident(ctx, incident_id, "run-1")
        assert site.asked == []
    assert strategy in ("automated", "ignore")
    assert RECORDER.events == []
    assert RECORDER.tables() <= WRITABLE
    assert not (tmp_path / "touched").exists() and not (tmp_path / "scripted").exists()
    [entry] = scenes.timeline_of(ctx.store, incident_id, "remediation_planned")
    shown = entry["data"]["steps"]
    assert [step["name"] for step in shown] == ["touch", "script", "call", "rest"]
    assert shown[0]["argv"][-1] == str(tmp_path / "touched")
    assert shown[0]["undo_argv"][-1] == str(tmp_path / "touched")
    assert "/act" in shown[2]["what"]
    ctx.close()


def test_the_recorder_would_see_it(tmp_path):
    ctx = scenes.context_for(tmp_path, clock=scenes.StillClock())
    scenes.write_runbook(
        tmp_path,
        steps=[{"name": "touch", "command": {"argv": ["touch", str(tmp_path / "touched")]}}],
    )
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    determine_response_strategy(ctx, incident_id, "run-1")
    with RECORDER.recording():
        assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    assert "subprocess.Popen" in {event for event, _ in RECORDER.events}
    ctx.close()


def test_dry_run_that_would_be_refused_says_so_and_calls_nobody(tmp_path):
    ctx = scenes.context_for(tmp_path, clock=scenes.StillClock())
    path = scenes.write_runbook(tmp_path)
    incident_id = scenes.add_incident(ctx.store, dry_run=1)
    analyze_incident(ctx, incident_id, "run-1")
    determine_response_strategy(ctx, incident_id, "run-1")
    path.write_text(path.read_text().replace("true", "false"))
    told = remediate(ctx, incident_id, "run-1")
    assert told["outcome"] == "planned" and "analyze" in told["reason"]
    assert scenes.timeline_of(ctx.store, incident_id, "remediation_refused") == []
    [entry] = scenes.timeline_of(ctx.store, incident_id, "remediation_planned")
    assert "would be refused" in entry["message"]
    ctx.close()


def test_response_that_fails_in_a_dry_run_calls_nobody_but_a_person_still_may(tmp_path):
    ctx = scenes.context_for(tmp_path, clock=scenes.StillClock())
    incident_id = scenes.add_incident(ctx.store, dry_run=1)
    analyze_incident(ctx, incident_id, "run-1")
    told = escalate.escalate_to_oncall(ctx, incident_id, "run-1", "analysis_failed")
    assert not told["escalated"] and "dry run" in told["note"]
    assert scenes.rows_of(ctx.store, "outbox") == []
    assert told["status"] == "observed"
    assert registry.get(ctx.store, incident_id).status == "observed"
    assert not registry.is_held(ctx.store, incident_id)
    by_hand = escalate.escalate_to_oncall(ctx, incident_id)
    assert by_hand["escalated"] and len(scenes.rows_of(ctx.store, "outbox")) == 1
    ctx.close()
