"""From a wish to an execution and to its end: looks the action up, renders its parameters, runs it,
tells who waits.

Rules, workflow tasks and people all come through here, so each is treated as StackStorm treats it:
parameters are rendered and checked first, an action that cannot be given its parameters is an
execution that failed.
"""

from __future__ import annotations

import concurrent.futures
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from standalone import core_actions, policies, runner, schemas
from standalone.conductor import ActionRequest
from standalone.datastore import Datastore
from standalone.executions import Execution, Executions, Subscribers, new_id
from standalone.flows import Flows
from standalone.packs import Action, Pack, Rule
from standalone.rendering import (
    SYSTEM_USER,
    ParamError,
    Rendered,
    render_rule_parameters,
    render_task_input,
)
from standalone.work import Work

ACTION_TRIGGER = "core.st2.generic.actiontrigger"
INQUIRY_TRIGGER = "core.st2.generic.inquiry"


class UnknownAction(ValueError):
    """No such action in the pack or in core."""


class InquiryError(ValueError):
    """An answer cannot be taken: no such inquiry, answered already, or not what its schema asks
    for.
    """


@dataclass(frozen=True)
class Platform:
    """What every action process is told: where the API is, and with which token and Python."""

    api_url: Callable[[], str]
    token: str
    python: str


class Launcher:
    """Starts executions and sees them to their end. `inject(trigger, payload)` takes what they
    cause.
    """

    def __init__(
        self,
        pack: Pack,
        store: Datastore,
        config: Callable[[], Mapping[str, Any]],
        platform: Platform,
        inject: Callable[[str, Any], Any],
        subscribers: Subscribers,
        work: Work,
        workers: int,
    ) -> None:
        self.executions = Executions()
        self._pack = pack
        self._store = store
        self._config = config
        self._platform = platform
        self._inject = inject
        self._subscribers = subscribers
        self._work = work
        self._processes = runner.Processes()
        self._policies = policies.Policies(pack.policies.values())
        self._pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="action")
        self._flows = Flows(
            self.executions, self._launch_task, self.finish, self.find_action, self._read_key, work
        )

    def find_action(self, ref: str) -> Optional[Action]:
        """The action of that reference, in the pack or in core."""
        return core_actions.ACTIONS.get(ref) or self._pack.actions.get(ref)

    def for_rule(self, rule: Rule, payload: Any, instance_id: str) -> Execution:
        """What a matched rule starts. Raises UnknownAction, ParamError (after recording the failed
        execution).
        """
        action = self._need(rule.action_ref)
        context: Dict[str, Any] = {
            "trigger_instance": {"id": instance_id},
            "rule": {"name": rule.name, "id": rule.ref},
        }
        try:
            rendered = render_rule_parameters(
                action,
                rule.action_parameters,
                payload,
                self._store,
                self._config_of(action),
                context,
            )
        except Exception as error:
            self._fail(self._new(action, rule.action_parameters, rule_ref=rule.ref), error)
            raise
        context["user"] = SYSTEM_USER
        execution = self._new(action, rendered.live, rule_ref=rule.ref, context=context)
        self._start(action, execution, rendered)
        return execution

    def for_person(
        self,
        action_ref: str,
        parameters: Mapping[str, Any],
        context: Optional[Mapping[str, Any]] = None,
    ) -> Execution:
        """What the API, the command line or chat starts. Raises UnknownAction, ParamError."""
        action = self._need(action_ref)
        known = {"user": SYSTEM_USER, **(context or {}), "pack": action.pack}
        rendered = render_task_input(
            action, parameters, self._config_of(action), self._store, context=known
        )
        execution = self._new(action, rendered.live, context=known)
        self._start(action, execution, rendered)
        return execution

    def finish(self, execution_id: str, status: str, result: Any) -> None:
        """An execution has ended: records it, tells of it, injects StackStorm's trigger, lets its
        workflow go on.
        """
        ended = self.executions.change(execution_id, status=status, result=result)
        if ended is None:
            return
        self._subscribers.tell(
            "execution_finished", **_facts(ended), result=result, seconds=ended.seconds
        )
        payload = {
            "execution_id": ended.id,
            "status": ended.status,
            "start_timestamp": ended.as_json()["start_timestamp"],
            "action_name": ended.action_ref,
            "action_ref": ended.action_ref,
            "runner_ref": ended.runner_type,
            "parameters": ended.masked_parameters,
            "result": result,
        }
        self._inject(ACTION_TRIGGER, payload)
        for begin in self._policies.release(execution_id):
            begin()
        self._flows.child_finished(ended)

    def inquiries(self) -> List[Execution]:
        """The executions that wait for a person."""
        return [each for each in self.executions.all() if each.status == "pending"]

    def answer(self, inquiry_id: str, response: Any) -> None:
        """Takes an answer; the workflow goes on. Raises InquiryError."""
        inquiry = self.executions.get(inquiry_id)
        if inquiry is None or inquiry.runner_type != "inquirer":
            raise InquiryError("There is no inquiry %s." % inquiry_id)
        if inquiry.status != "pending":
            raise InquiryError("Inquiry %s has been answered already." % inquiry_id)
        try:
            response = schemas.check(response, inquiry.result.get("schema") or {})
        except schemas.SchemaError as error:
            raise InquiryError(
                'Response for inquiry "%s" did not pass schema validation: %s' % (inquiry_id, error)
            ) from None
        self._work.begin()
        try:
            self._subscribers.tell("inquiry_answered", id=inquiry_id, response=response)
            self._flows.resume_above(inquiry_id)
            self.finish(inquiry_id, "succeeded", dict(inquiry.result, response=response))
        finally:
            self._work.end()

    def cancel(self, execution_id: str) -> None:
        """Stops an execution: its process group, or the workflow with what it still has running."""
        execution = self.executions.get(execution_id)
        if execution is None or execution.is_finished:
            return
        if execution.runner_type == "orquesta":
            for child in self._flows.cancel(execution_id):
                self.cancel(child)
        elif execution.runner_type == "python-script" and execution.status != "delayed":
            self._processes.cancel(execution_id)
        else:
            self.finish(execution_id, "canceled", execution.result)

    def close(self) -> None:
        """Kills what runs and starts nothing more."""
        self._flows.close()
        self._processes.close()
        self._pool.shutdown(wait=True)

    # ---- inside

    def _launch_task(
        self, request: ActionRequest, parent: Execution, note: Callable[[Execution], None]
    ) -> None:
        action = self._need(request.action_ref)
        parent_context = {
            "execution_id": parent.id,
            "user": parent.context.get("user") or SYSTEM_USER,
            "pack": self._pack.ref,
        }
        context: Dict[str, Any] = {
            "orquesta": {
                "workflow_execution_id": parent.id,
                "task_name": request.task_id,
                "task_id": request.task_id,
                "task_route": request.route,
            }
        }
        context.update(_inherited(parent.context))
        config = self._config_of(action)
        rendered = render_task_input(
            action, request.input, config, self._store, parent_context, context
        )
        known = dict(parent_context, parent=parent_context, **context)
        execution = self._new(
            action, rendered.live, parent_id=parent.id, task_name=request.task_id, context=known
        )
        note(execution)
        self._start(action, execution, rendered)

    def _new(self, action: Action, parameters: Mapping[str, Any], **more: Any) -> Execution:
        return Execution(
            id=new_id(),
            action_ref=action.ref,
            runner_type=action.runner_type,
            parameters=dict(parameters),
            status="running",
            started_at=time.time(),
            secret_names=frozenset(
                name for name, schema in action.parameters.items() if schema.get("secret")
            ),
            **more,
        )

    def _start(self, action: Action, execution: Execution, rendered: Rendered) -> None:
        self.executions.add(execution)
        self._subscribers.tell("execution_started", **_facts(execution))

        def begin() -> None:
            self.executions.change(execution.id, status="running")
            self._begin(action, execution, rendered)

        def hold() -> None:
            self.executions.change(execution.id, status="delayed")

        verdict = self._policies.admit(execution, begin, hold)
        if verdict == policies.NOW:
            self._begin(action, execution, rendered)
        elif verdict == policies.NEVER:
            self._work.begin()
            self._pool.submit(self._refuse, execution)

    def _begin(self, action: Action, execution: Execution, rendered: Rendered) -> None:
        if action.runner_type == "orquesta":
            self._start_workflow(action, execution, rendered)
        elif action.runner_type == "inquirer":
            self._ask(execution, rendered)
        else:
            self._work.begin()
            self._pool.submit(self._run, action, execution, rendered)

    def _refuse(self, execution: Execution) -> None:
        try:
            self.finish(execution.id, "canceled", None)
        finally:
            self._work.end()

    def _start_workflow(self, action: Action, execution: Execution, rendered: Rendered) -> None:
        st2 = {
            "action_execution_id": execution.id,
            "api_url": self._platform.api_url(),
            "user": execution.context.get("user") or SYSTEM_USER,
            "pack": action.pack,
            "action": action.ref,
            "runner": action.runner_type,
            **_inherited(execution.context),
        }
        workflow_context = {"st2": st2, "parent": dict(execution.context, pack=action.pack)}
        self._flows.begin(execution, action.entry_point, dict(rendered), workflow_context)

    def _ask(self, execution: Execution, rendered: Rendered) -> None:
        result = core_actions.inquiry_result({**rendered.runner, **rendered})
        self.executions.change(execution.id, status="pending", result=result)
        self._flows.child_waits(execution.id, "pending")
        self._subscribers.tell(
            "inquiry_opened",
            id=execution.id,
            route=result["route"],
            schema=result["schema"],
            parent=execution.parent_id,
            task=execution.task_name,
        )
        self._inject(INQUIRY_TRIGGER, {"id": execution.id, "route": result["route"]})

    def _run(self, action: Action, execution: Execution, rendered: Rendered) -> None:
        try:
            outcome = self._outcome(action, execution, rendered)
            self.finish(execution.id, outcome.status, outcome.result)
        except Exception as error:
            self._subscribers.tell("engine_failed", reason=traceback.format_exc())
            self.finish(execution.id, "failed", _error(error))
        finally:
            self._work.end()

    def _outcome(self, action: Action, execution: Execution, rendered: Rendered) -> runner.Outcome:
        if action.runner_type == "noop":
            return runner.Outcome("succeeded", dict(core_actions.NOOP_RESULT))
        if action.ref == "core.inject_trigger":
            trigger = rendered.get("trigger_name") or rendered.get("trigger")
            if not trigger:
                return runner.Outcome(
                    "failed", {"error": "You must include the `trigger_name` parameter."}
                )
            self._inject(str(trigger), rendered.get("payload") or {})
            return runner.Outcome("succeeded", core_actions.python_result(None))
        if action.runner_type != "python-script":
            text = "standalone runs python-script and orquesta actions, not %s" % action.runner_type
            return runner.Outcome("failed", {"error": text})
        log_level = rendered.runner.get("log_level")
        call = runner.Call(
            execution_id=execution.id,
            pack_ref=action.pack,
            pack_root=self._pack.root,
            entry_point=Path(action.entry_point),
            parameters=dict(rendered),
            config=self._config_of(action),
            api_url=self._platform.api_url(),
            token=self._platform.token,
            timeout_s=rendered.runner.get("timeout") or runner.DEFAULT_TIMEOUT_S,
            env=rendered.runner.get("env"),
            log_level=None if log_level == "DEBUG" else log_level,
        )
        return runner.run(call, self._processes, self._platform.python)

    def _fail(self, execution: Execution, error: Exception) -> None:
        self.executions.add(execution)
        self._subscribers.tell("execution_started", **_facts(execution))
        self.finish(execution.id, "failed", _error(error))

    def _need(self, ref: str) -> Action:
        action = self.find_action(ref)
        if action is None:
            raise UnknownAction('Action "%s" doesn\'t exist' % ref)
        return action

    def _config_of(self, action: Action) -> Mapping[str, Any]:
        return self._config() if action.pack == self._pack.ref else {}

    def _read_key(self, name: str, decrypt: bool) -> Tuple[bool, Any]:
        # A key without a scope is the user's own on StackStorm; here there is only the system's.
        scope, _, key = name.partition(".")
        entry = self._store.entry(key, decrypt) if scope == "system" and key else None
        return (True, entry.value) if entry is not None else (False, None)


def _facts(execution: Execution) -> Dict[str, Any]:
    return {
        "id": execution.id,
        "ref": execution.action_ref,
        "runner": execution.runner_type,
        "status": execution.status,
        "parent": execution.parent_id,
        "task": execution.task_name,
        "rule": execution.rule_ref,
        "parameters": execution.masked_parameters,
    }


def _error(error: Exception) -> Dict[str, Any]:
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {"error": str(error), "traceback": text}


__all__ = [
    "ACTION_TRIGGER",
    "INQUIRY_TRIGGER",
    "InquiryError",
    "Launcher",
    "ParamError",
    "Platform",
    "UnknownAction",
]


def _inherited(context: Mapping[str, Any]) -> Dict[str, Any]:
    """What a workflow's tasks know of who started it in chat, as on StackStorm."""
    return {name: context[name] for name in ("api_user", "source_channel") if context.get(name)}
