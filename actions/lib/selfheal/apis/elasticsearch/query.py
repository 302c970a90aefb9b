"""The questions of the error search as JSON, from a target's settings. Pure.

What is an error is decided here, in the query, by keywords and levels: nothing else leaves the
search service.
"""

from __future__ import annotations

import math
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence

from selfheal.exceptions import ConfigError

Query = Dict[str, Any]
Kinds = Mapping[str, Sequence[str]]  # field: how the indices map it
# Where shippers put the level. Numbers: syslog's codes, those of bunyan and pino, OpenTelemetry's.
LEVEL_FIELDS = (
    "level",
    "log.level",
    "severity",
    "loglevel",
    "log_level",
    "level_name",
    "levelname",
    "syslog_severity",
    "syslog.severity",
    "log.syslog.severity.name",
    "severity_text",
    "fields.level",
    "json.level",
)
CODE_FIELDS = ("syslog_severity_code", "severity_code", "log.syslog.severity.code", "PRIORITY")
CODES = (0, 1, 2, 3, 50, 60)
NUMBER_FIELDS = ("severity_number",)
NUMBERS = tuple(range(17, 25))
# How an index may map a field: as one value, as words.
WHOLE = ("keyword", "constant_keyword", "wildcard", "counted_keyword")
WORDS = ("text", "match_only_text", "annotated_text", "search_as_you_type")
_RESERVED = re.compile(r'([+\-=&|!(){}\[\]^"~?:\\/])')
_FORBIDDEN = re.compile(r"[<>]")  # a query string cannot hold them, escaped or not
_PLAIN_WORD = re.compile(r"\w+\Z")
_STARRED = re.compile(r"[\w*]+\Z")
_LONGEST_EXPRESSION = 900  # index.max_regex_length is 1000
_OF_TEXT = {*WORDS, *WHOLE, "object", "unmapped"}
_NUMBERS_OF = ("long", "integer", "short", "byte", "unsigned_long", "double", "float", "half_float")


def milliseconds(at: float) -> int:
    """`at` (epoch seconds) as the search has it; equal for equal times, so that slices meet."""
    return int(math.floor(at * 1000.0))


def errors_between(
    settings: Mapping[str, Any], start_ms: int, end_ms: int, kinds: Optional[Kinds] = None
) -> Query:
    """The query for errors in [start_ms, end_ms) of the time field. `kinds` says of each field that
    the indices have how they map it; None when that is not known. Raises ConfigError without
    keywords or fields.
    """
    keywords = [str(keyword) for keyword in settings.get("keywords") or ()]
    fields = [str(field) for field in settings.get("text_fields") or ()]
    if not keywords or not fields:
        raise ConfigError(
            "the search has no keywords or no text_fields: complete the target's settings with "
            "errors.keywords.completed"
        )
    levels = [str(level) for level in settings.get("levels") or ()]
    should = [*_keyword_queries(keywords, fields, kinds), *_level_queries(levels, kinds)]
    span = {"gte": start_ms, "lt": end_ms, "format": "epoch_millis"}
    filters: List[Query] = [
        {"range": {str(settings.get("time_field") or "@timestamp"): span}},
        {"bool": {"should": should, "minimum_should_match": 1}},
    ]
    filters += _query_strings(settings.get("filter"))
    query: Query = {"bool": {"filter": filters}}
    excluded = _query_strings(settings.get("exclude"))
    if excluded:
        query["bool"]["must_not"] = excluded
    return query


def _query_strings(value: Any) -> List[Query]:
    """Of a query string, or of several that are independent of each other."""
    texts = value if isinstance(value, (list, tuple)) else [value]
    return [{"query_string": {"query": str(text)}} for text in texts if text]


