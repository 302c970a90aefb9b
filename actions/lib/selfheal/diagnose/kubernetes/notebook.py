"""What a diagnosis writes down: facts of one line, what lies behind them, what could not be found
out. Nothing gets in with a secret that can be known as one.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import Any, Dict, List, Sequence

from selfheal.diagnose.redaction import redact
from selfheal.records import dataclass
from selfheal.text import iso, one_line, scrub

MOST_FACTS = 24
_WHAT = 120
_FOUND = 300
_COLOURS = re.compile("\x1b\\[[0-9;]{0,20}m")  # between a name and its value, as loggers write


@dataclass
class Notebook:
    """`secrets` are values of our own settings. Text from outside goes through `clean`."""

    secrets: Sequence[str] = ()
    facts: List[Dict[str, str]] = field(default_factory=list)
    missing: List[Dict[str, str]] = field(default_factory=list)
    hidden: Dict[str, int] = field(default_factory=dict)
    content: Dict[str, Any] = field(default_factory=dict)

    def fact(self, what: str, found: str) -> None:
        """One line of evidence; beyond MOST_FACTS the rest is in the content alone."""
        if len(self.facts) < MOST_FACTS:
            line = {"what": one_line(what, _WHAT), "found": one_line(self.clean(found), _FOUND)}
            if line not in self.facts:
                self.facts.append(line)

    def lacks(self, part: str, why: str) -> None:
        """Note that `part` could not be found out."""
        self.missing.append({"part": part, "why": one_line(self.clean(why), 400)})

    def clean(self, text: str) -> str:
        """`text` without secrets; what was hidden is counted."""
        found = redact(_COLOURS.sub("", str(scrub(text, self.secrets))))
        for kind, many in found.hidden.items():
            self.hidden[kind] = self.hidden.get(kind, 0) + many
        return found.text

    def cleaned(self) -> Dict[str, Any]:
        """The content, once more without secrets, whichever part wrote it."""
        found: Dict[str, Any] = self._cleaned(self.content)
        return found

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.clean(value)
        if isinstance(value, dict):
            return {key: self._cleaned(one) for key, one in value.items()}
        return [self._cleaned(one) for one in value] if isinstance(value, list) else value


def clock(at: float) -> str:
    """The time of day of `at` (epoch s, UTC), with its date; `unknown` for 0.0."""
    return iso(at)[:19].replace("T", " ") if at > 0 else "unknown"


def lasting(seconds: float) -> str:
    """A span of time in one unit: 40 s, 12 min, 3 h, 5 days."""
    if seconds < 120:
        return "%d s" % max(0, seconds)
    if seconds < 7200:
        return "%d min" % (seconds // 60)
    if seconds < 172800:
        return "%d h" % (seconds // 3600)
    return "%d days" % (seconds // 86400)
