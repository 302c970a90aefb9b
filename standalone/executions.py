"""What runs and what ran: one record per execution, and the events that tell of it.

Records are frozen and replaced whole, so a reader never sees half a change. They live in memory
only: this is one process, and what must outlive it is in the pack's own store.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Deque, Dict, FrozenSet, List, Mapping, Optional

FINISHED = ("succeeded", "failed", "timeout", "abandoned", "canceled")
KEPT = 10000
MASK = "********"


@dataclass(frozen=True)
class Event:
    """Something that happened: `at` is epoch seconds, `data` is plain data with secrets masked."""

    at: float
    kind: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class Execution:
    """One run of an action. `result` is what StackStorm's runner gives; times are epoch seconds."""

    id: str
    action_ref: str
    runner_type: str
    parameters: Mapping[str, Any]
    status: str
    started_at: float
    ended_at: Optional[float] = None
    result: Any = None
    parent_id: Optional[str] = None
    task_name: Optional[str] = None
    rule_ref: Optional[str] = None
    secret_names: FrozenSet[str] = frozenset()
    context: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Nothing of it runs any more."""
        return self.status in FINISHED

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return (self.ended_at if self.ended_at is not None else time.time()) - self.started_at

    @property
    def masked_parameters(self) -> Dict[str, Any]:
        """The parameters, those declared `secret` hidden."""
        return {
            name: MASK if name in self.secret_names else value
            for name, value in self.parameters.items()
        }

    def as_json(self) -> Dict[str, Any]:
        """Plain data for the API and the command line."""
        return {
            "id": self.id,
            "action": {"ref": self.action_ref, "runner_type": self.runner_type},
            "status": self.status,
            "parameters": self.masked_parameters,
            "result": self.result,
            "start_timestamp": timestamp(self.started_at),
            "end_timestamp": timestamp(self.ended_at) if self.ended_at is not None else None,
            "elapsed_seconds": round(self.seconds, 3),
            "parent": self.parent_id,
            "task_name": self.task_name,
            "rule": self.rule_ref,
            "context": dict(self.context),
        }


def new_id() -> str:
    """24 hexadecimal digits, sorting by time, as StackStorm's ids do."""
    return "%08x%s" % (int(time.time()) & 0xFFFFFFFF, secrets.token_hex(8))


def timestamp(at: float) -> str:
    """An epoch time the way StackStorm prints one."""
    return str(datetime.datetime.fromtimestamp(at, datetime.timezone.utc))


class Executions:
    """The records of one engine; forgets the oldest finished ones beyond KEPT."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._records: Dict[str, Execution] = {}
        self._finished: Deque[str] = collections.deque()

    def add(self, execution: Execution) -> None:
        """Keeps a new record."""
        with self._changed:
            self._records[execution.id] = execution

    def change(self, execution_id: str, **changes: Any) -> Optional[Execution]:
        """Replaces a record; a finished one stays as it is and None is returned."""
        with self._changed:
            before = self._records[execution_id]
            if before.is_finished:
                return None
            after = dataclasses.replace(before, **changes)
            if after.is_finished and after.ended_at is None:
                after = dataclasses.replace(after, ended_at=time.time())
            self._records[execution_id] = after
            if after.is_finished:
                self._finished.append(execution_id)
                while len(self._finished) > KEPT:
                    self._records.pop(self._finished.popleft(), None)
            self._changed.notify_all()
            return after

    def get(self, execution_id: str) -> Optional[Execution]:
        """The record now, or None."""
        with self._changed:
            return self._records.get(execution_id)

    def all(self) -> List[Execution]:
        """Every record, oldest first."""
        with self._changed:
            return list(self._records.values())

    def wait(self, execution_id: str, timeout: Optional[float]) -> Execution:
        """The record once it is finished, or as it is when `timeout` seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._records[execution_id].is_finished, timeout)
            return self._records[execution_id]


class Subscribers:
    """Those who want to hear of events; one that raises is not allowed to stop the work."""

    def __init__(self, on_problem: Callable[[str], None]) -> None:
        self._callbacks: List[Callable[[Event], None]] = []
        self._on_problem = on_problem

    def add(self, callback: Callable[[Event], None]) -> None:
        """Calls `callback(event)` from now on, from whatever thread the event happens in."""
        self._callbacks.append(callback)

    def tell(self, kind: str, **data: Any) -> None:
        """Tells everybody."""
        event = Event(time.time(), kind, data)
        for callback in list(self._callbacks):
            try:
                callback(event)
            except Exception as error:
                self._on_problem("a subscriber failed on %s: %s" % (kind, error))
