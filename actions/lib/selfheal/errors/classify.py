"""Which kind of error a message is: an ordered table of rules, of which the first match wins.

The pack's own table is rules.yaml beside this file, which explains the form; a site's files come
before it. Promises the same answer for the same arguments, in time that does not grow with the
number of rules, and the name of the rule.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from selfheal.errors import rule_files
from selfheal.errors.rule_files import GAP, SEVERITIES, TYPES, Rule, words_of
from selfheal.errors.severity import SEVERITY_OF

__all__ = ["BY_LEVEL", "PACK_RULES", "SEVERITIES", "TYPES", "Rules"]

PACK_RULES = Path(__file__).with_name("rules.yaml")
BY_LEVEL = "by-level"  # the name of the rule for what no rule matches
_TYPE_OF_REST = "application"
_WITHOUT_LEVEL = "warning"  # the words made it an error, so it is more than information
_MAX_TEXT = 2000  # characters of the text that are looked at
_STEM = 3  # letters by which a word with a wildcard is found
_GAP_WORDS = 12


class _Phrase(NamedTuple):
    """Words in a row: as plain text, or as a pattern where there are wildcards or gaps."""

    rule: int
    text: str
    pattern: Optional[re.Pattern[str]]

    def is_in(self, text: str) -> bool:
        return self.text in text if self.pattern is None else bool(self.pattern.search(text))


class _Conditions(NamedTuple):
    """What must hold besides the words."""

    has_words: bool
    unless: Tuple[_Phrase, ...]


class Rules:
    """Rules in order, indexed by one word of each phrase, so that a text asks few of them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self._conditions: List[_Conditions] = []
        self._by_word: Dict[str, List[_Phrase]] = {}
        self._by_start: Dict[str, List[_Phrase]] = {}
        self._by_end: Dict[str, List[_Phrase]] = {}
        self._always: List[int] = []
        for number, rule in enumerate(self.rules):
            for words in rule.phrases:
                self._index(_compiled(number, words), words)
            if rule.regexes or not rule.phrases:
                self._always.append(number)
            self._conditions.append(
                _Conditions(
                    bool(rule.phrases or rule.regexes),
                    tuple(_compiled(number, words) for words in rule.unless),
                )
            )

    @classmethod
    def load(cls, paths: Sequence[str] = ()) -> Rules:
        """The rules in the files `paths`, then the pack's own. A rule of a site's file takes the
        place of the pack's rule of that name. Raises ConfigError.
        """
        own: List[Rule] = []
        for path in paths:
            known = {rule.name for rule in own}
            own += [rule for rule in rule_files.read(path) if rule.name not in known]
        names = {rule.name for rule in own}
        packs = [rule for rule in rule_files.read(str(PACK_RULES)) if rule.name not in names]
        return cls(own + packs)

    def classify(
        self,
        template: str,
        error_class: str = "",
        level: str = "",
        program: str = "",
        has_kubernetes: bool = False,
    ) -> Tuple[str, str, str]:
        """(error type, severity, name of the rule). `level` is one of severity.LEVELS or ""."""
        raw = template[:_MAX_TEXT]
        text = words_of("%s | %s" % (error_class[:_MAX_TEXT], raw) if error_class else raw)
        program = _program(program)
        said = self._said(text)
        for number in sorted(said.union(self._always)):
            rule, conditions = self.rules[number], self._conditions[number]
            if (
                (number in said or not conditions.has_words or _matches(rule, raw)) and
                (not rule.levels or level in rule.levels) and
                (rule.kubernetes is None or rule.kubernetes == has_kubernetes) and
                (not rule.programs or _is_one(program, rule.programs)) and
                not any(phrase.is_in(text) for phrase in conditions.unless)
            ):
                severity = rule.severity or SEVERITY_OF.get(level, _WITHOUT_LEVEL)
                return rule.error_type, severity, rule.name
        return _TYPE_OF_REST, SEVERITY_OF.get(level, _WITHOUT_LEVEL), BY_LEVEL

    def _said(self, text: str) -> Set[int]:
        """The numbers of the rules of which `text` holds a phrase."""
        found: Set[int] = set()
        by_word, by_start, by_end = self._by_word, self._by_start, self._by_end
        for word in set(text.split()):
            if word in by_word:
                found.update([one.rule for one in by_word[word] if one.is_in(text)])
            start, end = word[:_STEM], word[-_STEM:]
            if start in by_start:
                found.update([one.rule for one in by_start[start] if one.is_in(text)])
            if end in by_end:
                found.update([one.rule for one in by_end[end] if one.is_in(text)])
        return found

    def _index(self, phrase: _Phrase, words: Sequence[str]) -> None:
        """Under its longest word, preferably one without a wildcard."""
        plain = [word for word in words if "*" not in word and word != GAP]
        if plain:
            self._by_word.setdefault(max(plain, key=len), []).append(phrase)
            return
        starred = [word for word in words if word.startswith("*") != word.endswith("*")]
        word = max(starred, key=len)
        if word.endswith("*"):
            self._by_start.setdefault(word[:_STEM], []).append(phrase)
        else:
            self._by_end.setdefault(word[-_STEM:], []).append(phrase)


def _compiled(rule: int, words: Sequence[str]) -> _Phrase:
    if GAP not in words and not any("*" in word for word in words):
        return _Phrase(rule, " %s " % " ".join(words), None)
    parts = [" "]
    for word in words:
        if word == GAP:
            parts.append("(?:[a-z0-9]+ ){0,%d}?" % _GAP_WORDS)
        else:
            start = "[a-z0-9]+" if word.startswith("*") else ""
            end = "[a-z0-9]*" if word.endswith("*") else ""
            parts.append(start + word.strip("*") + end + " ")
    return _Phrase(rule, "", re.compile("".join(parts)))


def _matches(rule: Rule, raw: str) -> bool:
    return any(regex.search(raw) for regex in rule.regexes)


def _program(program: str) -> str:
    """The bare name: without directory, in lower case, without the ending of a unit or file."""
    name = program.lower().rpartition("/")[2]
    for ending in (".service", ".exe"):
        if name.endswith(ending):
            return name[: -len(ending)]
    return name


def _is_one(program: str, programs: Sequence[str]) -> bool:
    return any(
        program.startswith(name[:-1]) if name.endswith("*") else program == name
        for name in programs
    )
