"""Plays a workflow of the pack through the real orquesta, with an answer for every action it asks
for.

A play takes milliseconds and tells which tasks ran with which input, which transitions were taken
and how it ended.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple

import yaml

from standalone import orquesta_compat

WORKFLOWS = Path(__file__).resolve().parents[2] / "actions" / "workflows"
NAMES = ("incident_response", "automated_remediation")
INCIDENT = "inc-01jd5k3x9q-8f2k1z"
RUN = "6740a1b2c3d4e5f601234567"
APPROVAL = "apr-01jd5k3x9q-8f2k1z"
INPUTS = {
    "incident_response": {"incident_id": INCIDENT},
    "automated_remediation": {"incident_id": INCIDENT, "run_id": RUN},
}
MOST_STEPS = 60

Transition = Tuple[str, int]


@dataclass(frozen=True)
class Answer:
    """How one action ends: StackStorm's status and the result in the shape of its runner."""

    status: str
    result: Any


@dataclass(frozen=True)
class Played:
    """What one play did: `ran` is (task, input) in order, `taken` (task, index of transition)."""

    status: str
    output: Mapping[str, Any]
    ran: Tuple[Tuple[str, Mapping[str, Any]], ...]
    taken: FrozenSet[Transition]
    errors: Tuple[Any, ...] = ()
    contexts: Tuple[Any, ...] = field(default=(), repr=False)

    @property
    def tasks(self) -> List[str]:
        """The tasks that ran, engine commands left out."""
        return [task for task, _ in self.ran]

    def input_of(self, task: str) -> Mapping[str, Any]:
        """What `task` was last given."""
        return dict(self.ran)[task]


def did(**result: Any) -> Answer:
    """A python action that succeeded with this result."""
    return Answer("succeeded", {"result": result, "exit_code": 0, "stdout": "", "stderr": ""})


def healed(outcome: Any) -> Answer:
    """A remediation (sub-workflow) that ended with this outcome."""
    return Answer("succeeded", {"output": {"outcome": outcome}})


def said(response: Any) -> Answer:
    """A question that was answered."""
    return Answer(
        "succeeded", {"schema": {}, "route": "selfheal." + APPROVAL, "response": response}
    )


def ended(status: str, task: str) -> Answer:
    """A task that did not succeed, with what StackStorm then stores as its result."""
    if task == "heal":
        return Answer(status, {"output": None, "errors": [{"message": "{{ x }} <% y %>"}]})
    if task == "ask":
        return Answer(status, {"schema": {}, "route": "selfheal." + APPROVAL})
    if status == "failed":
        error = {"error_type": "StoreError", "error": "no store", "retryable": True}
        return Answer(status, {"result": error, "exit_code": 1, "stdout": "", "stderr": ""})
    return Answer(
        status,
        {"result": "None", "error": "Action failed to complete in 5 seconds", "exit_code": -9},
    )


@functools.lru_cache(maxsize=None)
def spec(name: str) -> Any:
    """The workflow as orquesta reads it."""
    return orquesta_compat.load_workflow(WORKFLOWS / ("%s.yaml" % name))


@functools.lru_cache(maxsize=None)
def _graph(name: str) -> Any:
    from orquesta.composers import native

    return native.WorkflowComposer.compose(spec(name))


@functools.lru_cache(maxsize=None)
def document(name: str) -> Dict[str, Any]:
    """The workflow as its file has it."""
    found: Dict[str, Any] = yaml.safe_load(
        (WORKFLOWS / ("%s.yaml" % name)).read_text(encoding="utf-8")
    )
    return found


def transitions(name: str) -> FrozenSet[Transition]:
    """Every transition that the file has, as (task, index)."""
    return frozenset(
        (task, index)
        for task, body in document(name)["tasks"].items()
        for index, _ in enumerate(body["next"])
    )


def drawn(name: str) -> FrozenSet[Transition]:
    """Every transition in the graph that orquesta draws of the file."""
    orquesta_compat.prepare()
    graph = _graph(name)
    return frozenset(
        (task, edge[3]["ref"])
        for task in document(name)["tasks"]
        for edge in graph.get_next_transitions(task)
    )


def play(name: str, answers: Mapping[str, Any], until: Optional[str] = None) -> Played:
    """Run workflow `name`; `answers` maps each task that will run to its Answer, or to one for each
    try.

    With `until` the play stops when that task has ended, its transition taken.
    """
    orquesta_compat.prepare()
    from orquesta import conducting, statuses

    script = {task: list(a) if isinstance(a, list) else [a] for task, a in answers.items()}
    conductor = conducting.WorkflowConductor(
        spec(name),
        context={"st2": {"action_execution_id": RUN}, "parent": {}},
        inputs=dict(INPUTS[name]),
    )
    # Drawing the graph takes longer than most plays; it is only read afterwards.
    conductor._graph = _graph(name)
    conductor.request_workflow_status(statuses.RUNNING)
    ran: List[Tuple[str, Dict[str, Any]]] = []
    for _ in range(MOST_STEPS):
        tasks = conductor.get_next_tasks()
        if not tasks or (until and until in [task for task, _ in ran]):
            break
        for task in tasks:
            _perform(conductor, task, script, ran)
    else:
        raise AssertionError("%s does not come to an end: %s" % (name, [task for task, _ in ran]))
    state = conductor.workflow_state
    if conductor.get_workflow_status() in statuses.COMPLETED_STATUSES:
        conductor.render_workflow_output()
    return Played(
        status=conductor.get_workflow_status(),
        output=conductor.get_workflow_output() or {},
        ran=tuple(ran),
        taken=_taken(conductor),
        errors=tuple(conductor.errors),
        contexts=tuple(state.contexts),
    )


def _perform(
    conductor: Any,
    task: Mapping[str, Any],
    script: Dict[str, List[Answer]],
    ran: List[Tuple[str, Dict[str, Any]]],
) -> None:
    from orquesta import events

    def tell(status: str, result: Any = None) -> None:
        conductor.update_task_state(
            task["id"], task["route"], events.ActionExecutionEvent(status, result=result)
        )

    tell("running")
    if task["spec"].action is None:
        tell("succeeded")
        return
    action = task["actions"][0]
    ran.append((task["id"], action["input"]))
    queue = script.get(task["id"])
    if not queue:
        raise AssertionError("%s ran, but no answer was given for it" % task["id"])
    answer = queue.pop(0) if len(queue) > 1 else queue[0]
    tell(answer.status, answer.result)


def _taken(conductor: Any) -> FrozenSet[Transition]:
    found = set()
    for entry in conductor.workflow_state.sequence:
        for edge in conductor.graph.get_next_transitions(entry["id"]):
            if entry["next"].get("%s__t%s" % (edge[1], edge[2])):
                found.add((entry["id"], edge[3]["ref"]))
    return frozenset(found)
