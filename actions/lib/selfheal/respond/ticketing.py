"""Tickets follow their incidents: what happened since the last look is turned into letters to the
trackers, each once and in order, in one transaction with how far that went.

Only the database is touched here: a tracker that is down costs nobody anything. Called after each
step of a response and by housekeeping, so that a step that dies loses nothing.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence

from selfheal.exceptions import SelfhealError, StoreError
from selfheal.ids import new_id
from selfheal.incidents import model, registry
from selfheal.store import Store, checkpoints, load_map
from selfheal.tickets import trackers

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.tickets.links import Link
    from selfheal.tickets.planning import Case, Course, Letter, Rules

KIND = "ticket_%s"
CHANNEL = "ticket:%s"
_MOST_EVENTS = 2000
_LATE_S = 86400.0  # so long after an incident was handed over a ticket may still be made
_MOST_FOLLOWED = 500
_MOST_ATTACHED = 512 * 1024


def follow(ctx: Context, incident_id: str) -> int:
    """Post what the trackers do not know yet of the incident; how many letters. Nothing happens
    without a tracker. Raises StoreError only.
    """
    if not trackers.is_any(ctx.config):
        return 0
    try:
        return len(follow_or_fail(ctx, incident_id))
    except StoreError:
        raise
    except SelfhealError as error:  # settings, or an incident that was swept
        ctx.log.error("the tickets of %s do not follow: %s", incident_id, error)
        return 0


def follow_quietly(ctx: Context, incident_id: str) -> None:
    """The same for whoever has done more important work: housekeeping does what fails here."""
    try:
        follow(ctx, incident_id)
    except StoreError as error:
        ctx.log.warning("the tickets of %s follow later: %s", incident_id, error)


def follow_all(ctx: Context) -> Dict[str, int]:
    """Follow all incidents whose tickets are behind. Returns {"incidents", "letters"}."""
    if not trackers.names(ctx.config):
        return {"incidents": 0, "letters": 0}
    from selfheal.tickets import links

    store, rules = ctx.store, rules_of(ctx)
    late = store.now() - _LATE_S
    kinds, began = sorted(rules.openers), _began(store)
    found = links.untold(store, kinds, rules.is_folded_told, late, began, _MOST_FOLLOWED)
    letters = sum(follow(ctx, incident_id) for incident_id in found)
    return {"incidents": len(found), "letters": letters}


def letters_of(ctx: Context, incident_id: str) -> List[str]:
    """The letters that make the incident's present tickets, by id, tracker by tracker."""
    from selfheal.outbox import letters
    from selfheal.tickets import links, planning

    known = links.of_incident(ctx.store, incident_id)
    found = [links.current(known, name) for name in trackers.names(ctx.config)]
    ids = [letters.find(ctx.store, "%s:%s" % (one.id, planning.CREATE)) for one in found if one]
    return [one for one in ids if one]


def rules_of(ctx: Context) -> Rules:
    """The rules of the section `tickets`. Raises ConfigError."""
    from selfheal.tickets import planning

    config = ctx.config
    open_for = config.get("tickets.open_for")
    return planning.rules_of(
        [str(word) for word in open_for] if isinstance(open_for, (list, tuple)) else [],
        config.number("tickets.reopen_minutes"),
        bool(config.get("tickets.resolve")),
        bool(config.get("tickets.attach_report")),
    )


def follow_or_fail(ctx: Context, incident_id: str) -> List[str]:
    """Post what the trackers do not know yet; the letters' ids. Raises ConfigError, NotFound,
    StoreError: for who must know that there is a ticket.
    """
    names = trackers.names(ctx.config)
    if not names:
        return []
    from selfheal.tickets import links

    store, rules = ctx.store, rules_of(ctx)
    posted: List[str] = []
    if not links.has_news(store, incident_id, sorted(rules.openers)):
        return []
    with store.transaction("incidents"):
        incident = registry.get(store, incident_id)
        known = links.of_incident(store, incident_id)
        case = _case(store, incident)
        for name in names:
            course = _course(store, case, name, links.current(known, name), rules)
            for link in course.changed:
                _store_changes(store, link, bool(course.letters))
            for link in course.made:
                links.add(store, link)
            by_id = {link.id: link for link in (*course.made, *course.changed)}
            by_id = {**{link.id: link for link in known}, **by_id}
            for letter in course.letters:
                posted.append(_post(ctx, incident, by_id[letter.link_id], letter))
    return [one for one in posted if one]


def _course(
    store: Store, case: Case, name: str, link: Optional[Link], rules: Rules
) -> Course:
    from selfheal.tickets import links, planning

    def new(opening: int) -> Link:
        now = store.now()
        before = links.of_cause(store, case.incident_id, name) if link is None else None
        return links.Link(
            id=new_id("tkt", now),
            incident_id=case.incident_id,
            opening=opening,
            tracker=name,
            correlation=links.correlation_of(case.incident_id, opening),
            severity=case.severity,
            told=case.head,
            created_at=now,
            changed_at=now,
            previous=before.id if before else None,
        )

    return planning.plan(case, name, link, rules, new)


