"""Why an incident is treated as it is, in sentences: the decision with its reasons, what the guards
said, which runbooks were considered, who answered, what came of it.

Tells what was recorded then, not what would be decided now; where the two may differ, it says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from selfheal.decide import strategy
from selfheal.incidents import model, registry
from selfheal.remedy import journal
from selfheal.remedy import plan as plans
from selfheal.respond import next_command
from selfheal.respond.approval import record
from selfheal.respond.decided import DECIDED_PLAN, OBJECTIONS
from selfheal.store import load
from selfheal.text import counted, iso, one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.store import Row

_DECISIONS = {
    strategy.AUTOMATED: "Its plan is carried out without asking, because",
    strategy.APPROVE: "A person is asked before its plan is carried out, because",
    strategy.MANUAL: "It is left to people, by a ticket, because",
    strategy.ESCALATE: "It is handed to the on-call engineer, because",
    strategy.IGNORE: "It is only recorded, because",
}
_MOST = 10


def why(ctx: Context, incident_id: str) -> Dict[str, Any]:
    """{"incident_id", "title", "severity", "status", "strategy", "decided_at", "headline",
    "reasons", "objections" (what the guards said, with advice), "considered" (runbooks, with what
    was found), "since" (what happened after the decision), "next" (a chat command), "summary"};
    all but the first five and decided_at are sentences. Raises NotFound.
    """
    store, hidden = ctx.store, ctx.config.secrets()
    incident = registry.get(store, incident_id)
    analysis = incident.analysis or {}
    row = store.one(
        "SELECT at, data FROM incident_events WHERE incident_id = ? AND kind = ? "
        "ORDER BY id DESC LIMIT 1",
        (incident_id, "decided"),
    )
    decided: Mapping[str, Any] = (load(row["data"]) or {}) if row else {}
    found = {
        "incident_id": incident_id,
        "title": one_line(incident.title),
        "severity": incident.severity,
        "status": incident.status,
        "strategy": incident.strategy or "",
        "decided_at": iso(row["at"]) if row else "",
        "headline": _headline(incident),
        "reasons": [_line(one) for one in (incident.reasons or [])[:_MOST]],
        "objections": _objections(decided.get("objections") or analysis.get(OBJECTIONS) or []),
        "considered": [
            "%s: %s" % (_line(one.get("runbook")), _line(one.get("finding")))
            for one in (analysis.get("considered") or [])[:_MOST]
            if isinstance(one, dict)
        ],
        "since": _since(ctx, incident),
        "next": next_command.after(ctx, incident_id, incident.status),
    }
    found["summary"] = "%s %s." % (
        found["headline"],
        "; ".join(found["reasons"]) or "nothing was recorded",
    ) if incident.strategy else found["headline"]
    shown: Dict[str, Any] = scrub(found, hidden)
    return shown


def _headline(incident: Incident) -> str:
    if incident.strategy in _DECISIONS:
        return _DECISIONS[incident.strategy]
    if incident.source == "manual" and incident.alert_type == "ByHand":
        return "A person asked for this by hand, so nothing had to be decided."
    if incident.status == model.RESOLVED:
        return "It was closed before anything was decided."
    if incident.status == model.OPEN:
        return "Nothing is decided yet: its response has not begun."
    if incident.status == model.ANALYZING:
        return "Nothing is decided yet: it is being looked at."
    return "No decision is recorded."


def _objections(found: Any) -> List[str]:
    words = []
    for one in found if isinstance(found, list) else []:
        if not isinstance(one, dict):
            continue
        said = "the guard %s: %s" % (one.get("rule"), one.get("reason"))
        until, advice = one.get("until"), one.get("advice")
        if isinstance(until, (int, float)):
            said += ", until %s" % iso(until)
        words.append(_line("%s; %s" % (said, advice) if advice else said))
    return words[:_MOST]


def _since(ctx: Context, incident: Incident) -> List[str]:
    """What changed after the decision: the plan, the answer of a person, what was tried."""
    said: List[str] = []
    decided_for = (incident.analysis or {}).get(DECIDED_PLAN)
    if incident.plan and decided_for and plans.hash_of(incident.plan) != decided_for:
        said.append(
            "the plan is another one than was decided on: runbook %s now"
            % _line(incident.plan.get("runbook"))
        )
    answer = ctx.store.one(
        "SELECT * FROM approvals WHERE incident_id = ? ORDER BY requested_at DESC, id DESC LIMIT 1",
        (incident.id,),
    )
    if answer is not None:
        said.append(_answer(answer))
    last = journal.last(ctx.store, incident.id)
    if last is not None:
        said.append(_tried(ctx, incident.id))
    if incident.reopened:
        said.append("it was reopened %s" % counted(incident.reopened, "time"))
    if incident.is_cleared and incident.status != model.RESOLVED:
        said.append("its alert went away meanwhile")
    return said


def _answer(row: Row) -> str:
    who, comment = row["decided_by"] or "nobody", one_line(row["comment"] or "", 200)
    words: Dict[str, str] = {
        record.PENDING: "the question %s waits for a yes or no until %s"
        % (row["id"], iso(row["expires_at"])),
        record.APPROVED: "%s said yes" % who,
        record.USED: "%s said yes, and that was used" % who,
        record.REJECTED: "%s said no" % who,
        record.EXPIRED: "nobody answered the question %s in time" % row["id"],
    }
    said = words.get(row["status"], "the question %s was %s" % (row["id"], row["status"]))
    return _line("%s: %s" % (said, comment) if comment else said)


def _tried(ctx: Context, incident_id: str) -> str:
    rows = ctx.store.query(
        "SELECT remedy, status, outcome, verified FROM execution_history WHERE incident_id = ? "
        "AND dry_run = 0 ORDER BY started_at DESC, id DESC LIMIT 3",
        (incident_id,),
    )
    told = [_execution(row) for row in rows]
    return _line("tried, last first: %s" % ", ".join(told)) if told else "only a dry run was made"


def _execution(row: Row) -> str:
    outcome: Optional[Dict[str, Any]] = load(row["outcome"])
    reason = one_line(str((outcome or {}).get("reason") or ""), 150)
    proof = {None: "", 0: ", not proven", 1: ", proven"}[
        None if row["verified"] is None else int(bool(row["verified"]))
    ]
    said = "%s %s%s" % (row["remedy"], row["status"], proof)
    return "%s (%s)" % (said, reason) if reason and row["status"] != journal.DONE else said


def _line(value: Any) -> str:
    return one_line(str(value if value is not None else ""), 400)
