"""`kill -9` of a remediation at random moments: no process stays behind, the record is consistent,
the next one puts it right.

The runbook counts up a file in three steps, each with an undo that sets the file back to what it
was before that step. Whatever moment the kill hits, undoing must bring back the first state.
SELFHEAL_KILLS=100 kills as often as that; a few are killed always.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfheal.incidents import registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from tests.remedy import scenes
from tests.remedy.test_process import gone_within, lives, pids_in

KILLS = int(os.environ.get("SELFHEAL_KILLS") or 10)
AT_MOST = 60  # until one hit the remedy at work
LIBRARY = Path(__file__).resolve().parents[2] / "actions" / "lib"
ACTION = """
import json, sys
sys.path.insert(0, sys.argv[1])
from selfheal.door import call
config, incident_id = json.loads(sys.argv[2]), sys.argv[3]
print("ready", flush=True)
print(json.dumps(call("selfheal.respond.remediate.remediate", {"incident_id": incident_id, "run_id":
sys.argv[4]}, config=config)))
"""


def counting(tmp_path, number: int) -> dict:
    """A step that turns the state from `number - 1` to `number`, slowly and in two writes; its undo
    sets it back.
    """
    script = (
        "cd %s; echo $$ >> pids; (sleep 900) & echo $! >> pids; echo half >> state; "
        "sleep 0.05; echo %d > state; kill $!"
    ) % (tmp_path, number)
    return {
        "name": "step%d" % number,
        "command": scenes.shell(script),
        "undo": {"command": scenes.shell("echo %d > %s/state" % (number - 1, tmp_path))},
    }


def act(tmp_path, incident_id, run_id="run-1", delay_s=0.0, sign=signal.SIGKILL):
    """Run `remediate` in a process of its own, end it `delay_s` seconds after it began to work; its
    answer, or None.
    """
    config = scenes.config_for(tmp_path)
    config["safety"].update(scenes.UNBOUNDED["safety"])
    config["resolver"]["timeout"] = 300
    child = subprocess.Popen(
        [sys.executable, "-c", ACTION, str(LIBRARY), json.dumps(config), incident_id, run_id],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    if sign is not None:
        time.sleep(delay_s)
        child.send_signal(sign)
    out = child.communicate(timeout=180)[0].strip()
    return json.loads(out) if out else None


def duration_of(tmp_path, ctx, incident_id) -> float:
    started = time.monotonic()
    succeeded, answer = act(tmp_path, incident_id, sign=None)
    assert succeeded and answer["outcome"] == "done", answer
    return time.monotonic() - started


def prepared(ctx, run_id) -> str:
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, run_id)
    assert determine_response_strategy(ctx, incident_id, run_id)["strategy"] == "automated"
    return incident_id


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path, values=scenes.UNBOUNDED)
    scenes.write_runbook(tmp_path, steps=[counting(tmp_path, number) for number in (1, 2, 3)])
    yield context
    context.close()


def test_killed_at_any_moment_it_can_be_undone_or_done_again(ctx, tmp_path):
    chance = random.Random(20251121)
    state, pids = tmp_path / "state", tmp_path / "pids"
    state.write_text("0\n")
    longest = duration_of(tmp_path, ctx, prepared(ctx, "run-1"))
    outcomes = set()
    for round_number in range(max(KILLS, AT_MOST)):
        if round_number >= KILLS and (False, "interrupted") in outcomes:
            break
        state.write_text("0\n")
        pids.write_text("")
        run_id = "run-%d" % round_number
        incident_id = prepared(ctx, run_id)
        answer = act(tmp_path, incident_id, run_id, delay_s=chance.uniform(0, longest))
        assert gone_within([int(pid) for pid in pids.read_text().split()], 180.0)
        before = state.read_text()
        if round_number % 2:
            undone = undo_remediation(ctx, incident_id, run_id)
            assert undone["outcome"] in ("undone", "nothing")
            assert state.read_text() == "0\n", "undone %s from %r" % (undone, before)
        else:
            assert remediate(ctx, incident_id, run_id)["outcome"] == "done"
            assert state.read_text() == "3\n"
        rows = ctx.store.query(
            "SELECT status FROM execution_history WHERE incident_id = ? ORDER BY id", (incident_id,)
        )
        assert "running" not in [row["status"] for row in rows]
        owed = ctx.store.query(
            "SELECT status FROM undo_log WHERE incident_id = ? AND status IN ('acting', "
            "'undoing', 'failed')",
            (incident_id,),
        )
        assert owed == []
        assert ctx.store.value("SELECT COUNT(*) FROM locks WHERE name LIKE 'target:%'") == 0
        outcomes.add((bool(answer), rows[0]["status"] if rows else "nothing begun"))
    assert (False, "interrupted") in outcomes  # the kills did hit the remedy at work
    assert ctx.store.value("PRAGMA integrity_check") == "ok"


def test_killed_while_undoing_the_next_undo_ends_it(ctx, tmp_path):
    state = tmp_path / "state"
    state.write_text("0\n")
    incident_id = prepared(ctx, "run-1")
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    config = scenes.config_for(tmp_path)
    config["safety"].update(scenes.UNBOUNDED["safety"])
    code = ACTION.replace("remediate.remediate", "remediate.undo_remediation")
    for delay_s in (0.0, 0.02, 0.04, 0.06):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(LIBRARY), json.dumps(config), incident_id, "run-1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        child.kill()
        child.communicate()
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] in ("undone", "nothing")
    assert state.read_text() == "0\n"
    assert {row["status"] for row in scenes.rows_of(ctx.store, "undo_log")} == {"undone"}


def test_told_to_end_it_ends_its_command_and_writes_the_outcome(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path,
        steps=[
            {
                "name": "long",
                "command": scenes.shell("echo $$ > %s/pids; sleep 900" % tmp_path),
                "undo": {"command": {"argv": ["true"]}},
            },
            {"name": "never", "command": scenes.shell("touch %s/never" % tmp_path)},
        ],
    )
    incident_id = prepared(ctx, "run-1")
    config = scenes.config_for(tmp_path)
    config["safety"].update(scenes.UNBOUNDED["safety"])
    child = subprocess.Popen(
        [sys.executable, "-c", ACTION, str(LIBRARY), json.dumps(config), incident_id, "run-1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = pids_in(tmp_path / "pids", 1)[0]
    child.terminate()
    succeeded, answer = json.loads(child.communicate(timeout=180)[0].splitlines()[-1])
    assert (succeeded, answer["outcome"], [step["status"] for step in answer["steps"]]) == (
        True,
        "failed",
        ["stopped"],
    )
    assert not lives(pid) and not (tmp_path / "never").exists()
    assert scenes.rows_of(ctx.store, "execution_history")[0]["status"] == "interrupted"
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "undone"


def test_the_next_response_takes_over_from_a_killed_one_when_its_claim_has_expired(ctx, tmp_path):
    (tmp_path / "state").write_text("0\n")
    incident_id = prepared(ctx, "run-1")
    act(tmp_path, incident_id, delay_s=0.2)
    assert registry.is_held(ctx.store, incident_id)
    ctx.store.execute("UPDATE locks SET expires_at = 1")
    assert [incident.id for incident in registry.stale(ctx.store)] == [incident_id]
    assert analyze_incident(ctx, incident_id, "run-2")["state"] == "claimed"
    ctx.config.values["resolver"]["min_confidence"] = 0.1
    assert determine_response_strategy(ctx, incident_id, "run-2")["strategy"] == "automated"
    assert remediate(ctx, incident_id, "run-2")["outcome"] == "done"
    assert (tmp_path / "state").read_text() == "3\n"
    assert registry.get(ctx.store, incident_id).attempts == 2
