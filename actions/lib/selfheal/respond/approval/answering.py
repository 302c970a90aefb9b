"""A person's answer, with a name: yes or no to one question, recorded before the workflow is told.

The last word wins until the yes is used: a no after a yes withdraws it; a yes after a no does not
bring the question back. Anybody's no counts, for it only keeps things as they are.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Dict, Sequence, Tuple

from selfheal.exceptions import InvalidInput, NotFound, Refused
from selfheal.incidents import model, registry, timeline
from selfheal.remedy import plan as plans
from selfheal.respond.approval import codes, people, record
from selfheal.text import iso, one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Row, Store

MAX_COMMENT = 500
CHAT = "chat"
_ID = re.compile(r"(?:apr|inc)-[0-9A-Za-z_-]{1,60}\Z")


def approve(
    ctx: Context,
    question: str,
    comment: str = "",
    who: str = "",
    code: str = "",
    via: str = "",
) -> Dict[str, Any]:
    """Say yes to a question, named by its own id or its incident's; whoever says so must be among
    safety.approvers, if there are any. Saying it twice is saying it once.

    Via `chat` the code of the question is needed (see `codes`) unless safety.chat_codes is off;
    elsewhere a code that is given must be right. Returns {"approval_id", "incident_id", "status",
    "decided_by", "told", "note"}. Raises InvalidInput, NotFound, Refused (the name, the code, too
    late, another plan, answered no before), ConfigError, StoreError.
    """
    row = _named(ctx.store, question, (record.PENDING,))
    if not people.may_approve(ctx.config, who):
        raise Refused(_turned_away(ctx, row, who))
    comment = str(scrub(comment, ctx.config.secrets()))  # StackStorm renders what is typed
    with ctx.store.transaction("incidents"):
        row, note = _again(ctx.store, row), ""
        if row["status"] == record.APPROVED:
            note = "it was approved before"
        else:
            _check(ctx, row)
            said = _confirmed(ctx, row, code, comment, via == CHAT)
            row = _decide(ctx.store, row, (record.PENDING,), record.APPROVED, who, said)
    return _answer(ctx, row, note)


def reject(ctx: Context, question: str, comment: str = "", who: str = "") -> Dict[str, Any]:
    """Say no to a question, also to one that was approved while no execution has used it yet.

    Returns as `approve` does. Raises InvalidInput, NotFound, Refused (used already), StoreError.
    """
    row = _named(ctx.store, question, record.LIVING)
    comment = str(scrub(comment, ctx.config.secrets()))  # StackStorm renders what is typed
    with ctx.store.transaction("incidents"):
        row, note = _again(ctx.store, row), ""
        if row["status"] == record.USED:
            raise Refused(
                "it is too late to reject %s: execution %s has begun; stop it by closing the "
                "incident (st2 run selfheal.close_incident incident_id=%s), take back what it did "
                "with st2 run selfheal.undo_remediation incident_id=%s"
                % (row["id"], row["used_by"], row["incident_id"], row["incident_id"])
            )
        if row["status"] in record.LIVING:
            row = _decide(ctx.store, row, record.LIVING, record.REJECTED, who, comment)
        else:
            note = "it was %s before" % row["status"]
    return _answer(ctx, row, note)


def _confirmed(ctx: Context, row: Row, code: str, comment: str, in_chat: bool) -> str:
    """The comment, once it is sure which plan is meant. Where no codes are asked for, the word in
    the place of the code is the first one of the comment.
    """
    code = str(scrub(code, ctx.config.secrets())).strip()
    if not codes.are_asked(ctx.config):
        return " ".join([code, comment]) if in_chat and code else comment
    if codes.is_right(code, row) or not (code or in_chat):
        return comment
    wrong = "%r is not the code of %s" % (code[:40], row["id"]) if code else (
        "a yes in chat needs the code of %s" % row["id"]
    )
    raise Refused(
        "%s: it stands below the plan that is asked about, and another plan has another code; look "
        "at the plan with `heal approvals %s`, then say `heal approve %s CODE`"
        % (wrong, row["id"], row["id"])
    )


def _named(store: Store, question: str, living: Sequence[str]) -> Row:
    """The question meant by its id, or the one that is open about that incident."""
    if not _ID.match(question):
        raise InvalidInput(
            "name one question (apr-...) or its incident (inc-...), not %r; st2 run "
            "selfheal.approval_list shows what is asked" % question[:40]
        )
    if question.startswith("apr-"):
        row = record.find(store, question)
        if row is None:
            raise NotFound("there is no question %r; see selfheal.approval_list" % question)
        return row
    rows = store.query(
        "SELECT * FROM approvals WHERE incident_id = ? ORDER BY requested_at DESC, id DESC "
        "LIMIT 50",
        (question,),
    )
    if not rows:
        raise NotFound("nothing is asked about %r; see selfheal.approval_list" % question)
    alive = [row for row in rows if row["status"] in living]
    if len(alive) > 1:
        raise InvalidInput(
            "%d questions are open about %s; say which: %s"
            % (len(alive), question, ", ".join(str(row["id"]) for row in alive))
        )
    return alive[0] if alive else rows[0]


def _again(store: Store, row: Row) -> Row:
    fresh = record.find(store, str(row["id"]))
    if fresh is None:
        raise NotFound("the question %s is gone; see selfheal.approval_list" % row["id"])
    return fresh


def _turned_away(ctx: Context, row: Row, name: str) -> str:
    """Record on the timeline who was refused, and say why and how to do it right."""
    who = people.shown(name)
    reason = "%s may not approve: safety.approvers names %s" % (who, people.in_words(ctx.config))
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    timeline.record(
        ctx.store,
        str(row["incident_id"]),
        "approval_refused",
        "%s; the question %s stays open" % (reason, row["id"]),
        {"approval_id": row["id"], "name": who},
        row["run_id"],
        once="refused:%s:%s" % (row["id"], digest),
    )
    code = " CODE" if codes.are_asked(ctx.config) else ""
    return (
        "%s. Ask one of them to say `heal approve %s%s` in chat (`heal approvals` shows the plan) "
        "or to run `st2 run selfheal.approve question=%s` under their own name; the question stays "
        "open until %s" % (reason, row["id"], code, row["id"], iso(row["expires_at"]))
    )


def _check(ctx: Context, row: Row) -> None:
    """Refused, unless a yes can still count."""
    store, asked = ctx.store, str(row["id"])
    incident = registry.get(store, str(row["incident_id"]))
    again = "a new response asks again: st2 run selfheal.incident_response incident_id=%s" % (
        incident.id
    )
    if row["status"] == record.USED:
        raise Refused(
            "%s was approved by %s and used by execution %s, and each approval is good for one; %s"
            % (asked, row["decided_by"], row["used_by"], again)
        )
    if row["status"] != record.PENDING:
        by = " by %s" % row["decided_by"] if row["decided_by"] else ""
        at = " at %s" % iso(row["decided_at"]) if row["decided_at"] else ""
        raise Refused("%s was %s%s%s, and that stands; %s" % (asked, row["status"], by, at, again))
    if incident.is_cleared or incident.status == model.RESOLVED:
        raise Refused("the alert of %s went away meanwhile; there is nothing to do" % incident.id)
    if record.is_over(store, row):
        raise Refused(
            "the time to answer %s was over at %s (now it is %s); %s"
            % (asked, iso(row["expires_at"]), iso(store.now()), again)
        )
    if not record.is_same_plan(incident, row):
        raise Refused("the plan of %s has changed since it was shown; %s" % (incident.id, again))
    try:
        plans.reload(incident.plan or {})
    except Refused as error:
        raise Refused("%s; %s" % (error, again)) from error


def _decide(
    store: Store, row: Row, sources: Tuple[str, ...], status: str, name: str, comment: str
) -> Row:
    who, said = people.shown(name), one_line(comment, MAX_COMMENT)
    before = row["status"]
    columns = {
        "status": status,
        "decided_by": who,
        "decided_at": store.now(),
        "comment": said or None,
    }
    if not record.change(store, str(row["id"]), sources, **columns):
        raise Refused(
            "%s was answered by somebody else this moment; look again: st2 run "
            "selfheal.approval_list status=all" % row["id"]
        )
    words = "%s by %s" % (status, who)
    if before == record.APPROVED:
        words = "the approval of %s is withdrawn: rejected by %s" % (row["decided_by"], who)
    timeline.record(
        store,
        str(row["incident_id"]),
        "approval_" + status,
        words,
        {"approval_id": row["id"], "by": who, "comment": said},
        row["run_id"],
    )
    return dict(row, **columns)


def _answer(ctx: Context, row: Row, note: str) -> Dict[str, Any]:
    """The result, after the workflow was told as far as that is possible now."""
    is_told = row["told_at"] is not None
    if not is_told:
        is_told = record.tell(ctx, row)
    if not note:
        note = _note(row, is_told)
    return {
        "approval_id": row["id"],
        "incident_id": row["incident_id"],
        "status": row["status"],
        "decided_by": row["decided_by"] or "",
        "told": is_told,
        "note": note,
    }


def _note(row: Row, is_told: bool) -> str:
    if is_told:
        return "the response goes on"
    if not row["run_id"]:
        command = "st2 run selfheal.remediate incident_id=%s" % row["incident_id"]
        by_hand = "; carry it out with %s" % command if row["status"] == record.APPROVED else ""
        return "no response waits for it%s" % by_hand
    if not row["inquiry_id"]:
        return "recorded; the response is told as soon as it asks"
    return (
        "recorded, and it counts; StackStorm did not take the answer now, housekeeping gives it "
        "again within a minute"
    )
