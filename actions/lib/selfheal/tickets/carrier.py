"""Carries the letters of tickets into their trackers: makes, comments, raises the priority,
resolves, reopens, links, attaches. Each as often as it must, and to be seen once.

Before anything is written the ticket is looked at: what a person closed, or deleted, gets nothing
more. When an earlier attempt may have arrived, that is looked for first.
"""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, Mapping

from selfheal.apis.declined import after_a_write
from selfheal.document import loaded
from selfheal.exceptions import ConfigError, NotFound, Refused, SelfhealError, StoreError
from selfheal.outbox.carrying import Later, Letter, NotTaken
from selfheal.text import one_line, scrub
from selfheal.tickets import (
    authors,
    draft,
    findings,
    links,
    missing,
    planning,
    trackers,
    whole_text,
)
from selfheal.tickets.links import Link
from selfheal.tickets.model import DONE, STATE, Draft, Ticket, Tracker

if TYPE_CHECKING:
    from selfheal.context import Context

Answer = Dict[str, Any]
# What the ticket can do without must not keep its comments and its end from it: the tracker has
# just answered, so that it is one right that is missing.
_NOT_ALLOWED = (Refused, ConfigError)
_ATTEMPTS_TO_ATTACH = 3  # of the text that did not fit: its ticket's comments wait for it
_LOOK_AGAIN_S = 3600.0


def SERVICE(letter: Letter) -> str:
    """The circuit breaker of the letter's tracker."""
    return letter.target


def problem(ctx: Context, target: str) -> str:
    """Why there is nowhere to write to, or empty."""
    return trackers.nowhere(ctx.config, target)


def carry(ctx: Context, letter: Letter) -> Answer:
    """Write what the letter says; {"number", "url"} and `skipped`, a reason, where nothing was to
    be written. Raises as carriers do.
    """
    link = links.find(ctx.store, str(letter.payload.get("ticket_id")))
    operation = _OPERATIONS.get(str(letter.payload.get("op")))
    if link is None or operation is None:
        raise NotTaken(
            "the letter names no ticket that is known, or nothing to do with it", is_final=True
        )
    tracker = trackers.open_tracker(ctx, letter.target)
    letter = replace(letter, payload=scrub(dict(letter.payload), ctx.config.secrets()))
    if operation is _create:
        return _create(ctx, tracker, link, letter)
    return _follow_up(ctx, tracker, link, letter, operation)


def _create(ctx: Context, tracker: Tracker, link: Link, letter: Letter) -> Answer:
    made_of = draft.of_payload(letter.payload["draft"])
    if link.ref:
        _complete(ctx, tracker, link, letter, made_of)
        return _answer(link)
    found = tracker.find(link.correlation)
    if found:
        ticket = found[0]
    else:
        if letter.may_have_arrived:
            _wait_for_index(ctx, tracker, link)
        links.change(ctx.store, link, changed_at=ctx.store.now())  # when it was tried last
        ticket = tracker.create(made_of)
    store = ctx.store
    with store.transaction("incidents"):
        now = store.now()
        made = links.change(
            store,
            link,
            status=links.OPEN,
            ref=ticket.ref,
            number=ticket.number,
            url=ticket.url,
            raw_state=ticket.raw_state,
            assignee=ticket.assignee,
            kind=ticket.kind,
            changed_at=now,
            synced_at=now,
        )
        words = "%s: %s" % (findings.name_of(made), one_line(ticket.url, 300))
        findings.tell(store, made, findings.Finding(findings.CREATED, words, {}), "")
        if len(found) > 1:
            others = [one_line(one.number, 60) for one in found[1:]]
            words = "%s is ours, the oldest of several with the id %s; the others are %s" % (
                findings.name_of(made), made.correlation, ", ".join(others[:20]),
            )
            data = {"others": others[:20]}
            findings.tell(store, made, findings.Finding(findings.DUPLICATES, words, data), "")
    _complete(ctx, tracker, made, letter, made_of, is_new=True)
    return _answer(made)