def _case(store: Store, incident: Incident) -> Case:
    from selfheal.tickets.planning import Case
    from selfheal.tickets.stages import Event

    rows = store.query(
        "SELECT link, at, kind, message, data FROM incident_events WHERE incident_id = ? AND "
        "link IS NOT NULL AND kind NOT IN ('execution', 'undo_step', 'remediation_step') "
        "ORDER BY link DESC LIMIT ?",
        (incident.id, _MOST_EVENTS),
    )[::-1]
    events = [
        Event(
            int(row["link"]),
            float(row["at"]),
            str(row["kind"]),
            str(row["message"]),
            load_map(row["data"]),
        )
        for row in rows
    ]
    head = store.value("SELECT links FROM audit_heads WHERE incident_id = ?", (incident.id,))
    return Case(
        incident.id,
        incident.severity,
        incident.reopened,
        incident.status == model.RESOLVED,
        incident.dry_run,
        events,
        int(head or 0),
    )


def _store_changes(store: Store, link: Link, is_news: bool) -> None:
    from selfheal.tickets import links

    links.change(
        store,
        link,
        opening=link.opening,
        wanted=link.wanted,
        severity=link.severity,
        told=link.told,
        resolved_at=link.resolved_at,
        changed_at=store.now() if is_news else link.changed_at,
    )


def _post(ctx: Context, incident: Incident, link: Link, letter: Letter) -> str:
    from selfheal.document import dumped
    from selfheal.outbox import letters
    from selfheal.tickets import planning

    payload: Dict[str, Any] = {"op": letter.op, "ticket_id": link.id, "event": letter.event}
    if letter.body:
        payload["body"] = dumped(letter.body)
    if letter.op == planning.CREATE:
        payload.update(is_base=True, draft=_draft(ctx, incident, link))
    elif letter.op == planning.SEVERITY:
        payload["severity"] = incident.severity
    elif letter.op == planning.LINK:
        payload.update(other=link.previous, words="the same cause before")
    elif letter.op == planning.REOPEN:
        payload["before"] = letter.before
    elif letter.op == planning.RESOLVE:
        payload["at"] = letter.at
    elif letter.op == planning.ATTACH:
        attached = _attachment(ctx, incident)
        if attached is None:
            return ""
        payload.update(attached)
    return letters.post(
        ctx.store,
        KIND % letter.op,
        incident.id,
        letter.key,
        payload,
        channel=CHANNEL % link.tracker,
        queue=link.queue,
    )


def _draft(ctx: Context, incident: Incident, link: Link) -> Dict[str, Any]:
    from selfheal.notify import looks, messages
    from selfheal.respond import telling
    from selfheal.tickets import draft

    account = telling.account(ctx, incident)
    reason = _reason(ctx.store, incident)
    told = messages.escalation(account, reason) if reason else messages.ticket(account)
    looked = looks.sections(account.diagnosis)
    return draft.as_payload(dict(told, looked=looked), incident, link.correlation)


def _reason(store: Store, incident: Incident) -> str:
    """Why it was escalated, in the words of notify.reasons; empty when it was not."""
    if incident.status != model.ESCALATED:
        return ""
    data = store.value(
        "SELECT data FROM incident_events WHERE incident_id = ? AND kind = ? "
        "ORDER BY id DESC LIMIT 1",
        (incident.id, model.ESCALATED),
    )
    return str(load_map(data).get("reason") or "strategy")


def _attachment(ctx: Context, incident: Incident) -> Optional[Dict[str, Any]]:
    """The incident's report as an attachment, one for each opening; or None when there is none. A
    failure costs the report only.
    """
    try:
        from selfheal.respond import report

        name, content, media_type = report.attachment(ctx, incident.id)
    except StoreError:
        raise
    except Exception as error:  # the ticket must be resolved, with a report or without
        ctx.log.error("no report of %s is attached: %s", incident.id, error, exc_info=True)
        return None
    if incident.reopened:
        stem, dot, suffix = name.rpartition(".")
        name = "%s-%d%s%s" % (stem, incident.reopened + 1, dot, suffix)
    encoded = b64encode(content[:_MOST_ATTACHED]).decode("ascii")
    return {"name": name, "content": encoded, "media_type": media_type}


def _began(store: Store) -> float:
    """Since when there is a tracker: what was over before gets no ticket."""
    began, now = checkpoints.read(store, "tickets_since"), store.now()
    if not isinstance(began, (int, float)) or began > now:
        checkpoints.write(store, "tickets_since", now)
        return now
    return float(began)


def shown(links_of_incident: Sequence[Link]) -> List[Dict[str, Any]]:
    """Tickets as results show them."""
    return [
        {
            "tracker": one.tracker,
            "number": one.number,
            "url": one.url,
            "status": one.status,
            "opening": one.opening,
        }
        for one in links_of_incident
    ]


__all__ = [
    "follow", "follow_all", "follow_or_fail", "follow_quietly", "letters_of", "rules_of", "shown",
]
