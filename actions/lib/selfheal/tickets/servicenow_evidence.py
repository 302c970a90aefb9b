"""Who set the state or the assignee of a ticket in ServiceNow: by its audit where our user may read
that, else by what the record says of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Optional

from selfheal.apis.servicenow.client import checked
from selfheal.apis.servicenow.query import text_of
from selfheal.exceptions import ConfigError, ExternalError, NotFound
from selfheal.tickets.model import STATE, Author

if TYPE_CHECKING:
    from selfheal.tickets.servicenow_reading import Reading

_SYSTEM = "system"  # who the instance's own jobs and flows are
_BY = {
    "resolved": ("resolved_by.user_name",),
    "closed": ("closed_by.user_name",),
    "cancelled": ("closed_by.user_name",),
}


def author(tracker: Reading, ref: str, what: str, field: str) -> Optional[Author]:
    """Who set `field` last (`what`: see tickets.model); None when nothing tells."""
    own = sorted({one for names in _BY.values() for one in names})
    row = tracker.get(
        ref, ("sys_id", "sys_created_by", "sys_updated_by", tracker.fields["state"], *own), "false"
    )
    us = text_of(tracker.settings.get("username")) or text_of(row.get("sys_created_by"))
    closer = _closer(tracker, row) if what == STATE else ""
    try:
        who = _audited(tracker, ref, field) or closer
    except ExternalError:  # a large audit may take longer than the instance allows
        if not closer:
            raise
        who = closer
    if not who:
        # The last change may be another one: of ours that proves nothing but the end of a ticket,
        # as we write nothing to what somebody else has closed.
        last = text_of(row.get("sys_updated_by"))
        is_proof = _is_same(last, us) if what == STATE else not _is_same(last, us)
        who = last if is_proof else ""
    return Author((who,), _is_same(who, us), _is_same(who, _SYSTEM)) if who else None


def _audited(tracker: Reading, ref: str, field: str) -> str:
    """The user name in the audit's last entry about the field; empty when it is not shown."""
    if not field:
        return ""
    try:
        rows = tracker.client.select(
            "sys_audit", [("documentkey", "=", checked(ref)), ("fieldname", "=", field)],
            ("sys_id", "documentkey", "fieldname", "user", "sys_created_on"),
            order=("-sys_created_on", "-record_checkpoint"), limit=1,
        )
    except (ConfigError, NotFound):
        return ""
    return next(
        (
            text_of(row.get("user"))
            for row in rows
            if (row.get("documentkey"), row.get("fieldname")) == (ref, field)
        ),
        "",
    )


def _closer(tracker: Reading, row: Mapping[str, Any]) -> str:
    raw = text_of(row.get(tracker.fields["state"]))
    states: Mapping[str, str] = tracker.settings["states"]
    state = next((name for name, value in states.items() if value == raw), "")
    found = [text_of(row.get(name)) for name in _BY.get(state, ())]
    return next((one for one in found if one), "")


def _is_same(one: str, other: str) -> bool:
    return bool(one) and one.casefold() == other.casefold()
