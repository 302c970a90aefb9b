"""A change in Kubernetes before the command policy: its risk and whether a person must see it, by
the rows `operations:` of the command table. Changes nothing and asks nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Mapping, Union

from selfheal.guard.commands.model import (
    ALLOW,
    NEEDS_APPROVAL,
    Decision,
    Policy,
    Refusal,
    refused,
)
from selfheal.guard.commands.operation_rows import value_text
from selfheal.remedy.model import RISKS

if TYPE_CHECKING:
    from selfheal.remedy.model import KubernetesAct, KubernetesUndo

SECTION = "operations"


def judge(act: Union[KubernetesAct, KubernetesUndo], policy: Policy) -> Decision:
    """The decision about `act` or about taking it back. Never raises; what has no row is denied."""
    rule = "%s.%s" % (SECTION, act.do)
    row = policy.document.get(SECTION, {}).get(act.do)
    if row is None or "deny" in row:
        return _denied(act.do, rule, row)
    risk = max((row["risk"], *_by_options(act, row)), key=RISKS.index)
    # Reversible ones need nobody; the rest does as the strategy says, unless the row asks anyway.
    is_for_people = RISKS.index(risk) > (1 if policy.safe_mode else 2)
    reason = "%s: the least risk of %s in the command table" % (risk, act.do)
    why = row.get("ask") or _asked_for(act, row)
    if why:
        return Decision(NEEDS_APPROVAL, risk, rule, "for a person to decide: %s" % why)
    return Decision(NEEDS_APPROVAL if is_for_people else ALLOW, risk, rule, reason)


def _by_options(
    act: Union[KubernetesAct, KubernetesUndo], row: Mapping[str, Any]
) -> List[str]:
    """The risks that the values of its options have by the row."""
    rows = row.get("options", {})
    return [
        rows[name][value_text(value)]
        for name, value in getattr(act, "options", ())
        if value_text(value) in rows.get(name, {})
    ]


def _asked_for(act: Union[KubernetesAct, KubernetesUndo], row: Mapping[str, Any]) -> str:
    """Why one of its options wants a person, or empty."""
    asks = row.get("ask_with", {})
    given = getattr(act, "options", ())
    return next((asks[name] for name, value in given if value and name in asks), "")


def _denied(name: str, rule: str, row: Any) -> Decision:
    why = str(row["deny"]) if row else "there is no such operation in the command table"
    how = (
        "If you mean it, your own table (safety.command_table) must name it: "
        "`operations: {%s: {risk: disruptive, replaces: %s}}`." % (name, name)
        if row
        else "Use one of the operations that docs/kubernetes.md lists."
    )
    return refused(Refusal(rule, name, why, how))