def _keyword_queries(
    keywords: Sequence[str], fields: Sequence[str], kinds: Optional[Kinds]
) -> List[Query]:
    """As few clauses as can be: each is asked of each field."""
    clean = [" ".join(_FORBIDDEN.sub(" ", keyword).split()) for keyword in keywords]
    there = [field for field in fields if kinds is None or field in kinds]
    plain = [keyword for keyword in clean if _PLAIN_WORD.match(keyword)]
    starred = [keyword for keyword in clean if keyword not in plain and _STARRED.match(keyword)]
    phrases = [keyword for keyword in clean if keyword not in plain and keyword not in starred]
    found: List[Query] = []
    if plain:
        # lenient, here and below: a field that cannot hold words matches nothing
        match = {"query": " ".join(plain), "fields": there, "operator": "or", "lenient": True}
        found.append({"multi_match": match})
    if kinds is None:
        found += _lenient(starred, there)
    else:
        is_text = {field: set(kinds[field]) <= _OF_TEXT for field in there}
        words = [field for field in there if is_text[field] and set(kinds[field]) & set(WORDS)]
        whole = [field for field in there if is_text[field] and set(kinds[field]) & set(WHOLE)]
        found += _expressions_of(starred, words, "%s")
        found += _expressions_of(clean, whole, ".*%s.*")
        found += _lenient(starred, [field for field in there if not is_text[field]])
    return found + _lenient(phrases, there)


def _lenient(keywords: Sequence[str], fields: Sequence[str]) -> List[Query]:
    if not keywords or not fields:
        return []
    text = query_string(keywords)
    return [{"query_string": {"query": text, "fields": list(fields), "lenient": True}}]


def query_string(keywords: Sequence[str]) -> str:
    """`keywords` as a query string: `oom* OR "timed out"`. What it would take for its own is
    escaped.
    """
    parts = []
    for keyword in keywords:
        if _STARRED.match(keyword):
            parts.append(keyword)
        elif "*" not in keyword:
            parts.append('"%s"' % re.sub(r'(["\\])', r"\\\1", keyword))
        else:  # it has no phrase with a star: all its words, in any order
            words = [_RESERVED.sub(r"\\\1", word) for word in keyword.split()]
            parts.append("(%s)" % " AND ".join(words))
    return " OR ".join(parts)


def _expressions_of(keywords: Sequence[str], fields: Sequence[str], form: str) -> List[Query]:
    """One question for all of `keywords` in each field: it goes through the field's words once."""
    parts = [
        form % ".*".join(re.sub(r"([^\w ])", r"\\\1", bit) for bit in one.lower().split("*"))
        for one in keywords
    ]
    return [
        {"regexp": {field: {"value": expression, "case_insensitive": True}}}
        for expression in _expressions(parts)
        for field in fields
    ]


def _expressions(parts: Sequence[str]) -> List[str]:
    """`parts` as few alternations, each short enough for the service."""
    found: List[str] = []
    for part in parts:
        if found and len(found[-1]) + len(part) < _LONGEST_EXPRESSION:
            found[-1] += "|" + part
        else:
            found.append(part)
    return ["(%s)" % one for one in found]


def _level_queries(levels: Sequence[str], kinds: Optional[Kinds]) -> List[Query]:
    if not levels:
        return []
    spelled = sorted({form for one in levels for form in (one.lower(), one.upper(), one.title())})
    if kinds is None:
        names = " OR ".join('"%s"' % re.sub(r'(["\\])', r"\\\1", one) for one in spelled)
        return [
            {"query_string": {"query": text, "fields": list(fields), "lenient": True}}
            for text, fields in (
                (names, LEVEL_FIELDS),
                (" OR ".join(map(str, CODES)), CODE_FIELDS),
                (" OR ".join(map(str, NUMBERS)), NUMBER_FIELDS),
            )
        ]
    found: List[Query] = []
    for field in (*LEVEL_FIELDS, *CODE_FIELDS, *NUMBER_FIELDS):
        numbers = NUMBERS if field in NUMBER_FIELDS else CODES
        is_number = all(kind in (*_NUMBERS_OF, "unmapped") for kind in kinds.get(field, ()))
        is_text = all(kind in (*WHOLE, *WORDS, "unmapped") for kind in kinds.get(field, ()))
        values: List[Any] = list(numbers) if is_number else [*spelled, *map(str, numbers)]
        if field in kinds and (is_number or is_text):
            found.append({"terms": {field: values}})
        elif field in kinds and not {"object", "nested", "flattened"} & set(kinds[field]):
            text = " OR ".join('"%s"' % one for one in values)
            found.append({"query_string": {"query": text, "fields": [field], "lenient": True}})
    return found


def source_of(settings: Mapping[str, Any]) -> Any:
    """What of a document is fetched: `settings["source"]`, a source filter, else all of it."""
    return settings.get("source") or True
