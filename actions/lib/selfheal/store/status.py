"""How each part of the pack fares: one row per component in table system_status.

`since` is when the component came into the state it is in, `updated_at` when it last said so: one
that has fallen silent shows by its age.
"""

from __future__ import annotations

from typing import Any, Dict, Optional

from selfheal.store.engine import Row, Store, dump, load

OK = "ok"
DEGRADED = "degraded"  # it works, and something about it is not as it should be
FAILING = "failing"
BLIND = "blind"  # failing for so long that errors go unseen
_NOTE = (
    "INSERT INTO system_status (component, status, detail, since, updated_at) "
    "VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (component) DO UPDATE SET since = CASE WHEN system_status.status = "
    "excluded.status THEN system_status.since ELSE excluded.since END, "
    "status = excluded.status, detail = excluded.detail, updated_at = excluded.updated_at"
)


def note(store: Store, component: str, status: str, detail: Any = None) -> None:
    """`component` is in state `status` now; `detail` is JSON for people. Raises StoreError."""
    now = store.now()
    shown = None if detail is None else dump(detail)
    store.execute(_NOTE, (component, status, shown, now, now))


def status_of(store: Store, component: str) -> Optional[str]:
    """The state of `component`; None when it never said."""
    row = of(store, component)
    return str(row["status"]) if row else None


def of(store: Store, component: str) -> Optional[Row]:
    """The row of `component` with its detail as JSON value, or None."""
    row = store.one("SELECT * FROM system_status WHERE component = ?", (component,))
    return _read(row) if row else None


def every(store: Store) -> Dict[str, Row]:
    """All rows by component, in the order of their names."""
    rows = store.query("SELECT * FROM system_status ORDER BY component")
    return {str(row["component"]): _read(row) for row in rows}


def _read(row: Row) -> Row:
    try:
        detail = load(row["detail"])
    except ValueError:  # written by a hand
        detail = row["detail"]
    return dict(row, detail=detail)
