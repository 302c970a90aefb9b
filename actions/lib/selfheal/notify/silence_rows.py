"""Silences that are wanted, as the store knows them, and the letters that have them made and ended.

One row is one silence, however often it is made longer; its id stands in the silence's comment, so
that it is found again when an answer was lost. Only SQL: Alertmanager is the carrier's.
"""

from __future__ import annotations

from typing import List, Optional

from selfheal.ids import new_id
from selfheal.outbox import letters
from selfheal.records import dataclass
from selfheal.store import Store
from selfheal.text import one_line

FIX, HAND = "fix", "hand"  # purposes: while a remedy runs, or because a person asked
ASKED, ACTIVE, ENDING, ENDED, REFUSED = "asked", "active", "ending", "ended", "refused"
CHANNEL = "alertmanager:%s"
MAKE, END = "silence", "silence_end"  # kinds of letters
_COLUMNS = (
    "id, incident_id, target, matchers, purpose, status, created_by, comment, silence_id, "
    "created_at, ends_at"
)


@dataclass(frozen=True)
class Wanted:
    """A row. `target` names the Alertmanager, `matchers` is text, `silence_id` what Alertmanager
    calls it (None: not known yet). Times are seconds since the epoch.
    """

    id: str
    incident_id: Optional[str]
    target: str
    matchers: str
    purpose: str
    status: str
    created_by: str
    comment: str
    silence_id: Optional[str]
    created_at: float
    ends_at: float

    @property
    def is_living(self) -> bool:
        """Whether it is wanted still."""
        return self.status in (ASKED, ACTIVE)


def get(store: Store, row_id: str) -> Optional[Wanted]:
    """The row of that id, or None."""
    return next(iter(_rows(store, "id = ?", row_id)), None)


def by_silence(store: Store, target: str, silence_id: str) -> Optional[Wanted]:
    """The newest row of a silence that Alertmanager `target` calls `silence_id`, or None."""
    found = _rows(store, "target = ? AND silence_id = ?", target, silence_id)
    return found[-1] if found else None


def of_incident(store: Store, incident_id: str) -> List[Wanted]:
    """Those of an incident, the oldest first."""
    return _rows(store, "incident_id = ?", incident_id)


def known(store: Store, target: str) -> List[Wanted]:
    """Those of one Alertmanager that it has made, the oldest first."""
    return _rows(store, "target = ? AND silence_id IS NOT NULL", target)


def want(
    store: Store,
    *,
    target: str,
    incident_id: str,
    matchers: str,
    purpose: str,
    created_by: str,
    comment: str,
    ends_at: float,
    is_posted: bool = True,
) -> Wanted:
    """The silence with these matchers for this incident, lasting until `ends_at` at least: a new
    one, or the one there is, made longer if need be. Its letter is posted with it, unless the
    caller does that.
    """
    with store.transaction("silences"):
        now = store.now()
        same = _rows(
            store,
            "target = ? AND COALESCE(incident_id, '') = ? AND matchers = ? AND status IN (?, ?) "
            "AND ends_at > ?",
            target, incident_id, matchers, ASKED, ACTIVE, now,
        )
        if same:
            row_id = same[0].id
            _prolong(store, same[0], purpose, ends_at, now)
        else:
            row_id = new_id("sil", now)
            row = {
                "id": row_id,
                "incident_id": incident_id or None,
                "target": target,
                "matchers": matchers,
                "purpose": purpose,
                "status": ASKED,
                "created_by": one_line(created_by, 200),
                "comment": one_line(comment, 500),
                "created_at": now,
                "ends_at": ends_at,
                "updated_at": now,
            }
            store.insert("silences", row)
        wanted = _rows(store, "id = ?", row_id)[0]
        if is_posted:
            _post(store, wanted)
    return wanted


def _prolong(store: Store, same: Wanted, purpose: str, ends_at: float, now: float) -> None:
    # What a person asked for does not end with a remedy.
    is_hand = HAND in (purpose, same.purpose)
    store.execute(
        "UPDATE silences SET ends_at = ?, purpose = ?, updated_at = ? WHERE id = ?",
        (max(ends_at, same.ends_at), HAND if is_hand else FIX, now, same.id),
    )


def _post(store: Store, wanted: Wanted) -> None:
    letters.post(
        store,
        MAKE,
        wanted.incident_id,
        key_of(wanted),
        {"silence": wanted.id},
        channel=CHANNEL % wanted.target,
        queue=queue_of(wanted),
    )


def key_of(wanted: Wanted) -> str:
    """The key of the letter that asks for it as it is."""
    return "silence:%s:%d" % (wanted.id, wanted.ends_at * 1000)


def queue_of(wanted: Wanted) -> str:
    """What is written about one silence is written in order."""
    return "silence:%s" % wanted.id


def end(store: Store, wanted: Wanted, why: str) -> str:
    """Want it no more: its letter's id, or an empty string when it is over already."""
    now = store.now()
    with store.transaction("silences"):
        changed = store.execute(
            "UPDATE silences SET status = ?, updated_at = ? WHERE id = ? AND status IN (?, ?)",
            (ENDING, now, wanted.id, ASKED, ACTIVE),
        )
        if not changed:
            return letters.find(store, "silence_end:%s" % wanted.id)
        return letters.post(
            store,
            END,
            wanted.incident_id,
            "silence_end:%s" % wanted.id,
            {"silence": wanted.id, "why": one_line(why, 300)},
            channel=CHANNEL % wanted.target,
            queue=queue_of(wanted),
        )


def end_those_of(store: Store, incident_id: str, why: str, *, fix_only: bool = False) -> List[str]:
    """Want those of the incident no more, or only what was to last while a remedy ran; the letters'
    ids.
    """
    rows = _rows(store, "incident_id = ? AND status IN (?, ?)", incident_id, ASKED, ACTIVE)
    return [end(store, one, why) for one in rows if one.purpose == FIX or not fix_only]


def made(store: Store, row_id: str, silence_id: str) -> None:
    """Alertmanager has it, as `silence_id`."""
    store.execute(
        "UPDATE silences SET silence_id = ?, status = CASE WHEN status = ? THEN ? ELSE status END, "
        "updated_at = ? WHERE id = ?",
        (silence_id, ASKED, ACTIVE, store.now(), row_id),
    )


def over(store: Store, row_id: str, status: str) -> None:
    """It is over, as `status` (ENDED or REFUSED)."""
    store.execute(
        "UPDATE silences SET status = ?, updated_at = ? WHERE id = ?",
        (status, store.now(), row_id),
    )


def lasts_until(store: Store, row_id: str, ends_at: float) -> None:
    """It ends at `ends_at`, whatever was asked for."""
    store.execute(
        "UPDATE silences SET ends_at = ?, updated_at = ? WHERE id = ?",
        (ends_at, store.now(), row_id),
    )


def run_out(store: Store) -> int:
    """Note as ended those whose time is over, which Alertmanager does by itself; how many."""
    now = store.now()
    return store.execute(
        "UPDATE silences SET status = ?, updated_at = ? WHERE status IN (?, ?, ?) AND ends_at <= ?",
        (ENDED, now, ASKED, ACTIVE, ENDING, now),
    )


def _rows(store: Store, where: str, *parameters: object) -> List[Wanted]:
    return [
        Wanted(**row)
        for row in store.query(
            "SELECT %s FROM silences WHERE %s ORDER BY created_at, id" % (_COLUMNS, where),
            parameters,
        )
    ]
