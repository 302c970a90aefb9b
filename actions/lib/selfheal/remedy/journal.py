"""What was done and how to take it back, written before it is done: tables execution_history and
undo_log. Each change of an execution's row is recorded in its incident's chain of events.

An execution is `running` until its outcome is written; its row names the process that carries it
out. An undo record is `acting` from just before its step, `pending` once the step is over, then
`undoing`, and at last `undone` or `failed`, or `not_needed` when the fix was proven.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from selfheal.ids import new_id
from selfheal.store import Row, Store, chain, dump, load, load_map
from selfheal.store.engine import placeholders

RUNNING = "running"
DONE = "done"
FAILED = "failed"
CLEARED = "cleared"
REFUSED = "refused"
PLANNED = "planned"
INTERRUPTED = "interrupted"

_LOOK_BACK_S = 7200.0  # no execution lasts longer
_LOOKED_AT = 50

ACTING = "acting"
PENDING = "pending"
UNDOING = "undoing"
UNDONE = "undone"
KEPT = "not_needed"
OWED = (
    ACTING,
    PENDING,
    UNDOING,
    FAILED,
)  # still to be undone; a failed undo is tried again when asked

# The columns whose change is recorded; all of them.
DIGESTED = (
    "id",
    "incident_id",
    "run_id",
    "remedy",
    "risk",
    "dry_run",
    "status",
    "plan",
    "outcome",
    "verified",
    "started_at",
    "finished_at",
)


def begin(
    store: Store,
    incident_id: str,
    run_id: str,
    plan: Mapping[str, Any],
    status: str = RUNNING,
    is_dry: bool = False,
    outcome: Optional[Dict[str, Any]] = None,
) -> str:
    """Record that the remedy of `plan` begins, or at once how it ended; the execution's id."""
    now = float(store.now())
    execution_id = new_id("exe", now)
    content = {"owner": this_process()} if outcome is None else outcome
    with store.transaction():
        row = {
            "id": execution_id,
            "incident_id": incident_id,
            "run_id": run_id or None,
            "remedy": "%s:%s" % (plan.get("remedy"), plan.get("runbook")),
            "risk": str(plan.get("risk")),
            "dry_run": int(is_dry),
            "status": status,
            "plan": dump(dict(plan)),
            "outcome": dump(content),
            "verified": None,
            "started_at": now,
            "finished_at": None if status == RUNNING else now,
        }
        store.insert("execution_history", row)
        _record(store, row, is_new=True)
    return execution_id


def finish(store: Store, execution_id: str, status: str, outcome: Dict[str, Any]) -> bool:
    """Write how a running execution ended; False when that is written already."""
    with store.transaction():
        changed = store.execute(
            "UPDATE execution_history SET status = ?, outcome = ?, finished_at = ? "
            "WHERE id = ? AND status = ?",
            (status, dump(outcome), store.now(), execution_id, RUNNING),
        )
        if changed == 1:
            _record_as_stored(store, execution_id)
    return changed == 1


def running(store: Store, incident_id: str) -> List[Row]:
    """Executions of the incident that have no outcome yet, oldest first, `outcome` parsed."""
    rows = store.query(
        "SELECT id, run_id, outcome, started_at FROM execution_history "
        "WHERE incident_id = ? AND status = ? ORDER BY started_at, id",
        (incident_id, RUNNING),
    )
    for row in rows:
        row["outcome"] = load(row["outcome"]) or {}
    return rows


def at_work(store: Store) -> List[str]:
    """Incidents with executions that have no outcome yet."""
    rows = store.query(
        "SELECT DISTINCT incident_id FROM execution_history WHERE status = ?", (RUNNING,)
    )
    return [str(row["incident_id"]) for row in rows]


def was_done(store: Store, incident_id: str, since: float = 0.0) -> bool:
    """Whether a remedy of the incident was carried out to its end since `since`; no dry run."""
    found = store.value(
        "SELECT 1 FROM execution_history "
        "WHERE incident_id = ? AND status = ? AND dry_run = 0 AND started_at >= ?",
        (incident_id, DONE, since),
    )
    return found is not None


def last_done(store: Store, incident_id: str) -> Optional[Row]:
    """The newest execution that was carried out to its end: {"id", "plan" (parsed), "outcome"
    (parsed), "verified", "started_at", "finished_at"}. One that only inherited the outcome of
    another's remedy has its id in outcome["inherited_from"].
    """
    row = store.one(
        "SELECT id, plan, outcome, verified, started_at, finished_at FROM execution_history "
        "WHERE incident_id = ? AND status = ? AND dry_run = 0 "
        "ORDER BY started_at DESC, id DESC LIMIT 1",
        (incident_id, DONE),
    )
    if row:
        row.update(plan=load(row["plan"]), outcome=load(row["outcome"]) or {})
    return row