def _complete(
    ctx: Context,
    tracker: Tracker,
    link: Link,
    letter: Letter,
    made_of: Draft,
    is_new: bool = False,
) -> None:
    """What did not fit into the ticket follows as a file, also when an attempt before this one made
    it. Good to have, and no reason to keep its comments from it for long.
    """
    try:
        tracker.complete(link.ref, made_of)
    except StoreError:
        raise
    except SelfhealError as error:
        # The attempts of a letter that found its tracker down were none to attach.
        if error.retryable and (is_new or letter.attempts < _ATTEMPTS_TO_ATTACH):
            raise
        ctx.log.warning(whole_text.LEFT_OUT, findings.name_of(link), error)


def _wait_for_index(ctx: Context, tracker: Tracker, link: Link) -> None:
    """A ticket that was made a moment ago may not be found yet where searching lags behind."""
    settles_s = float(getattr(tracker, "settles_s", 0.0))
    left_s = link.changed_at + settles_s - ctx.store.now()
    if 0 < left_s <= settles_s:
        raise Later(
            left_s,
            "it is not known whether %s has made the ticket; its search needs some time to show it"
            % tracker.name,
        )


def _follow_up(
    ctx: Context,
    tracker: Tracker,
    link: Link,
    letter: Letter,
    operation: Callable[..., Answer],
) -> Answer:
    if not link.ref:  # what makes it goes first, so that was discarded
        link = links.change(ctx.store, link, status=links.LEFT, changed_at=ctx.store.now())
        return _skipped(link, "a person discarded the ticket before it was made")
    if not link.is_ours:
        return _not_ours(ctx, link, letter)
    ticket = tracker.read([link.ref]).get(link.ref)
    try:
        if ticket is None:
            raise NotFound("%s is not there any more" % findings.name_of(link))
        return operation(ctx, tracker, link, letter, ticket)
    except NotFound as error:
        return _absent(ctx, tracker, link, letter, error)


def _absent(
    ctx: Context, tracker: Tracker, link: Link, letter: Letter, error: NotFound
) -> Answer:
    """It is not shown any more: deleted, or it is not known yet (see tickets.missing)."""
    missing.judge(ctx, tracker, [link], is_any_seen=False)
    fresh = links.find(ctx.store, link.id) or link
    if not fresh.is_ours:
        return _not_ours(ctx, fresh, letter)
    began = missing.since(ctx.store, link.tracker).get(link.id)
    if began is None and fresh.ref == link.ref:
        # It is there, but not for what the letter wants.
        raise NotTaken(str(error), retryable=False) from error
    if began is None:
        raise Later(1.0, "%s has another id now" % findings.name_of(fresh))
    left_s = began + missing.WAIT_S - ctx.store.now()
    raise Later(min(max(left_s, 1.0), _LOOK_AGAIN_S), missing.words(fresh, began, 0))


def _comment(
    ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket
) -> Answer:
    if _is_closed_by_hand(link, ticket):
        return _left(ctx, tracker, link, letter, ticket)
    if letter.may_have_arrived and tracker.has_comment(link.ref, letter.id):
        return _answer(link)
    try:
        tracker.comment(link.ref, loaded(letter.payload.get("body")), letter.id)
    except Refused as error:
        if ticket.state not in DONE:
            raise
        return _skipped(link, str(error))  # some take nothing once they are closed
    return _answer(link)


def _severity(
    ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket
) -> Answer:
    if ticket.state in DONE:
        return _skipped(link, "the ticket is closed")
    try:
        tracker.set_severity(link.ref, str(letter.payload.get("severity")))
    except _NOT_ALLOWED as error:
        so = "it keeps the one that it has"
        findings.only_comments(ctx.store, link, "given another priority", str(error), so)
        return _skipped(link, str(error))
    return _answer(link)


def _resolve(
    ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket
) -> Answer:
    is_done = ticket.state in DONE
    if is_done and link.status != links.RESOLVED:
        if not letter.may_have_arrived:
            return _left(ctx, tracker, link, letter, ticket)
        author = authors.of(tracker, link.ref, STATE)
        if author is None:
            findings.closed_by_unknown(ctx.store, link, ticket)
            return _not_ours(ctx, links.find(ctx.store, link.id) or link, letter)
        if not author.is_us:
            by_hand = replace(ticket, updated_by=author.names[0] if author.names else "")
            return _left(ctx, tracker, link, letter, by_hand)
    if not is_done:
        body = loaded(letter.payload.get("body"))
        try:
            tracker.resolve(link.ref, body, float(letter.payload.get("at") or ctx.store.now()))
        except Refused as error:
            findings.only_comments(ctx.store, link, "resolved", str(error))
            return _skipped(link, str(error))
        ticket = _after(tracker, link, ticket)
    return _moved(ctx, link, links.RESOLVED, ticket)


