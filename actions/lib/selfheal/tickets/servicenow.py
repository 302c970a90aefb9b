"""Tickets in ServiceNow: incidents (or another table that extends task), by the settings of one
target.

A person's changes are only read. What is too long for a field is cut there and attached whole.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from selfheal import document
from selfheal.apis.servicenow.client import Client, checked
from selfheal.apis.servicenow.query import text_of
from selfheal.apis.servicenow.text import harmless, moment
from selfheal.config import DEFAULT_TARGET
from selfheal.exceptions import ConfigError, InvalidInput, NotFound, Refused, SelfhealError
from selfheal.text import one_line
from selfheal.tickets import servicenow_draft as drafts
from selfheal.tickets import servicenow_settings, whole_text
from selfheal.tickets.model import CANCELLED, CLOSED, DONE, RESOLVED, Draft, Ticket
from selfheal.tickets.servicenow_reading import TASK, Reading

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.document import Document


def tracker(ctx: Context, target: str = DEFAULT_TARGET) -> ServiceNow:
    """The tracker of section servicenow, or of its named target. Raises InvalidInput for a target
    that there is not, ConfigError.
    """
    settings = servicenow_settings.named(ctx.config, target)
    client = Client(ctx.http, settings, ctx.clock.now, ctx.config.hide)
    return ServiceNow(target, settings, client, ctx.log)


class ServiceNow(Reading):
    """See selfheal.tickets.model.Tracker. A created ticket can be found at once (`settles_s`)."""

    settles_s = 0.0

    def create(
        self,
        draft: Draft,
        *,
        chosen: Optional[Mapping[str, str]] = None,
        more: Optional[Mapping[str, str]] = None,
        work_notes: str = "",
    ) -> Ticket:
        """Make a ticket. Raises ConfigError for one that the instance's rules forbid as it is.

        `chosen` is a person's group, category, subcategory or caller instead of the routes', `more`
        further fields by the instance's names, `work_notes` the first entry of the journal.
        """
        correlation = self.correlation_of(draft.correlation)
        body = document.plain(drafts.whole_body(draft))
        values, notes = drafts.values_of(
            draft, correlation, body, self.settings, self.client, chosen or {}
        )
        values.update(more or {})
        notes = [work_notes, *notes] if work_notes else notes
        if notes:
            values[self.fields["work_notes"]] = harmless(
                "\n\n".join(notes), self._limits["work_notes"]
            )
        row = self.insert(values)
        ticket = self._ticket(row)
        if text_of(row.get(self.fields["correlation_id"])) != correlation:
            self._log.error(
                "%s: %s was created, but its field %s did not keep the correlation id %s: mend "
                "servicenow.fields or the right to write it, else it is not found again",
                self.name, ticket.number, self.fields["correlation_id"], correlation,
            )
        return ticket

    def complete(self, ref: str, draft: Draft) -> None:
        """Attach the whole description where it had to be cut, once."""
        body = document.plain(drafts.whole_body(draft))
        if len(body) > self._limits["description"]:
            name = "incident-%s" % (draft.incident_id or draft.correlation)
            whole_text.attach(self, ref, name, body)

    def complete_if_possible(self, ref: str, draft: Draft) -> None:
        """The same, as far as it goes: no reason to lose the ticket."""
        try:
            self.complete(ref, draft)
        except SelfhealError as error:
            self._log.warning(whole_text.LEFT_OUT, self.name, error)

    def insert(self, values: Mapping[str, str]) -> Dict[str, Any]:
        """A new record with these values, as it is then. Raises ConfigError when a rule of the
        instance forbids it.
        """
        given = {name: value for name, value in values.items() if name and value}
        if not given.get(self.fields["correlation_id"]):
            raise InvalidInput("a ticket without correlation id would never be found again")
        try:
            return self.client.insert(self.table, given, self._shown_fields(), display="all")
        except Refused as error:
            raise ConfigError(str(error)) from error

    def comment(self, ref: str, body: Document, mark: str) -> None:
        """Add a work note that ends with `mark`."""
        text, end = document.plain(body), "\n\n(%s)" % mark
        limit = self._limits["work_notes"] - len(end)
        if len(text) > limit:
            whole_text.attach_if_allowed(self, ref, mark, text, self._log)
        self.change(ref, {self.fields["work_notes"]: harmless(text, limit) + end})

    def has_comment(self, ref: str, mark: str) -> bool:
        """Whether a journal of the ticket has an entry with that mark. Where the user may not read
        sys_journal_field the journals are read as the ticket's own fields.
        """
        pattern = re.compile(r"(?<![\w-])%s(?![\w-])" % re.escape(mark))
        try:
            rows = self.client.select(
                "sys_journal_field", [("element_id", "=", checked(ref)), ("value", "LIKE", mark)],
                ("sys_id", "element_id", "value"), limit=100,
            )
        except ConfigError:
            rows = []
        if any(row.get("element_id") == ref and pattern.search(text_of(row.get("value")))
               for row in rows):
            return True
        row = self.get(ref, ("sys_id", self.fields["work_notes"], "comments"), "true")
        return any(pattern.search(text_of(value)) for value in row.values())

    def set_severity(self, ref: str, severity: str) -> None:
        """Let urgency, impact and severity follow, where they differ."""
        wanted = drafts.level(severity, self.settings)
        row = self.get(ref, ("sys_id", *wanted), "false")
        changed = {name: v for name, v in wanted.items() if text_of(row.get(name)) != v}
        if changed:
            self.change(ref, changed)

    def resolve(
        self, ref: str, body: Document, resolved_at: float, *, close_code: str = ""
    ) -> None:
        """Set the resolved state with code, notes and time. Nothing happens to a ticket that is
        done. Raises Refused when the instance's rules or the ticket's kind forbid it.
        """
        ticket = self._present(ref)
        if ticket.state in DONE:
            return
        text = document.plain(body)
        if len(text) > self._limits["close_notes"]:
            digits = re.sub("[^0-9]", "", moment(resolved_at))
            whole_text.attach_if_allowed(self, ref, "resolution-%s" % digits, text, self._log)
        values = {
            self.fields["close_code"]: close_code or str(self.settings["close_code"]),
            self.fields["close_notes"]: harmless(text, self._limits["close_notes"]),
            self.fields["resolved_at"]: moment(resolved_at),
        }
        self.to_state(ticket, "resolved", {name: v for name, v in values.items() if name and v})

    def reopen(self, ref: str, body: Document) -> None:
        """Bring a resolved ticket back to work. Nothing happens to one that is open; one that is
        closed for good is Refused. `body` is not written: comments are `comment`'s.
        """
        ticket = self._present(ref)
        if ticket.state in (CLOSED, CANCELLED):
            raise Refused(
                "%s %s is %s, which is final in ServiceNow: make a new ticket"
                % (self.name, ticket.number, ticket.state)
            )
        if ticket.state == RESOLVED:
            self.to_state(ticket, "in_progress", {})

    def to_state(self, ticket: Ticket, state: str, values: Mapping[str, str]) -> None:
        """Write `values` and the state called `state` in the settings, and look whether it was
        kept. Raises Refused when not, or when the ticket is of a kind without our states.
        """
        if ticket.kind and ticket.kind != self.table:
            raise Refused(
                "%s %s is now of the kind %s, whose states are not those of %s: only comments are "
                "added" % (self.name, ticket.number, ticket.kind, self.table)
            )
        wanted, field = self.settings["states"][state], self.fields["state"]
        row = self.change(ticket.ref, {**values, field: wanted})
        if text_of(row.get(field)) != wanted:
            raise Refused(
                "%s %s did not take the state %s (it has %s): check servicenow.states, and which "
                "rules of the instance guard it"
                % (self.name, ticket.number, wanted, one_line(text_of(row.get(field)), 40))
            )

    def link(self, ref: str, other: Ticket, words: str) -> None:
        """Say in a work note that the two belong together, once."""
        mark = "link-%s" % other.ref
        if not self.has_comment(ref, mark):
            text = "%s: %s" % (words, other.number or other.ref)
            self.comment(ref, (document.text(text), document.links({"Ticket": other.url})), mark)

    def attach(self, ref: str, name: str, content: bytes, media_type: str) -> None:
        """Attach a file; one of that name that is there stays, and none is added."""
        table = self._table_of(ref)
        there = self.client.attachments(table, checked(ref))
        if any(text_of(row.get("file_name")) == one_line(name, 100) for row in there):
            return
        self.client.attach(table, ref, name, content, media_type)

    def change(self, ref: str, values: Mapping[str, str]) -> Dict[str, Any]:
        """Write `values` to the ticket, in whichever table it is now; the record as it is then."""
        fields = ("sys_id", self.fields["state"])
        try:
            return self.client.update(self.table, checked(ref), values, fields)
        except NotFound:
            if self.table == TASK:
                raise
            return self.client.update(TASK, ref, values, fields)
        except Refused as error:
            is_about_rights = "ACL Exception" in str(error)
            if is_about_rights and self._present(ref).state not in (CLOSED, CANCELLED):
                raise ConfigError("%s; it is open, so a right is missing" % error) from error
            raise
