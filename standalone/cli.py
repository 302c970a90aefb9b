"""The command line of standalone: `python -m standalone COMMAND ...`.

What a program reads goes to stdout, what a person watches goes to stderr. Exit codes: 0 done, 1 it
ran and failed or did not end, 2 it could not be run (wrong name, parameter or configuration).
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from standalone.engine import Engine
from standalone.executions import Execution
from standalone.options import parse
from standalone.packs import Action, PackError
from standalone.progress import Progress, reason_of
from standalone.rendering import SYSTEM_USER

DONE, FAILED, IMPOSSIBLE = 0, 1, 2
ACTIVE = ("open", "analyzing", "awaiting_approval", "remediating", "verifying")
MOST_INCIDENTS = 200


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs a command and returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["demo"]:
        from standalone.demo.main import main as demo

        return demo(given[1:])
    options = parse(
        given,
        {
            "webhook": webhook,
            "run": run,
            "sensor": sensor,
            "serve": serve,
            "trigger": trigger,
            "alias": alias,
        },
    )
    try:
        result: int = options.command(options)
        return result
    except (PackError, ValueError, OSError) as error:
        sys.stderr.write("%s\n" % error)
        return IMPOSSIBLE
    except KeyboardInterrupt:
        return FAILED


# ---- the commands


def webhook(options: argparse.Namespace) -> int:
    """Posts a file to a webhook and follows what it causes until nothing moves."""
    body = sys.stdin.buffer.read() if options.file == "-" else Path(options.file).read_bytes()
    progress = Progress(sys.stderr)
    with _engine(options, progress) as engine:
        first = _listed(engine, progress)
        status, answer = engine.post_webhook(options.name, body)
        if status != 202:
            sys.stderr.write("%s\n" % _refusal(engine, options.name, status, answer))
            return IMPOSSIBLE
        is_idle = _follow(engine, options.timeout)
        incidents = [each for each in _listed(engine, progress) or [] if each not in (first or [])]
        for incident in incidents:
            _print_incident(incident, options.json)
        if not is_idle:
            sys.stderr.write(
                "Not at its end after %s s; --timeout gives it longer.\n" % options.timeout
            )
            return FAILED
        ended = all(each.get("status") not in ACTIVE for each in incidents)
        return DONE if ended and (incidents or not _failures(engine)) else FAILED


def run(options: argparse.Namespace) -> int:
    """Runs one action and prints what it returned."""
    progress = Progress(sys.stderr)
    with _engine(options, None) as engine:
        ref = _full_ref(engine, options.action)
        action = engine.find_action(ref)
        if action is None:
            raise ValueError(
                "There is no action %s; the pack has %s"
                % (options.action, ", ".join(sorted(engine.pack.actions)))
            )
        parameters = _parameters(action, options.parameters)
        if action.runner_type == "orquesta":
            engine.subscribe(progress)
        execution = engine.run(ref, parameters, wait=False, context={"user": options.who})
        _follow(engine, options.timeout)
        execution = engine.execution(execution.id) or execution
        _print_execution(execution, options.json)
        return DONE if execution.status == "succeeded" else FAILED


def trigger(options: argparse.Namespace) -> int:
    """Injects a trigger instance and follows what it causes until nothing moves."""
    try:
        payload = json.loads(options.payload)
    except ValueError as error:
        raise ValueError("The payload is not JSON: %s" % error) from None
    with _engine(options, Progress(sys.stderr)) as engine:
        known = {*engine.pack.triggers, *(rule.trigger_type for rule in engine.pack.rules.values())}
        if options.ref not in known:
            raise ValueError(
                "There is no trigger %s; the pack has or listens to %s"
                % (options.ref, ", ".join(sorted(known)) or "none")
            )
        engine.inject(options.ref, payload)
        is_idle = _follow(engine, options.timeout)
        if options.json:
            for execution in engine.executions():
                _print_line(execution.as_json())
        return DONE if is_idle and not _failures(engine) else FAILED


def sensor(options: argparse.Namespace) -> int:
    """Runs a sensor: one poll with --once, else until interrupted."""
    with _engine(options, Progress(sys.stderr)) as engine:
        if options.once:
            code = engine.run_sensor_once(options.name)
            _follow(engine, options.timeout)
            return DONE if code == 0 else FAILED
        engine.start_sensors([options.name])
        _until_interrupted()
        return DONE


def alias(options: argparse.Namespace) -> int:
    """Understands a chat command as StackStorm's ChatOps would, runs it, prints the answer."""
    from standalone import aliases

    with _engine(options, None) as engine:
        for each in engine.pack.aliases.values():
            found = aliases.match(each, options.text) if each.enabled else None
            if found is None:
                continue
            # In chat it is the bot's account that runs the action; the person is named beside it.
            context = {
                "api_user": options.who,
                "user": SYSTEM_USER,
                "source_channel": "terminal",
                "action_alias_ref": {"name": each.name, "ref": each.ref},
            }
            known = {"action_context": context}
            parameters = aliases.freeze(each, found[1], engine.store, known)
            execution = engine.run(each.action_ref, parameters, wait=False, context=context)
            _follow(engine, options.timeout)
            execution = engine.execution(execution.id) or execution
            _print(_chat_answer(each, execution))
            return DONE if execution.status == "succeeded" else FAILED
        known = [
            text for each in engine.pack.aliases.values() for text in aliases.format_strings(each)
        ]
        raise ValueError(
            "No alias understands %r; there are:\n  %s"
            % (options.text, "\n  ".join(known) or "none")
        )


