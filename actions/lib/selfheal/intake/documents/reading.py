"""A document of the search as a Document, whatever shape it has.

Promises a Document for any JSON value, in bounded time and size, and the same one for the same
value. What cannot be read as it should is named in `trouble`: it begins with "unreadable" where
there was no text at all, and then the message is a sample of the document.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from selfheal.errors.record import UNREADABLE, Document
from selfheal.errors.severity import level_of, level_of_otel, level_of_priority
from selfheal.errors.stacks import begins
from selfheal.intake.documents.embedded import record_in
from selfheal.intake.documents.headers import Parted, may_have_header, part
from selfheal.intake.documents.kubernetes_meta import ELSEWHERE, PlacePlan, elsewhere_of, place_of
from selfheal.intake.documents.meanings import DETAIL, MEANINGS
from selfheal.intake.documents.shapes import Shapes, Ways, first, inside, text_of, values
from selfheal.intake.documents.times import epoch_of

MAX_RAW = 65536  # characters of a message that are looked at
MAX_MESSAGE = 4096
MAX_STACK = 16384
MAX_NAME = 255
MAX_SAMPLE = 2000
# Of a line of a file this is no trouble: it was written just before it was read.
NO_TIME = "no field has a time; that of reading it was taken"
_MAX_LINES = 50
_MAX_FRAMES = 1000
_MAX_NESTING = 3  # of records logged as text within records
_MAX_SAMPLE_DEPTH = 4
_MAX_SAMPLE_ITEMS = 20
_MAX_SAMPLE_TEXT = 200
_PLACE, _DETAIL = "place.", "detail."
_NO_DETAIL: Dict[str, object] = {}
# What programs write into the field for the error when there was none.
_NO_ERROR = frozenset(("", "null", "none", "nil", "<nil>", "false", "true", "undefined", "0", "-"))
_MAY_BE_RECORDS = ("message", "msg", "body", "Body")
_NOT_PARTED = Parted("")
_made = tuple.__new__


class Reading(NamedTuple):
    """How one source's documents are read.

    `origin` is the target's name (or "file"), `cluster` the name for documents that name none,
    `time_field` the field with the event's time, `now` in epoch seconds: for times without a year
    and for documents without any. `utc_offset_s` is the zone of times that name none.
    """

    origin: str
    cluster: str = ""
    time_field: str = "@timestamp"
    now: float = 0.0
    utc_offset_s: float = 0.0


# Where a document of one shape says what happened, () for nowhere, in the order of _SAID; and where
# the rest is. Plain tuples, as they are taken apart for each document.
_Saying = Tuple[Ways, Ways, Ways, Ways, Ways, Ways, Ways, Ways, Ways]
_Detail = Tuple[Tuple[str, Ways], ...]
_Plan = Tuple[_Saying, Ways, Ways, Ways, Optional[PlacePlan], _Detail]
_SAID = (
    "message", "level", "priority", "otel_level", "program", "error_class", "error_message",
    "stack", "time",
)  # fmt: skip
# What a record says, in its own fields or in those of a record within: message, level, program,
# error class, error message, stack, header, time.
_Said = Tuple[str, str, str, str, str, str, Parted, Any]


def _plan(ways: Dict[str, Ways]) -> _Plan:
    message, level, priority, otel, program, error_class, error, stack, time = (
        ways[name] for name in _SAID
    )
    return (
        (message, level, priority, otel, program, error_class, error, stack, time),
        ways["host"],
        ways["cluster"],
        ways["logger"],
        elsewhere_of(ways, _PLACE),
        tuple((name, ways[_DETAIL + name]) for name in DETAIL if ways[_DETAIL + name]),
    )


_shapes = Shapes(
    {
        **MEANINGS,
        **{_PLACE + name: paths for name, paths in ELSEWHERE.items()},
        **{_DETAIL + name: paths for name, paths in DETAIL.items()},
    },
    _plan,
)


def read(hit: Any, reading: Reading) -> Document:
    """The document in `hit` ({"_index", "_id", "_source", "sort"}). Never raises, whatever JSON
    value it is.
    """
    source = hit.get("_source") if type(hit) is dict else None
    if type(source) is not dict or not source:
        if type(hit) is dict and type(source) is not dict:
            source = hit.get("fields")
        if type(source) is not dict or not source:
            return _unreadable(hit, hit, reading, "the hit has no _source", [])
    saying, host_ways, cluster_ways, logger_ways, elsewhere, details = _shapes.of(source)
    message, level, program, error_class, error, stack, header, time = _said(source, saying, 0)
    troubles: List[str] = []
    origin, index, own = reading.origin, hit.get("_index"), hit.get("_id")
    logged_at = epoch_of(source.get(reading.time_field), reading.now, reading.utc_offset_s)
    if logged_at is None:
        logged_at = _other_time(hit, source, time, reading, troubles)
    if error or not message or "\n" in message:
        message, stack = _with_error(message, stack, error)
        if not message:
            return _unreadable(hit, source, reading, "no field has text", troubles, logged_at)
    namespace, workload, pod, container, node = place_of(source, elsewhere)
    program = program or header.program or container or first(source, logger_ways)
    # The tuple's own constructor: the named tuple's costs as much as reading three fields.
    return _made(
        Document,
        (
            f"{origin}/{index}/{own}"
            if type(index) is str and type(own) is str and own
            else _identity(hit, source, reading, troubles),
            origin,
            logged_at,
            message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE],
            level,
            program[:MAX_NAME],
            (host_ways and first(source, host_ways) or header.host)[:MAX_NAME],
            (cluster_ways and first(source, cluster_ways) or reading.cluster)[:MAX_NAME],
            namespace,
            workload,
            pod,
            container,
            node,
            error_class[:MAX_NAME],
            stack if len(stack) <= MAX_STACK else stack[:MAX_STACK],
            _detail(source, details) if details else _NO_DETAIL,
            "; ".join(troubles) if troubles else "",
        ),
    )


def _said(source: Dict[str, Any], saying: _Saying, nesting: int) -> _Said:
    messages, levels, priorities, otel, programs, classes, errors, stacks, times = saying
    message, inner = _message(source, messages)
    level = _level(source, levels)
    if not level and (otel or priorities):
        level = _level_by_number(source, otel, priorities)
    program = first(source, programs) if programs else ""
    error_class = first(source, classes) if classes else ""
    error = first(source, errors) if errors else ""
    stack = _lines(values(source, stacks)) if stacks else ""
    if inner is None and (message[:1] == "{" or "msg=" in message or "message=" in message):
        inner = record_in(message)
    if inner is not None and nesting < _MAX_NESTING:
        within = _said(inner, _shapes.of(inner)[0], nesting + 1)
        said, its_level, its_program, its_class, its_error, its_stack, header, time = within
        return (
            said or message,
            its_level or level,
            program or its_program,
            its_class or error_class,
            its_error or error,
            its_stack or stack,
            header,
            time,
        )
    time = values(source, times) if nesting else None
    if may_have_header(message):
        header = part(message)
        level, time = header.level or level, header.time or time
        return header.message.strip(), level, program, error_class, error, stack, header, time
    return message, level, program, error_class, error, stack, _NOT_PARTED, time


def _message(source: Dict[str, Any], ways: Ways) -> Tuple[str, Optional[Dict[str, Any]]]:
    """The text of the first field that has one; and that field itself where it is a record."""
    for key, rest, _, _ in ways:
        value = inside(source[key], rest) if rest else source[key]
        kind = type(value)
        if kind is str:
            text = value if len(value) <= MAX_RAW else value[:MAX_RAW]
        elif kind is list:
            is_one = len(value) == 1 and type(value[0]) is str
            text = value[0].strip()[:MAX_RAW] if is_one else _joined(value)
        else:
            text = text_of(value)
            if not text and kind is dict and (rest or key) in _MAY_BE_RECORDS and value:
                return "", value
        text = text.strip()
        if text:
            return text, None
    return "", None


def _joined(items: List[Any]) -> str:
    """The texts of a list on lines of their own, without those that another only adds a header to:
    Logstash makes [whole line, what a pattern took from it] where a pattern does not overwrite.
    """
    texts: List[str] = []
    for text in (text_of(item)[:MAX_RAW] for item in items[:_MAX_LINES]):
        if text and not any(other.endswith(text) or text.endswith(other) for other in texts):
            texts.append(text)
        elif text:
            texts = [text if other.endswith(text) else other for other in texts]
    return "\n".join(texts)[:MAX_RAW]


def _lines(found: List[Any]) -> str:
    """The first text among `found`; a list of texts is one with a line for each."""
    for value in found:
        if type(value) is list:
            lines = [line if type(line) is str else text_of(line) for line in value[:_MAX_FRAMES]]
            text = "\n".join(line[:MAX_RAW] for line in lines)
        else:
            text = text_of(value)
        if text.strip():
            return text.strip()[:MAX_RAW]
    return ""


def _level(source: Dict[str, Any], ways: Ways) -> str:
    for key, rest, head, _ in ways:
        value = source[key]
        if rest:
            if type(value) is str:
                continue
            value = inside(value, rest) if head or type(value) is not dict else value.get(rest)
        level = level_of(value)
        if level:
            return level
    return ""


def _level_by_number(source: Dict[str, Any], otel: Ways, priorities: Ways) -> str:
    for value in values(source, otel):
        level = level_of_otel(value)
        if level:
            return level
    for value in values(source, priorities):
        level = level_of_priority(value) or level_of(value)
        if level:
            return level
    return ""


def _with_error(message: str, stack: str, error: str) -> Tuple[str, str]:
    """(message, stack): the error's own message behind the event's, traces parted from both."""
    if "\n" in message:
        message, found = _parted(message)
        stack = stack or found
    if error and error not in message and error.lower() not in _NO_ERROR:
        error = error[:MAX_RAW]
        if "\n" in error:
            error, found = _parted(error)
            stack = stack or found
        if error and error not in message and message not in error:
            message = "%s: %s" % (message, error) if message else error
        elif message in error:
            message = error
    return message or _headline(stack[:MAX_STACK]), stack


def _parted(message: str) -> Tuple[str, str]:
    """(what the event says, its stack trace or "")."""
    at = begins(message)
    return (message, "") if at < 0 else (message[:at].strip(), message[at:])


def _headline(stack: str) -> str:
    """The line of a trace that names the exception: Python's last, the others' first."""
    lines = [line for line in stack.splitlines() if line[:1].strip()]
    if not lines:
        return stack.strip()
    return lines[-1 if stack.startswith("Traceback") else 0].strip()


def _other_time(
    hit: Dict[str, Any], source: Dict[str, Any], said: Any, reading: Reading, troubles: List[str]
) -> float:
    """The moment of a document whose time field is not at hand or is no time."""
    value = inside(source, reading.time_field)
    sort = hit.get("sort")
    candidates = [value, said, sort]
    if said is None:
        candidates[1:1] = values(source, _shapes.of(source)[0][-1])
    for candidate in candidates:
        found = epoch_of(candidate, reading.now, reading.utc_offset_s)
        if found is not None:
            if candidate is sort:
                troubles.append("the time field is missing or no time; the search's own was taken")
            return found
    troubles.append(NO_TIME)
    return reading.now


def _identity(hit: Any, content: Any, reading: Reading, troubles: List[str]) -> str:
    """Origin, index and _id; of a hit without an _id, a hash of what it holds."""
    index = hit.get("_index") if type(hit) is dict else None
    own = hit.get("_id") if type(hit) is dict else None
    if type(own) in (str, int) and own != "":
        return "%s/%s/%s" % (reading.origin, text_of(index), own)
    troubles.append("the hit has no _id; a hash of it is taken")
    return "%s/%s/#%s" % (reading.origin, text_of(index), _digest(content))


def _digest(content: Any) -> str:
    try:
        text = json.dumps(content, sort_keys=True)
    except (RecursionError, TypeError, ValueError):
        text = json.dumps(_sample(content, 0), sort_keys=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:40]


def _detail(source: Dict[str, Any], details: _Detail) -> Dict[str, object]:
    detail: Dict[str, object] = {}
    for name, ways in details:
        text = first(source, ways)
        if text:
            detail[name] = text[:MAX_NAME]
    return detail


def _unreadable(
    hit: Any,
    content: Any,
    reading: Reading,
    why: str,
    troubles: List[str],
    logged_at: Optional[float] = None,
) -> Document:
    """A document of which only a sample can be shown."""
    sample = json.dumps(_sample(content, 0), ensure_ascii=False)
    identity = _identity(hit, content, reading, troubles)
    if logged_at is None:
        sort = hit.get("sort") if type(hit) is dict else None
        logged_at = epoch_of(sort, reading.now)
    return Document(
        identity,
        reading.origin,
        reading.now if logged_at is None else logged_at,
        sample if len(sample) <= MAX_SAMPLE else sample[:MAX_SAMPLE],
        cluster=reading.cluster[:MAX_NAME],
        trouble="; ".join(["%s: %s" % (UNREADABLE, why), *troubles]),
    )


def _sample(value: Any, depth: int) -> Any:
    """A small copy of any value, fit for JSON."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= _MAX_SAMPLE_TEXT else value[:_MAX_SAMPLE_TEXT] + "…"
    if value is None or kind is bool:
        return value
    if kind is int or kind is float:
        return value if -1e300 < value < 1e300 else "…"
    if kind is dict and depth < _MAX_SAMPLE_DEPTH:
        return {
            str(key)[:_MAX_SAMPLE_TEXT]: _sample(value[key], depth + 1)
            for key in list(value)[:_MAX_SAMPLE_ITEMS]
        }
    if kind is list and depth < _MAX_SAMPLE_DEPTH:
        return [_sample(item, depth + 1) for item in value[:_MAX_SAMPLE_ITEMS]]
    return "…"
