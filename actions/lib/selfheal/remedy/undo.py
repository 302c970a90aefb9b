"""Taking back what remedies did, the last step first. Done twice it changes nothing more.

Each record holds all that is needed, so neither the runbook nor the alert must still be there. A
record is `undoing` while it is carried out: a process killed just then leaves it to be carried out
again, so undo steps must stand that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

from selfheal.exceptions import Refused
from selfheal.records import dataclass
from selfheal.remedy import journal, own_files, steps
from selfheal.remedy.model import Act, ApiCall, Command, KubernetesUndo, Step
from selfheal.remedy.steps import StepResult, Surroundings

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.remedy.execute import Note

Permit = Callable[[Mapping[str, Any]], Mapping[str, Any]]
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


def _nobody_was_asked(action: Mapping[str, Any]) -> Mapping[str, Any]:
    raise Refused(
        "the command policy was not asked about this undo, so it is not carried out; undo the step "
        "by hand"
    )


def undo(
    ctx: Context,
    incident_id: str,
    note: Note,
    executions: Sequence[str] = (),
    is_ending: Callable[[], str] = lambda: "",
    permit: Permit = _nobody_was_asked,
) -> Undoing:
    """Undo what the incident's remedies (or only `executions`) still owe. A failing record does not
    stop the others.

    `permit` is asked for each record's action just before: it returns the action to carry out, or
    raises Refused. Without it nothing is carried out.
    """
    undone = failed = 0
    for row in journal.owed_undos(ctx.store, incident_id, executions):
        if is_ending():
            failed += 1
            continue
        journal.mark_undo(ctx.store, row["id"], journal.UNDOING)
        try:
            action = permit(row["action"])
        except Refused as error:
            kind = str(row["action"].get("kind"))
            result = StepResult(row["step"], kind, steps.FAILED, 0.0, str(error))
        else:
            result = _carry_out(ctx, row["step"], action, is_ending)
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
        Step(name=name, kind=str(action.get("kind")), act=act_of(action), timeout_s=timeout_s),
        around,
        {},
    )


def act_of(action: Mapping[str, Any]) -> Act:
    """What a record's action does; see `remedy.execute.describe`."""
    if action.get("kind") == "kubernetes":
        return KubernetesUndo(str(action["do"]), action)
    if action.get("kind") == "command":
        argv, interpreter = tuple(action["argv"]), tuple(action["interpreter"])
        files = action.get("files")
        if files is None:  # written before records held them
            files = own_files.named(argv or interpreter, action.get("cwd") or ".")
        return Command(
            argv, action["script"], interpreter, tuple((path, digest) for path, digest in files)
        )
    return ApiCall(
        action["method"],
        action["url"],
        action["json"],
        tuple((str(key), str(value)) for key, value in action["headers"]),
        tuple(action["expect_status"]),
    )