def serve(options: argparse.Namespace) -> int:
    """Stays and works: webhooks over HTTP, timers and sensors if asked for, until interrupted."""
    sensors = options.sensors if options.sensors is not None else ()
    if options.sensors == []:
        sensors = ("all",)
    key = _api_key(Path(options.home).expanduser())
    with _engine(
        options,
        Progress(sys.stderr),
        port=options.port,
        timers=options.timers,
        sensors=sensors,
        api_keys=[key],
    ) as engine:
        _print(
            "Pack %s %s at %s, state in %s"
            % (engine.pack.ref, engine.pack.version, engine.api_url, engine.home)
        )
        for name in engine.webhooks():
            _print(
                "  POST %s/webhooks/%s   with the header St2-Api-Key: %s"
                % (engine.api_url, name, key)
            )
        _print(
            "  PUT %s/inquiries/ID with it and Content-Type: application/json answers a question: "
            '{"response": {"approved": true}}' % engine.api_url
        )
        _print("Ctrl-C ends it.")
        _until_interrupted()
    return DONE


# ---- what they share


def _engine(options: argparse.Namespace, progress: Optional[Progress], **more: Any) -> Engine:
    config = Path(options.config).expanduser() if options.config else None
    if config is not None and not config.is_file():
        # The defaults in its place would be another database than the one that was meant.
        raise ValueError("There is no configuration file %s" % config)
    return Engine(
        Path(options.pack),
        config_path=config,
        home=Path(options.home),
        enable_rules=options.enable,
        on_event=progress,
        **more,
    )


def _follow(engine: Engine, timeout_s: float) -> bool:
    """Waits until nothing moves, putting inquiries to the person at the terminal, if any."""
    while engine.wait_idle(timeout_s):
        pending = engine.pending_inquiries()
        if not pending:
            return True
        if not sys.stdin.isatty():
            for inquiry in pending:
                sys.stderr.write(
                    "Inquiry %s waits, and there is no terminal to ask at.\n" % inquiry.id
                )
            return True
        for inquiry in pending:
            engine.answer_inquiry(inquiry.id, _ask(inquiry))
    return False


def _ask(inquiry: Execution) -> Dict[str, Any]:
    answers: Dict[str, Any] = {}
    schema = inquiry.result.get("schema") or {}
    for name, described in (schema.get("properties") or {}).items():
        is_boolean = described.get("type") == "boolean"
        question = described.get("description") or name
        sys.stderr.write("%s%s " % (question, " [y/N]" if is_boolean else ""))
        sys.stderr.flush()
        text = sys.stdin.readline().strip()
        if is_boolean:
            answers[name] = text.lower() in ("y", "yes")
        elif text:
            answers[name] = _value(text, str(described.get("type", "string")), name)
    return answers


