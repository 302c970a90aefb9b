"""Reading tickets in ServiceNow: finding them again, what they are now, who did what to them.

A ticket is found by its correlation id, compared here letter by letter: ServiceNow ignores a
condition that it does not understand. Nothing is written here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from selfheal.apis.servicenow.client import Client, checked, is_sys_id
from selfheal.apis.servicenow.query import exactly, one_of, shown_of, text_of
from selfheal.apis.servicenow.text import seconds
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, NotFound
from selfheal.text import one_line
from selfheal.tickets import servicenow_draft as drafts
from selfheal.tickets import servicenow_evidence, servicenow_settings
from selfheal.tickets.model import (
    CANCELLED,
    CLOSED,
    IN_PROGRESS,
    OPEN,
    RESOLVED,
    STATE,
    Author,
    Ticket,
)

if TYPE_CHECKING:
    from selfheal.apis.servicenow.query import Condition

_STATES = {
    "new": OPEN,
    "in_progress": IN_PROGRESS,
    "on_hold": IN_PROGRESS,
    "resolved": RESOLVED,
    "closed": CLOSED,
    "cancelled": CANCELLED,
}
_OLDEST_FIRST = ("sys_created_on", "number")
_NEWEST_FIRST = ("-sys_created_on", "-number")
TASK = "task"  # what every kind of ticket extends
_MOST_REFS = 50
_MOST_FOUND = 400


class Reading:
    """The reading half of selfheal.tickets.model.Tracker, for one instance."""

    def __init__(self, target: str, settings: Mapping[str, Any], client: Client, log: Any) -> None:
        self.name = "%s.%s" % (servicenow_settings.SECTION, target)
        self.settings, self.client, self._log = settings, client, log
        self.table = str(settings["table"])
        self.fields: Mapping[str, str] = settings["fields"]
        self._limits: Mapping[str, int] = settings["limits"]

    def find(self, correlation: str) -> List[Ticket]:
        """All tickets with exactly this correlation id, the oldest first. Raises ConfigError when
        the instance cannot look for it: nothing must be made then.
        """
        value, field = self.correlation_of(correlation), self.fields["correlation_id"]
        rows = self.client.select(
            self.table, [(field, "=", value)], self._shown_fields(), order=_OLDEST_FIRST,
            limit=_MOST_FOUND, display="all", is_whole=True,
        )
        found = exactly(rows, field, value)
        others = [
            row for row in rows if text_of(row.get(field)).strip().lower() != value.lower()
        ]
        if others:
            raise ConfigError(
                "%s: a search by %s gave records that do not have it (%s): the field does not "
                "exist on table %s or the user may not read it; nothing is created until "
                "servicenow.fields.correlation_id or that right is mended"
                % (self.name, field, shown_of(others[0].get("number")), self.table)
            )
        return [self._ticket(row) for row in found]

    def read(self, refs: Sequence[str]) -> Dict[str, Ticket]:
        """The tickets by ref as they are now, whichever table they are in."""
        wanted = [checked(one) for one in refs]
        found: Dict[str, Ticket] = {}
        for start in range(0, len(wanted), _MOST_REFS):
            part = wanted[start:start + _MOST_REFS]
            found.update(self._read(self.table, part))
            rest = [one for one in part if one not in found]
            if rest and self.table != TASK:
                try:
                    found.update(self._read(TASK, rest))
                except ConfigError as error:
                    self._log.warning(
                        "%s: %s; a ticket that moved to another table counts as gone",
                        self.name, error,
                    )
        return found

    def by_number(self, number: str) -> Optional[Ticket]:
        """The ticket that people call `number`. Raises ConfigError for several of them."""
        rows = exactly(
            self.client.select(
                self.table, [("number", "=", number)], self._shown_fields(), limit=10, display="all"
            ),
            "number",
            number,
        )
        if len(rows) > 1:
            raise ConfigError("%s: %d records are called %s" % (self.name, len(rows), number))
        return self._ticket(rows[0]) if rows else None

    def search(self, conditions: Sequence[Condition], limit: int) -> List[Ticket]:
        """The newest `limit` tickets that fulfil `conditions`, the newest last."""
        rows = self.client.select(
            self.table, conditions, self._shown_fields(), order=_NEWEST_FIRST, limit=limit,
            display="all",
        )
        return [self._ticket(row) for row in reversed(rows)]

    def shown(self, ref: str) -> Dict[str, str]:
        """{"title", "description", "correlation_id", "notes"} of a ticket, for people."""
        names = {
            "title": self.fields["short_description"],
            "description": self.fields["description"] or "description",
            "correlation_id": self.fields["correlation_id"],
            "notes": self.fields["work_notes"],
        }
        row = self.get(ref, ("sys_id", *names.values()), "true")
        return {ours: shown_of(row.get(theirs)) for ours, theirs in names.items()}

    def _read(self, table: str, refs: Sequence[str]) -> Dict[str, Ticket]:
        rows = self.client.select(
            table, [one_of("sys_id", refs)], self._shown_fields(), limit=len(refs) + 1,
            display="all",
        )
        tickets = [self._ticket(row) for row in rows]
        return {one.ref: one for one in tickets if one.ref in refs}

    def sees(self, refs: Sequence[str]) -> bool:
        """True when the instance shows us records of the table, and hides none of `refs`; False
        when there is none at all. Raises ConfigError when it hides them.
        """
        wanted = [one_of("sys_id", [checked(one) for one in refs[:_MOST_REFS]])]
        self.client.select(self.table, wanted, ("sys_id",), limit=_MOST_REFS, is_whole=True)
        if self.client.newest(self.table, ("sys_id",)):
            return True
        any_record = [("sys_id", "!=", "none")]
        shown = self.client.select(
            self.table, any_record, ("sys_id",), limit=_MOST_REFS, is_whole=True
        )
        return bool(shown)

    def author(self, ref: str, what: str) -> Optional[Author]:
        """Who set the state, or the assignee, last."""
        field = self.fields["state" if what == STATE else "assigned_to"]
        return servicenow_evidence.author(self, ref, what, field)

    def correlation_of(self, correlation: str) -> str:
        """The correlation id as the field can hold it. Raises InvalidInput for an empty one."""
        text = correlation.strip()
        if not text or text != one_line(text, 100000):
            raise InvalidInput("a correlation id must be one line of text: give the incident's")
        limit = self._limits["correlation_id"]
        if len(text) <= limit:
            return text
        return "%s~%s" % (
            text[:limit - 17], hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
        )

    def _present(self, ref: str) -> Ticket:
        ticket = self.read([ref]).get(ref)
        if ticket is None:
            raise NotFound("%s has no ticket %s any more: it was deleted" % (self.name, ref))
        return ticket

    def get(self, ref: str, fields: Sequence[str], display: str) -> Dict[str, Any]:
        """Some fields of one ticket, in whichever table it is now. Raises NotFound."""
        try:
            return self.client.get(self.table, checked(ref), fields, display=display)
        except NotFound:
            if self.table == TASK:
                raise
            return self.client.get(TASK, ref, fields, display=display)

    def _table_of(self, ref: str) -> str:
        return text_of(self.get(ref, ("sys_id", "sys_class_name"), "false").get(
            "sys_class_name")) or self.table

    def _shown_fields(self) -> Sequence[str]:
        names = ("state", "assigned_to", "urgency", "impact", "correlation_id", "short_description")
        own = [self.fields[name] for name in names if self.fields[name]]
        return ("sys_id", "number", "active", "sys_class_name", "sys_updated_by",
                "sys_updated_on", *own)

    def _ticket(self, row: Mapping[str, Any]) -> Ticket:
        ref, raw = text_of(row.get("sys_id")), text_of(row.get(self.fields["state"]))
        if not is_sys_id(ref):
            raise ExternalError("%s answered a record without sys_id" % self.name)
        kind = text_of(row.get("sys_class_name"))
        return Ticket(
            ref=ref,
            number=shown_of(row.get("number")),
            url=self.client.page_of(kind or self.table, ref),
            state=self._state(raw, text_of(row.get("active")), kind),
            raw_state=shown_of(row.get(self.fields["state"])),
            assignee=shown_of(row.get(self.fields["assigned_to"])),
            kind=kind,
            severity=drafts.severity_of(row, self.settings),
            updated_by=text_of(row.get("sys_updated_by")),
            updated_at=seconds(text_of(row.get("sys_updated_on"))),
        )

    def _state(self, raw: str, active: str, kind: str) -> str:
        if not kind or kind == self.table:
            for name, value in self.settings["states"].items():
                if value == raw:
                    return _STATES[name]
        return CLOSED if active.lower() in ("false", "0") else IN_PROGRESS
