"""Remedies that are cut off: a child process carries one out and dies, or loses its database, at a
statement of one's choice. What was done in the world can be counted afterwards.

Each of two steps writes a line of its own into `state`, and its undo takes just that line out.
`log` tells how often each began and ended.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections import Counter
from contextlib import closing

from selfheal import ids
from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import SelfhealError, StoreError
from selfheal.incidents import registry
from selfheal.operate.housekeeping import housekeeping
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.approval.settling import settle_approval
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.store import open_store
from tests.remedy import scenes

DAY_S = 86400.0
LATER_S = 6 * 3600.0
STEPS = ("one", "two")
KILL_BEFORE, KILL_AFTER, FAIL, GONE = "kill before", "kill after", "fail", "gone"
FULL, DROPPED = "full", "dropped"  # the disk, by SQLite; the connection, by PostgreSQL


class Platform(scenes.Platform):
    def inject(self, _trigger, _payload):
        pass


def context(tmp_path, url, clock):
    config = dict(scenes.config_for(tmp_path), database={"url": url})
    store = open_store(url, now=clock.now)
    return Context(Config(config), store=store, clock=clock, platform=Platform())


def write_runbook(tmp_path):
    def step(name):
        line = "%s $SELFHEAL_EXECUTION_ID" % name
        begun = 'cd %s; echo "begun %s" >> log; ' % (tmp_path, line)
        act = begun + 'echo "%s" >> state; sleep 0.02; echo "done %s" >> log' % (line, line)
        undo = 'cd %s; echo "undoing %s" >> log; grep -v "^%s$" state > $$; sleep 0.02; ' % (
            tmp_path,
            line,
            line,
        )
        undo += 'mv $$ state; echo "undone %s" >> log' % line
        return {"name": name, "command": scenes.shell(act), "undo": {"command": scenes.shell(undo)}}

    for name, risk in (("gentle", "reversible"), ("harsh", "destructive")):
        scenes.write_runbook(
            tmp_path,
            name=name,
            risk=risk,
            metadata={"alert_type": name},
            steps=[step(one) for one in STEPS],
        )


def prepared(ctx, run_id, is_asked=False):
    """An incident whose plan `run_id` is about to carry out, with a person's yes if `is_asked`; its
    id.
    """
    labels = {"alertname": "harsh" if is_asked else "gentle"}
    incident_id = scenes.add_incident(ctx.store, labels=labels)
    analyze_incident(ctx, incident_id, run_id)
    found = determine_response_strategy(ctx, incident_id, run_id)
    assert found["strategy"] == ("approve" if is_asked else "automated"), found
    if is_asked:
        approval_id = request_approval(ctx, incident_id, run_id)["approval_id"]
        settled = settle_approval(ctx, incident_id, approval_id, "yes", run_id)
        assert settled["verdict"] == "approved"
    return incident_id


def cut(store, what, place):
    """Make `what` happen at the `place`-th statement of `store`."""
    left = [place]
    execute, begin = store._execute, store.dialect.begin
    insert_many, execute_many = store.dialect.insert_many, store.execute_many

    def wrapped(run):
        def running(*arguments):
            left[0] -= 1
            if left[0] == 0 and what == KILL_BEFORE:
                os.kill(os.getpid(), signal.SIGKILL)
            if left[0] < 0 and what == GONE:
                raise StoreError("the database is gone", retryable=True)
            if left[0] == 0 and what in (FAIL, GONE):
                # A real one: on PostgreSQL it ends the transaction, whoever swallows it.
                cursor = store._connection.cursor()
                execute(cursor, "SELECT 1 FROM no_such_table_%d" % place, ())
            if left[0] == 0 and what == FULL:
                store._connection.execute("PRAGMA max_page_count = 1")  # it grows no more
            if left[0] == 0 and what == DROPPED:
                drop_connection(store)
            result = run(*arguments)
            if left[0] == 0 and what == KILL_AFTER:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return running

    store._execute, store.execute_many = wrapped(execute), wrapped(execute_many)
    store.dialect.begin, store.dialect.insert_many = wrapped(begin), wrapped(insert_many)
    return left


def drop_connection(store):
    """As a server does that is shut down: the next connection is a new one."""
    with closing(store.dialect.connect()) as another:
        pid = store._connection.info.backend_pid
        another.cursor().execute("SELECT pg_terminate_backend(%s)", (pid,))


def start(tmp_path, url, clock, act, what="", place=0):
    """The process id of a child that does `act(ctx)` and is cut off as said. It ends with 0 when
    that went well or was refused with an error of ours.
    """
    child = os.fork()
    if child:
        return child
    code = 1
    clock.advance(1)  # else a forked process gives out the ids that its parent gives out next
    ids._last[0] = 0
    try:
        ctx = context(tmp_path, url, clock)
        ctx.store.value("SELECT 1")
        if what:
            cut(ctx.store, what, place)
        act(ctx)
        code = 0
    except SelfhealError:
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def was_killed(child):
    """Wait for `child`; whether it was killed. It must not have failed by itself."""
    status = os.waitpid(child, 0)[1]
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return os.WIFSIGNALED(status)


def responding(incident_id, run_id):
    return lambda ctx: remediate(ctx, incident_id, run_id)


def undoing(incident_id, run_id):
    return lambda ctx: undo_remediation(ctx, incident_id, run_id)


def later(ctx, clock):
    """Everything that the dead held has expired, and housekeeping runs; nothing else."""
    clock.advance(LATER_S)
    result = housekeeping(ctx)
    assert result["ran"] and result["problems"] == [], result
    return result


class World:
    """What was done, by the files that steps and undos write."""

    def __init__(self, tmp_path, is_new=True):
        self.state, self._log = tmp_path / "state", tmp_path / "log"
        if is_new:
            self.clear()

    def clear(self):
        self.state.write_text("")
        self._log.write_text("")

    def lines(self):
        return self.state.read_text().splitlines()

    def log(self):
        """How often each thing happened."""
        return Counter(self._log.read_text().splitlines())

    def check(self, ctx, undone_again=0):
        """Each execution was done whole, or nothing is left of it; no step and no undo was done
        twice, but for `undone_again` undos that were cut off before it could be written that they
        ended.
        """
        store, log, lines = ctx.store, self.log(), self.lines()
        rows = {row["id"]: row for row in scenes.rows_of(store, "execution_history")}
        undos = {
            (row["execution_id"], row["step"]): row["status"]
            for row in scenes.rows_of(store, "undo_log")
        }
        assert len(lines) == len(set(lines)), lines
        charged = {row["execution_id"] for row in store.query("SELECT * FROM budgets")}
        again = 0
        for line, times in log.items():
            what, step, execution_id = line.split()
            assert (execution_id, step) in undos, "%s without a record of its undo" % line
            assert execution_id in charged, "%s although the gate was not passed" % line
            if what in ("begun", "done"):
                assert times == 1, log
            again += times - 1 if what == "undone" else 0
        assert again <= undone_again, log
        for (execution_id, step), status in undos.items():
            if "begun %s %s" % (step, execution_id) not in log:
                continue
            is_there = "%s %s" % (step, execution_id) in lines
            ended = rows[execution_id]["status"]
            assert is_there == (ended == "done" and status in ("pending", "not_needed")), (
                "%s of %s, its undo is %s, %s" % (step, ended, status, log)
            )
        assert "running" not in {row["status"] for row in rows.values()}
        assert not {"acting", "undoing", "failed"} & set(undos.values()), undos
        held = store.query("SELECT name FROM locks WHERE expires_at > ?", (store.now(),))
        assert held == []


def finish(ctx, incident_id):
    """Away with it, so that the next round stands alone."""
    if registry.get(ctx.store, incident_id).status != "resolved":
        registry.resolve(ctx.store, incident_id, "manual", "closed by hand")