def _reopen(
    ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket
) -> Answer:
    if ticket.state not in DONE:
        return _moved(ctx, link, links.OPEN, ticket)
    if findings.is_beyond_us(link, ticket):
        return _left(ctx, tracker, link, letter, ticket)
    try:
        tracker.reopen(link.ref, loaded(letter.payload.get("body")))
    except Refused as error:
        findings.only_comments(ctx.store, link, "opened again", str(error))
        return _not_ours(ctx, _moved_link(ctx, link, links.LEFT, ticket), letter)
    return _moved(ctx, link, links.OPEN, _after(tracker, link, ticket))


def _after(tracker: Tracker, link: Link, before: Ticket) -> Ticket:
    """The ticket as it is after what was just written."""
    return after_a_write(lambda: tracker.read([link.ref])).get(link.ref) or before


def _link(ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket) -> Answer:
    other = links.find(ctx.store, str(letter.payload.get("other")))
    if other is None or not other.ref or other.status == links.GONE:
        return _skipped(link, "the ticket before it is gone")
    known = Ticket(other.ref, other.number, other.url, "", kind=other.kind)
    try:
        tracker.link(link.ref, known, str(letter.payload.get("words")))
    except (NotFound, *_NOT_ALLOWED) as error:  # ours was there a moment ago
        return _skipped(link, str(error))
    return _answer(link)


def _attach(ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket) -> Answer:
    if _is_closed_by_hand(link, ticket):
        return _left(ctx, tracker, link, letter, ticket)
    payload = letter.payload
    try:
        tracker.attach(
            link.ref,
            str(payload.get("name")),
            b64decode(str(payload.get("content"))),
            str(payload.get("media_type")),
        )
    except (NotFound, *_NOT_ALLOWED) as error:  # the ticket was there a moment ago
        return _skipped(link, str(error))
    return _answer(link)


def _is_closed_by_hand(link: Link, ticket: Ticket) -> bool:
    return ticket.state in DONE and link.status != links.RESOLVED


def _left(
    ctx: Context, tracker: Tracker, link: Link, letter: Letter, ticket: Ticket
) -> Answer:
    """A person closed it before our letter came."""
    ticket = authors.with_assigner(ctx, tracker, link, ticket)
    findings.keep(ctx.store, link, ticket, is_alone=True)
    return _not_ours(ctx, links.find(ctx.store, link.id) or link, letter)


def _not_ours(ctx: Context, link: Link, letter: Letter) -> Answer:
    """Nothing is written to it. When this letter was to open it again, the incident's present
    opening has no ticket now, and what makes one makes a new one.
    """
    before = letter.payload.get("before")
    if letter.payload.get("op") == planning.REOPEN and isinstance(before, int):
        with ctx.store.transaction("incidents"):
            links.change(
                ctx.store, link, opening=min(before, link.opening), changed_at=ctx.store.now()
            )
    is_gone = link.status == links.GONE
    return _skipped(link, "the ticket is gone" if is_gone else "a person closed the ticket")


def _moved(ctx: Context, link: Link, status: str, ticket: Ticket) -> Answer:
    return _answer(_moved_link(ctx, link, status, ticket))


def _moved_link(ctx: Context, link: Link, status: str, ticket: Ticket) -> Link:
    now = ctx.store.now()
    with ctx.store.transaction("incidents"):
        return links.change(
            ctx.store, link, status=status, raw_state=ticket.raw_state, changed_at=now
        )


def _answer(link: Link) -> Answer:
    return {"number": link.number, "url": link.url}


def _skipped(link: Link, why: str) -> Answer:
    return {"number": link.number, "url": link.url, "skipped": one_line(why, 300)}


_Operation = Callable[..., Answer]
_OPERATIONS: Mapping[str, _Operation] = {
    planning.CREATE: _create,
    planning.COMMENT: _comment,
    planning.SEVERITY: _severity,
    planning.RESOLVE: _resolve,
    planning.REOPEN: _reopen,
    planning.LINK: _link,
    planning.ATTACH: _attach,
}
