"""What people did to a ticket in its tracker: seen when it is looked at, told once on the
incident's timeline, and from then on heeded.

People win. A ticket that they closed gets nothing more from us and is watched; one that they opened
again is ours again; one that is gone stays gone until the incident's next opening.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

from selfheal.records import dataclass
from selfheal.store import Store, chain
from selfheal.text import one_line
from selfheal.tickets import links
from selfheal.tickets.links import Link
from selfheal.tickets.model import DONE, RESOLVED, Ticket

CREATED = "ticket_created"
DUPLICATES = "ticket_duplicates"
CLOSED_BY_HAND = "ticket_closed_by_hand"
CLOSED_BY_UNKNOWN = "ticket_closed_by_unknown"
REOPENED_BY_HAND = "ticket_reopened_by_hand"
ASSIGNED = "ticket_assigned"
MISSING = "ticket_missing"
IS_GONE = "ticket_gone"
IS_BACK = "ticket_back"
MOVED = "ticket_moved"
CHANGED_KIND = "ticket_changed_kind"
ONLY_COMMENTS = "ticket_only_comments"
KINDS = (
    CREATED, DUPLICATES, CLOSED_BY_HAND, CLOSED_BY_UNKNOWN, REOPENED_BY_HAND, ASSIGNED, MISSING,
    IS_GONE, IS_BACK, MOVED, CHANGED_KIND, ONLY_COMMENTS,
)


@dataclass(frozen=True)
class Finding:
    """One thing that people did: its kind (of KINDS), in words, and what else is known of it."""

    kind: str
    words: str
    data: Dict[str, Any]


def name_of(link: Link) -> str:
    """The ticket as people call it."""
    return "ticket %s of %s" % (one_line(link.number, 60) or link.correlation, link.tracker)


def tell(store: Store, link: Link, finding: Finding, once: str) -> bool:
    """Write it on the incident's timeline, once for `once`; whether it was news."""
    data = {"ticket": link.number, "tracker": link.tracker, "url": link.url, **finding.data}
    key = "%s:%s:%s" % (finding.kind, link.id, once)
    entry = chain.entry(store, link.incident_id, finding.kind, finding.words, data, None, key)
    return chain.append(store, [entry]) == 1


def compare(link: Link, ticket: Ticket, is_in_doubt: bool) -> List[Finding]:
    """What people did since the ticket was seen last. While a letter of ours `is_in_doubt`, its
    state may be our own work and says nothing.
    """
    found: List[Finding] = []
    what = name_of(link)
    by = " by %s" % one_line(ticket.updated_by, 80) if ticket.updated_by else ""
    if link.status == links.GONE:
        found.append(back(link))
    if ticket.number != link.number:
        words = "%s is %s now" % (what, one_line(ticket.number, 60))
        found.append(Finding(MOVED, words, {"before": link.number, "after": ticket.number}))
    if link.kind and ticket.kind and ticket.kind != link.kind:
        words = "%s is of another kind now: %s, it was %s" % (
            what, one_line(ticket.kind, 80), one_line(link.kind, 80),
        )
        found.append(Finding(CHANGED_KIND, words, {"before": link.kind, "after": ticket.kind}))
    if ticket.assignee and ticket.assignee != link.assignee:
        found.append(_assigned(link, ticket))
    if is_in_doubt:
        return found
    is_done = ticket.state in DONE
    is_finished = link.status == links.RESOLVED and is_beyond_us(link, ticket)
    if (is_done and link.status in (links.OPEN, links.GONE)) or is_finished:
        words = "%s was closed%s (%s): nothing more is written to it" % (
            what, by, one_line(ticket.raw_state or ticket.state, 60),
        )
        found.append(Finding(CLOSED_BY_HAND, words, {"by": ticket.updated_by}))
    if not is_done and link.status in (links.RESOLVED, links.LEFT):
        words = "%s was opened again%s (%s)" % (
            what, by, one_line(ticket.raw_state or ticket.state, 60),
        )
        found.append(Finding(REOPENED_BY_HAND, words, {"by": ticket.updated_by}))
    return found


def _assigned(link: Link, ticket: Ticket) -> Finding:
    words = "%s was assigned to %s" % (name_of(link), one_line(ticket.assignee, 80))
    data: Dict[str, Any] = {"assignee": ticket.assignee}
    if ticket.assigned_by:
        words += " by %s" % one_line(ticket.assigned_by, 80)
        data["by"] = ticket.assigned_by
    if ticket.is_assigned_by_machine:
        words += ", which is no person: nobody has taken it yet"
        data["by_machine"] = True
    return Finding(ASSIGNED, words, data)


def back(link: Link) -> Finding:
    """The ticket is shown again."""
    return Finding(IS_BACK, "%s is there again" % name_of(link), {})


