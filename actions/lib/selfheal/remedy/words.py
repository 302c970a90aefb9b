"""What a step does, in words for people."""

from __future__ import annotations

from selfheal.remedy.model import ApiCall, Command, KubernetesAct, KubernetesUndo, Step, Wait
from selfheal.text import without_credentials


def step_in_words(step: Step) -> str:
    """What the step would do, for people."""
    act = step.act
    if isinstance(act, Command):
        return (
            "run %s" % " ".join(act.argv)
            if act.argv
            else "run a script of %d lines by %s"
            % (len(act.script.splitlines()), " ".join(act.interpreter))
        )
    if isinstance(act, ApiCall):
        return "%s %s" % (act.method, without_credentials(act.url))
    if isinstance(act, Wait):
        return (
            "wait until %s answers %d, at most %g s"
            % (without_credentials(act.url), act.status, act.timeout_s)
            if (act.url)
            else "wait %g s" % act.seconds
        )
    if isinstance(act, KubernetesAct):
        from selfheal.remedy.kubernetes import operations

        return operations.in_words(act)
    if isinstance(act, KubernetesUndo):
        return str(act.record.get("words") or "undo %s" % act.do)
    return "go on only if %s %s %s" % (act.value, act.operator.replace("_", " "), act.operand)
