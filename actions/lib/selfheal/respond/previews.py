"""What the steps that change something in Kubernetes would do just now: asked of the cluster, with
a rehearsal on its server, and nothing done. For dry runs, and for people who are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict

from selfheal.exceptions import Refused, SelfhealError
from selfheal.remedy.model import KubernetesAct, Runbook
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

_REPLACED = "nothing to take back: its controller replaces what is gone"


def previews(ctx: Context, incident: Incident, runbook: Runbook) -> Dict[str, Dict[str, str]]:
    """{name of a step: {"now": what it would do, or "refused": why it would not, or "unknown": why
    that cannot be told; and "undo"}}, for the steps in Kubernetes. Raises nothing foreseen.
    """
    return {
        step.name: _preview(ctx, incident, step.act)
        for step in runbook.steps
        if isinstance(step.act, KubernetesAct)
    }


def in_words(preview: Dict[str, str]) -> str:
    """A preview in one line."""
    if "now" in preview:
        return "now: %s" % preview["now"]
    if "refused" in preview:
        return "it would be refused now: %s" % preview["refused"]
    return "what it would do now is not known: %s" % preview.get("unknown", "")


def undo_in_words(act: KubernetesAct) -> str:
    """How a step in Kubernetes is taken back, before it is known to what."""
    from selfheal.remedy.kubernetes import operations

    return (
        "put back what was there before, as it is recorded then"
        if operations.is_undoable(act)
        else _REPLACED
    )


def _preview(ctx: Context, incident: Incident, act: KubernetesAct) -> Dict[str, str]:
    from selfheal.remedy.kubernetes import acting

    try:
        prepared = acting.prepare(ctx, act, incident)
    except Refused as error:
        return {"refused": one_line(str(error), 500)}
    except SelfhealError as error:
        return {"unknown": one_line(str(error), 500)}
    undo = prepared.undo or {}
    return {"now": prepared.what, "undo": str(undo.get("words") or _REPLACED)}
