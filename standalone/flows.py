"""The workflows that run now: each conductor, the executions it has asked for, and how they find
each other.

A sub-workflow is an execution of its own with a conductor of its own. Starting an execution and
ending one are given in by the engine; here they are put in order.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

from standalone import orquesta_compat
from standalone.conductor import ActionRequest, Conductor
from standalone.executions import Execution, Executions
from standalone.inspection import errors_of
from standalone.packs import Action
from standalone.work import Work


@dataclass
class Flow:
    """One workflow under way: who it is, who leads it, what its children were asked to be."""

    execution_id: str
    conductor: Conductor
    children: Dict[str, ActionRequest] = field(default_factory=dict)


Launch = Callable[[ActionRequest, Execution, Callable[[Execution], None]], None]
"""(request, parent, note) -> starts the child; calls note(child) before anything can end it. Raises
when it cannot.
"""


class Flows:
    """Every workflow under way. `launch` starts a child, `finish(id, status, result)` ends an
    execution.
    """

    def __init__(
        self,
        executions: Executions,
        launch: Launch,
        finish: Callable[[str, str, Any], None],
        find_action: Callable[[str], Optional[Action]],
        read_key: Callable[[str, bool], Tuple[bool, Any]],
        work: Work,
    ) -> None:
        self._executions = executions
        self._launch = launch
        self._finish = finish
        self._find_action = find_action
        self._read_key = read_key
        self._work = work
        self._lock = threading.Lock()
        self._settling = threading.RLock()
        self._flows: Dict[str, Flow] = {}
        self._parents: Dict[str, str] = {}
        self._timers: Dict[int, threading.Timer] = {}
        self._specs: Dict[Tuple[str, int], Tuple[Any, List[Dict[str, Any]]]] = {}

    def begin(
        self,
        execution: Execution,
        entry_point: str,
        inputs: Dict[str, Any],
        context: Dict[str, Any],
    ) -> None:
        """Starts a workflow; one that StackStorm would refuse fails before any of its tasks."""
        try:
            spec, errors = self._spec(entry_point)
        except orquesta_compat.WorkflowFileError as error:
            self._finish(
                execution.id, "failed", {"errors": [{"message": str(error)}], "output": None}
            )
            return
        if errors:
            self._finish(execution.id, "failed", {"errors": errors, "output": None})
            return
        flow = Flow(execution.id, Conductor(spec, inputs, context, self._read_key))
        with self._lock:
            self._flows[execution.id] = flow
        self._follow(flow, flow.conductor.start())

    def child_finished(self, execution: Execution) -> None:
        """An execution has ended: if a workflow asked for it, that workflow goes on."""
        with self._lock:
            flow = self._flows.get(self._parents.pop(execution.id, ""))
            request = flow.children.pop(execution.id, None) if flow is not None else None
        if flow is not None and request is not None:
            self._follow(flow, flow.conductor.finished(request, execution.status, execution.result))

    def child_waits(self, execution_id: str, status: str) -> None:
        """An execution is pending (an inquiry) or paused (a workflow that waits): workflows above
        may pause too.
        """
        flow, request = self._above(execution_id)
        if flow is not None and request is not None:
            flow.conductor.waiting(request, status)
            self._follow(flow, [])

    def resume_above(self, execution_id: str) -> None:
        """The answer to an inquiry has come: the workflows that paused for it run again."""
        with self._settling:
            flow, _ = self._above(execution_id)
            if flow is not None:
                flow.conductor.resumed()
            while flow is not None:
                self._executions.change(flow.execution_id, status="running")
                above, request = self._above(flow.execution_id)
                if above is not None:
                    above.conductor.resumed(request)
                flow = above

    def cancel(self, execution_id: str) -> List[str]:
        """Cancels a workflow; returns the executions it still has running."""
        with self._lock:
            flow = self._flows.get(execution_id)
            children = list(flow.children) if flow is not None else []
        if flow is not None:
            flow.conductor.cancel()
            self._follow(flow, [])
        return children

    def close(self) -> None:
        """Forgets what is delayed; nothing more is started."""
        with self._lock:
            timers, self._timers = list(self._timers.values()), {}
            self._flows.clear()
            self._parents.clear()
        for timer in timers:
            timer.cancel()

    def _spec(self, entry_point: str) -> Tuple[Any, List[Dict[str, Any]]]:
        path = Path(entry_point)
        try:
            key = (entry_point, path.stat().st_mtime_ns)
        except OSError as error:
            raise orquesta_compat.WorkflowFileError(
                "%s cannot be read: %s" % (path, error)
            ) from error
        if key not in self._specs:
            spec = orquesta_compat.load_workflow(path)
            with orquesta_compat.LOCK:
                self._specs[key] = (spec, errors_of(spec, self._find_action))
        return self._specs[key]

    def _above(self, execution_id: str) -> Tuple[Optional[Flow], Optional[ActionRequest]]:
        with self._lock:
            flow = self._flows.get(self._parents.get(execution_id, ""))
            return flow, flow.children.get(execution_id) if flow is not None else None

    def _follow(self, flow: Flow, requests: List[ActionRequest]) -> None:
        parent = self._executions.get(flow.execution_id)
        for request in requests:
            if parent is None or not self._start(flow, parent, request):
                break
        if flow.conductor.is_completed:
            with self._lock:
                if not flow.children:
                    self._flows.pop(flow.execution_id, None)
            self._finish(flow.execution_id, flow.conductor.status, flow.conductor.result())
            return
        with self._settling:
            status = flow.conductor.status
            known = self._executions.get(flow.execution_id)
            if known is None or known.status == status:
                return
            self._executions.change(flow.execution_id, status=status)
            if status == "paused":
                self.child_waits(flow.execution_id, status)

    def _start(self, flow: Flow, parent: Execution, request: ActionRequest) -> bool:
        def note(child: Execution) -> None:
            with self._lock:
                flow.children[child.id] = request
                self._parents[child.id] = flow.execution_id

        if request.delay_s > 0:
            self._later(request.delay_s, lambda: self._start_late(flow, parent, request, note))
            return True
        try:
            self._launch(request, parent, note)
            return True
        except Exception as error:
            flow.conductor.fail(error, request)
            return False

    def _start_late(
        self,
        flow: Flow,
        parent: Execution,
        request: ActionRequest,
        note: Callable[[Execution], None],
    ) -> None:
        if flow.conductor.status in ("canceling", "canceled"):
            self._follow(flow, flow.conductor.finished(request, "canceled", None))
            return
        try:
            self._launch(request, parent, note)
        except Exception as error:
            flow.conductor.fail(error, request)
            self._follow(flow, [])

    def _later(self, delay_s: float, start: Callable[[], None]) -> None:
        def due() -> None:
            with self._lock:
                self._timers.pop(id(timer), None)
            try:
                start()
            finally:
                self._work.end()

        timer = threading.Timer(delay_s, due)
        timer.daemon = True
        with self._lock:
            self._timers[id(timer)] = timer
        self._work.begin()
        timer.start()
