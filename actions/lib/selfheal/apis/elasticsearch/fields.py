"""How the indices map the fields that the error search rests on, and what about it cannot work.

An index that maps the time as text, or two that map it differently, hide their documents from a
search by time without a word; here it gets its words.
"""

from __future__ import annotations

from typing import Any, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from selfheal.apis.elasticsearch.query import (
    CODE_FIELDS,
    LEVEL_FIELDS,
    NUMBER_FIELDS,
    WHOLE,
    WORDS,
    Kinds,
)
from selfheal.exceptions import ConfigError
from selfheal.text import one_line

_TIMES = ("date", "date_nanos")
# What tells one source of errors from another in a storm: the first that is there of each.
_PROGRAM = (
    "kubernetes.container.name",
    "kubernetes.container_name",
    "service.name",
    "program",
    "process.name",
    "syslog.appname",
    "log.syslog.appname",
    "app",
    "application",
    "log.logger",
)
_NAMESPACE = ("kubernetes.namespace", "kubernetes.namespace_name", "k8s.namespace.name")
_POD = ("kubernetes.pod.name", "kubernetes.pod_name", "k8s.pod.name")
_HOST = ("host.name", "host.hostname", "hostname", "host")
_DIMENSIONS = (_PROGRAM, _NAMESPACE, _POD, _HOST)


class Fields(NamedTuple):
    """`kinds`: how each field that is there is mapped; None when it could not be asked.
    `is_mixed`: the time is in nanoseconds in some indices and in milliseconds in others.
    `dimensions`: keyword fields that tell sources of errors apart. `warnings`: what works, but not
    for every index.
    """

    kinds: Optional[Kinds] = None
    is_mixed: bool = False
    dimensions: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


def wanted(settings: Mapping[str, Any]) -> List[str]:
    """The fields to ask the capabilities of."""
    names = [str(settings["time_field"]), *(str(one) for one in settings["text_fields"])]
    names += [*LEVEL_FIELDS, *CODE_FIELDS, *NUMBER_FIELDS]
    for candidates in _DIMENSIONS:
        for name in candidates:
            names += [name, name + ".keyword"]
    return sorted(set(names))


def read(answer: Mapping[str, Any], settings: Mapping[str, Any]) -> Fields:
    """What `_field_caps` answered, as far as it matters. Raises ConfigError for a time field that
    is missing, no date or in conflict, and when no text field can be searched.
    """
    found = answer.get("fields")
    caps: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    indices = answer.get("indices")
    if not indices:
        return Fields()  # no index yet that could map anything: the search says what it finds
    time_field, index = str(settings["time_field"]), str(settings.get("index"))
    kinds = _kinds(caps.get(time_field))
    warnings = _check_time(time_field, index, kinds, caps.get(time_field))
    text_fields = [str(one) for one in settings["text_fields"]]
    _check_text(text_fields, index, caps)
    return Fields(
        kinds={name: _kinds(cap) for name, cap in caps.items() if set(_kinds(cap)) - {"unmapped"}},
        is_mixed="date_nanos" in kinds and "date" in kinds,
        dimensions=tuple(filter(None, (_first(names, caps) for names in _DIMENSIONS))),
        warnings=warnings,
    )


def _check_time(name: str, index: str, kinds: Sequence[str], cap: Any) -> Tuple[str, ...]:
    real = [kind for kind in kinds if kind != "unmapped"]
    if not real:
        raise ConfigError(
            "no index of elasticsearch.index %s has the field %s: set elasticsearch.time_field to "
            "the one with the time of the event" % (index, name)
        )
    wrong = [kind for kind in real if kind not in _TIMES]
    if wrong:
        raise ConfigError(
            "mapping conflict: %s is no date but %s%s, and documents there cannot be found by "
            "time: reindex with a template that maps it as date, leave those indices out of "
            "elasticsearch.index, or set elasticsearch.time_field"
            % (name, " and ".join(wrong), _where(cap, wrong))
        )
    if "unmapped" in kinds:
        where = _where(cap, ["unmapped"])
        return ("%s is not mapped%s: what has no time there is never found" % (name, where),)
    return ()


def _check_text(names: Sequence[str], index: str, caps: Mapping[str, Any]) -> None:
    there = {name: _kinds(caps.get(name)) for name in names}
    there = {name: kinds for name, kinds in there.items() if set(kinds) - {"unmapped"}}
    if not there:
        raise ConfigError(
            "no index of elasticsearch.index %s has any of the fields %s: set "
            "elasticsearch.text_fields to those with the message" % (index, ", ".join(names))
        )
    usable = [n for n, kinds in there.items() if set(kinds) & {*WORDS, *WHOLE}]
    if not usable:
        shown = ", ".join("%s (%s)" % (n, "/".join(kinds)) for n, kinds in there.items())
        raise ConfigError(
            "none of the fields %s holds text that can be searched: set elasticsearch.text_fields"
            % shown
        )


def _kinds(cap: Any) -> List[str]:
    return sorted(str(kind) for kind in cap) if isinstance(cap, Mapping) else []


def _where(cap: Any, kinds: Sequence[str]) -> str:
    names: List[str] = []
    for kind in kinds:
        indices = (cap.get(kind) or {}).get("indices") if isinstance(cap, Mapping) else None
        names += [str(one) for one in indices] if isinstance(indices, list) else []
    shown = ", ".join(names[:5]) + (" and %d more" % (len(names) - 5) if len(names) > 5 else "")
    return " in %s" % one_line(shown, 300) if names else ""


def _first(names: Sequence[str], caps: Mapping[str, Any]) -> Optional[str]:
    """The first of `names`, or its .keyword, that every index maps as a keyword."""
    for name in names:
        for field in (name, name + ".keyword"):
            cap = caps.get(field) or {}
            kinds = set(_kinds(cap)) - {"unmapped"}
            is_countable = all((cap[kind] or {}).get("aggregatable", True) for kind in kinds)
            if kinds and kinds <= set(WHOLE[:2]) and is_countable:
                return field
    return None
