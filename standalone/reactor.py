"""Turns trigger instances into executions: the queue, the rules, their criteria and their
parameters.

One thread takes the instances in the order in which they came, as StackStorm's rules engine does. A
rule that cannot be matched or rendered stops nothing but itself, and is told of as `rule_failed`.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Any, Callable, Dict, FrozenSet, Iterable, List, Mapping, Optional

from standalone import matching
from standalone.executions import Subscribers, new_id
from standalone.packs import Pack, Rule
from standalone.work import Work

WEBHOOK = "core.st2.webhook"
ALL = "all"


@dataclass(frozen=True)
class TriggerInstance:
    """One occurrence of a trigger. `parameters` tells one webhook or timer from another; None for
    the rest.
    """

    id: str
    trigger: str
    payload: Any
    parameters: Optional[Mapping[str, Any]] = None


class Reactor:
    """Matches rules. `enforce(rule, payload)` starts the rule's action or raises when it cannot."""

    def __init__(
        self,
        pack: Pack,
        store: Any,
        enable_rules: Iterable[str],
        enforce: Callable[[Rule, Any, TriggerInstance], Any],
        subscribers: Subscribers,
        work: Work,
    ) -> None:
        self.rules = {
            rule.ref: rule
            for rule in pack.rules.values()
            if is_enabled(rule, frozenset(enable_rules))
        }
        self._pack = pack
        self._store = store
        self._enforce = enforce
        self._subscribers = subscribers
        self._work = work
        self._instances: queue.Queue[Optional[TriggerInstance]] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="rules", daemon=True)

    def start(self) -> None:
        """Begins to take instances."""
        self._thread.start()

    def stop(self) -> None:
        """Finishes the instance at hand, drops the rest."""
        self._instances.put(None)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(10)

    def inject(
        self, trigger: str, payload: Any, parameters: Optional[Mapping[str, Any]] = None
    ) -> TriggerInstance:
        """Queues one instance and returns at once."""
        instance = TriggerInstance(new_id(), trigger, payload, parameters)
        self._work.begin()
        self._subscribers.tell("trigger_injected", id=instance.id, trigger=trigger, payload=payload)
        self._instances.put(instance)
        return instance

    def webhooks(self) -> List[str]:
        """The webhooks that enabled rules register, without slashes around them."""
        return sorted({_hook(rule) for rule in self.rules.values() if rule.trigger_type == WEBHOOK})

    def _run(self) -> None:
        while True:
            instance = self._instances.get()
            if instance is None:
                return
            try:
                self._process(instance)
            except Exception as error:
                self._subscribers.tell(
                    "rule_failed", rule=None, trigger=instance.trigger, reason=str(error)
                )
            finally:
                self._work.end()

    def _process(self, instance: TriggerInstance) -> None:
        candidates = self._candidates(instance)
        is_matched = False
        for rule in candidates:
            if not rule.is_backstop:
                is_matched = self._consider(rule, instance) or is_matched
        for rule in candidates:
            if rule.is_backstop and not is_matched:
                self._consider(rule, instance)

    def _candidates(self, instance: TriggerInstance) -> List[Rule]:
        found = [rule for rule in self.rules.values() if rule.trigger_type == instance.trigger]
        if instance.parameters is None:
            return found
        wanted = _identity(instance.parameters)
        return [rule for rule in found if _identity(rule.trigger_parameters) == wanted]

    def _consider(self, rule: Rule, instance: TriggerInstance) -> bool:
        matches, why = matching.rule_matches(rule, instance.payload, self._store)
        if not matches:
            self._subscribers.tell(
                "rule_passed_over", rule=rule.ref, trigger=instance.trigger, reason=why
            )
            return False
        self._subscribers.tell(
            "rule_matched", rule=rule.ref, trigger=instance.trigger, action=rule.action_ref
        )
        try:
            self._enforce(rule, instance.payload, instance)
        except Exception as error:
            self._subscribers.tell(
                "rule_failed", rule=rule.ref, trigger=instance.trigger, reason=str(error)
            )
        return True


def is_enabled(rule: Rule, forced: FrozenSet[str]) -> bool:
    """A rule runs when its YAML says so or it is asked for: by reference, by name, or `all`."""
    return rule.enabled or bool(forced & {ALL, rule.ref, rule.name})


def hook_of(name: str) -> str:
    """A webhook's name as StackStorm keeps it."""
    return name.strip("/")


def _hook(rule: Rule) -> str:
    return hook_of(str(rule.trigger_parameters.get("url", "")))


def _identity(parameters: Mapping[str, Any]) -> Dict[str, Any]:
    found = dict(parameters)
    if isinstance(found.get("url"), str):
        found["url"] = hook_of(found["url"])
    return found
