"""Numbers that say what happened: HTTP status, exit code, errno, signal, SQLSTATE, HRESULT.

They stay as they are in a template, while other numbers become `<num>`.
"""

from __future__ import annotations

import re
from typing import List

# Stands in front of a masked word after which a code may come.
MARK = "\x01"
_CUE = re.compile(
    r"(?:status|code|errno|(?<![a-z])(?:err|error|exit|exited|signal|sig|rc|ret|retval|returns?"
    r"|returned|returning|sqlstate|hresult|response|responded|http|failed|result))(?![a-z]|://)"
    r"|^\([0-9]{1,3}(?::|\)[a-z])"
)
# What a line looks like, its words masked and marked, in which a code does come; most lines are
# spared the search for codes.
LIKELY = re.compile(
    MARK + r"[^\s\x01]*?(?:\s(?i:code|status|value|number|is|was|of|with|from\s\w{1,20}|=|:)){0,2}"
    r"[\s:=(\[\"'#]*[<0-9]"
)
_LEADS = (
    (
        r"(?:(?:exit[\s_]?)?(?:status|code|errno)"
        r"|\b(?:exit(?:ed)?|signal|sig|rc|retval|ret|sqlstate|hresult))"
        r"(?:[\s_]?(?:code|status|value|number))?(?:\s(?:is|was|of|with|from\s\w{1,20}))?"
        r"[\s:=(\[\"'#]{1,4}"
    ),
    r"\berr(?:or|no)?[\s:=(\[#]{1,3}",
    r"\breturn(?:ed|s|ing)?[\s:=(]{1,2}",
    r"\brespon(?:se|ded)(?:\swith)?[\s:=(]{1,2}",
    r"\bHTTP(?:/[0-9.]{1,3})?[\"']?\s",
    r"\bfailed[\s:]{1,2}\(?",
    r"\bresult[\s:=]{1,3}",
    r"\((?=[0-9]{1,3}:\s[A-Z])",  # (111: Connection refused)
    r"(?<![\w\])])\((?=[0-9]{1,3}\)(?-i:[A-Z][a-z]+\s[a-z]))",  # (111)Connection refused
)
_CODES = re.compile(
    # The first letters of all leads (the last is an s to a search that ignores case): most of a
    # line is passed over at a third of the cost of trying each lead everywhere.
    r"(?i)(?=(?-i:[cefhrsCEFHRS(\u017f]))(?P<lead>%s)"
    r"(?P<code>-?[0-9]{1,6}|0x[0-9a-fA-F]{8}|(?-i:[0-9A-Z]{2}[0-9P][0-9]{2}))"
    r"(?![\w%%]|[.:\-][\w]|/[^A-Z])" % "|".join(_LEADS)
)
_NEGATIVE = re.compile(r"-[0-9]{1,3}\Z")
# The digits travel as letters of an alphabet that no log is written in (Shavian), so that nothing
# later takes them for a number.
_TO_LETTERS = {ord("0") + digit: 0x10450 + digit for digit in range(10)}
_TO_LETTERS[ord("-")] = 0x1045A
_TO_DIGITS = {letter: digit for digit, letter in _TO_LETTERS.items()}
LETTERS = "\U00010450-\U0001045a"


def is_cue(word: str) -> bool:
    """Whether a code may come in or after `word`."""
    low = word.lower()
    return (
        "err" in low or "stat" in low or "code" in low or "exit" in low or "ret" in low or
        "sig" in low or "failed" in low or "http" in low or "respon" in low or "rc" in low or
        "result" in low or (low[0] == "(" and (low[-1] == ":" or ")" in low[:5]))
    ) and _CUE.search(low) is not None


def protect(text: str) -> str:
    """`text` with the digits of meaning-bearing numbers spelled as letters."""
    return _CODES.sub(_spelled, text)


def found(text: str) -> List[str]:
    """The meaning-bearing numbers in `text` with the words that make them so."""
    return [hit.group() for hit in _CODES.finditer(text) if _spelled(hit) != hit.group()]


def reveal(text: str) -> str:
    """`text` with the letters of `protect` as digits again."""
    return text.translate(_TO_DIGITS)


def _spelled(found: re.Match[str]) -> str:
    lead, code = found.group("lead", "code")
    lead = lead.lower()
    if lead.startswith(("failed", "ret", "result")) and not _NEGATIVE.match(code):
        # "returned 20480" and "retval 38" count something, "returned -110" is an errno.
        if len(code) > (1 if lead.startswith("ret") and not lead.startswith("return") else 3):
            return found.group()
    return found.group("lead") + code.translate(_TO_LETTERS)
