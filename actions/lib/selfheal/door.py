"""The one way in from StackStorm: builds the context, calls a library function, and makes its
outcome plain.

Whatever happens inside, the platform gets `(bool, plain JSON)`: failures typed, secrets scrubbed,
text neutralised, size capped. `actions/run.py` is the only caller in production.
"""

from __future__ import annotations

import importlib
import json
import logging
import traceback
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import InvalidInput, SelfhealError
from selfheal.ids import is_id
from selfheal.text import cap, neutralise, scrub, truncate

ROOT = "selfheal."
MAX_RESULT_CHARACTERS = 512 * 1024
_MAX_ERROR_CHARACTERS = 4000
# What a result is cut to, the mildest that fits: (characters of a string, entries of a list or
# map).
_CAPS = ((64 * 1024, 2000), (4000, 500), (1000, 100), (200, 20), (50, 5))


def call(
    function: str,
    parameters: Mapping[str, Any],
    *,
    config: Optional[Mapping[str, Any]] = None,
    logger: Optional[logging.Logger] = None,
    context: Optional[Context] = None,
) -> Tuple[bool, Dict[str, Any]]:
    """Call `function` ("selfheal.<room>.<module>.<name>") with `parameters` and return (succeeded,
    result).

    Never raises. A failure's result is {"error_type", "error", "retryable"}.
    """
    ctx = context or Context(Config(config), log=logger)
    harmless = _Harmless(ctx.config)
    ctx.log.addFilter(harmless)
    try:
        work = _resolve(function)
        result = work(ctx, **_usable(work, parameters))
        if not isinstance(result, dict):
            raise TypeError("%s returned %s, not a dict" % (function, type(result).__name__))
        return True, presentable(result, ctx.config)
    except SelfhealError as error:
        return False, _failure(type(error).__name__, str(error), error.retryable, ctx.config)
    except Exception as error:
        # A defect of ours: say so, and keep the traceback in the execution's stderr.
        ctx.log.error("%s", traceback.format_exc())
        message = "%s failed unexpectedly (%s: %s); the traceback is in this execution's stderr" % (
            function,
            type(error).__name__,
            error,
        )
        return False, _failure("InternalError", message, False, ctx.config)
    finally:
        ctx.close()
        ctx.log.removeFilter(harmless)


class _Harmless(logging.Filter):
    """Makes what is logged as harmless as a result: stderr stands in the execution and on
    terminals.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self._config = config

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._clean(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = self._clean("".join(traceback.format_exception(*record.exc_info)))
            record.exc_info = None
        return True

    def _clean(self, text: str) -> str:
        return str(neutralise(scrub(text, self._config.secrets())))


def presentable(result: Dict[str, Any], config: Config) -> Dict[str, Any]:
    """`result` fit for StackStorm's database and for people's eyes."""
    clean = neutralise(scrub(json.loads(json.dumps(result)), config.secrets()))
    for max_string, max_items in _CAPS:
        if len(json.dumps(clean)) <= MAX_RESULT_CHARACTERS:
            return dict(clean)
        clean = dict(cap(clean, max_string, max_items), truncated=True)
    return {"truncated": True, "keys": sorted(clean)[:100]}


def _resolve(function: str) -> Any:
    if not function.startswith(ROOT):
        raise ValueError("%r is not a function of this pack" % function)
    module_name, _, name = function.rpartition(".")
    return getattr(importlib.import_module(module_name), name)


def _usable(work: Callable[..., Any], parameters: Mapping[str, Any]) -> Dict[str, Any]:
    """`parameters` without texts that are null, which counts as not given. Raises InvalidInput for
    what is missing, is no text where text is asked for, or names more or less than one thing.
    """
    import inspect  # the function's own module has it loaded, by its dataclasses

    given = dict(parameters)
    for name, one in list(inspect.signature(work).parameters.items())[1:]:
        is_text = one.annotation in ("str", str)
        if is_text and given.get(name) is None:
            given.pop(name, None)
        names_one = name.endswith("_id")
        form = "text" if is_text else "a value"
        if names_one:
            form = "one id, such as inc-01jd5k3x9q-8f2k1z"
        if name not in given:
            if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD:
                raise InvalidInput("%s is missing: give %s" % (name, form))
        elif is_text:
            problem = _problem(given[name], names_one and given[name] != one.default)
            if problem:
                raise InvalidInput("%s must be %s, not %s" % (name, form, problem))
    return given


def _problem(value: Any, names_one: bool) -> str:
    """What is wrong with a text, or with an id; empty for nothing."""
    if not isinstance(value, str):
        return "a value of type %s" % type(value).__name__
    if names_one and not is_id(value):
        return repr(truncate(value, 80)) if value.strip() else "an empty one"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "a text that holds half a character"
    return ""


def _failure(error_type: str, message: str, retryable: bool, config: Config) -> Dict[str, Any]:
    clean = neutralise(scrub(message, config.secrets()))
    return {
        "error_type": error_type,
        "error": truncate(clean, _MAX_ERROR_CHARACTERS),
        "retryable": retryable,
    }
