"""Runs one python-script action in a process of its own, as StackStorm's action wrapper does.

Started as `python -u wrapper.py --pack=P --file-path=F --parameters=JSON|--stdin-parameters
[--config=JSON] [--log-level=L]`. Promises StackStorm's outcomes: which class is taken, how a
returned value becomes status and result, what an exception leaves behind. Imports little, because
every action pays for it.
"""

from __future__ import annotations

import os
import sys

INVALID_STATUS_EXIT_CODE = 220
STDIN_WAIT_S = 2
DEFAULT_LOG_LEVEL = "DEBUG"
# What StackStorm's own wrapper prints around the result; the runner looks for it twice in stdout.
DELIMITER = "%%%%%~=~=~=************=~=~=~%%%%"

if __name__ == "__main__":
    import lifeline  # found beside this file, as long as the path still begins here

    lifeline.watch()
    _HERE = os.path.dirname(os.path.abspath(__file__))
    # This directory's modules must not shadow what an action imports; the environment's own
    # packages come first, as in production, the stand-ins last, so that a real StackStorm wins.
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.getcwd()) != _HERE]
    sys.path.insert(
        0, os.path.join(sys.prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages")
    )
    sys.path.append(os.path.join(_HERE, "stand_ins"))

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Only annotations name types, and importing typing costs every action four milliseconds.
    import typing as t

_INT_MAX = 2**64 - 1
_INT_MIN = -(2**63)
_MAX_DEPTH = 254


def to_json(value: t.Any) -> str:
    """JSON text by orjson's rules, which StackStorm serialises with.

    NaN and infinities become null; dataclasses, datetimes, UUIDs and enums are converted; sets,
    Decimals, bytes, keys other than strings, integers beyond 64 bits and lone surrogates raise
    TypeError.
    """
    text = json.dumps(_plain(value, 0), ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise TypeError("str is not valid UTF-8: surrogates not allowed") from None
    return text


def _plain(value: t.Any, depth: int) -> t.Any:
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str:
        return value
    if depth > _MAX_DEPTH:
        raise TypeError("Recursion limit reached")
    if kind is int or kind is float:
        return _plain_number(value)
    if kind is list or kind is tuple:
        return [_plain(item, depth + 1) for item in value]
    if kind is dict:
        return _plain_mapping(value, depth)
    return _plain_object(value, depth)


def _plain_number(value: t.Any) -> t.Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if not _INT_MIN <= value <= _INT_MAX:
        raise TypeError("Integer exceeds 64-bit range")
    return value


def _plain_mapping(value: t.Mapping[t.Any, t.Any], depth: int) -> t.Dict[str, t.Any]:
    for key in value:
        if not isinstance(key, str):
            raise TypeError("Dict key must be str")
    return {str(key): _plain(item, depth + 1) for key, item in value.items()}


def _plain_object(value: t.Any, depth: int) -> t.Any:
    import dataclasses
    import datetime
    import enum
    import uuid

    if isinstance(value, enum.Enum):
        return _plain(value.value, depth)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, datetime.time):
        if value.tzinfo is not None:
            raise TypeError("datetime.time must not have tzinfo set")
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return _plain_number(int(value))
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return _plain_mapping(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain_mapping(
            {
                field.name: getattr(value, field.name)
                for field in dataclasses.fields(value)
                if not field.name.startswith("_")
            },
            depth,
        )
    raise TypeError("Type is not JSON serializable: %s" % type(value).__name__)


class BadStatus(ValueError):
    """`run()` returned a pair whose first item is no status."""


def outcome_of(returned: t.Any) -> t.Dict[str, t.Any]:
    """`{"result", "status"}` of what `run()` returned; status None when it gave no verdict.

    Raises BadStatus for a pair whose first item is neither a boolean nor None.
    """
    status, result = None, returned
    if isinstance(returned, tuple) and len(returned) == 2:
        status, result = returned
    if status is not None and not isinstance(status, bool):
        raise BadStatus(
            "Status returned from the action run() method must either be True or False, got: %s\n"
            "Return a list, or a pair that starts with the status: (True, result)" % (status,)
        )
    if status is not None:
        try:
            to_json(result)
        except TypeError:
            result = str(result)
    return {"result": result, "status": status}


def split_output(stdout: str) -> t.Tuple[str, t.Any, t.Optional[bool]]:
    """What the runner reads out of an action's stdout: (the rest of it, result, status).

    Without a result between delimiters the result is the text "None", as on StackStorm. Raises
    ValueError when the action itself printed the delimiter.
    """
    parts = stdout.split(DELIMITER)
    if len(parts) == 1:
        return stdout, "None", None
    if len(parts) != 3:
        raise ValueError("The result length should be 3, was %d." % len(parts))
    rest, text = parts[0] + parts[2], parts[1].strip()
    if not text:
        return rest, "None", None
    try:
        outcome = json.loads(text)
    except ValueError:
        # The result had something in it that JSON lacks, so its Python text is all there is.
        start = text.find("'result': ")
        return rest, text[start + len("'result': "):] if start >= 0 else text, None
    if isinstance(outcome, dict):
        return rest, outcome.get("result"), outcome.get("status")
    return rest, outcome, None


def action_class(file_path: str) -> t.Any:
    """The class of the entry file that StackStorm would take: the first by name that has a
    `run`."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    directory = os.path.dirname(os.path.realpath(file_path))
    if not os.path.isdir(directory):
        raise Exception('Directory "%s" with plugins doesn\'t exist' % directory)
    if directory not in sys.path:
        sys.path.append(directory)
    name = os.path.splitext(os.path.basename(file_path))[0]
    loader = SourceFileLoader(name, file_path)
    module = type(sys)(name)
    module.__file__ = file_path
    module.__loader__ = loader
    module.__spec__ = ModuleSpec(name, loader, origin=file_path)
    # Not put into sys.modules, as on StackStorm: what relies on it must fail here too.
    loader.exec_module(module)
    own = [
        value
        for _, value in sorted(vars(module).items())
        if isinstance(value, type) and value.__module__ == name
    ]
    for candidate in own:
        run = getattr(candidate, "run", None)
        if callable(run) and not getattr(run, "__isabstractmethod__", False):
            return candidate
        sys.stderr.write(
            'Class "%s" doesn\'t implement required "run" method\n' % (candidate.__name__)
        )
    raise Exception('Found no classes in plugin file "%s" matching requirements.' % file_path)


class ActionService:
    """`self.action_service` of an action; the datastore is asked over the API, if at all."""

    def __init__(self, action_wrapper: t.Any) -> None:
        self._action_wrapper = action_wrapper
        self._datastore_service: t.Any = None

    @property
    def datastore_service(self) -> t.Any:
        if self._datastore_service is None:
            import logging

            from st2common.services.datastore import ActionDatastoreService

            self._datastore_service = ActionDatastoreService(
                logger=logging.getLogger(self._action_wrapper._class_name),
                pack_name=self._action_wrapper._pack,
                class_name=self._action_wrapper._class_name,
                auth_token=os.environ.get("ST2_ACTION_AUTH_TOKEN"),
            )
        return self._datastore_service

    def get_user_info(self) -> t.Any:
        return self.datastore_service.get_user_info()

    def list_values(
        self,
        local: bool = True,
        prefix: t.Optional[str] = None,
        limit: t.Any = None,
        offset: t.Any = None,
    ) -> t.Any:
        return self.datastore_service.list_values(
            local=local, prefix=prefix, limit=limit, offset=offset
        )

    def get_value(
        self, name: str, local: bool = True, scope: str = "system", decrypt: bool = False
    ) -> t.Any:
        return self.datastore_service.get_value(name, local=local, scope=scope, decrypt=decrypt)

    def set_value(
        self,
        name: str,
        value: t.Any,
        ttl: t.Any = None,
        local: bool = True,
        scope: str = "system",
        encrypt: bool = False,
    ) -> t.Any:
        return self.datastore_service.set_value(
            name, value, ttl=ttl, local=local, scope=scope, encrypt=encrypt
        )

    def delete_value(self, name: str, local: bool = True, scope: str = "system") -> t.Any:
        return self.datastore_service.delete_value(name, local=local, scope=scope)


class _Wrapper:
    """The three facts that StackStorm's base class reads from its wrapper."""

    def __init__(self, pack: str, class_name: str, log_level: str) -> None:
        self._pack = pack
        self._class_name = class_name
        self._log_level = log_level


def instance_of(cls: t.Any, pack: str, config: t.Dict[str, t.Any], log_level: str) -> t.Any:
    """An instance of the action; a class that knows no `action_service` gets it afterwards."""
    service = ActionService(_Wrapper(pack, cls.__name__, log_level))
    try:
        return cls(config=config, action_service=service)
    except TypeError as error:
        if "unexpected keyword argument 'action_service'" not in str(error):
            raise
    action = cls(config=config)
    action.action_service = service
    return action


def _arguments(argv: t.Sequence[str]) -> t.Dict[str, t.Any]:
    known = {
        "--pack",
        "--file-path",
        "--parameters",
        "--stdin-parameters",
        "--config",
        "--user",
        "--parent-args",
        "--log-level",
    }
    found: t.Dict[str, t.Any] = {}
    rest = list(argv)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if name not in known:
            raise SystemExit("wrapper.py: unknown argument %s" % name)
        if name == "--stdin-parameters":
            found[name] = True
        elif equals:
            found[name] = value
        elif rest:
            found[name] = rest.pop(0)
        else:
            raise SystemExit("wrapper.py: %s needs a value" % name)
    for name in ("--pack", "--file-path"):
        if name not in found:
            raise SystemExit("wrapper.py: %s is missing" % name)
    return found


def _parameters_from_stdin() -> t.Dict[str, t.Any]:
    import select

    if not select.select([sys.stdin], [], [], STDIN_WAIT_S)[0]:
        raise ValueError("No input received and timed out while waiting for parameters from stdin")
    line = sys.stdin.readline().strip()
    if not line:
        raise ValueError("Received no valid parameters data from sys.stdin")
    try:
        return dict(json.loads(line).get("parameters", {}))
    except Exception as error:
        raise ValueError(
            'Failed to parse parameters from stdin. Expected a JSON object with "parameters" '
            "attribute: %s" % error
        ) from error


def main(argv: t.Sequence[str]) -> int:
    """Run the action and print its outcome between delimiters; the exit code for the process."""
    arguments = _arguments(argv)
    config = json.loads(arguments.get("--config") or "{}")
    parameters = json.loads(arguments.get("--parameters") or "{}")
    if "--stdin-parameters" in arguments:
        parameters.update(_parameters_from_stdin())
    action = instance_of(
        action_class(arguments["--file-path"]),
        arguments["--pack"],
        config,
        arguments.get("--log-level", DEFAULT_LOG_LEVEL),
    )
    try:
        outcome = outcome_of(action.run(**parameters))
    except BadStatus as error:
        sys.stderr.write("%s\n" % error)
        return INVALID_STATUS_EXIT_CODE
    try:
        text = to_json(outcome)
    except TypeError:
        text = str(outcome)
    printed = (DELIMITER + text + "\n" + DELIMITER).encode("utf-8")
    sys.stdout.flush()
    sys.stdout.buffer.write(printed)
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
