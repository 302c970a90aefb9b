"""`kill -9` of actions and of the whole process at random moments: nothing lost, nothing doubled.

SELFHEAL_KILLS=100 kills 70 actions beside the whole process 30 times; 25 and 12 are killed always.
SELFHEAL_KILL_SEED repeats a run's choices (not its timing).
"""

from __future__ import annotations

import collections
import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests import needs
from tests.e2e.world import WAIT_S, World, alert, runbooks

KILLS = int(os.environ.get("SELFHEAL_KILLS") or 0)
OUTAGES = 30 if KILLS >= 100 else 12
KILLED_ACTIONS = max(25, KILLS - OUTAGES)
# Longer than any claim, lease or delay of the pack.
LONG_S = 7200.0
RESPONDING = "SELECT id FROM incidents WHERE status IN ('analyzing', 'remediating', 'verifying')"
HEALING = RESPONDING + " AND alert_type = 'Fixable'"
STORED = "SELECT id FROM incidents WHERE instance LIKE ?"
ENDED = {"resolved", "escalated", "ticketed", "observed"}
OUTAGE = Path(__file__).with_name("outage.py")


@pytest.fixture(autouse=True)
def _proc():
    needs.linux()


@pytest.fixture
def chance():
    seed = int(os.environ.get("SELFHEAL_KILL_SEED", random.SystemRandom().randrange(10**6)))
    logging.getLogger("tests").warning("SELFHEAL_KILL_SEED=%d", seed)
    return random.Random(seed)


def processes_of(directory):
    """The processes, other than this one, that have the directory in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(directory).encode() in command:
                found.append(int(entry.name))
    return found


def actions_of_this_process():
    """The action processes that our engine runs now, by process id."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(parent) == os.getpid() and b"wrapper.py" in command:
                found.append(int(entry.name))
    return found


def bring_to_an_end(world):
    """Let time pass and housekeeping work until every incident has ended."""
    for _ in range(15):
        world.pass_time(LONG_S)
        world.housekeeping()
        for inquiry in world.engine.pending_inquiries():
            world.engine.answer_inquiry(inquiry.id, {"approved": False})
        world.settle()
        if {one.status for one in world.incidents()} <= ENDED:
            break
    world.pass_time(LONG_S)
    world.housekeeping()


def assert_consistent(world):
    """What must hold after whatever was killed."""
    connection = sqlite3.connect(str(world.database))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    incidents = world.incidents()
    assert {one.status for one in incidents} <= ENDED, collections.Counter(
        (one.status, one.alert_type) for one in incidents
    )
    causes = [one.group_key for one in incidents]
    assert len(causes) == len(set(causes))
    assert all(one.alert_count == 1 for one in incidents)
    assert [
        row
        for row in world.rows("SELECT * FROM locks")
        if row["expires_at"] > time.time() and row["name"] != "housekeeping"
    ] == []
    assert world.rows("SELECT * FROM execution_history WHERE status = 'running'") == []
    assert world.rows("SELECT * FROM approvals WHERE status = 'pending'") == []
    assert world.rows("SELECT * FROM outbox WHERE status <> 'sent'") == []
    assert_told_once(world)
    assert_undone(world, incidents)


def assert_told_once(world):
    """One message for each escalated incident; a message sent again carries the same key."""
    told = collections.defaultdict(set)
    for key, message in zip(world.outside.keys, world.outside.messages):
        if message["kind"] == "escalation":
            told[message["incident"]["id"]].add(key)
    assert {name: keys for name, keys in told.items() if len(keys) > 1} == {}
    escalated = {one.id for one in world.incidents() if one.status == "escalated"}
    assert escalated <= set(told)


def assert_undone(world, incidents):
    """What was not proven is undone, or the engineer was told that it is not."""
    proven = {one.id for one in incidents if one.resolution == "remediated"}
    owed = world.rows("SELECT * FROM undo_log WHERE status NOT IN ('undone', 'not_needed')")
    told = collections.defaultdict(set)
    for message in world.told("escalation"):
        told[message["incident"]["id"]] |= {row["step"] for row in message["not_undone"]}
    assert [
        row
        for row in owed
        if row["incident_id"] not in proven and row["step"] not in told[row["incident_id"]]
    ] == []


def left_by_an_outage(world, incident):
    """The incident as a killed process leaves it, its lock still alive."""
    world.housekeeping()
    found = world.incident(incident.id)
    assert found.status == "remediating"
    assert world.runs("analyze_incident") == []


