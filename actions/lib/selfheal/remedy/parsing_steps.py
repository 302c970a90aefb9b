"""The steps of a runbook's YAML: one of command, api_call, wait, condition, kubernetes each, and
how to take it back.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Union

from selfheal.exceptions import InvalidInput
from selfheal.remedy.fields import (
    one_of,
    only_keys,
    reference_of,
    seconds_of,
    text_of,
    texts_of,
)
from selfheal.remedy.model import (
    FAIL,
    KINDS,
    OPERATORS,
    OTHERWISE,
    WITHOUT_OPERAND,
    Act,
    ApiCall,
    Command,
    Condition,
    KubernetesAct,
    Step,
    Undo,
    Wait,
)

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_MAX_NAME = 100


def parse_step(entry: Any, earlier: Mapping[str, Step]) -> Step:
    """One step; `earlier` are the ones before it, by name. Raises InvalidInput naming the key."""
    kinds = [kind for kind in KINDS if isinstance(entry, Mapping) and kind in entry]
    if len(kinds) != 1:
        raise InvalidInput(
            "a step is a map with exactly one of %s, this one has %s"
            % (", ".join(KINDS), " and ".join(kinds) or "none")
        )
    kind = kinds[0]
    only_keys(entry, ("name", kind, *_EXTRA_KEYS[kind]), ("name",), "it")
    name = text_of(entry["name"], "name")
    if not name.strip() or len(name) > _MAX_NAME or "\n" in name:
        raise InvalidInput("name must be one line of 1 to %d characters" % _MAX_NAME)
    if name in earlier:
        raise InvalidInput("another step is called %r; names are unique" % name)
    act = _parse_act(kind, entry, earlier)
    return Step(
        name=name,
        kind=kind,
        act=act,
        timeout_s=seconds_of(entry.get("timeout_s"), "timeout_s"),
        expect_exit=_exit_codes(entry.get("expect_exit", [0])),
        undo=_undo(entry.get("undo")),
    )


def _parse_act(kind: str, entry: Mapping[str, Any], earlier: Mapping[str, Step]) -> Act:
    if kind == "condition":
        return _condition(entry["condition"], entry.get("otherwise", FAIL), earlier)
    readers: Dict[str, Callable[[Any], Act]] = {
        "command": _command,
        "api_call": _api_call,
        "wait": _wait,
        "kubernetes": _kubernetes,
    }
    return readers[kind](entry[kind])


def _command(value: Any) -> Command:
    only_keys(value, ("argv", "script", "interpreter"), (), "command")
    if ("argv" in value) == ("script" in value):
        raise InvalidInput("command must have either argv or script")
    if "argv" in value:
        if "interpreter" in value:
            raise InvalidInput("command.interpreter goes with script, not with argv")
        argv = value["argv"]
        if not isinstance(argv, list) or not argv:
            raise InvalidInput("command.argv must be a list of at least the program's name")
        words = tuple(text_of(word, "command.argv") for word in argv)
        if not words[0].strip():
            raise InvalidInput("command.argv must begin with the program's name")
        return Command(argv=words)
    if not text_of(value["script"], "command.script").strip():
        raise InvalidInput("command.script is empty")
    if "interpreter" not in value:
        raise InvalidInput("command.script needs an interpreter, such as [/bin/sh]")
    return Command(
        script=value["script"], interpreter=texts_of(value["interpreter"], "command.interpreter")
    )


def _api_call(value: Any) -> ApiCall:
    only_keys(
        value, ("method", "url", "json", "headers", "expect_status"), ("method", "url"), "api_call"
    )
    url = text_of(value["url"], "api_call.url")
    if not url.startswith(("http://", "https://")) or any(character <= " " for character in url):
        raise InvalidInput("api_call.url must be an http:// or https:// URL, not %r" % url)
    try:
        json.dumps(value.get("json"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            "api_call.json cannot be written as JSON (%s); put dates in quotes" % error
        ) from error
    headers = value.get("headers", {})
    if not isinstance(headers, Mapping):
        raise InvalidInput("api_call.headers must be a map, not %r" % (headers,))
    pairs = [
        (text_of(key, "api_call.headers"), text_of(item, "api_call.headers.%s" % key))
        for key, item in headers.items()
    ]
    return ApiCall(
        method=one_of(value["method"], _METHODS, "api_call.method"),
        url=url,
        json=value.get("json"),
        headers=tuple(pairs),
        expect_status=_integers(value.get("expect_status", []), "api_call.expect_status", 100, 599),
    )


def _wait(value: Any) -> Wait:
    only_keys(value, ("seconds", "until", "timeout_s"), (), "wait")
    if ("seconds" in value) == ("until" in value):
        raise InvalidInput("wait must have either seconds or until")
    if "seconds" in value:
        only_keys(value, ("seconds",), ("seconds",), "wait")
        return Wait(seconds=_needed(value["seconds"], "wait.seconds"))
    only_keys(value["until"], ("http",), ("http",), "wait.until")
    target = value["until"]["http"]
    only_keys(target, ("url", "status"), ("url",), "wait.until.http")
    url = text_of(target["url"], "wait.until.http.url")
    if not url.startswith(("http://", "https://")):
        raise InvalidInput("wait.until.http.url must be an http:// or https:// URL, not %r" % url)
    status = _integers(target.get("status", 200), "wait.until.http.status", 100, 599)
    return Wait(
        url=url, status=status[0], timeout_s=_needed(value.get("timeout_s", 60), "wait.timeout_s")
    )


def _condition(value: Any, otherwise: Any, earlier: Mapping[str, Step]) -> Condition:
    only_keys(value, ("value", "is", "to"), ("value", "is"), "condition")
    operator = one_of(value["is"], OPERATORS, "condition.is")
    if (operator in WITHOUT_OPERAND) == ("to" in value):
        raise InvalidInput(
            "condition: %r %s `to`" % (operator, "takes no" if "to" in value else "needs")
        )
    operand = value.get("to", "")
    if isinstance(operand, bool) or not isinstance(operand, (str, int, float)):
        raise InvalidInput("condition.to must be text or a number, not %r" % (operand,))
    if operator in ("less_than", "greater_than") and isinstance(operand, str):
        raise InvalidInput("condition.to must be a number for %s, not %r" % (operator, operand))
    return Condition(
        value=reference_of(value["value"], "condition.value", earlier),
        operator=operator,
        operand=str(operand),
        otherwise=one_of(otherwise, OTHERWISE, "otherwise"),
    )


def _kubernetes(value: Any) -> KubernetesAct:
    from selfheal.remedy.kubernetes import operations  # only few runbooks have such a step

    if not isinstance(value, Mapping) or "do" not in value:
        raise InvalidInput(
            "kubernetes must be a map with `do`, such as {do: restart_workload}, not %r" % (value,)
        )
    options = {name: item for name, item in value.items() if name != "do"}
    return operations.act_of(value["do"], options, "kubernetes")


def _undo(value: Any) -> Optional[Undo]:
    if value is None:
        return None
    only_keys(value, ("command", "api_call", "timeout_s"), (), "undo")
    if ("command" in value) == ("api_call" in value):
        raise InvalidInput("undo must have either command or api_call")
    act: Union[Command, ApiCall] = (
        _command(value["command"]) if "command" in value else _api_call(value["api_call"])
    )
    return Undo(act, seconds_of(value.get("timeout_s"), "undo.timeout_s"))


def _exit_codes(value: Any) -> Tuple[int, ...]:
    return _integers(value, "expect_exit", 0, 255)


def _integers(value: Any, where: str, low: int, high: int) -> Tuple[int, ...]:
    items = value if isinstance(value, list) else [value]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int) or not low <= item <= high:
            raise InvalidInput(
                "%s must be numbers from %d to %d, not %r" % (where, low, high, item)
            )
    if where == "expect_exit" and not items:
        raise InvalidInput("expect_exit must name at least one exit code")
    return tuple(items)


def _needed(value: Any, where: str) -> float:
    found = seconds_of(value, where)
    if found is None:
        raise InvalidInput("%s must be a positive number of seconds" % where)
    return found


_EXTRA_KEYS: Dict[str, Tuple[str, ...]] = {
    "command": ("timeout_s", "expect_exit", "undo"),
    "api_call": ("timeout_s", "undo"),
    "wait": (),
    "condition": ("otherwise",),
    "kubernetes": ("timeout_s",),  # how it is taken back is worked out when it is done
}
