"""Who did what to a ticket, asked of its tracker where that decides something: whether a person
took it, or a machine gave it to them; whether a person closed it, or we did.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Optional

from selfheal.exceptions import ConfigError, InvalidInput, NotFound, Refused
from selfheal.outbox.carrying import NotTaken
from selfheal.tickets.model import ASSIGNEE, Author, Ticket, Tracker

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.tickets.links import Link


def of(tracker: Tracker, ref: str, what: str) -> Optional[Author]:
    """Who it was, or None where the tracker does not tell us. Raises what may pass."""
    try:
        return tracker.author(ref, what)
    except (ConfigError, InvalidInput, NotFound, Refused):
        return None
    except NotTaken as error:
        if not error.is_final:
            raise
        return None


def with_assigner(ctx: Context, tracker: Tracker, link: Link, ticket: Ticket) -> Ticket:
    """`ticket` with who gave it to its assignee, where that is news. Our own user is a machine
    here, as are those of tickets.automation_users. Raises as `of`.
    """
    if not ticket.assignee or ticket.assignee == link.assignee:
        return ticket
    author = of(tracker, ticket.ref, ASSIGNEE)
    if author is None or not author.names:
        return ticket
    listed = {str(one).strip().casefold() for one in ctx.config.get("tickets.automation_users")}
    is_listed = any(name.casefold() in listed for name in author.names)
    is_machine = author.is_us or author.is_machine or is_listed
    return replace(ticket, assigned_by=author.names[0], is_assigned_by_machine=is_machine)
