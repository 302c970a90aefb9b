"""The one message that tells of all incidents of a storm. Pure; text from outside stays as it came,
cut to a length and kept on one line.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from selfheal import document
from selfheal.notify import layout
from selfheal.notify.messages import MAX_TEXT, has_it
from selfheal.notify.reasons import REASONS
from selfheal.text import iso, one_line


def payload(
    storm_id: str, began_at: float, words: str, listing: Mapping[str, Any], incident_id: str
) -> Dict[str, Any]:
    """The payload for the storm; `listing` is that of guard.storm.incidents_of, `words` what the
    guard said of it, `incident_id` the first that is handed over with it: who acknowledges that one
    has all of them.
    """
    why, first = REASONS["storm"]
    rows = [_row(row) for row in listing["incidents"]]
    title = "[storm] %d incidents at once: nothing is remedied" % listing["count"]
    listed = ["[%(severity)s] %(title)s (%(id)s%(where)s)" % row for row in rows]
    if listing["more"]:
        listed.append("and %d more" % listing["more"])
    commands = [has_it(incident_id), "All of them: st2 run selfheal.incident_list"]
    message = (
        document.heading(title),
        document.text(why, words, "Do first: %s" % first),
        document.text(
            "What follows in this storm is handed over with this message and not told one by one.",
            *commands,
        ),
        *layout.section("Since %s, the worst first:" % iso(began_at), listed),
    )
    told = {
        "title": title,
        "severity": rows[0]["severity"] if rows else "critical",
        "reason": "storm",
        "why": why,
        "first": first,
        "storm": {
            "id": storm_id,
            "began_at": iso(began_at),
            "count": listing["count"],
            "more": listing["more"],
            "incidents": rows,
        },
        "commands": commands,
    }
    return layout.with_document(told, message, MAX_TEXT)


def _row(row: Mapping[str, Any]) -> Dict[str, str]:
    where = [one_line(str(row[name]), 100) for name in ("cluster", "namespace") if row[name]]
    return {
        "id": str(row["id"]),
        "severity": str(row["severity"]),
        "title": one_line(str(row["title"]), 150),
        "alert_type": one_line(str(row["alert_type"]), 100),
        "where": "".join(", %s" % part for part in where),
    }
