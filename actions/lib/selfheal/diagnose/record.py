"""Diagnoses in the store: what was found by a close look, kept with its incident.

Text from outside in it was redacted before; it is neither printable nor harmless, as all that the
store keeps. The newest few of an incident are kept, and all go with it.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional

from selfheal.ids import new_id
from selfheal.records import dataclass
from selfheal.store import Row, Store, dump, load
from selfheal.text import cap

KEPT = 5  # of one incident, or of one subject looked at without one
MAX_CHARACTERS = 256 * 1024
# What the content is cut to, the mildest that fits: (characters of a string, entries of a list).
_CAPS = ((64 * 1024, 500), (16 * 1024, 100), (4096, 50), (1024, 20), (200, 10), (100, 3))


@dataclass(frozen=True)
class Diagnosis:
    """What was found of `subject` (such as Deployment shop/cart) by a look of kind `source`.

    `facts` are {"what", "found"}, one line each; `missing` are {"part", "why"}: what could not be
    found out; `hidden` is how many secrets were hidden, by kind; `content` is plain JSON.
    """

    source: str
    subject: str
    facts: List[Dict[str, str]]
    missing: List[Dict[str, str]] = field(default_factory=list)
    hidden: Dict[str, int] = field(default_factory=dict)
    content: Dict[str, Any] = field(default_factory=dict)
    took_s: float = 0.0
    at: float = 0.0
    id: str = ""


def keep(store: Store, diagnosis: Diagnosis, incident_id: Optional[str] = None) -> str:
    """Store a diagnosis, and forget those of the same incident beyond the newest KEPT; its id."""
    now = store.now()
    row = {
        "id": new_id("dia", now),
        "incident_id": incident_id or None,
        "at": now,
        "source": diagnosis.source,
        "subject": diagnosis.subject,
        "facts": dump(diagnosis.facts),
        "missing": dump(diagnosis.missing),
        "hidden": dump(diagnosis.hidden),
        "content": dump(_bounded(diagnosis.content)),
        "took_s": diagnosis.took_s,
    }
    of = "incident_id = ?" if incident_id else "incident_id IS NULL AND subject = ?"
    key = incident_id or diagnosis.subject
    with store.transaction("diagnoses"):
        store.insert("diagnoses", row)
        store.execute(
            "DELETE FROM diagnoses WHERE %s AND id NOT IN (SELECT id FROM diagnoses WHERE %s "
            "ORDER BY at DESC, id DESC LIMIT %d)" % (of, of, KEPT),
            (key, key),
        )
    return str(row["id"])


def latest(store: Store, incident_id: str) -> Optional[Diagnosis]:
    """The newest diagnosis of the incident, or None."""
    row = store.one(
        "SELECT * FROM diagnoses WHERE incident_id = ? ORDER BY at DESC, id DESC LIMIT 1",
        (incident_id,),
    )
    return None if row is None else _from_row(row)


def latest_of(store: Store, source: str, subject: str, before: float) -> Optional[Diagnosis]:
    """The newest diagnosis of `subject` from before that time, whichever incident it was for."""
    row = store.one(
        "SELECT * FROM diagnoses WHERE source = ? AND subject = ? AND at < ? "
        "ORDER BY at DESC, id DESC LIMIT 1",
        (source, subject, before),
    )
    return None if row is None else _from_row(row)


def shown(diagnosis: Diagnosis, max_string: int = 4000, max_items: int = 50) -> Dict[str, Any]:
    """A diagnosis as people see it, bounded."""
    found: Dict[str, Any] = cap(
        {
            "diagnosis_id": diagnosis.id,
            "subject": diagnosis.subject,
            "facts": diagnosis.facts,
            "missing": diagnosis.missing,
            "hidden": diagnosis.hidden,
            **diagnosis.content,
        },
        max_string,
        max_items,
    )
    return found


def _from_row(row: Row) -> Diagnosis:
    def value(column: str, kind: type) -> Any:
        try:
            found = load(row[column])
        except (ValueError, RecursionError):  # written by a hand
            found = None
        return found if isinstance(found, kind) else kind()

    return Diagnosis(
        source=str(row["source"]),
        subject=str(row["subject"]),
        facts=_lines(value("facts", list), ("what", "found")),
        missing=_lines(value("missing", list), ("part", "why")),
        hidden=value("hidden", dict),
        content=value("content", dict),
        took_s=float(row["took_s"]),
        at=float(row["at"]),
        id=str(row["id"]),
    )


def _lines(items: List[Any], keys: Any) -> List[Dict[str, str]]:
    return [
        {key: str(item[key]) for key in keys}
        for item in items
        if isinstance(item, Mapping) and set(keys) <= set(item)
    ]


def _bounded(content: Dict[str, Any]) -> Dict[str, Any]:
    for max_string, max_items in _CAPS:
        cut: Dict[str, Any] = cap(content, max_string, max_items)
        if len(dump(cut)) <= MAX_CHARACTERS:
            return cut
    return {"truncated": True}
