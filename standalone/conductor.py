"""Leads one workflow execution through the real orquesta library, as StackStorm's workflow engine
does.

A Conductor is told what happened to the actions it asked for and answers with the actions to start
next. It starts nothing itself, waits for nothing and knows no clock: that is engine.py's part.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Tuple

from standalone import orquesta_compat

COMPLETED = ("succeeded", "failed", "timeout", "abandoned", "canceled")
ABENDED = ("failed", "timeout", "abandoned")

TaskKey = Tuple[str, int]


@dataclass(frozen=True)
class ActionRequest:
    """One action that a task wants run. `item_id` tells apart the items of a `with` task; `delay_s`
    waits first.
    """

    task_id: str
    route: int
    item_id: Optional[int]
    action_ref: str
    input: Dict[str, Any]
    delay_s: int = 0


@dataclass
class _Task:
    id: str
    task_id: str
    route: int
    status: str
    started_at: str
    ended_at: str = ""
    result: Any = None
    items: Optional[List[Optional[Dict[str, Any]]]] = None
    context: Dict[str, Any] = field(default_factory=dict)


class Conductor:
    """One workflow execution. Every method is safe to call from any thread.

    `context` is what StackStorm gives a workflow: {"st2": {...}, "parent": {...}}; `read_key(name,
    decrypt)` answers `st2kv()` with (is there, value).
    """

    def __init__(
        self,
        spec: Any,
        inputs: Dict[str, Any],
        context: Dict[str, Any],
        read_key: Optional[Callable[[str, bool], Tuple[bool, Any]]] = None,
    ) -> None:
        orquesta_compat.prepare()
        from orquesta import conducting

        self._read_key = read_key
        self._tasks: Dict[TaskKey, _Task] = {}
        self._id = uuid.uuid4().hex[:24]
        with self._at_work():
            self._conductor = conducting.WorkflowConductor(spec, context=context, inputs=inputs)
            state = self._conductor.workflow_state
            if state.contexts:
                state.contexts[0].setdefault("st2", {})["workflow_execution_id"] = self._id

    @property
    def status(self) -> str:
        """Where the workflow stands, in StackStorm's words (running, paused, succeeded, failed,
        canceled ...).
        """
        with orquesta_compat.LOCK:
            return str(self._conductor.get_workflow_status())

    @property
    def is_completed(self) -> bool:
        """Nothing more will be asked for, except the tasks that a `do: [cleanup, fail]` left
        behind.
        """
        return self.status in COMPLETED

    def result(self) -> Dict[str, Any]:
        """What StackStorm stores as the result of the workflow's execution: {output, errors when it
        failed}.
        """
        with orquesta_compat.LOCK:
            found: Dict[str, Any] = {"output": self._conductor.get_workflow_output()}
            if self.status in ABENDED:
                found["errors"] = list(self._conductor.errors)
            return found

    def start(self) -> List[ActionRequest]:
        """Begins; a workflow whose input or vars cannot be rendered is failed at once and asks for
        nothing.
        """
        with self._at_work():
            if self.status in COMPLETED:
                return []
            self._conductor.request_workflow_status("requested")
            self._conductor.request_workflow_status("running")
            return self._next()

    def finished(self, request: ActionRequest, status: str, result: Any) -> List[ActionRequest]:
        """An action ended with `status`; returns what to run next."""
        with self._at_work():
            self._record(request, status, result)
            self._tell(request, status, result)
            return self._next()

    def waiting(self, request: ActionRequest, status: str) -> None:
        """An action is `pending` (an inquiry) or `paused` (a workflow with a pending inquiry in
        it).
        """
        with self._at_work():
            self._record(request, status, None)
            self._tell(request, status, None)

    def resumed(self, request: Optional[ActionRequest] = None) -> None:
        """The answer has come: this workflow runs again, and so does the sub-workflow behind
        `request`, if given.
        """
        with self._at_work():
            if self.status in ("paused", "pausing"):
                self._conductor.request_workflow_status("resuming")
            if request is not None:
                self._record(request, "running", None)
                self._tell(request, "running", None)

    def cancel(self) -> None:
        """No new tasks; canceled as soon as nothing is active."""
        with self._at_work():
            if self.status not in COMPLETED:
                self._conductor.request_workflow_status("canceled")
                self._render_output()

    def fail(self, reason: Exception, request: Optional[ActionRequest] = None) -> None:
        """Fails the workflow on the spot, as StackStorm does when an action cannot be requested; no
        branch runs.
        """
        with self._at_work():
            self._fail(reason, request)

    def task(self, task_id: str, route: int = 0) -> Optional[Dict[str, Any]]:
        """What `task(name)` answers inside a workflow, or None when that task has not run on that
        route.
        """
        found = self._tasks.get((task_id, route))
        if found is None:
            return None
        return {
            "task_execution_id": found.id,
            "workflow_execution_id": self._id,
            "task_name": found.task_id,
            "task_id": found.task_id,
            "route": found.route,
            "result": {"items": found.items} if found.items is not None else found.result,
            "status": found.status,
            "start_timestamp": found.started_at,
            "end_timestamp": found.ended_at,
        }

    # ---- inside: every method below is called with the lock held

    def _at_work(self) -> Any:
        return _Together(self)

    def _next(self) -> List[ActionRequest]:
        requests: List[ActionRequest] = []
        tasks = self._conductor.get_next_tasks()
        while tasks:
            for task in tasks:
                self._mark_running(task)
            for task in tasks:
                try:
                    requests.extend(self._open(task))
                except Exception as error:
                    self._fail(error, None)
                    return []
            tasks = self._conductor.get_next_tasks()
        self._render_output()
        return requests

    def _mark_running(self, task: Dict[str, Any]) -> None:
        if task["spec"].has_items() and task.get("items_count") == 0:
            self._tell(_request_of(task, {"action": "", "input": {}}), "running", None)
        for action in task["actions"]:
            self._tell(_request_of(task, action), "running", None)

    def _open(self, task: Dict[str, Any]) -> List[ActionRequest]:
        self._begin_record(task)
        is_itemized = task["spec"].has_items()
        if task["spec"].action is None or (is_itemized and task["items_count"] == 0):
            nothing = _request_of(task, {"action": "", "input": {}})
            self._record(nothing, "succeeded", None)
            self._tell(nothing, "succeeded", None)
            return []
        return [_request_of(task, action) for action in task["actions"]]

    def _begin_record(self, task: Dict[str, Any]) -> None:
        key = (task["id"], task["route"])
        known = self._tasks.get(key)
        if known is not None and known.items and known.status == "running":
            return
        count = task.get("items_count") if task["spec"].has_items() else None
        self._tasks[key] = _Task(
            id=uuid.uuid4().hex[:24],
            task_id=task["id"],
            route=task["route"],
            status="running",
            started_at=_now(),
            items=[None] * count if count else None,
        )

    def _record(self, request: ActionRequest, status: str, result: Any) -> None:
        task = self._tasks.get((request.task_id, request.route))
        if task is None:
            return
        if request.item_id is None or task.items is None:
            task.status, task.result = status, result if result else task.result
        elif status in COMPLETED:
            task.items[request.item_id] = {"status": status, "result": result}
            ended = [item["status"] if item else None for item in task.items]
            if all(one in COMPLETED for one in ended):
                task.status = "succeeded" if set(ended) == {"succeeded"} else "failed"
        if task.status in COMPLETED:
            task.ended_at = _now()

    def _tell(self, request: ActionRequest, status: str, result: Any) -> None:
        from orquesta import events

        if request.item_id is None:
            event = events.ActionExecutionEvent(status, result=result)
        else:
            task = self._tasks.get((request.task_id, request.route))
            items = task.items if task is not None and task.items else []
            event = events.TaskItemActionExecutionEvent(
                request.item_id,
                status,
                result=result,
                accumulated_result=[item.get("result") if item else None for item in items],
            )
        self._conductor.update_task_state(request.task_id, request.route, event)

    def _fail(self, reason: Exception, request: Optional[ActionRequest]) -> None:
        if self.status not in COMPLETED:
            self._conductor.request_workflow_status("failed")
        if request is None:
            self._conductor.log_error(reason)
        else:
            self._conductor.log_error(reason, task_id=request.task_id, route=request.route)
        self._render_output()

    def _render_output(self) -> None:
        if self._conductor.get_workflow_status() in COMPLETED:
            self._conductor.render_workflow_output()


class _Together:
    """The lock and the lookups that expressions of this workflow need, held for one step."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def __enter__(self) -> None:
        orquesta_compat.LOCK.acquire()
        self._lookups = orquesta_compat.lookups(self._conductor._read_key, self._conductor.task)
        self._lookups.__enter__()

    def __exit__(self, *problem: Any) -> None:
        self._lookups.__exit__(*problem)
        orquesta_compat.LOCK.release()


def _request_of(task: Dict[str, Any], action: Dict[str, Any]) -> ActionRequest:
    item_id = action.get("item_id")
    delay = task.get("delay") or 0
    concurrency = task.get("concurrency")
    if item_id is not None and concurrency and item_id >= concurrency:
        delay = 0
    return ActionRequest(
        task_id=task["id"],
        route=task["route"],
        item_id=item_id,
        action_ref=action.get("action") or "",
        input=action.get("input") or {},
        delay_s=delay,
    )


def _now() -> str:
    return str(datetime.datetime.now(datetime.timezone.utc))
