"""The concurrency policies of a pack: how many executions of an action may run side by side.

Counts as StackStorm does: by the attributes that were passed (one left to its default makes the
limit global), delayed or canceled beyond the threshold, no promise about the order of the delayed.
`action.retry` is not applied here: within workflows StackStorm ignores it as well.
"""

from __future__ import annotations

import json
import threading
from typing import Callable, Dict, Iterable, List, Tuple

from standalone.executions import Execution
from standalone.packs import Policy

CONCURRENCY = "action.concurrency"
BY_ATTRIBUTE = "action.concurrency.attr"
NOW, LATER, NEVER = "now", "later", "never"

_Slot = Tuple[str, str]


class Policies:
    """What runs under each limit, and what waits for room. Safe to call from any thread."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._limits = [
            each
            for each in policies
            if each.enabled and each.policy_type in (CONCURRENCY, BY_ATTRIBUTE)
        ]
        self._lock = threading.Lock()
        self._held: Dict[str, List[_Slot]] = {}
        self._taken: Dict[_Slot, int] = {}
        self._waiting: List[Tuple[Execution, Callable[[], None]]] = []

    def admit(
        self, execution: Execution, begin: Callable[[], None], hold: Callable[[], None]
    ) -> str:
        """NOW: the caller begins it. LATER: `hold()` is called, `begin` kept until there is room.
        NEVER: cancel it.
        """
        with self._lock:
            full = self._full(execution)
            if not full:
                self._take(execution)
                return NOW
            if any(policy.parameters.get("action", "delay") == "cancel" for policy in full):
                return NEVER
            hold()
            self._waiting.append((execution, begin))
            return LATER

    def release(self, execution_id: str) -> List[Callable[[], None]]:
        """An execution has ended: what may begin now, in the order in which it came."""
        with self._lock:
            self._waiting = [each for each in self._waiting if each[0].id != execution_id]
            for slot in self._held.pop(execution_id, []):
                self._taken[slot] -= 1
            ready = []
            for execution, begin in list(self._waiting):
                if not self._full(execution):
                    self._take(execution)
                    ready.append((execution, begin))
            self._waiting = [each for each in self._waiting if each not in ready]
            return [begin for _, begin in ready]

    def _full(self, execution: Execution) -> List[Policy]:
        return [
            policy
            for policy in self._on(execution)
            if self._taken.get(_slot(policy, execution), 0) >= policy.parameters.get("threshold", 0)
        ]

    def _take(self, execution: Execution) -> None:
        slots = [_slot(policy, execution) for policy in self._on(execution)]
        if slots:
            self._held[execution.id] = slots
        for slot in slots:
            self._taken[slot] = self._taken.get(slot, 0) + 1

    def _on(self, execution: Execution) -> List[Policy]:
        return [policy for policy in self._limits if policy.resource_ref == execution.action_ref]


def _slot(policy: Policy, execution: Execution) -> _Slot:
    names = policy.parameters.get("attributes") or []
    passed = {name: execution.parameters[name] for name in names if name in execution.parameters}
    return policy.ref, json.dumps(passed, sort_keys=True, default=str)
