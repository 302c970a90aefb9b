"""Makes the workflow engine StackStorm uses importable here, whatever the Python.

PyPI's newest orquesta is 1.2.0, written for Python 3.8 and networkx 1: on newer ones it needs five
small mends, each applied only where something is missing. A newer orquesta, such as StackStorm
brings, is left as it is. Also adds the two expression functions of StackStorm that workflows may
use, `st2kv` and `task`. Running a workflow is conductor.py's business.
"""

from __future__ import annotations

import collections
import collections.abc
import contextlib
import functools
import importlib
import queue
import threading
import types
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Optional, Set, Tuple

LOCK = threading.RLock()
"""Held around everything that calls into orquesta: its YAQL parser is one per process."""

_ABSTRACT = (
    "Mapping",
    "MutableMapping",
    "Sequence",
    "MutableSequence",
    "Set",
    "MutableSet",
    "Iterable",
    "Iterator",
    "Callable",
    "Hashable",
)

_lookups = threading.local()
_is_prepared = False


class WorkflowFileError(Exception):
    """A workflow file cannot be read as a workflow; the message names the file and the reason."""


def prepare() -> None:
    """Mends what this Python or networkx lacks and registers StackStorm's functions. Idempotent,
    0.3 s the first time.
    """
    global _is_prepared
    with LOCK:
        if _is_prepared:
            return
        _mend_collections()
        _mend_networkx()
        catalog = importlib.import_module("orquesta.expressions.functions.base").load()
        catalog.setdefault("st2kv", _st2kv)
        catalog.setdefault("task", _task)
        _mend_inline_parameters()
        _mend_composing()
        importlib.import_module("orquesta.conducting")
        _is_prepared = True


def load_workflow(path: Path) -> Any:
    """The orquesta WorkflowSpec of a workflow file. Raises WorkflowFileError."""
    prepare()
    from orquesta.specs import native

    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise WorkflowFileError("%s cannot be read: %s" % (path, error)) from error
    with LOCK:
        try:
            return native.WorkflowSpec(text)
        except Exception as error:
            raise WorkflowFileError("%s is not a workflow: %s" % (path, error)) from error


def inspect(spec: Any) -> Dict[str, Any]:
    """What orquesta finds wrong with a workflow, by category; {} when nothing. StackStorm refuses
    any other.
    """
    from orquesta import exceptions

    with LOCK:
        try:
            # StackStorm puts `st2` and `parent` into the context, so workflows may refer to both.
            found = spec.inspect(app_ctx={"st2": {}, "parent": {}}, raise_exception=False)
        except exceptions.WorkflowInspectionError as error:
            return {"inspection": [str(error)]}
    return dict(found or {})


@contextlib.contextmanager
def lookups(
    read_key: Optional[Callable[[str, bool], Tuple[bool, Any]]],
    read_task: Optional[Callable[[str, int], Optional[Dict[str, Any]]]],
) -> Iterator[None]:
    """Gives the expressions evaluated in this block their datastore and their workflow's tasks.

    `read_key(name, decrypt)` returns (is there, value); `read_task(task_id, route)` a task record
    or None.
    """
    before = getattr(_lookups, "pair", None)
    _lookups.pair = (read_key, read_task)
    try:
        yield
    finally:
        _lookups.pair = before


def _mend_collections() -> None:
    for name in _ABSTRACT:
        # Not hasattr: before 3.10 that finds them too, and warns.
        if name not in vars(collections):
            setattr(collections, name, getattr(collections.abc, name))


def _mend_networkx() -> None:
    networkx = importlib.import_module("networkx")
    if not hasattr(networkx.Graph, "node"):
        networkx.Graph.node = property(lambda graph: graph.nodes)
    views = importlib.import_module("networkx.classes.reportviews")
    if not hasattr(views.DiDegreeView, "items"):
        views.DiDegreeView.items = lambda view: iter(view)


def _mend_inline_parameters() -> None:
    parameters: Any = importlib.import_module("orquesta.utils.parameters")
    # Python 3.11 refuses a flag in the middle of an expression; a flagged group says the same.
    parameters.REGEX_INLINE_PARAMS = parameters.REGEX_INLINE_PARAMS.replace(
        "(?i)true", "(?i:true)"
    ).replace("(?i)false", "(?i:false)")


def _mend_composing() -> None:
    """Before 1.5 orquesta walks every path to draw a workflow's graph: a second where many tasks
    share an end.
    """
    if tuple(
        int(part) for part in importlib.import_module("orquesta").__version__.split(".")[:2]
    ) >= (1, 5):
        return
    native: Any = importlib.import_module("orquesta.composers.native")
    native.queue = types.SimpleNamespace(Queue=_EachTaskOnce)
    tasks = importlib.import_module("orquesta.specs.native.v1.models").TaskMappingSpec
    for name in ("get_next_tasks", "get_prev_tasks", "in_cycle"):
        setattr(tasks, name, _remembered(name, getattr(tasks, name)))


class _EachTaskOnce(queue.Queue):  # type: ignore[type-arg]
    """A queue of (task, splits) that takes each task once: its transitions are the same whatever
    leads to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: Set[str] = set()

    def put(self, item: Any, block: bool = True, timeout: Optional[float] = None) -> None:
        if item[0] not in self._seen:
            self._seen.add(item[0])
            super().put(item, block, timeout)


def _remembered(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` of a mapping of tasks, which never changes once it is read, asked once for each
    task.
    """

    @functools.wraps(method)
    def remembered(tasks: Any, task_name: str, *args: Any, **kwargs: Any) -> Any:
        known = tasks.__dict__.setdefault("_known_" + name, {})
        if task_name not in known:
            known[task_name] = method(tasks, task_name, *args, **kwargs)
        return known[task_name]

    return remembered


def _failure(message: str) -> Exception:
    exceptions = importlib.import_module("orquesta.exceptions")
    error: Exception = exceptions.ExpressionEvaluationException(message)
    return error


def _st2kv(context: Any, key: str, **options: Any) -> Any:
    if not isinstance(key, str):
        raise TypeError("Given key is not typeof string.")
    decrypt = options.get("decrypt", False)
    if not isinstance(decrypt, bool):
        raise TypeError("Decrypt parameter is not typeof bool.")
    read_key = (getattr(_lookups, "pair", None) or (None, None))[0]
    is_there, value = read_key(key, decrypt) if read_key else (False, None)
    if is_there:
        return value
    if "default" in options:
        return options["default"]
    raise _failure('The key "%s" is not in the datastore.' % key)


def _task(context: Any, task_id: Optional[str] = None, route: Optional[int] = None) -> Any:
    current = _of_context(context, "__current_task")
    wanted = task_id if task_id is not None else current.get("id")
    if route is None:
        route = current.get("route", 0) or 0
    read_task = (getattr(_lookups, "pair", None) or (None, None))[1]
    if read_task is not None and wanted is not None:
        # A task before a fork ran on a shorter route than the one that asks.
        for candidate in range(route, -1, -1):
            record = read_task(wanted, candidate)
            if record is not None:
                return record
    raise _failure('Unable to find task execution for "%s".' % wanted)


def _of_context(context: Any, key: str) -> Dict[str, Any]:
    try:
        return dict(context[key] or {})
    except (KeyError, TypeError):
        return {}
