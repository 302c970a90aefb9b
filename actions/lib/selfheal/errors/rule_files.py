"""Files with classification rules, read strictly: what is not understood is a ConfigError that
names file, rule and reason.

A phrase is matched by whole words, so `Rule` keeps it as words only; see rules.yaml for the form.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

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
_MAX_PHRASE = 300
_LEAST_STEM = 3  # letters that must be left of a word with a wildcard
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

    try:
        with Path(path).open("rb") as source:
            content = source.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError(
                "the classification rules %s: more than %d bytes" % (path, _MAX_BYTES)
            )
        found = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(
            "cannot read the classification rules %s: %s"
            % (path, getattr(error, "strerror", None) or error)
        ) from error
    where = "the classification rules %s" % path
    rules = found.get("rules") if isinstance(found, dict) and len(found) == 1 else None
    if not isinstance(rules, list):
        raise ConfigError("%s: must be a map with the one key `rules`, a list" % where)
    return parse(rules, where)


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
        return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError("%s: regex %r: %s" % (where, text[:80], error)) from error


def _program(text: str, where: str) -> str:
    if "*" in text[:-1]:
        raise ConfigError("%s: programs %r: * may only stand at the end" % (where, text[:80]))
    return text.lower()
