"""What a runbook, an undo record or a single command would run, held against the command policy.

One decision for every command from whatever source: deny refuses the whole runbook, needs_approval
and the judged risk raise the plan's risk, allow gives the words to run. Runs nothing. Whoever runs
a runbook runs `rebuilt(...)` of it, never the runbook as it was written.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from selfheal.exceptions import ConfigError, Refused
from selfheal.guard import operation_check, own_scripts
from selfheal.guard.commands import decide, load_policy, second_reading
from selfheal.guard.commands.model import (
    ALLOW,
    DENY,
    NEEDS_APPROVAL,
    Decision,
    Policy,
    Refusal,
    refused,
)
from selfheal.guard.verdict import Objection
from selfheal.records import dataclass
from selfheal.remedy import catalogue, own_files
from selfheal.remedy.model import (
    RISKS,
    Act,
    ApiCall,
    Command,
    KubernetesAct,
    KubernetesUndo,
    Runbook,
    Step,
    Wait,
)
from selfheal.remedy.words import step_in_words
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.config import Config

RULE = "command"
_TABLE = "safety.command_table"
_SAFE_MODE = "resolver.safe_mode"


@dataclass(frozen=True)
class JudgedStep:
    """The decision about what one step, or its undo, would do. `decision.argv` is run instead of
    what was written; it is empty for scripts and API calls, which are run as they stand.
    """

    step: str
    is_undo: bool
    what: str
    decision: Decision

    def as_dict(self) -> Dict[str, Any]:
        """As the plan and the timeline hold it: {"step", "undo", "what", "decision", "risk",
        "rule", "argv"[, "operation"]}.
        """
        found = self.decision
        shown = {
            "step": self.step,
            "undo": self.is_undo,
            "what": self.what,
            "decision": found.decision,
            "risk": found.risk,
            "rule": found.rule,
            "argv": list(found.argv),
        }
        if found.operation is not None:
            shown["operation"] = found.operation.as_dict()
        return shown

    def __str__(self) -> str:
        return "%sstep %s" % ("the undo of " if self.is_undo else "", self.step)


@dataclass(frozen=True)
class Judged:
    """A runbook before the policy. `risk` is the greater of the declared and the judged one;
    `asks` says why a person must see it although its risk alone would not ask; `notes` are for the
    plan and the timeline.
    """

    objections: Tuple[Objection, ...]
    risk: str
    asks: Tuple[str, ...]
    notes: Tuple[str, ...]
    steps: Tuple[JudgedStep, ...]


def policy_of(config: Config) -> Policy:
    """The policy that `safety.command_table` and `resolver.safe_mode` make. Raises ConfigError."""
    path, safe_mode = config.get(_TABLE), config.get(_SAFE_MODE)
    if not isinstance(safe_mode, bool):
        raise ConfigError("%s must be true or false, not %r" % (_SAFE_MODE, safe_mode))
    if not path:
        return load_policy(None, safe_mode)
    if not isinstance(path, str) or not os.path.isabs(path):
        raise ConfigError("%s must be the absolute path of a YAML file, not %r" % (_TABLE, path))
    try:
        found = os.stat(path)
    except (OSError, ValueError) as error:
        raise ConfigError("%s: cannot read %s: %s" % (_TABLE, path, error)) from error
    open_to_all = own_scripts.writable_by_all((path,))
    if open_to_all:
        raise ConfigError(
            "%s: everybody may write to %s, so what %s allows means nothing; chmod o-w %s"
            % (_TABLE, open_to_all, path, open_to_all)
        )
    return load_policy(path, safe_mode, (found.st_mtime_ns, found.st_size, found.st_ino))


def judge(config: Config, runbook: Runbook) -> Judged:
    """`judge_runbook` by the policy of `config`; a table that cannot be read is an objection."""
    try:
        return judge_runbook(runbook, policy_of(config))
    except ConfigError as error:
        return Judged((_no_table(error),), runbook.risk, (), (), ())


def judge_command(command: Union[str, Sequence[str]], policy: Policy) -> Decision:
    """The decision about one command, confirmed by the second reading. Never raises."""
    found = decide(command, policy)
    if found.is_denied:
        return found
    try:
        against = second_reading.objection(found, policy)
    except Exception as error:  # a reading that breaks has not agreed
        against = "the second one broke: %r" % error
    if not against:
        return found
    return refused(
        Refusal(
            "second_reading",
            found.argv[0],
            "two independent readings of it do not agree (%s), so nothing runs" % against,
            "No row can allow this: report it as a defect, and write the command more plainly.",
        )
    )


def judge_runbook(runbook: Runbook, policy: Policy) -> Judged:
    """What the policy says of every step of `runbook` and of every undo. Never raises."""
    folder = os.path.dirname(runbook.path) or "."
    place = own_scripts.Place(folder, runbook.risk)
    steps: List[JudgedStep] = []
    for step in runbook.steps:
        acts: List[Tuple[bool, Act]] = [(False, step.act)]
        if step.undo is not None:
            acts.append((True, step.undo.act))
        for is_undo, act in acts:
            found = _judge_act(act, place, policy)
            if found is not None:
                what = step_in_words(replace(step, act=act))
                steps.append(JudgedStep(step.name, is_undo, what, found))
    # What a person asked for by an action has no file.
    open_to_all = runbook.path and own_scripts.writable_by_all((runbook.path, folder))
    if open_to_all:
        return Judged((_open_to_all(runbook, open_to_all),), runbook.risk, (), (), tuple(steps))
    return _summed(runbook, steps, policy.safe_mode)


def rebuilt(runbook: Runbook, judged: Judged) -> Runbook:
    """`runbook` with the words that may be run in place of those that were written. Raises Refused
    when there is an objection.
    """
    if judged.objections:
        raise Refused("; ".join(str(objection) for objection in judged.objections))
    argv = {(one.step, one.is_undo): one.decision.argv for one in judged.steps}
    folder = os.path.dirname(runbook.path) or "."
    return replace(
        runbook, steps=tuple(_rebuilt_step(step, argv, folder) for step in runbook.steps)
    )


def in_plan(plan: Mapping[str, Any], judged: Judged) -> Dict[str, Any]:
    """`plan` (remedy.plan.build) with what the policy said: "risk", "declared_risk", "commands" (a
    list of JudgedStep.as_dict), "asks" and "notes".
    """
    return dict(
        plan,
        risk=judged.risk,
        declared_risk=plan.get("risk"),
        commands=[one.as_dict() for one in judged.steps],
        asks=list(judged.asks),
        notes=list(judged.notes),
    )


def changed_since(plan: Mapping[str, Any], judged: Judged) -> Optional[Objection]:
    """Why what the policy says now is not what `plan` (see `in_plan`) was decided on, or None."""
    was = {key: plan.get(key) for key in ("risk", "commands", "asks")}
    now = in_plan({}, judged)
    if all(was[key] == now[key] for key in was):
        return None
    return Objection(
        RULE,
        "the command policy judges this plan otherwise than when it was decided on (its %s)"
        % " and its ".join(key for key in was if was[key] != now[key]),
        "analyze the incident again, so that it is decided by the policy of now",
        data={"was": was, "now": {key: now[key] for key in was}},
    )


def permitted_undo(config: Config, action: Mapping[str, Any]) -> Dict[str, Any]:
    """The undo record's `action` with the words that may be run. Raises Refused with the advice
    when the policy denies it or cannot be read. For `remedy.undo.undo(..., permit=...)`.
    """
    try:
        policy = policy_of(config)
    except ConfigError as error:
        raise Refused(str(_no_table(error))) from error
    from selfheal.remedy import undo  # judging a plan needs it not

    place = own_scripts.Place(str(action.get("cwd") or "."), RISKS[0])
    try:
        act = undo.act_of(action)
        found = _judge_act(act, place, policy)
    except (AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise Refused(
            "the undo record cannot be understood (%r), so it is not carried out; "
            "undo the step by hand" % error
        ) from error
    if found is not None and found.is_denied:
        raise Refused(found.reason)
    if found is not None and found.rule == own_scripts.RULE:
        _refuse_elsewhere(config, place.folder)
    if found is None or not found.argv:
        return dict(action)
    known = act.files if isinstance(act, Command) else ()
    files = own_files.still_named(known, found.argv, place.folder)
    return dict(action, argv=list(found.argv), files=[list(file) for file in files])


def _refuse_elsewhere(config: Config, folder: str) -> None:
    """Refuse the script of a record that does not come from where runbooks are."""
    try:
        is_searched = catalogue.is_searched(config, folder)
    except ConfigError as error:
        raise Refused(
            "it is not known where runbooks are (%s), so the script of this undo is not run; mend "
            "resolver.runbook_paths or undo the step by hand" % error
        ) from error
    if not is_searched:
        raise Refused(
            "the undo record's script belongs to %s, which is none of the directories of "
            "resolver.runbook_paths; undo the step by hand" % folder
        )


def _judge_act(act: Act, place: own_scripts.Place, policy: Policy) -> Optional[Decision]:
    if isinstance(act, Command):
        if not act.argv:
            return own_scripts.judge_inline(act, place, policy)
        found = judge_command(act.argv, policy)
        if found.is_denied:
            own = own_scripts.judge(act, place, policy)
            return found if own is None else own
        return found
    if isinstance(act, ApiCall):
        return _judge_request(act.method, policy)
    if isinstance(act, Wait) and act.url:
        return _judge_request("GET", policy)
    if isinstance(act, (KubernetesAct, KubernetesUndo)):
        return operation_check.judge(act, policy)
    return None


def _judge_request(method: str, policy: Policy) -> Decision:
    rule = "requests.%s" % method
    risk = policy.document["requests"].get(method)
    if risk not in RISKS:
        why = risk.get("deny") if isinstance(risk, dict) else "there is no such method"
        return refused(
            Refusal(
                rule,
                method,
                str(why),
                "If you mean it, your own table (safety.command_table) must name it: "
                "`requests: {%s: {risk: disruptive, replaces: %s}}`." % (method, method),
            )
        )
    rank = RISKS.index(risk)
    asks = rank > (1 if policy.safe_mode else 2)
    reason = "%s: the least risk of %s in the command table" % (risk, method)
    return Decision(NEEDS_APPROVAL if asks else ALLOW, risk, rule, reason)


def _summed(runbook: Runbook, steps: Sequence[JudgedStep], safe_mode: bool) -> Judged:
    objections, asks, notes = [], [], []
    declared = RISKS.index(runbook.risk)
    rank = declared
    if rank == 0 and any(step.undo for step in runbook.steps):
        rank = 1  # so that it is charged, and waits for what a change waits for
        notes.append(
            "what can be taken back has changed something, so it is reversible at least, though "
            "the runbook says read-only"
        )
    for one in steps:
        found = one.decision
        if found.decision == DENY:
            objections.append(_objection(runbook, one))
            continue
        own = RISKS.index(found.risk)
        if own > declared:
            notes.append(
                "%s (%s) is %s by the row %s of the command table, though the runbook says %s"
                % (one, one.what, found.risk, found.rule, runbook.risk)
            )
        if found.decision == NEEDS_APPROVAL and own <= (1 if safe_mode else 2):
            asks.append("%s (%s) is %s" % (one, one.what, found.reason))
        rank = max(rank, own)
    return Judged(tuple(objections), RISKS[rank], tuple(asks), tuple(notes), tuple(steps))


def _objection(runbook: Runbook, one: JudgedStep) -> Objection:
    found = one.decision
    data = {"runbook": runbook.name, "rule": found.rule, "token": found.token}
    what = found.reason[:len(found.reason) - len(found.advice)].rstrip(". ")
    return Objection(
        RULE,
        "runbook %s, %s (%s): %s" % (runbook.name, one, one.what, what),
        found.advice,
        data=dict(data, step=one.step, undo=one.is_undo),
    )


def _open_to_all(runbook: Runbook, path: str) -> Objection:
    return Objection(
        RULE,
        "runbook %s: everybody on this host may write to %s, or it cannot be looked at"
        % (runbook.name, path),
        "take that right away: chmod o-w %s" % path,
        data={"runbook": runbook.name, "rule": own_scripts.RULE, "token": path},
    )


def _no_table(error: ConfigError) -> Objection:
    return Objection(
        RULE,
        "the command policy cannot be read, and without it nothing runs: %s"
        % one_line(str(error), 500),
        "mend the file that safety.command_table names (st2 run selfheal.check_config says whether "
        "it can be read)",
    )


def _rebuilt_step(
    step: Step, argv: Mapping[Tuple[str, bool], Tuple[str, ...]], folder: str
) -> Step:
    undo_of = step.undo
    if undo_of is not None and isinstance(undo_of.act, Command):
        undone = _rebuilt_command(undo_of.act, argv[step.name, True], folder)
        undo_of = replace(undo_of, act=undone)
    act = step.act
    if isinstance(act, Command):
        act = _rebuilt_command(act, argv[step.name, False], folder)
    return replace(step, act=act, undo=undo_of)


def _rebuilt_command(command: Command, argv: Tuple[str, ...], folder: str) -> Command:
    if not argv:
        return command
    return replace(command, argv=argv, files=own_files.still_named(command.files, argv, folder))
