"""Taking back what remedies did, the last step first. Done twice it changes nothing more.

Each record holds all that is needed, so neither the runbook nor the alert must still be there. A
record is `undoing` while it is carried out: a process killed just then leaves it to be carried out
again, so undo steps must stand that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from selfheal.remedy import journal, steps
from selfheal.remedy.execute import Note
from selfheal.remedy.model import Act, ApiCall, Command, Step
from selfheal.remedy.steps import StepResult, Surroundings

if TYPE_CHECKING:
    from selfheal.context import Context

UNDONE = "undone"
NOTHING = "nothing"
PARTLY = "partly"


@dataclass(frozen=True)
class Undoing:
    """How many records were taken back, and how many could not be."""

    undone: int
    failed: int

    @property
    def outcome(self) -> str:
        """undone, nothing (there was nothing to do) or partly (something is left)."""
        if self.failed:
            return PARTLY
        return UNDONE if self.undone else NOTHING


def longest_s(store: Any, incident_id: str) -> float:
    """Seconds that undoing all that is owed may take at most."""
    rows = journal.owed_undos(store, incident_id)
    return sum(float(row["action"].get("timeout_s") or 60.0) + 10.0 for row in rows)


def undo(
    ctx: Context,
    incident_id: str,
    note: Note,
    executions: Sequence[str] = (),
    is_ending: Callable[[], str] = lambda: "",
) -> Undoing:
    """Undo what the incident's remedies (or only `executions`) still owe. A failing record does not
    stop the others.
    """
    undone = failed = 0
    for row in journal.owed_undos(ctx.store, incident_id, executions):
        if is_ending():
            failed += 1
            continue
        journal.mark_undo(ctx.store, row["id"], journal.UNDOING)
        result = _carry_out(ctx, row["step"], row["action"], is_ending)
        is_done = result.status == steps.DONE
        undone, failed = (undone + 1, failed) if is_done else (undone, failed + 1)
        report = result.as_dict(tuple(ctx.config.secrets()))
        journal.mark_undo(
            ctx.store, row["id"], journal.UNDONE if is_done else journal.FAILED, report
        )
        note(
            "undo_step",
            "step %s %s (%s)"
            % (row["step"], "was undone" if is_done else "could NOT be undone", result.detail),
            report,
        )
    return Undoing(undone, failed)


def _carry_out(
    ctx: Context, name: str, action: Mapping[str, Any], is_ending: Callable[[], str]
) -> StepResult:
    timeout_s = float(action.get("timeout_s") or 60.0)
    around = Surroundings(
        ctx,
        action.get("variables") or {},
        action.get("cwd") or None,
        ctx.clock.monotonic() + timeout_s,
        is_ending,
        is_ending,
    )
    return steps.carry_out(
        Step(name=name, kind=str(action.get("kind")), act=_act_of(action), timeout_s=timeout_s),
        around,
        {},
    )


def _act_of(action: Mapping[str, Any]) -> Act:
    if action.get("kind") == "command":
        return Command(tuple(action["argv"]), action["script"], tuple(action["interpreter"]))
    return ApiCall(
        action["method"],
        action["url"],
        action["json"],
        tuple((str(key), str(value)) for key, value in action["headers"]),
        tuple(action["expect_status"]),
    )