def last(store: Store, incident_id: str) -> Optional[Row]:
    """The incident's newest execution, no dry run: {"id", "status", "outcome" (parsed),
    "started_at"}, or None.
    """
    row = store.one(
        "SELECT id, status, outcome, started_at FROM execution_history WHERE incident_id = ? AND "
        "dry_run = 0 ORDER BY started_at DESC, id DESC LIMIT 1",
        (incident_id,),
    )
    if row:
        row["outcome"] = load_map(row["outcome"])
    return row


def plan_of(store: Store, execution_id: str) -> Optional[Dict[str, Any]]:
    """The plan that the execution carries out; None where there is none to be read."""
    text = store.value("SELECT plan FROM execution_history WHERE id = ?", (execution_id,))
    return load_map(text) or None


def ending(store: Store, execution_id: str) -> Optional[Row]:
    """How the execution stands: {"id", "incident_id", "status", "outcome" (parsed)}, or None."""
    row = store.one(
        "SELECT id, incident_id, status, outcome FROM execution_history WHERE id = ?",
        (execution_id,),
    )
    if row:
        row["outcome"] = load_map(row["outcome"])
    return row


def ended_since(store: Store, remedy: str, began_at: float, within_s: float) -> List[Row]:
    """Executions of `remedy`, done or failed, that began at `began_at` or later and ended within
    the last `within_s` seconds, the newest first: {"id", "incident_id", "status", "plan",
    "outcome"}.
    """
    now = store.now()
    rows = store.query(
        "SELECT id, incident_id, status, plan, outcome FROM execution_history "
        "WHERE started_at >= ? AND finished_at >= ? AND finished_at <= ? AND remedy = ? AND "
        "dry_run = 0 AND status IN (?, ?) ORDER BY started_at DESC, id DESC LIMIT ?",
        (max(began_at, now - _LOOK_BACK_S), now - within_s, now, remedy, DONE, FAILED, _LOOKED_AT),
    )
    for row in rows:
        row.update(plan=load_map(row["plan"]), outcome=load_map(row["outcome"]))
    return rows


def set_verified(store: Store, execution_id: str, is_verified: bool) -> None:
    """Record whether the signal proved the execution. Proven once, it stays so."""
    with store.transaction():
        changed = store.execute(
            "UPDATE execution_history SET verified = ? "
            "WHERE id = ? AND (verified IS NULL OR verified = 0)",
            (int(is_verified), execution_id),
        )
        if changed:
            _record_as_stored(store, execution_id)
        if changed and is_verified:
            keep(store, "execution_id", execution_id)


def digest(row: Row) -> str:
    """What tells this state of a row of execution_history from any other."""
    return chain.digest("execution", [row[name] for name in DIGESTED])


def _record_as_stored(store: Store, execution_id: str) -> None:
    rows = store.query(
        "SELECT %s FROM execution_history WHERE id = ?" % ", ".join(DIGESTED), (execution_id,)
    )
    for row in rows:
        _record(store, row)


def _record(store: Store, row: Row, is_new: bool = False) -> None:
    """Write the state of an execution's row into its incident's chain, by which it is verified."""
    words = [str(row["status"])]
    if row["verified"] is not None:
        words.append("verified" if row["verified"] else "not verified")
    data = {
        "execution_id": row["id"],
        "digest": digest(row),
        "is_new": is_new,
        "remedy": row["remedy"],
        "risk": row["risk"],
        "status": row["status"],
        "verified": row["verified"],
        "actor": row["run_id"] or "by hand",
    }
    message = "%s %s: %s" % (row["id"], row["remedy"], ", ".join(words))
    event = chain.entry(
        store, row["incident_id"], chain.EXECUTION, message, data, row["run_id"]
    )
    chain.append(store, [event])


def keep(store: Store, column: str, value: str) -> None:
    """What was done stays: no undo is owed for that `execution_id` or `incident_id` any more."""
    if column not in ("execution_id", "incident_id"):
        raise ValueError(column)
    store.execute(
        "UPDATE undo_log SET status = ?, updated_at = ? WHERE %s = ? AND status IN (?, ?)" % column,
        (KEPT, store.now(), value, ACTING, PENDING),
    )


