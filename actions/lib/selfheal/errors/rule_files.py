"""Files with classification rules, read strictly: what is not understood is a ConfigError that
names file, rule and reason.

A phrase is matched by whole words, so `Rule` keeps it as words only; see rules.yaml for the form.
"""

from __future__ import annotations

import importlib
import re
import stat
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from selfheal.errors.record import UNREADABLE
from selfheal.errors.severity import LEVELS
from selfheal.exceptions import ConfigError

TYPES = (
    "configuration",
    "application",
    "system",
    "network",
    "storage",
    "kubernetes",
    "database",
    "security",
    UNREADABLE,
)
SEVERITIES = ("critical", "error", "warning", "info")
GAP = "..."  # any words between two parts of a phrase
_FIELDS = frozenset(
    "name type severity text classes regex programs levels kubernetes unless".split()
)
_MAX_BYTES = 1_000_000
_MAX_DEPTH = 20  # far deeper than a rule is; libyaml's recursion would end the process
_MAX_PHRASE = 300
_LEAST_STEM = 3  # letters that must be left of a word with a wildcard
_MAX_TIMES = 10  # a repetition that may go on longer counts as one without end
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")
_PARSER = importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,60}\Z")
_NO_WORD = re.compile(r"[^a-z0-9]+")
_NO_PHRASE_WORD = re.compile(r"[^a-z0-9*]+")


class Rule(NamedTuple):
    """One rule. Each of `phrases` and `unless` is a list of words, in which `*` and GAP may stand.
    None and empty mean that the rule does not ask.
    """

    name: str
    error_type: str
    severity: str
    phrases: Tuple[Tuple[str, ...], ...]
    unless: Tuple[Tuple[str, ...], ...]
    regexes: Tuple[re.Pattern[str], ...]
    programs: Tuple[str, ...]
    levels: Tuple[str, ...]
    kubernetes: Optional[bool]


def words_of(text: str) -> str:
    """`text` as its words in lower case, one space before and behind each."""
    return " %s " % _NO_WORD.sub(" ", text.lower()).strip()