def _parameters(action: Action, pairs: Sequence[str]) -> Dict[str, Any]:
    parameters: Dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise ValueError("Parameters are written name=value, not %r" % pair)
        described = dict(action.runner_parameters.get(name, {}), **action.parameters.get(name, {}))
        parameters[name] = _value(text, str(described.get("type", "string")), name)
    return parameters


def _value(text: str, kind: str, name: str) -> Any:
    if kind == "string":
        return text
    if kind == "boolean":
        if text.lower() in ("true", "yes", "y", "1"):
            return True
        if text.lower() in ("false", "no", "n", "0"):
            return False
        raise ValueError("%s is true or false, not %r" % (name, text))
    try:
        return json.loads(text)
    except ValueError:
        if kind == "array":
            return [part.strip() for part in text.split(",")]
        raise ValueError(
            "%s is %s %s, which %r is not" % (name, "an" if kind[0] in "aio" else "a", kind, text)
        ) from None


def _full_ref(engine: Engine, name: str) -> str:
    return name if "." in name else "%s.%s" % (engine.pack.ref, name)


def _failures(engine: Engine) -> List[Execution]:
    return [
        each
        for each in engine.executions()
        if each.parent_id is None and each.status != "succeeded"
    ]


def _listed(engine: Engine, progress: Progress) -> Optional[List[Dict[str, Any]]]:
    """The incidents in the store, oldest first; None in a pack that has no such action."""
    ref = "%s.incident_list" % engine.pack.ref
    if engine.find_action(ref) is None:
        return None
    progress.is_quiet = True
    execution = engine.run(ref, {"hours": 0, "limit": MOST_INCIDENTS})
    progress.is_quiet = False
    if execution.status != "succeeded":
        raise ValueError("%s failed: %s" % (ref, reason_of(execution.result)))
    found: List[Dict[str, Any]] = execution.result["result"]["incidents"]
    return found[::-1]


def _refusal(engine: Engine, name: str, status: int, answer: bytes) -> str:
    text = "The webhook %s answered %d: %s" % (name, status, answer.decode("utf-8", "replace"))
    if status != 404:
        return text
    off = [
        rule.name
        for rule in engine.pack.rules.values()
        if str(rule.trigger_parameters.get("url", "")).strip("/") == name.strip("/")
    ]
    if off:
        return "%s\nThe rule %s takes it but is off; --enable %s runs it." % (text, off[0], off[0])
    return "%s\nRegistered are: %s" % (text, ", ".join(engine.webhooks()) or "none")


def _chat_answer(each: Any, execution: Execution) -> str:
    from standalone.templates import render

    shown = execution.as_json()
    template = each.result.get("format")
    if template:
        return render(template, {"execution": shown})
    return "%s: %s\n%s" % (
        execution.action_ref,
        execution.status,
        json.dumps(_core(execution), indent=2, default=str),
    )


def _core(execution: Execution) -> Any:
    """What the action itself returned, without the runner's wrapping."""
    result = execution.result
    if isinstance(result, dict):
        for key in ("result", "output"):
            if key in result and result[key] not in (None, "None"):
                return result[key]
    return result


def _print_execution(execution: Execution, as_json: bool) -> None:
    if as_json:
        _print_line(execution.as_json())
        return
    _print(json.dumps(_core(execution), indent=2, default=str, ensure_ascii=False))
    if execution.status != "succeeded":
        reason = reason_of(execution.result)
        sys.stderr.write(
            "%s: %s%s\n" % (execution.action_ref, execution.status, ": " + reason if reason else "")
        )


def _print_incident(incident: Dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_line({"incident_id": incident.get("incident_id"), **incident})
    else:
        _print(
            "%s  %-10s %-8s %s"
            % tuple(incident.get(key) for key in ("incident_id", "status", "severity", "title"))
        )


def _print_line(data: Any) -> None:
    _print(json.dumps(data, default=str))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _api_key(home: Path) -> str:
    """The key that senders use, made once and kept readable for its owner only."""
    given = os.environ.get("SELFHEAL_API_KEY")
    if given:
        return given
    path = home / "api_key"
    if path.is_file():
        return path.read_text(encoding="utf-8").strip()
    home.mkdir(parents=True, exist_ok=True)
    key = secrets.token_hex(24)
    with open(os.open(str(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as target:
        target.write(key + "\n")
    return key


def _until_interrupted() -> None:
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
