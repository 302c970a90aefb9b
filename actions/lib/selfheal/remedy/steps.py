"""Carrying out one step: a command, an API call, a wait, a condition, a change in Kubernetes. Each
says how it went; none raises for that.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping, Optional, Tuple, Union

from selfheal.exceptions import SelfhealError
from selfheal.records import dataclass
from selfheal.remedy import own_files
from selfheal.remedy.model import (
    ApiCall,
    Command,
    Condition,
    KubernetesAct,
    KubernetesUndo,
    Step,
    Wait,
)
from selfheal.text import scrub, truncate, without_credentials

if TYPE_CHECKING:
    from selfheal.context import Context

DONE = "done"
FAILED = "failed"
STOPPED = "stopped"
REFUSED = "refused"  # it is not for this one; nothing was changed
REQUEST_TIMEOUT_S = 30.0
_MAX_BODY = 16 * 1024
_MAX_KEPT = 8000  # characters of each output that the record keeps
_LOOK_S = 1.0


def _no_record(action: Optional[Mapping[str, Any]]) -> None:
    """An undo is not taken back itself."""


@dataclass(frozen=True)
class Surroundings:
    """What a step works with: the context, the variables, where it runs, until when (monotonic),
    who may stop it, and the incident that it is `about`.

    `should_stop` is asked between steps and in waits; `is_ending` says that this process was told
    to end, and stops a running command too. `record` commits how a step that works it out itself is
    taken back, before it is done and as often as that changes; None says that nothing is owed.
    """

    ctx: Context
    variables: Mapping[str, str]
    cwd: Optional[str]
    deadline: float
    should_stop: Callable[[], str]
    is_ending: Callable[[], str]
    about: Any = None
    record: Callable[[Optional[Mapping[str, Any]]], None] = _no_record

    def time_left(self) -> float:
        return max(0.0, self.deadline - float(self.ctx.clock.monotonic()))


@dataclass(frozen=True)
class StepResult:
    """How a step went. `fields` is what later steps may refer to; `stops` ends the runbook: done,
    failed, or a reason.
    """

    name: str
    kind: str
    status: str
    seconds: float
    detail: str
    fields: Dict[str, str] = field(default_factory=dict)
    stops: str = ""

    def as_dict(self, secrets: Tuple[str, ...] = ()) -> Dict[str, Any]:
        hidden: Dict[str, Any] = scrub(self.fields, secrets)  # before a cut could halve a secret
        shown = {key: truncate(value, _MAX_KEPT) for key, value in hidden.items()}
        shown["detail"] = scrub(self.detail, secrets)
        return {
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            **shown,
        }


@dataclass(frozen=True)
class Ending:
    """How the act of a step ended; see StepResult."""

    status: str
    detail: str
    fields: Dict[str, str] = field(default_factory=dict)
    stops: str = ""


def carry_out(
    step: Step, around: Surroundings, earlier: Mapping[str, Mapping[str, str]]
) -> StepResult:
    """Do `step`; `earlier` are the fields of the steps before it, by name. Foreseen failures are in
    the result.
    """
    started = around.ctx.clock.monotonic()
    act = step.act
    try:
        if isinstance(act, Command):
            ending = _command(act, step, around)
        elif isinstance(act, ApiCall):
            ending = _api_call(act, step.timeout_s, around)
        elif isinstance(act, Wait):
            ending = _wait(act, around)
        elif isinstance(act, (KubernetesAct, KubernetesUndo)):
            ending = _kubernetes(act, step.timeout_s, around)
        else:
            ending = _condition(act, earlier)
    except SelfhealError as error:
        ending = Ending(FAILED, str(error))
    return StepResult(
        step.name,
        step.kind,
        ending.status,
        around.ctx.clock.monotonic() - started,
        str(scrub(ending.detail, around.ctx.config.secrets())),
        ending.fields,
        ending.stops,
    )


def _command(command: Command, step: Step, around: Surroundings) -> Ending:
    from selfheal.remedy import process  # dear to import, and many runs start no command

    changed = own_files.changed(command, around.cwd or ".")
    if changed:
        return Ending(FAILED, changed)
    limit = min(step.timeout_s or around.time_left(), around.time_left())
    ended = process.run(
        command, process.environment(around.variables), limit, around.cwd, around.is_ending
    )
    fields = {
        "exit_code": "" if ended.exit_code is None else str(ended.exit_code),
        "stdout": ended.stdout,
        "stderr": ended.stderr,
    }
    if ended.stopped == "timeout":
        return Ending(
            FAILED, "stopped after %.1f s, its whole process group with it" % ended.seconds, fields
        )
    if ended.stopped:
        return Ending(STOPPED, "stopped: %s" % ended.stopped, fields, ended.stopped)
    if ended.exit_code is not None and ended.exit_code < 0:
        return Ending(FAILED, "killed by signal %d" % -ended.exit_code, fields)
    if ended.exit_code not in step.expect_exit:
        return Ending(
            FAILED,
            "ended with exit code %s; expected %s"
            % (ended.exit_code, " or ".join(str(code) for code in step.expect_exit)),
            fields,
        )
    return Ending(DONE, "exit code %s" % ended.exit_code, fields)


def _api_call(call: ApiCall, timeout_s: Optional[float], around: Surroundings) -> Ending:
    limit = min(timeout_s or REQUEST_TIMEOUT_S, around.time_left())
    if limit <= 0:
        return Ending(FAILED, "no time left for it")
    answer = around.ctx.http.request(
        call.method, call.url, json=call.json, headers=dict(call.headers), timeout_s=limit
    )
    fields = {"status": str(answer.status), "body": answer.text(_MAX_BODY)}
    detail = "%s %s answered %d" % (call.method, without_credentials(call.url), answer.status)
    if call.accepts(answer.status):
        return Ending(DONE, detail, fields)
    expected = " or ".join(str(status) for status in call.expect_status) or "2xx"
    return Ending(FAILED, "%s; expected %s" % (detail, expected), fields)


def _wait(wait: Wait, around: Surroundings) -> Ending:
    clock = around.ctx.clock
    end = min(clock.monotonic() + (wait.timeout_s if wait.url else wait.seconds), around.deadline)
    answer = ""
    while True:
        reason = around.should_stop()
        if reason:
            return Ending(STOPPED, "stopped: %s" % reason, stops=reason)
        if wait.url:
            is_there, answer = _asked(wait, around)
            if is_there:
                return Ending(DONE, answer)
        left = end - clock.monotonic()
        if left <= 0:
            break
        clock.sleep(min(_LOOK_S, left))
    if wait.url:
        return Ending(FAILED, "gave up: the last answer was: %s" % answer)
    if around.time_left() <= 0:
        return Ending(FAILED, "the runbook's time was over before the wait was")
    return Ending(DONE, "waited %g s" % wait.seconds)


def _asked(wait: Wait, around: Surroundings) -> Tuple[bool, str]:
    try:
        limit = max(0.1, min(REQUEST_TIMEOUT_S, around.time_left()))
        status = around.ctx.http.request("GET", wait.url, timeout_s=limit).status
    except SelfhealError as error:
        return False, str(error)
    return status == wait.status, "%s answered %d" % (without_credentials(wait.url), status)


def _kubernetes(
    act: Union[KubernetesAct, KubernetesUndo], timeout_s: Optional[float], around: Surroundings
) -> Ending:
    if timeout_s is not None:
        limit = float(around.ctx.clock.monotonic()) + timeout_s
        around = replace(around, deadline=min(around.deadline, limit))
    if isinstance(act, KubernetesUndo):
        from selfheal.remedy.kubernetes import undoing

        return undoing.undo(act.record, around)
    from selfheal.remedy.kubernetes import acting

    return acting.carry_out(act, around)


def _condition(condition: Condition, earlier: Mapping[str, Mapping[str, str]]) -> Ending:
    found = earlier.get("", {}).get(str(condition.value))
    shown = "%s %s%s" % (
        condition.value,
        condition.operator.replace("_", " "),
        "" if condition.operator in ("empty", "not_empty") else " %r" % condition.operand,
    )
    if holds(condition.operator, found, condition.operand):
        return Ending(DONE, "%s: yes" % shown)
    if condition.otherwise == "stop":
        return Ending(DONE, "%s: no, so there is nothing more to do" % shown, stops=DONE)
    return Ending(FAILED, "%s: no" % shown)


def holds(operator: str, found: Optional[str], operand: str) -> bool:
    """Whether `found` (None: there is no such value) stands in that relation to `operand`. Ends of
    lines do not count.
    """
    if operator in ("empty", "not_empty"):
        return (found is None or not found.strip()) == (operator == "empty")
    if found is None:
        return False  # what is not there has no relation to anything, not even `not_equals`
    text = found.strip()
    if operator in ("less_than", "greater_than"):
        try:
            return (
                float(text) < float(operand)
                if operator == "less_than"
                else float(text) > float(operand)
            )
        except ValueError:
            return False
    return {
        "equals": text == operand.strip(),
        "not_equals": text != operand.strip(),
        "contains": operand in found,
        "not_contains": operand not in found,
        "starts_with": text.startswith(operand),
        "ends_with": text.endswith(operand),
    }[operator]
