"""What was done and how to take it back, written before it is done: tables execution_history and
undo_log.

An execution is `running` until its outcome is written; its row names the process that carries it
out. An undo record is `acting` from just before its step, `pending` once the step is over, then
`undoing`, and at last `undone` or `failed`, or `not_needed` when the fix was proven.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from selfheal.ids import new_id
from selfheal.store import Row, Store, dump, load
from selfheal.store.engine import placeholders

RUNNING = "running"
DONE = "done"
FAILED = "failed"
CLEARED = "cleared"
REFUSED = "refused"
PLANNED = "planned"
INTERRUPTED = "interrupted"

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
    now = store.now()
    execution_id = new_id("exe", now)
    content = {"owner": this_process()} if outcome is None else outcome
    store.insert(
        "execution_history",
        {
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
        },
    )
    return execution_id


def finish(store: Store, execution_id: str, status: str, outcome: Dict[str, Any]) -> bool:
    """Write how a running execution ended; False when that is written already."""
    changed = store.execute(
        "UPDATE execution_history SET status = ?, outcome = ?, finished_at = ? "
        "WHERE id = ? AND status = ?",
        (status, dump(outcome), store.now(), execution_id, RUNNING),
    )
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


def was_done(store: Store, incident_id: str, since: float = 0.0) -> bool:
    """Whether a remedy of the incident was carried out to its end since `since`; no dry run."""
    found = store.value(
        "SELECT 1 FROM execution_history "
        "WHERE incident_id = ? AND status = ? AND dry_run = 0 AND started_at >= ?",
        (incident_id, DONE, since),
    )
    return found is not None


def last_done(store: Store, incident_id: str) -> Optional[Row]:
    """The newest execution that was carried out to its end: {"id", "plan" (parsed), "verified",
    "finished_at"}.
    """
    row = store.one(
        "SELECT id, plan, verified, finished_at FROM execution_history WHERE incident_id = ? "
        "AND status = ? AND dry_run = 0 ORDER BY started_at DESC, id DESC LIMIT 1",
        (incident_id, DONE),
    )
    if row:
        row["plan"] = load(row["plan"])
    return row


def set_verified(store: Store, execution_id: str, is_verified: bool) -> None:
    """Record whether the signal proved the execution. Proven once, it stays so."""
    with store.transaction():
        changed = store.execute(
            "UPDATE execution_history SET verified = ? "
            "WHERE id = ? AND (verified IS NULL OR verified = 0)",
            (int(is_verified), execution_id),
        )
        if changed and is_verified:
            keep(store, "execution_id", execution_id)


def keep(store: Store, column: str, value: str) -> None:
    """What was done stays: no undo is owed for that `execution_id` or `incident_id` any more."""
    if column not in ("execution_id", "incident_id"):
        raise ValueError(column)
    store.execute(
        "UPDATE undo_log SET status = ?, updated_at = ? WHERE %s = ? AND status IN (?, ?)" % column,
        (KEPT, store.now(), value, ACTING, PENDING),
    )


def half_done(store: Store, incident_id: str) -> List[str]:
    """Executions that broke off, failed, or were disproven, and still owe an undo, oldest first."""
    rows = store.query(
        "SELECT DISTINCT e.id FROM execution_history e JOIN undo_log u ON u.execution_id = e.id "
        "WHERE e.incident_id = ? AND u.status IN (%s) AND (e.status IN (?, ?) OR e.verified = 0) "
        "ORDER BY e.id" % placeholders(OWED),
        (incident_id, *OWED, INTERRUPTED, FAILED),
    )
    return [str(row["id"]) for row in rows]


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
    """What tells this process from any other that ever was: host, boot, number, start."""
    return {
        "host": os.uname().nodename,
        "boot": _boot(),
        "pid": os.getpid(),
        "started": _start_of(os.getpid()),
    }


def is_dead(owner: Mapping[str, Any]) -> Optional[bool]:
    """Whether the process `owner` is gone; None when it cannot be told from here (another host)."""
    if owner.get("host") != os.uname().nodename or not owner.get("pid"):
        return None
    if owner.get("boot") != _boot():
        return True
    return _start_of(int(owner["pid"])) != owner.get("started")


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as source:
            return source.read().strip()
    except OSError:
        return ""


def _start_of(pid: int) -> str:
    try:
        with open("/proc/%d/stat" % pid, "rb") as source:
            fields = source.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
