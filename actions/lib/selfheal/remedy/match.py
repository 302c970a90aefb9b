"""Which runbook is for an incident: all that fit are weighed, the most specific wins, and each "no"
has its reason.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.remedy import values
from selfheal.remedy.model import Runbook

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

_MAX_MATCHED = 500  # characters of outside text that a pattern is tried on
_TOKEN = re.compile(r"\[(?=(!?\]?))\1[^\]]*\]|.", re.DOTALL)  # what stands for one character


@dataclass(frozen=True)
class Match:
    """The runbook chosen, or None, and what was said of those that came near: (name, our words)."""

    runbook: Optional[Runbook]
    considered: Tuple[Tuple[str, str], ...]


def find(runbooks: Sequence[Runbook], incident: Incident) -> Match:
    """The most specific of `runbooks` for `incident`; among equals the first in order of search."""
    considered = []
    best: Optional[Runbook] = None
    best_rank: Tuple[int, ...] = ()
    for runbook in runbooks:
        if not _type_rank(runbook, incident):
            continue  # most are for other alerts; saying so of each would hide what matters
        objection = objection_to(runbook, incident)
        if objection:
            considered.append((runbook.name, objection))
            continue
        rank = (*_type_rank(runbook, incident), len(runbook.labels), 1 if runbook.severities else 0)
        considered.append((runbook.name, "it fits"))
        if best is None or rank > best_rank:
            best, best_rank = runbook, rank
    return Match(best, tuple(considered))


def objection_to(runbook: Runbook, incident: Incident) -> str:
    """Why `runbook` is not for `incident`, in our words; empty when it is."""
    if not _type_rank(runbook, incident):
        return "it is for other alerts"
    if runbook.severities and incident.severity not in runbook.severities:
        return "it is for severity %s only" % ", ".join(runbook.severities)
    labels = incident.labels
    for name, pattern in runbook.labels:
        if name not in labels or not _matches(str(labels[name]), pattern):
            return "the label %s does not match %s" % (name, pattern)
    lacking = values.missing(runbook, incident)
    return "it needs %s, which this incident does not have" % ", ".join(lacking) if lacking else ""


def _type_rank(runbook: Runbook, incident: Incident) -> Tuple[int, ...]:
    """How exactly the alert type is named: (1, 0) by its name, (0, characters given) by a pattern,
    () not at all.
    """
    ranks = []
    for pattern in runbook.alert_types:
        if pattern == incident.alert_type:
            ranks.append((1, 0))
        elif _matches(incident.alert_type, pattern):
            ranks.append((0, len(pattern.replace("*", "").replace("?", ""))))
    return max(ranks, default=())


def _matches(text: str, pattern: str) -> bool:
    """As fnmatch.fnmatchcase, which before Python 3.9 takes hours over a few stars and a text made
    for it. The parts between stars have a fixed length; each is taken where it first fits.
    """
    text = text[:_MAX_MATCHED]
    parts: List[List[str]] = [[]]
    for token in _TOKEN.finditer(pattern):
        if token.group() == "*":
            parts.append([])
        else:
            parts[-1].append(token.group())
    head, tail = parts[0], parts[-1]
    if len(parts) == 1:
        return len(text) == len(head) and _fits(text, 0, head)
    at, end = len(head), len(text) - len(tail)
    if at > end or not _fits(text, 0, head) or not _fits(text, end, tail):
        return False
    for part in parts[1:-1]:
        starts = range(at, end - len(part) + 1)
        found = next((start for start in starts if _fits(text, start, part)), None)
        if found is None:
            return False
        at = found + len(part)
    return True


def _fits(text: str, start: int, part: Sequence[str]) -> bool:
    return fnmatch.fnmatchcase(text[start:start + len(part)], "".join(part))
