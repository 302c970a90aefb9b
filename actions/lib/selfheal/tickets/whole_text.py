"""The whole of a text that was cut to fit a ticket, attached to it as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfheal.exceptions import ConfigError, InvalidInput, Refused, SelfhealError
from selfheal.outbox.carrying import NotTaken

if TYPE_CHECKING:
    from logging import Logger

    from selfheal.tickets.model import Tracker


LEFT_OUT = "%s: the whole text was not attached: %s"


def attach(tracker: Tracker, ref: str, name: str, text: str) -> None:
    """Attach `text` as `name`.txt. Raises as the tracker does."""
    tracker.attach(ref, "%s.txt" % name, text.encode("utf-8", "replace"), "text/plain")


def attach_if_possible(tracker: Tracker, ref: str, name: str, text: str, log: Logger) -> None:
    """The body of a ticket that was just made: good to have, and no reason to lose the ticket."""
    try:
        attach(tracker, ref, name, text)
    except SelfhealError as error:
        log.warning(LEFT_OUT, tracker.name, error)


def attach_if_allowed(tracker: Tracker, ref: str, name: str, text: str, log: Logger) -> None:
    """The whole of a comment that follows: where nothing may be attached, the comment goes without.
    Raises what may pass, as the tracker does.
    """
    try:
        attach(tracker, ref, name, text)
    except (ConfigError, InvalidInput, Refused) as error:
        log.warning(LEFT_OUT, tracker.name, error)
    except NotTaken as error:
        if not error.is_final:
            raise
        log.warning(LEFT_OUT, tracker.name, error)