def status_after(link: Link, ticket: Ticket, is_in_doubt: bool) -> str:
    """The link's status once the ticket was seen like this."""
    if is_in_doubt:
        return links.OPEN if link.status == links.GONE else link.status
    if ticket.state in DONE:
        is_still_ours = link.status == links.RESOLVED and not is_beyond_us(link, ticket)
        return links.RESOLVED if is_still_ours else links.LEFT
    return links.OPEN


def keep(store: Store, link: Link, ticket: Ticket, is_alone: bool = False) -> List[Finding]:
    """Store what the ticket is now, and tell what people did; that, told now.

    Unless the caller `is_alone` with it (carries one of its letters), nothing is concluded when our
    own work went on since `link` was read.
    """
    now = store.now()
    with store.transaction("incidents"):
        fresh = links.find(store, link.id)
        if fresh is None:
            return []
        if not is_alone and (fresh.status, fresh.ref) != (link.status, link.ref):
            return []
        is_in_doubt = not is_alone and links.in_doubt(store, fresh)
        news: List[Finding] = []
        if fresh.status == links.GONE and _is_as_we_resolved_it(store, fresh, ticket):
            news, fresh = [back(fresh)], replace(fresh, status=links.RESOLVED)
        found = news + compare(fresh, ticket, is_in_doubt)
        status = status_after(fresh, ticket, is_in_doubt)
        is_open_again = status == links.OPEN and fresh.status in (links.RESOLVED, links.LEFT)
        after = links.change(
            store,
            fresh,
            status=status,
            wanted=links.OPEN if is_open_again else fresh.wanted,
            ref=ticket.ref,
            number=ticket.number,
            url=ticket.url,
            raw_state=ticket.raw_state if status != links.RESOLVED else fresh.raw_state,
            assignee=ticket.assignee or fresh.assignee,
            kind=ticket.kind or fresh.kind,
            synced_at=now,
            changed_at=now if found or status != fresh.status else fresh.changed_at,
        )
        for one in found:
            tell(store, after, one, "%s:%d" % (one_line(ticket.number, 60), now))
    return found


def _is_as_we_resolved_it(store: Store, link: Link, ticket: Ticket) -> bool:
    """Whether the ticket that was gone is closed by us: in the state that we left it in, and nobody
    else has closed it since.
    """
    if link.wanted != links.RESOLVED or ticket.state not in DONE:
        return False
    if not link.raw_state or ticket.raw_state != link.raw_state:
        return False
    sql = (
        "SELECT COUNT(*) FROM incident_events WHERE incident_id = ? AND kind IN (?, ?) AND at >= ?"
    )
    values = (link.incident_id, CLOSED_BY_HAND, CLOSED_BY_UNKNOWN, link.resolved_at or 0.0)
    return not store.value(sql, values)


def closed_by_unknown(store: Store, link: Link, ticket: Ticket) -> None:
    """It was closed while our letter that resolves it was under way, and nobody can tell by whom:
    as if a person had done it, so that it is not fought over.
    """
    words = (
        "%s was closed (%s) while our own letter was on its way, and %s does not tell by whom: "
        "nothing more is written to it"
        % (name_of(link), one_line(ticket.raw_state or ticket.state, 60), link.tracker)
    )
    now = store.now()
    with store.transaction("incidents"):
        links.change(
            store, link, status=links.LEFT, raw_state=ticket.raw_state, changed_at=now,
            synced_at=now,
        )
        tell(store, link, Finding(CLOSED_BY_UNKNOWN, words, {}), "%d" % now)


def gone(store: Store, link: Link) -> List[Finding]:
    """The ticket is not there any more (see tickets.missing, which decides that): no more is
    written, and none is made in its place before the incident's next opening. What was told.
    """
    with store.transaction("incidents"):
        fresh = links.find(store, link.id)
        if fresh is None or fresh.status == links.GONE:
            return []
        now = store.now()
        links.change(store, fresh, status=links.GONE, changed_at=now, synced_at=now)
        words = "%s was deleted, or selfheal may not see it any more: nothing is written to it" % (
            name_of(fresh)
        )
        found = Finding(IS_GONE, words, {})
        return [found] if tell(store, fresh, found, "%d" % now) else []


def only_comments(
    store: Store, link: Link, what: str, why: str, so: str = "it gets comments only"
) -> None:
    """The ticket has no way to what we want: it gets our comments, and people do the rest."""
    words = "%s could not be %s: %s; %s" % (name_of(link), what, one_line(why, 300), so)
    with store.transaction("incidents"):
        links.change(store, link, note=one_line(why, 300))
        tell(store, link, Finding(ONLY_COMMENTS, words, {"what": what}), what)


def is_beyond_us(link: Link, ticket: Ticket) -> bool:
    """Whether the ticket that we resolved was moved on since, by a person or by the tracker itself,
    so that it is not ours to open again.
    """
    is_as_we_left_it = not link.raw_state or ticket.raw_state == link.raw_state
    return ticket.state in DONE and ticket.state != RESOLVED and not is_as_we_left_it
