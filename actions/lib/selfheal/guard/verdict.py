"""What the guards speak of: a deed that is about to be done, and an objection to it.

Each guard looks at one thing and answers with an objection or with None. An objection reads like
advice: what was refused, by which rule and numbers, and how to allow it by who means it.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from selfheal.records import dataclass

if TYPE_CHECKING:
    from selfheal.remedy.model import KubernetesAct


@dataclass(frozen=True)
class Deed:
    """One remedy for one incident, just before it begins. `execution_id` names it for good.

    `scope` is what it touches (see remedy.plan.scope_of), `remedy` names it, as in
    "runbook:start_failed_unit"; `labels` are the incident's, from outside. `is_by_hand` says that a
    person started it, not a response, `is_approved` that a person said yes to this very plan.
    `operations` are the changes in Kubernetes among its steps, done on the incident's `workload`.
    """

    execution_id: str
    incident_id: str
    group_key: str
    remedy: str
    risk: str
    scope: str
    cluster: str = ""
    namespace: str = ""
    alert_type: str = ""
    severity: str = "warning"
    labels: Mapping[str, str] = field(default_factory=dict)
    is_by_hand: bool = False
    is_approved: bool = False
    workload: str = ""
    operations: Tuple[KubernetesAct, ...] = ()

    @property
    def changes_something(self) -> bool:
        """Whether it may change anything at all; what only reads costs no budget."""
        return self.risk != "read-only"


@dataclass(frozen=True)
class Objection:
    """Why a deed must not be done now.

    `rule` is the guard's name (pause, window, storm, clock, budget, wait, min_healthy, target,
    breaker, command, store), `until` the time (epoch seconds) at which it lapses by itself, if it
    does; `data` holds the numbers.
    """

    rule: str
    reason: str
    advice: str
    until: Optional[float] = None
    data: Dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "%s; %s" % (self.reason, self.advice)