def start_outage(world, turn):
    return subprocess.Popen(
        [sys.executable, str(OUTAGE), str(world.directory), str(turn)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def assert_nothing_runs_on(world):
    world.wait_for(lambda: not processes_of(world.directory))


def test_process_killed_in_the_middle_of_a_remedy_is_taken_over_when_its_lock_expires(tmp_path):
    world = World(tmp_path)
    # The remedy hangs after its first step, so that the kill finds it there.
    touch = {
        "name": "touch",
        "command": {"argv": ["touch", str(tmp_path / "tried")]},
        "undo": {"command": {"argv": ["rm", str(tmp_path / "tried")]}},
    }
    hang = {"name": "hang", "command": {"argv": ["sleep", "600"]}}
    runbook = {
        "name": "unfixable",
        "metadata": {"alert_type": "Unfixable"},
        "risk": "reversible",
        "confidence": 0.95,
        "steps": [touch, hang],
    }
    world.write_runbook("Unfixable", runbook)
    process = start_outage(world, 1)
    world.wait_for((tmp_path / "tried").exists)
    world.wait_for(lambda: world.rows("SELECT * FROM undo_log WHERE status = 'pending'"))
    kill(process)
    assert_nothing_runs_on(world)
    incident = next(one for one in world.incidents() if one.alert_type == "Unfixable")
    world.write_runbook("Unfixable", dict(runbook, steps=[dict(hang, command={"argv": ["false"]})]))
    with world:
        left_by_an_outage(world, incident)
        assert (tmp_path / "tried").exists()
        bring_to_an_end(world)
        assert not (tmp_path / "tried").exists()
        assert world.incident(incident.id).status == "escalated"
        kinds = world.kinds(incident.id)
        assert kinds.index("undo_step") < kinds.index("response_died")
        assert_consistent(world)


def test_engineer_is_told_what_a_last_response_left_when_it_was_killed(tmp_path):
    world = World(tmp_path, {"resolver": {"max_retries": 1}})
    world.open_store().close()
    process = start_outage(world, 1)
    owed = "SELECT * FROM undo_log WHERE status = 'pending'"
    world.wait_for(lambda: world.rows(owed))
    kill(process)
    assert_nothing_runs_on(world)  # an action that dies a little later may still undo its step
    left = {row["incident_id"] for row in world.rows(owed)}
    with world:
        bring_to_an_end(world)
        assert_consistent(world)
        told = {message["incident"]["id"]: message for message in world.told("escalation")}
        for incident_id in left - {one.id for one in world.incidents() if one.status == "resolved"}:
            assert told[incident_id]["reason"] == "attempts_used"
            # A remedy cut off in the middle is undone first; one that was done is left, and told.
            still_owed = world.rows(
                "SELECT step FROM undo_log WHERE incident_id = ? AND "
                "status NOT IN ('undone', 'not_needed')",
                incident_id,
            )
            named = {row["step"] for row in told[incident_id]["not_undone"]}
            assert named == {row["step"] for row in still_owed}


def test_whole_process_killed_at_random_moments(tmp_path, chance):
    world = World(tmp_path, {"resolver": {"max_retries": 8}})
    world.open_store().close()
    # The first that is hit could have healed, and waits for the kill, however late that comes.
    fixable = runbooks(tmp_path, world.outside.url)["Fixable"]
    wait = {"name": "waits", "wait": {"seconds": WAIT_S}}
    world.write_runbook("Fixable", dict(fixable, steps=[*fixable["steps"], wait]))
    for turn in range(OUTAGES):
        process = start_outage(world, turn)
        # Surely in the middle of a response, first of one that could have healed, and not before
        # its own alerts were stored, however slow the machine; later the dead ones of earlier turns
        # may leave no room for another.
        if turn < OUTAGES // 3:
            world.wait_for(lambda own="%%-%d" % turn: len(world.rows(STORED, own)) == 3)
            world.wait_for(lambda sql=RESPONDING if turn else HEALING: world.rows(sql))
        elif chance.random() < 0.9:
            process.stdout.readline()
        if turn:
            time.sleep(chance.uniform(0.0, 2.0))
        kill(process)
        world.write_runbook("Fixable", fixable)
        world.pass_time(LONG_S if chance.random() < 0.3 else 1.0)
    assert_nothing_runs_on(world)
    seen = len(world.incidents())
    assert seen >= OUTAGES
    with world:
        bring_to_an_end(world)
        assert_consistent(world)
        assert len(world.incidents()) == seen
        assert {one.status for one in world.incidents()} >= {"escalated", "resolved"}
        # The kills did hit responses, and others did follow.
        assert world.rows("SELECT * FROM incident_events WHERE kind = 'response_died'")
        assert [one for one in world.incidents() if one.attempts > 1 and one.status == "resolved"]


def test_actions_killed_at_random_moments(tmp_path, chance):
    world = World(tmp_path)
    world.open_store().close()
    killed = []
    is_over = threading.Event()

    def killer():
        while not is_over.is_set() and len(killed) < KILLED_ACTIONS:
            time.sleep(chance.uniform(0.0, 0.4))
            running = actions_of_this_process()
            if running:
                try:
                    os.kill(chance.choice(running), signal.SIGKILL)
                    killed.append(time.monotonic())
                except ProcessLookupError:
                    continue

    def housekeep():
        # It may be killed as well.
        world.engine.run("selfheal.housekeeping", timeout=600)

    with world:
        thread = threading.Thread(target=killer, daemon=True)
        thread.start()
        names = ("Fixable", "Unfixable", "Broken", "Unknown", "Disruptive")
        turn = 0
        while len(killed) < KILLED_ACTIONS and turn < 60:
            turn += 1
            world.post(*[alert(name, instance="%s-%d" % (name, turn)) for name in names])
            housekeep()
            world.settle()
            for inquiry in world.engine.pending_inquiries():
                world.engine.answer_inquiry(inquiry.id, {"approved": chance.random() < 0.5})
            world.settle()
            world.pass_time(LONG_S if chance.random() < 0.5 else 1.0)
        is_over.set()
        thread.join()
        assert len(killed) == KILLED_ACTIONS
        bring_to_an_end(world)
        assert_consistent(world)
