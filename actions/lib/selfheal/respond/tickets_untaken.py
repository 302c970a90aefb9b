"""Tickets that no tracker takes: refused for good, or waiting for hours. Their incidents were given
to nobody but the tracker, so somebody has to hear of it: once a day for each tracker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfheal.text import counted, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

LATE_S = 4 * 3600.0  # an outage or wrong settings: so long nobody is told
_DAY_S = 86400.0
# Of the letters that make a ticket, or bring one back.
_KINDS = ("ticket_create", "ticket_reopen")


def tell(ctx: Context) -> int:
    """Post the messages that are due; how many incidents wait for a ticket in vain. Raises
    StoreError.
    """
    store = ctx.store
    now = store.now()
    rows = store.query(
        "SELECT o.channel AS channel, COUNT(*) AS many, MAX(o.last_error) AS error FROM outbox o "
        "JOIN incidents i ON i.id = o.incident_id WHERE o.kind IN (?, ?) AND "
        "i.status = 'ticketed' AND "
        "(o.status = 'dead' OR (o.status = 'pending' AND o.created_at <= ?)) GROUP BY o.channel",
        (*_KINDS, now - LATE_S),
    )
    if not rows:
        return 0
    from selfheal.notify import messages
    from selfheal.respond import ladder, telling

    for row in rows:
        channel, count = str(row["channel"]), counted(int(row["many"]), "incident")
        status = "%s without a ticket; see outbox_list channel=%s: %s" % (
            count, channel, one_line(str(row["error"] or "it was not tried yet"), 100),
        )
        payload = messages.failure("no tickets in %s" % channel.partition(":")[2], status,
                                   web_url=telling.web_url(ctx.config))
        with store.transaction("incidents"):
            ladder.tell(ctx, "failure", "", "untaken:%s:%d" % (channel, now // _DAY_S), payload)
    return sum(int(row["many"]) for row in rows)
