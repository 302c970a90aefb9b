"""Which errors are the same error: a message's template and its fingerprint.

Both are pure functions of the arguments: no learning, no state but bounded caches that never show
in a result. So two sensors, a restart and another order of the lines agree. A change of the rules
is a new VERSION: an old fingerprint never comes to mean something else.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import Dict, List, Optional, Tuple

from selfheal.errors import codes, phrases, tokens
from selfheal.errors.quick import ID, PLACEHOLDERS, VALUE, quick
from selfheal.errors.stacks import Trace, Traces, begins

VERSION = "v1"
HEAD = 2000  # characters of a message that count
SHORT_LEAD = 4  # words; a first line with fewer ("Error:") is read together with the next
_CACHED_WORDS = 30_000
_CACHED_LINES = 8_000
_CACHED_TRACES = 1_000
_SHORT_VALUE = 3
_LONGEST_WORD = 120
_LONGEST_LINE = 1_000

_FOLD = "\x02"  # stands in front of a masked word with a line end written out
FOLDED = re.compile(r"#01[12]|\\n")  # line ends as syslog and JSON loggers write them
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff%s]" % codes.LETTERS)


class _Words(Dict[str, str]):
    """What each word becomes, remembered for the words seen lately."""

    def __init__(self) -> None:
        super().__init__()
        self._forms: Dict[str, str] = {}

    def __missing__(self, word: str) -> str:
        if word.isdigit() and word.isascii() and len(word) > _SHORT_VALUE:
            return "<num>"  # the commonest value, for which no pattern is needed
        found = VALUE(word)
        if found is not None and len(word) > _SHORT_VALUE:
            # It will hardly come again; it must not drive out what will.
            kind = found.lastindex or 0
            start, end = found.span(kind)
            if not start and kind != ID:
                return PLACEHOLDERS[kind] + word[end:]  # and nothing else: no key, no cue
            return self._of_value(word, kind, start, end)
        form = tokens.mask(word) if found is None else quick(word) or ""
        if codes.is_cue(word):
            form = codes.MARK + form
        if "#01" in word or "\\n" in word:
            form = _FOLD + form
        if len(word) <= _LONGEST_WORD:
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[word] = form
        return form

    def _of_value(self, word: str, kind: int, start: int, end: int) -> str:
        known = form = word[:start] + PLACEHOLDERS[kind] + word[end:]
        if kind == ID:  # whose letters may be a cue
            known += word[start:end].rstrip("0123456789")
        marked = self._forms.get(known)
        if marked is None or word[0] == "(":  # there the digits tell
            marked = codes.MARK + form if codes.is_cue(word) else form
            if len(self._forms) >= _CACHED_WORDS:
                self._forms.clear()
            self._forms[known] = marked
        return marked


class Fingerprinter:
    """Fingerprints with bounded caches. Not for several threads at once."""

    def __init__(self) -> None:
        self._words = _Words()
        self._form_of = self._words.__getitem__
        self._lines: Dict[str, Tuple[str, str]] = {}
        self._traces = Traces()

    def of(self, message: str, stack: str = "", error_class: str = "") -> Tuple[str, str]:
        """The fingerprint (`v1:` and 20 hexadecimal digits) and the template of an error.

        Equal fingerprints may come with templates that differ in the kind of a placeholder
        (`<ip>`, `<host>`), in punctuation or in attributes at the end (`, client: <ip>`); words
        are the same but for the plural of what is counted.
        """
        text = message
        if not (text.isprintable() and len(text) <= HEAD):
            text, stack = considered(message, stack)
        line = key = " ".join(map(self._form_of, text.split()))
        is_thrown = bool(stack or error_class)
        if not is_thrown:
            known = self._lines.get(line)
            if known is not None:
                return known
        if _FOLD in line:
            text, stack = considered(unfolded(message), stack)
            line = key = self._masked(text)
        elif codes.MARK in line:
            if codes.LIKELY.search(line):
                line = key = self._masked(text)
            else:
                line = line.replace(codes.MARK, "")
        if is_thrown or stack:
            return self._thrown(line, stack, error_class)
        return self._arranged(line, key)

    def _arranged(self, line: str, key: str) -> Tuple[str, str]:
        """Fingerprint and template of a masked `line`, remembered under `key`."""
        known = self._lines.get(key)
        if known is None:
            template = codes.reveal(phrases.arrange(line))
            known = fingerprint_of(template), template
            if len(key) <= _LONGEST_LINE:
                if len(self._lines) >= _CACHED_LINES:
                    self._lines.clear()
                # Under the marks with which it came, where they led to nothing: found at once.
                self._lines[key] = known
        return known

    def _thrown(self, line: str, stack: str, error_class: str) -> Tuple[str, str]:
        trace = self._traces.read(stack) if stack else None
        if not line and trace is not None:
            line = self._masked(considered(trace.message, "")[0])
        template = self._arranged(line, line)[1]
        classes = classes_of(trace, error_class)
        frames = trace.frames if trace else ()
        return _named(template, classes, frames)

    def _masked(self, text: str) -> str:
        words = self._words
        line = " ".join([words[word] for word in codes.protect(text).split()])
        return line.replace(codes.MARK, "").replace(_FOLD, "")


def considered(message: str, stack: str) -> Tuple[str, str]:
    """What counts of a message: one printable line of at most HEAD characters, and the stack
    trace, which may be in the message.
    """
    if "\n" in message:
        start = begins(message)
        if start >= 0:
            message, stack = message[:start], stack or message[start:]
        message = first_lines(message)
    return _CONTROL.sub(" ", message[:HEAD]), stack


def fingerprint_of(
    template: str, classes: Tuple[str, ...] = (), frames: Tuple[str, ...] = ()
) -> str:
    """The fingerprint of a template, the chain of exceptions and the frames that count."""
    parts = (phrases.key_of(template), "\1".join(classes), "\1".join(frames))
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace"))
    return "%s:%s" % (VERSION, digest.hexdigest()[:20])


@lru_cache(maxsize=_CACHED_TRACES)
def _named(template: str, classes: Tuple[str, ...], frames: Tuple[str, ...]) -> Tuple[str, str]:
    return fingerprint_of(template, classes, frames), shown(template, classes, frames)


def shown(template: str, classes: Tuple[str, ...], frames: Tuple[str, ...]) -> str:
    """The template as people read it: message, exceptions that it does not name, innermost
    frame.
    """
    chain = " < ".join(name for name in classes if name not in template)
    parts = [template, chain, "at " + frames[0] if frames else ""]
    return " | ".join(part for part in parts if part)


def classes_of(trace: Optional[Trace], error_class: str) -> Tuple[str, ...]:
    """The chain of exceptions of a trace, else the one that the log names."""
    if trace is not None and trace.classes:
        return trace.classes
    return (_CONTROL.sub(" ", error_class[:200]),) if error_class else ()


def unfolded(message: str) -> str:
    """`message` with written-out line ends (`#012`, `\\n`) made real."""
    text = message.replace("#012", "\n").replace("#011", "\t")
    return text.replace("\\n", "\n").replace("\\t", "\t")


def first_lines(text: str) -> str:
    """The first line of `text` that says something, with the next where it is very short."""
    words: List[str] = []
    for line in text[:HEAD].splitlines():
        words += line.split()
        if len(words) >= SHORT_LEAD:
            break
    return " ".join(words)
