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


class _Plan(NamedTuple):
    """Where a document of one shape keeps each meaning, () for nowhere."""

    message: Ways
    level: Ways
    priority: Ways
    otel_level: Ways
    host: Ways
    program: Ways
    logger: Ways
    cluster: Ways
    error_class: Ways
    error_message: Ways
    stack: Ways
    time: Ways
    place: Optional[PlacePlan]
    detail: Tuple[Tuple[str, Ways], ...]


class _Said(NamedTuple):
    """What a record says about its event, in its own fields or in those of a record within."""

    message: str
    level: str
    program: str
    error_class: str
    error_message: str
    stack: str
    header: Parted
    time: Any


def _plan(ways: Dict[str, Ways]) -> _Plan:
    return _Plan(
        place=elsewhere_of(ways, _PLACE),
        detail=tuple((name, ways[_DETAIL + name]) for name in DETAIL if ways[_DETAIL + name]),
        **{name: ways[name] for name in MEANINGS},
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
    if type(source) is not dict:
        source = hit.get("fields") if type(hit) is dict else None
    if type(source) is not dict or not source:
        return _unreadable(hit, hit, reading, "the hit has no _source", [])
    plan = _shapes.of(source)
    said = _said(source, plan, 0)
    header = said.header
    troubles: List[str] = []
    index, own = hit.get("_index"), hit.get("_id")
    logged_at = epoch_of(source.get(reading.time_field), reading.now, reading.utc_offset_s)
    if logged_at is None:
        logged_at = _other_time(hit, source, said, reading, troubles)
    message, stack = _with_error(said)
    if not message:
        return _unreadable(hit, source, reading, "no field has text", troubles, logged_at)
    place = place_of(source, plan.place)
    program = said.program or header.program or place.container or first(source, plan.logger)
    # The tuple's own constructor: the named tuple's costs as much as reading three fields.
    return tuple.__new__(
        Document,
        (
            "%s/%s/%s" % (reading.origin, index, own)
            if type(index) is str and type(own) is str and own
            else _identity(hit, source, reading, troubles),
            reading.origin,
            logged_at,
            message if len(message) <= MAX_MESSAGE else message[:MAX_MESSAGE],
            said.level,
            program[:MAX_NAME],
            (plan.host and first(source, plan.host) or header.host)[:MAX_NAME],
            (plan.cluster and first(source, plan.cluster) or reading.cluster)[:MAX_NAME],
            *place,
            said.error_class[:MAX_NAME],
            stack if len(stack) <= MAX_STACK else stack[:MAX_STACK],
            _detail(source, plan) if plan.detail else _NO_DETAIL,
            "; ".join(troubles) if troubles else "",
        ),
    )


def _said(source: Dict[str, Any], plan: _Plan, nesting: int) -> _Said:
    message, inner = _message(source, plan)
    level = _level(source, plan)
    program = first(source, plan.program) if plan.program else ""
    error_class = first(source, plan.error_class) if plan.error_class else ""
    error = first(source, plan.error_message) if plan.error_message else ""
    stack = _lines(values(source, plan.stack)) if plan.stack else ""
    if inner is None and (message[:1] == "{" or "msg=" in message or "message=" in message):
        inner = record_in(message)
    if inner is not None and nesting < _MAX_NESTING:
        within = _said(inner, _shapes.of(inner), nesting + 1)
        return _Said(
            within.message or message,
            within.level or level,
            program or within.program,
            within.error_class or error_class,
            within.error_message or error,
            within.stack or stack,
            within.header,
            within.time,
        )
    time: Any = values(source, plan.time) if nesting else None
    if may_have_header(message):
        header = part(message)
        message, level, time = header.message, header.level or level, header.time or time
    else:
        header = _NOT_PARTED
    return tuple.__new__(
        _Said, (message, level, program, error_class, error, stack, header, time)
    )


def _message(source: Dict[str, Any], plan: _Plan) -> Tuple[str, Optional[Dict[str, Any]]]:
    """The text of the first field that has one; and that field itself where it is a record."""
    for key, rest, _, _ in plan.message:
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


def _level(source: Dict[str, Any], plan: _Plan) -> str:
    for key, rest, head, _ in plan.level:
        value = source[key]
        if rest:
            value = inside(value, rest) if head or type(value) is not dict else value.get(rest)
        level = level_of(value)
        if level:
            return level
    if not plan.otel_level and not plan.priority:
        return ""
    for value in values(source, plan.otel_level):
        level = level_of_otel(value)
        if level:
            return level
    for value in values(source, plan.priority):
        level = level_of_priority(value) or level_of(value)
        if level:
            return level
    return ""


def _with_error(said: _Said) -> Tuple[str, str]:
    """(message, stack): the error's own message behind the event's, traces parted from both."""
    message, stack, error = said.message.strip(), said.stack, said.error_message
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
    hit: Dict[str, Any], source: Dict[str, Any], said: _Said, reading: Reading, troubles: List[str]
) -> float:
    """The moment of a document whose time field is not at hand or is no time."""
    value = inside(source, reading.time_field)
    sort = hit.get("sort")
    candidates = [value, said.time, sort]
    if said.time is None:
        candidates[1:1] = values(source, _shapes.of(source).time)
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


def _detail(source: Dict[str, Any], plan: _Plan) -> Dict[str, object]:
    detail: Dict[str, object] = {}
    for name, ways in plan.detail:
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
