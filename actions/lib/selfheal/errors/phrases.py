"""The template of a line whose words went through `tokens.mask`: the rules of `principles` applied,
and what of a template is hashed.
"""

from __future__ import annotations

import re
from typing import Callable, Optional

from selfheal.errors.principles import PLACE, PLAIN_WORDS, PROSE, RULES, Rule
from selfheal.errors.tokens import Note

_PLACE = re.compile(PLACE)
_PUNCTUATION = re.compile(r"[,;:.!?]+(?=\s|$)|(?<=\s)[-,;:.|]+(?=[\s\])])")
_COUNTED = re.compile(r"(?<=<\*> )([A-Za-z]{3,40})(\(e?s\))?(?= |$)")
_PLURALS = ((re.compile(r"ies\Z"), "y"), (re.compile(r"(?<=[sxzh])es\Z|(?<![sui])s\Z"), ""))
# Attributes at the end: `, client: <ip>, server: <host>`. Which of them there are differs from line
# to line of one event.
_ATTRIBUTE = r"(?:,\s[a-z][\w.\-]{0,40}:(?:\s[\"']?%s[\"']?|(?=\s?,)|\s?\Z))" % PLACE
_ATTRIBUTES = re.compile(r"(?<=[\w)>\"])%s{2,20}\Z" % _ATTRIBUTE)
_BLANKS = re.compile(r"\s+")


def arrange(line: str, note: Optional[Note] = None) -> str:
    """The template of a masked `line`."""
    for rule in RULES:
        # Most rules say nothing of most lines, and a search is cheaper than a vain `sub`.
        if rule.sign in line and rule.pattern.search(line):
            line = rule.pattern.sub(_noting(rule, note) if note else rule.replacement, line)
    return _BLANKS.sub(" ", line).strip()


def _noting(rule: Rule, note: Note) -> Callable[[re.Match[str]], str]:
    def replaced(found: re.Match[str]) -> str:
        how = rule.replacement
        after = found.expand(how) if isinstance(how, str) else how(found)
        if after != found.group():
            note(rule.name, found.group(), after)
        return after

    return replaced


def key_of(template: str) -> str:
    """What is hashed of a `template`: kinds of placeholders, punctuation at the end of words, the
    plural of what is counted and attributes behind a sentence make no difference.
    """
    key = _PLACE.sub("<*>", _ATTRIBUTES.sub(_without, template) if ": " in template else template)
    key = _PUNCTUATION.sub("", key)
    key = _COUNTED.sub(_singular, key)
    return _BLANKS.sub(" ", key).strip()


def _without(found: re.Match[str]) -> str:
    said = PLAIN_WORDS.findall(found.string[: found.start()])
    return "" if len(said) >= PROSE else found.group()


def _singular(found: re.Match[str]) -> str:
    counted: str = found.group(1)
    for ending, singular in _PLURALS:
        if ending.search(counted):
            return ending.sub(singular, counted)
    return counted