def read(path: str) -> List[Rule]:
    """The rules in the YAML file `path`, in order. Raises ConfigError."""
    import yaml

    where = "the classification rules %s" % path
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe would never end
            raise ConfigError("%s: no regular file" % where)
        with Path(path).open("rb") as source:
            content = source.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError("%s: more than %d bytes" % (where, _MAX_BYTES))
        _check_events(yaml.parse(content, Loader=loader), where)
        found = yaml.load(content, Loader=loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(
            "cannot read the classification rules %s: %s"
            % (path, getattr(error, "strerror", None) or error)
        ) from error
    rules = found.get("rules") if isinstance(found, dict) and len(found) == 1 else None
    if not isinstance(rules, list):
        raise ConfigError("%s: must be a map with the one key `rules`, a list" % where)
    return parse(rules, where)


def _check_events(events: Iterable[Any], where: str) -> None:
    """Refuse what a few lines can make grow without end. Raises ConfigError."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        if kind == "AliasEvent":
            raise ConfigError(
                "%s: line %d: write out what the alias *%s stands for"
                % (where, event.start_mark.line + 1, event.anchor)
            )
        if kind in ("MappingStartEvent", "SequenceStartEvent"):
            depth += 1
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise ConfigError(
                "%s: line %d: nested too deeply" % (where, event.start_mark.line + 1)
            )


def parse(raws: Sequence[Any], where: str) -> List[Rule]:
    """Rules from plain data; `where` begins each message. Raises ConfigError."""
    rules: List[Rule] = []
    names: Dict[str, int] = {}
    for position, raw in enumerate(raws, start=1):
        name = raw.get("name") if isinstance(raw, dict) else None
        here = "%s, rule %d%s" % (where, position, " (%s)" % name if isinstance(name, str) else "")
        if not isinstance(raw, dict):
            raise ConfigError("%s: must be a map, not %s" % (here, type(raw).__name__))
        rule = _rule(raw, here)
        if rule.name in names:
            raise ConfigError("%s: rule %d has that name already" % (here, names[rule.name]))
        names[rule.name] = position
        rules.append(rule)
    return rules


def _rule(raw: Dict[Any, Any], where: str) -> Rule:
    unknown = sorted(str(key) for key in raw if key not in _FIELDS)
    if unknown:
        raise ConfigError(
            "%s: unknown key %s; known are %s"
            % (where, ", ".join(unknown), ", ".join(sorted(_FIELDS)))
        )
    name = raw.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigError(
            "%s: name must be lower-case letters, digits and hyphens, not %r" % (where, name)
        )
    kubernetes = raw.get("kubernetes")
    if kubernetes is not None and not isinstance(kubernetes, bool):
        raise ConfigError("%s: kubernetes must be true or false, not %r" % (where, kubernetes))
    rule = Rule(
        name=name,
        error_type=_one_of(raw.get("type"), TYPES, "type", where),
        severity=_one_of(raw["severity"], SEVERITIES, "severity", where)
        if "severity" in raw
        else "",
        phrases=tuple(
            _phrase(text, key, where)
            for key in ("text", "classes")
            for text in _texts(raw, key, where)
        ),
        unless=tuple(_phrase(text, "unless", where) for text in _texts(raw, "unless", where)),
        regexes=tuple(_regex(text, where) for text in _texts(raw, "regex", where)),
        programs=tuple(_program(text, where) for text in _texts(raw, "programs", where)),
        levels=tuple(
            _one_of(text, LEVELS, "levels", where) for text in _texts(raw, "levels", where)
        ),
        kubernetes=kubernetes,
    )
    if not (rule.phrases or rule.regexes or rule.programs or rule.levels) and kubernetes is None:
        raise ConfigError(
            "%s: matches everything; give it text, classes, regex, programs, levels or kubernetes"
            % where
        )
    return rule


def _one_of(value: Any, allowed: Sequence[str], key: str, where: str) -> str:
    if value not in allowed:
        raise ConfigError(
            "%s: %s must be one of %s, not %r" % (where, key, ", ".join(allowed), value)
        )
    return str(value)


def _texts(raw: Dict[Any, Any], key: str, where: str) -> List[str]:
    value = raw.get(key, [])
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise ConfigError(
            "%s: %s must be a text or a list of texts (numbers in quotes), not %r"
            % (where, key, value)
        )
    if key in raw and not value:
        raise ConfigError("%s: %s is empty" % (where, key))
    return value


def _phrase(text: str, key: str, where: str) -> Tuple[str, ...]:
    here = "%s: %s %r" % (where, key, text[:80])
    if len(text) > _MAX_PHRASE:
        raise ConfigError("%s: longer than %d characters" % (here, _MAX_PHRASE))
    words: List[str] = []
    for part in text.lower().split(GAP):
        found = _NO_PHRASE_WORD.sub(" ", part).split()
        if not found:
            raise ConfigError("%s: has no words%s" % (here, " beside ..." if GAP in text else ""))
        words += [GAP, *found] if words else found
    for word in words:
        stem = word.strip("*")
        if "*" in word and ("*" in stem or len(stem) < _LEAST_STEM):
            raise ConfigError(
                "%s: %s needs %d letters in a row, * may only stand at its start or end"
                % (here, word, _LEAST_STEM)
            )
    if all(word.startswith("*") and word.endswith("*") for word in words if word != GAP):
        raise ConfigError("%s: needs a word that * does not stand on both sides of" % here)
    return tuple(words)


def _regex(text: str, where: str) -> re.Pattern[str]:
    try:
        found = re.compile(text, re.IGNORECASE)
        may_hang = _may_hang(_PARSER.parse(text))
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError("%s: regex %r: %s" % (where, text[:80], error)) from error
    if may_hang:
        raise ConfigError(
            "%s: regex %r repeats a repetition, as (a+)+ does: one line of a log could keep it "
            "busy for ever; end the inner part with something that is always there"
            % (where, text[:80])
        )
    return found


def _may_hang(parts: Iterable[Any]) -> bool:
    """Whether a repetition of nothing but repetitions is among `parts` (a parsed expression): a
    text can be shared out among them in ever so many ways, and a search tries them all.
    """
    for operator, argument in parts:
        bodies = _bodies(str(operator), argument)
        is_loop = str(operator) in _REPEATS and argument[1] > _MAX_TIMES
        if any((is_loop and _is_loops(body)) or _may_hang(body) for body in bodies):
            return True
    return False


def _is_loops(parts: Iterable[Any]) -> bool:
    found = list(parts)
    if len(found) == 1 and str(found[0][0]) not in _REPEATS:
        return any(_is_loops(body) for body in _bodies(str(found[0][0]), found[0][1]))
    repeats = [argument for operator, argument in found if str(operator) in _REPEATS]
    return len(repeats) == len(found) and any(most > _MAX_TIMES for _, most, _ in repeats)


def _bodies(operator: str, argument: Any) -> List[Any]:
    if operator in (*_REPEATS, "SUBPATTERN"):
        return [argument[-1]]
    if operator == "BRANCH":
        return list(argument[1])
    return [argument[1]] if operator in ("ASSERT", "ASSERT_NOT") else []


def _program(text: str, where: str) -> str:
    if "*" in text[:-1]:
        raise ConfigError("%s: programs %r: * may only stand at the end" % (where, text[:80]))
    return text.lower()
