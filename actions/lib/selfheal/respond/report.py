"""The report of one incident: gathered from the store, written by `report.incident`, our secrets
hidden. The same document is attached to tickets and shown in chat.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from selfheal import document
from selfheal.diagnose import record
from selfheal.exceptions import InvalidInput
from selfheal.incidents import registry, timeline
from selfheal.incidents.alerts import alerts_of
from selfheal.notify import messages
from selfheal.report import incident as reports
from selfheal.store import Row, Store, chain, load
from selfheal.text import one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.document import Document
    from selfheal.incidents.model import Incident

MARKDOWN, TEXT = "markdown", "text"
FORMATS = (MARKDOWN, TEXT)
_ENTRIES = 300
_ROWS = 100
_ALERTS = 200
_FROM_OUTSIDE = (
    "title", "signal", "analysis", "plan", "reasons", "workload", "instance", "service",
)
_TO_PEOPLE = ("webhook", "slack", "pagerduty", "email")


def incident_report(ctx: Context, incident_id: str, format: str = MARKDOWN) -> Dict[str, Any]:
    """One incident as a document for people.

    Returns {"incident_id", "title", "status", "format", "report" (the text), "file_name"}. Raises
    InvalidInput, NotFound.
    """
    if format not in FORMATS:
        raise InvalidInput(
            "format must be one of %s, not %r" % (", ".join(FORMATS), str(format)[:40])
        )
    incident = registry.get(ctx.store, incident_id)
    found = report_of(ctx, incident_id)
    return {
        "incident_id": incident_id,
        "title": one_line(incident.title),
        "status": incident.status,
        "format": format,
        "report": _markdown(found) if format == MARKDOWN else document.plain(found),
        "file_name": file_name(incident_id, format),
    }


def attachment(ctx: Context, incident_id: str) -> Tuple[str, bytes, str]:
    """(file name, content, media type) of the report as a file. Raises NotFound."""
    found = _markdown(report_of(ctx, incident_id))
    return file_name(incident_id), found.encode("utf-8", "replace"), "text/markdown"


def file_name(incident_id: str, format: str = MARKDOWN) -> str:
    """What a report is called as a file."""
    return "incident-%s.%s" % (incident_id, "md" if format == MARKDOWN else "txt")


def report_of(ctx: Context, incident_id: str) -> Document:
    """The report, our own secrets hidden. Raises NotFound."""
    with ctx.store.snapshot():  # of one moment
        told = _told(ctx, registry.get(ctx.store, incident_id))
    return reports.document(told)


def _told(ctx: Context, incident: Incident) -> reports.Told:
    store = ctx.store
    secrets = ctx.config.secrets()

    def clean(rows: Any) -> Any:
        return scrub(rows, secrets)  # before a cut could halve a secret

    entries = timeline.entries(store, incident.id, _ENTRIES)
    in_all = store.value(
        "SELECT COUNT(*) FROM incident_events WHERE incident_id = ? AND kind <> ?",
        (incident.id, chain.EXECUTION),
    )
    looked = record.latest(store, incident.id)
    marks = ", ".join("?" for _ in _TO_PEOPLE)
    web_url = str(ctx.config.optional("notify.links.st2_web_url") or "")
    return reports.Told(
        replace(
            incident, **{name: clean(getattr(incident, name)) for name in _FROM_OUTSIDE}
        ),
        now=ctx.clock.now(),
        alerts=clean(alerts_of(store, incident.id, limit=_ALERTS)),
        executions=clean(
            _rows(store, "execution_history", incident, "started_at", ("plan", "outcome"))
        ),
        undo=clean(_rows(store, "undo_log", incident, "created_at", ("outcome",))),
        approvals=clean(_rows(store, "approvals", incident, "requested_at")),
        entries=clean(entries),
        messages=store.query(
            "SELECT kind, channel, status, sent_at FROM outbox WHERE incident_id = ? AND "
            "(channel IN (%s) OR %s) ORDER BY created_at, id LIMIT %d"
            % (marks, " OR ".join("channel LIKE ?" for _ in _TO_PEOPLE), _ROWS),
            (incident.id, *_TO_PEOPLE, *("%s:%%" % one for one in _TO_PEOPLE)),
        ),
        tickets=clean(_rows(store, "tickets", incident, "created_at")),
        silences=clean(_rows(store, "silences", incident, "created_at")),
        diagnosis={} if looked is None else clean(record.shown(looked)),
        links=clean(messages.links(incident, web_url)),
        entries_left_out=max(0, int(in_all or 0) - len(entries)),
    )


def _rows(
    store: Store, table: str, incident: Incident, order: str, json: Tuple[str, ...] = ()
) -> List[Row]:
    rows = store.query(
        "SELECT * FROM %s WHERE incident_id = ? ORDER BY %s DESC, id DESC LIMIT %d"
        % (table, order, _ROWS),
        (incident.id,),
    )
    for row in rows:
        row.update({column: load(row[column]) for column in json})
    return rows[::-1]


def _markdown(found: Document) -> str:
    from selfheal.report.markdown import rendered

    return rendered(found)