def half_done(store: Store, incident_id: str) -> List[str]:
    """Executions that broke off, failed, were disproven, or whose undo broke off, and that still
    owe an undo, oldest first.
    """
    rows = store.query(
        "SELECT DISTINCT e.id FROM execution_history e JOIN undo_log u ON u.execution_id = e.id "
        "WHERE e.incident_id = ? AND u.status IN (%s) AND "
        "(e.status IN (?, ?) OR e.verified = 0 OR u.status = ?) ORDER BY e.id"
        % placeholders(OWED),
        (incident_id, *OWED, INTERRUPTED, FAILED, UNDOING),
    )
    return [str(row["id"]) for row in rows]


def left_by_the_dead(store: Store, since: float) -> List[str]:
    """Incidents at which no response is at work, with executions that were found dead, or undos
    that broke off, since `since`: their undo is owed, and was not tried in vain. What a person has
    closed is left to them.
    """
    rows = store.query(
        "SELECT DISTINCT u.incident_id FROM undo_log u "
        "JOIN execution_history e ON e.id = u.execution_id "
        "JOIN incidents i ON i.id = u.incident_id "
        "WHERE ((e.status = ? AND e.finished_at >= ? AND u.status IN (?, ?)) "
        "OR (u.status = ? AND u.updated_at >= ?)) "
        "AND i.status NOT IN ('analyzing', 'awaiting_approval', 'remediating', 'verifying') "
        "AND NOT (i.status = 'resolved' AND i.resolution = 'manual') ORDER BY u.incident_id",
        (INTERRUPTED, since, ACTING, PENDING, UNDOING, since),
    )
    return [str(row["incident_id"]) for row in rows]


def record_undo(
    store: Store,
    incident_id: str,
    execution_id: str,
    step: str,
    action: Mapping[str, Any],
    before: Optional[Mapping[str, Any]],
) -> str:
    """Record how `step` is taken back, before it is done; the record's id."""
    now = store.now()
    undo_id = new_id("und", now)
    store.insert(
        "undo_log",
        {
            "id": undo_id,
            "incident_id": incident_id,
            "execution_id": execution_id,
            "step": step,
            "action": dump(dict(action)),
            "before_state": dump(dict(before)) if before else None,
            "status": ACTING,
            "outcome": None,
            "created_at": now,
            "updated_at": now,
        },
    )
    return undo_id


def rewrite_undo(store: Store, undo_id: str, action: Mapping[str, Any]) -> None:
    """Record that the step is taken back by `action` after all: it is not done yet."""
    store.execute(
        "UPDATE undo_log SET action = ?, status = ?, updated_at = ? WHERE id = ?",
        (dump(dict(action)), ACTING, store.now(), undo_id),
    )


def mark_undo(
    store: Store, undo_id: str, status: str, outcome: Optional[Mapping[str, Any]] = None
) -> None:
    """Move an undo record to `status`."""
    store.execute(
        "UPDATE undo_log SET status = ?, outcome = ?, updated_at = ? WHERE id = ?",
        (status, dump(dict(outcome)) if outcome else None, store.now(), undo_id),
    )


def owed_undos(store: Store, incident_id: str, executions: Sequence[str] = ()) -> List[Row]:
    """Undo records still to be carried out, the last step first; only of `executions` if given."""
    sql = "SELECT * FROM undo_log WHERE incident_id = ? AND status IN (%s)" % placeholders(OWED)
    parameters: List[Any] = [incident_id, *OWED]
    if executions:
        sql += " AND execution_id IN (%s)" % placeholders(executions)
        parameters += executions
    rows = store.query(sql + " ORDER BY id DESC", parameters)
    for row in rows:
        row["action"] = load(row["action"])
    return rows


def this_process() -> Dict[str, Any]:
    """What tells this process from any other that ever was: host, boot, the space of numbers that
    its container has, number, start.
    """
    return {
        "host": os.uname().nodename,
        "boot": _boot(),
        "numbers": _numbers(),
        "pid": os.getpid(),
        "started": _start_of(os.getpid()),
    }


def is_dead(owner: Mapping[str, Any]) -> Optional[bool]:
    """Whether the process `owner` is gone; None when it cannot be told from here: on another host,
    or in another container, where its number means another process.
    """
    if owner.get("host") != os.uname().nodename or not owner.get("pid"):
        return None
    if owner.get("boot") != _boot():
        return True
    if owner.get("numbers", _numbers()) != _numbers():
        return None
    return _start_of(int(owner["pid"])) != owner.get("started")


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
            return source.read().strip()
    except OSError:
        return ""


def _numbers() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    try:
        with open("/proc/%d/stat" % pid, "rb") as source:
            fields = source.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
