"""Reads back what people did to tickets in their trackers, and lists the tickets there are.

Nothing is written to a tracker here. What is seen is told on the incident's timeline; that somebody
took a ticket counts as an acknowledgement, where the settings say so.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from selfheal.breakers import service
from selfheal.exceptions import InvalidInput, SelfhealError, StoreError
from selfheal.incidents import model, registry
from selfheal.store import load_map
from selfheal.store.engine import in_chunks
from selfheal.text import counted, iso, one_line
from selfheal.tickets import authors, findings, links, missing, trackers

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.tickets.findings import Finding
    from selfheal.tickets.links import Link

_AT_ONCE = 50
_MOST = 1000
_MOST_AT_A_TURN = 200  # of each tracker; and no longer than _TURN_S in all, as others wait
_TURN_S = 30.0
_TO_JUDGE_S = 5.0  # at least, for what is missing: reading alone may use up the turn

_NAME = re.compile(r"[0-9A-Za-z_.-]{0,64}\Z")

Change = Dict[str, str]


def ticket_sync(ctx: Context, incident_id: str = "") -> Dict[str, Any]:
    """Look at the tickets of one incident, or at all that are open, now.

    Returns {"looked_at", "changes": [{"incident_id", "ticket", "tracker", "what", "words"}],
    "problems": [text], "summary"}. Raises NotFound, StoreError.
    """
    if incident_id:
        registry.get(ctx.store, incident_id)
        found = [one for one in links.of_incident(ctx.store, incident_id) if one.ref]
        return _answer(*_look(ctx, found))
    now = ctx.store.now()
    return _answer(*_look(ctx, links.watched(ctx.store, now - links.WATCHED_S, now, _MOST)))


def sync_due(ctx: Context) -> Dict[str, Any]:
    """The part of housekeeping: those that were not looked at for tickets.sync_minutes. Returns
    {"looked_at", "changes"} and `error` where a tracker could not be asked.
    """
    if not trackers.names(ctx.config):
        return {"looked_at": 0, "changes": 0}
    now = ctx.store.now()
    before = now - 60.0 * ctx.config.number("tickets.sync_minutes")
    # Each tracker has its share: one that is down, or gone from the settings, hides no other's.
    found = [
        one
        for name in trackers.known(ctx.config)
        for one in links.watched(ctx.store, now - links.WATCHED_S, before, _MOST_AT_A_TURN, name)
    ]
    looked_at, changes, problems = _look(ctx, found, ctx.clock.monotonic() + _TURN_S)
    counts: Dict[str, Any] = {"looked_at": looked_at, "changes": len(changes)}
    return dict(counts, error="; ".join(problems)) if problems else counts


def ticket_list(
    ctx: Context, incident_id: str = "", status: str = "", tracker: str = "", limit: int = 50
) -> Dict[str, Any]:
    """The tickets that match, the newest first.

    Returns {"count", "tickets": [{"incident_id", "opening", "tracker", "number", "url", "status",
    "state", "assignee", "severity", "waiting", "note", "created_at", "looked_at"}], "summary"}:
    `waiting` is how many of its letters are not carried yet. Raises InvalidInput.
    """
    if status and status not in links.STATUSES:
        raise InvalidInput(
            "status must be one of %s, not %r" % (", ".join(links.STATUSES), status[:40])
        )
    if not isinstance(tracker, str) or not _NAME.match(tracker):
        raise InvalidInput(
            "tracker must be a name such as servicenow or jira.cloud, not %r; ticket_list without "
            "it shows those of all" % str(tracker)[:40]
        )
    found = links.listing(
        ctx.store, incident_id=incident_id, status=status, tracker=tracker, limit=int(limit)
    )
    rows = [dict(_shown(one), waiting=_waiting(ctx, one)) for one in found]
    return {"count": len(rows), "tickets": rows, "summary": _in_lines(rows)}


def _look(
    ctx: Context, found: Sequence[Link], end: float = float("inf")
) -> Tuple[int, List[Change], List[str]]:
    """(how many were looked at, what people did, what went wrong). Nothing new is begun after `end`
    (monotonic).
    """
    look = _Look(ctx, end)
    for name in sorted({one.tracker for one in found}):
        look.at(name, [one for one in found if one.tracker == name])
    _acknowledge_assigned(ctx)
    return look.looked_at, look.changes, look.problems


class _Look:
    """One look at the tickets of some trackers."""

    def __init__(self, ctx: Context, end: float) -> None:
        self._ctx, self._end = ctx, end
        self.looked_at = 0
        self.changes: List[Change] = []
        self.problems: List[str] = []

    def at(self, name: str, mine: Sequence[Link]) -> None:
        """Look at the tickets `mine` of one tracker. What is missing is judged when all the others
        were looked at: it keeps nobody from them.
        """
        absent: List[Link] = []
        count = 0
        for batch in in_chunks(mine, _AT_ONCE):
            if self._ctx.clock.monotonic() >= self._end:
                break
            try:
                absent += self._batch(name, batch)
                count += len(batch)
            except StoreError:
                raise
            except SelfhealError as error:
                self._problem(name, error)
                if error.retryable:
                    break  # the rest of this tracker would fare the same
        self.looked_at += count
        if not absent:
            return
        try:
            tracker = trackers.open_tracker(self._ctx, name)
            end = max(self._end, self._ctx.clock.monotonic() + _TO_JUDGE_S)
            self._tell(missing.judge(self._ctx, tracker, absent, len(absent) < count, end))
        except StoreError:
            raise
        except SelfhealError as error:
            self._problem(name, error)

    def _batch(self, name: str, batch: Sequence[Link]) -> List[Link]:
        """Compare each with what its tracker shows; those that it does not show."""
        ctx = self._ctx
        tracker = trackers.open_tracker(ctx, name)
        refs = [one.ref for one in batch]
        tickets = service.call(ctx, name, lambda: tracker.read(refs))
        shown = [(one, tickets[one.ref]) for one in batch if one.ref in tickets]
        self._tell(missing.seen(ctx.store, name, [link for link, _ in shown]))
        for link, ticket in shown:
            try:
                ticket = authors.with_assigner(ctx, tracker, link, ticket)
            except SelfhealError as error:  # of this one: the others are looked at all the same
                if isinstance(error, StoreError) or getattr(error, "concerns_all", False):
                    raise
                self._problem(name, error)
                ticket = replace(ticket, assignee=link.assignee)  # news again at the next look
            self._tell([(link, one) for one in findings.keep(ctx.store, link, ticket)])
        links.seen(ctx.store, [one.id for one in batch])
        return [one for one in batch if one.ref not in tickets]

    def _tell(self, told: Iterable[Tuple[Link, Finding]]) -> None:
        self.changes += [_change(link, one.kind, one.words) for link, one in told]

    def _problem(self, name: str, error: SelfhealError) -> None:
        words = "%s: %s" % (name, one_line(str(error), 300))
        if words not in self.problems:
            self.problems.append(words)


def _acknowledge_assigned(ctx: Context) -> None:
    """Who took a ticket after the call need not be called any more, whoever saw that first: a look,
    or the carrier of a letter, which cannot say so itself. What a machine gave to somebody
    nobody has taken.
    """
    if not ctx.config.get("escalation.acknowledge_by_assignment"):
        return
    rows = ctx.store.query(
        "SELECT v.incident_id AS incident_id, v.data AS data FROM escalations e "
        "JOIN escalation_members m ON m.escalation_id = e.id "
        "JOIN incidents i ON i.id = m.incident_id AND i.reopened = m.opening "
        "JOIN incident_events v ON v.incident_id = i.id AND v.at >= e.began_at "
        "WHERE e.ended_at IS NULL AND e.acknowledged_at IS NULL AND i.status = ? AND v.kind = ? "
        "ORDER BY v.at, v.id",
        (model.ESCALATED, findings.ASSIGNED),
    )
    if not rows:
        return
    from selfheal.respond.acknowledge import acknowledge

    for row in rows:
        told = load_map(row["data"])
        if told.get("by_machine"):
            continue
        words = "ticket %s of %s was assigned to them" % (told.get("ticket"), told.get("tracker"))
        try:
            who = one_line(str(told.get("assignee")), 80)
            acknowledge(ctx, str(row["incident_id"]), who=who, note=words)
        except StoreError:
            raise
        except SelfhealError as error:
            ctx.log.warning("%s was not acknowledged: %s", row["incident_id"], error)


def _change(link: Link, what: str, words: str) -> Change:
    return {
        "incident_id": link.incident_id,
        "ticket": link.number,
        "tracker": link.tracker,
        "what": what,
        "words": words,
    }


def _answer(looked_at: int, changes: Sequence[Change], problems: Sequence[str]) -> Dict[str, Any]:
    lines = ["looked at %s" % counted(looked_at, "ticket")]
    lines += ["%s: %s" % (one["incident_id"], one["words"]) for one in changes[:20]]
    lines += ["could not be asked: %s" % one for one in problems]
    return {
        "looked_at": looked_at,
        "changes": list(changes),
        "problems": list(problems),
        "summary": "\n".join(lines),
    }


def _shown(link: Link) -> Dict[str, Any]:
    return {
        "incident_id": link.incident_id,
        "opening": link.opening,
        "tracker": link.tracker,
        "number": link.number,
        "url": link.url,
        "status": link.status,
        "state": link.raw_state,
        "assignee": link.assignee,
        "severity": link.severity,
        "note": link.note,
        "created_at": iso(link.created_at),
        "looked_at": "" if link.synced_at is None else iso(link.synced_at),
    }


def _waiting(ctx: Context, link: Link) -> int:
    sql = "SELECT COUNT(*) FROM outbox WHERE queue = ? AND status IN ('pending', 'dead')"
    return int(ctx.store.value(sql, (link.queue,)) or 0)


def _in_lines(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "no tickets"
    lines = [
        "%s %s (%s%s): %s %s%s"
        % (
            row["tracker"],
            row["number"] or "not made yet",
            row["status"],
            ", %s" % row["state"] if row["state"] else "",
            row["incident_id"],
            row["url"],
            "; %s waiting" % counted(row["waiting"], "letter") if row["waiting"] else "",
        )
        for row in rows[:20]
    ]
    return "\n".join(lines)
