"""What is wrong and what could help: is the signal still there, which runbook fits, what experience
says of it.

Reads only. What it found, and what it could not find out, is its evidence; a system that does not
answer is noted and stops nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from selfheal.diagnose import history
from selfheal.exceptions import ConfigError, ExternalError
from selfheal.records import dataclass
from selfheal.remedy import catalogue, match, plan
from selfheal.text import counted, one_line
from selfheal.verify import alert

if TYPE_CHECKING:
    from selfheal.config import Config
    from selfheal.context import Context
    from selfheal.diagnose.record import Diagnosis
    from selfheal.incidents.model import Incident
    from selfheal.remedy.model import Runbook


_MOST_MISSING = 5
_OPTIONAL = ("configuration",)  # the pack's own roles do not let it read ConfigMaps


@dataclass(frozen=True)
class Analysis:
    """What was found. `is_gone` is true only when the source was asked and can be believed."""

    is_gone: bool
    plan: Optional[Dict[str, Any]]
    summary: str
    evidence: Tuple[Dict[str, str], ...]
    times_seen: int
    considered: Tuple[Tuple[str, str], ...]
    broken: Tuple[str, ...]

    def as_dict(self) -> Dict[str, Any]:
        """As the incident's row holds it."""
        return {
            "summary": self.summary,
            "evidence": list(self.evidence),
            "times_seen": self.times_seen,
            "considered": [
                {"runbook": name, "finding": finding} for name, finding in self.considered
            ],
            "broken_runbooks": list(self.broken),
        }


def analyze(
    ctx: Context, incident: Incident, looked: Optional[Diagnosis] = None
) -> Analysis:
    """Look at the incident from all sides; `looked` is what a close look at it has found.
    Raises StoreError, and ConfigError for the settings of runbooks.
    """
    evidence: List[Dict[str, str]] = []
    is_gone = _signal_is_gone(ctx, incident, evidence)
    if looked is not None:
        evidence += looked.facts
        evidence += [
            _finding("not found out: %s" % one["part"], one["why"])
            for one in looked.missing[:_MOST_MISSING]
            if one["part"] not in _OPTIONAL
        ]
    seen = history.times_seen(ctx.store, incident)
    evidence.append(
        _finding(
            "history",
            "%d other incidents of this cause in the last %d days" % (seen, history.WINDOW_DAYS),
        )
    )
    known = catalogue.load(catalogue.search_paths(ctx.config))
    usable, without = _usable(ctx.config, known.runbooks, incident)
    found = match.find(usable, incident)
    chosen, summary = None, "no runbook fits"
    if found.runbook is not None:
        past = history.experience(ctx.store, incident, "%s:%s" % (plan.REMEDY, found.runbook.name))
        chosen = plan.build(
            found.runbook, incident, history.adjusted(found.runbook.confidence, past)
        )
        words = history.in_words(found.runbook.confidence, past)
        evidence.append(_finding("experience", words))
        summary = "runbook %s fits: %s, %s, %s" % (
            found.runbook.name,
            counted(len(found.runbook.steps), "step"),
            found.runbook.risk,
            words,
        )
    considered = (*found.considered, *without)
    evidence += [_finding("runbook %s" % name, finding) for name, finding in considered]
    evidence += [_finding("broken runbook", one_line(broken.error, 500)) for broken in known.broken]
    return Analysis(
        is_gone,
        chosen,
        summary,
        tuple(evidence),
        seen,
        considered,
        tuple(broken.path for broken in known.broken),
    )


def _usable(
    config: Config, runbooks: Sequence[Runbook], incident: Incident
) -> Tuple[List[Runbook], List[Tuple[str, str]]]:
    """`runbooks` without those that need a cluster which is not configured, and what to say of
    these where they would have fitted: an alert of such a cluster goes the way of any other.
    """
    if config.target_name("kubernetes", incident.cluster) is not None:
        return list(runbooks), []
    usable = [one for one in runbooks if not one.acts_in_kubernetes]
    words = "it acts in Kubernetes, and kubernetes.url names no API for this cluster"
    return usable, [
        (one.name, words)
        for one in runbooks
        if one.acts_in_kubernetes and not match.objection_to(one, incident)
    ]


def _signal_is_gone(ctx: Context, incident: Incident, evidence: List[Dict[str, str]]) -> bool:
    asked = alert.describe(ctx, incident)
    try:
        state = alert.state(ctx, incident)
        is_gone = not state.is_firing and alert.is_believable(ctx, incident)
    except (ConfigError, ExternalError) as error:
        evidence.append(_finding(asked, "could not be asked: %s" % one_line(str(error), 300)))
        return False
    evidence.append(_finding(asked, state.answer))
    return is_gone


def _finding(what: str, found: str) -> Dict[str, str]:
    return {"what": what, "found": found}
