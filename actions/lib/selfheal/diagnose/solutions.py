"""What helped and what did not: one row per cause, place and remedy, with how often the signal
proved or disproved it.

Only recorded here; what a solution is worth follows from it. An execution counts once, by its last
verdict: disproven and later proven after all, it is a success and no failure.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Mapping, Optional

from selfheal.remedy import plan as plans
from selfheal.store import Store, dump
from selfheal.verify.errors import SOURCE as ERRORS_SOURCE

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

ACTIVE = "active"
_COUNT = (
    "UPDATE solutions SET plan = ?, successes = successes + ?, failures = CASE WHEN "
    "failures + ? > 0 THEN failures + ? ELSE 0 END, last_used_at = ?, "
    "last_success_at = COALESCE(?, last_success_at), "
    "last_failure_at = COALESCE(?, last_failure_at) WHERE id = ?"
)


def cause_of(incident: Incident) -> str:
    """What went wrong: the fingerprint of the error pattern, else the incident's grouping key."""
    fingerprint = incident.labels.get("fingerprint", "")
    return fingerprint if incident.source == ERRORS_SOURCE and fingerprint else incident.group_key


def record(
    store: Store, incident: Incident, plan: Mapping[str, Any], helped: bool, before: Optional[bool]
) -> None:
    """Count one execution of `plan` for `incident`: it `helped`, where its verdict was `before`
    (None: none yet). Call it in the transaction that writes the verdict.
    """
    if before == helped or before:
        return  # counted already; what was proven once stays proven
    now, failures = store.now(), _failures(helped, before)
    key = {
        "fingerprint": cause_of(incident),
        "scope": str(plan.get("scope") or plans.scope_of(incident)),
        "source": "%s:%s" % (plan.get("remedy"), plan.get("runbook")),
    }
    solution_id = "sol-%s" % hashlib.sha256(dump(key).encode("ascii")).hexdigest()[:20]
    content = dump(dict(plan))
    store.insert(
        "solutions",
        {
            "id": solution_id,
            **key,
            "plan": content,
            "status": ACTIVE,
            "successes": 0,
            "failures": 0,
            "created_at": now,
        },
        "ON CONFLICT (id) DO NOTHING",
    )
    store.execute(
        _COUNT,
        (
            content,
            int(helped),
            failures,
            failures,
            now,
            now if helped else None,
            None if helped else now,
            solution_id,
        ),
    )


def _failures(helped: bool, before: Optional[bool]) -> int:
    if not helped:
        return 1
    return 0 if before is None else -1  # it was counted as a failure
