"""Causes that people were told of, so that one which keeps going away by itself and coming back is
told once.

A cause is remembered from its escalation until a person closes it, or until it has stayed away for
safety.flap_quiet_minutes. While it is remembered, what would be told again is folded into what was
told; what has come back more than RETURNS times needs no response either, for a person has it. A
worse severity is told anew, and so is a cause that is back and stays.

A remedy that is proven does not end it: proof means healthy for seconds, and a cause that is back
minutes later was not cured.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from selfheal.incidents import model
from selfheal.records import dataclass
from selfheal.store import Store, checkpoints

RETURNS = 3
_PREFIX = "told:"
_KEPT_S = 30 * 86400.0


@dataclass(frozen=True)
class Told:
    """What people were told of a cause: the message, at which severity; since when the cause is
    closed (None while it is open), back (None until it returned), and how often it returned.
    """

    incident_id: str
    outbox_id: str
    severity: str
    told_at: float
    closed_at: Optional[float] = None
    back_at: Optional[float] = None
    returns: int = 0

    @property
    def is_flapping(self) -> bool:
        """Whether it has returned so often that another response is pointless."""
        return self.returns > RETURNS

    def has_stayed(self, quiet_s: float) -> bool:
        """Whether it was back for `quiet_s` seconds before it was closed."""
        if self.closed_at is None or self.back_at is None:
            return False
        return self.closed_at - self.back_at >= quiet_s

    def is_calm(self, now: float, quiet_s: float) -> bool:
        """Whether it does not flap any more: closed for `quiet_s` seconds, or after it had stayed
        so long.
        """
        if self.closed_at is None:
            return False
        return self.has_stayed(quiet_s) or not 0 <= now - self.closed_at <= quiet_s

    def covers(self, severity: str) -> bool:
        """Whether people who were told this know of something as severe."""
        return model.severity_rank(self.severity) <= model.severity_rank(severity)


def of(store: Store, group_key: str) -> Optional[Told]:
    """What people were told of the cause, if it is remembered. Raises StoreError."""
    return _told(checkpoints.read(store, _name(group_key)))


def tell(store: Store, incident: model.Incident, outbox_id: str) -> None:
    """Remember that message `outbox_id` told people of the incident's cause."""
    now = store.now()
    checkpoints.forget_old(store, _PREFIX, now - _KEPT_S)
    told = Told(incident.id, outbox_id, incident.severity, now)
    checkpoints.write(store, _name(incident.group_key), asdict(told))


def closed(store: Store, group_key: str, is_by_person: bool) -> None:
    """The cause's incident was closed: a person's word ends what is remembered, anything else
    begins the quiet that would.
    """
    told = of(store, group_key)
    if told is None:
        return
    if is_by_person:
        checkpoints.forget(store, [_name(group_key)])
    else:
        checkpoints.write(store, _name(group_key), asdict(replace(told, closed_at=store.now())))


def came_back(store: Store, group_keys: Iterable[str], quiet_s: float) -> Dict[str, Told]:
    """Of these causes, whose incidents were just opened or reopened, those that are remembered.
    What stayed away for `quiet_s` seconds is forgotten.
    """
    names = {_name(key): key for key in group_keys}
    now, found, stale = store.now(), {}, []
    for name, told in _read(store, sorted(names)):
        away_s = None if told.closed_at is None else now - told.closed_at
        if away_s is not None and not 0 <= away_s <= quiet_s:  # below 0: the clock was set back
            stale.append(name)
            continue
        back = replace(told, closed_at=None, back_at=now, returns=told.returns + 1)
        checkpoints.write(store, name, asdict(back))
        found[names[name]] = back
    checkpoints.forget(store, stale)
    return found


def remembered(store: Store) -> List[Told]:
    """All causes that are remembered, also those that have stayed away since."""
    known = [_told(row["value"]) for row in checkpoints.under(store, _PREFIX)]
    return [told for told in known if told is not None]


def lasting(store: Store, quiet_s: float) -> List[Told]:
    """What is remembered, is back, and has stayed for `quiet_s` seconds: no flapping any more."""
    now = store.now()
    return [
        told
        for told in remembered(store)
        if told.closed_at is None and told.back_at is not None and
        not 0 <= now - told.back_at < quiet_s
    ]


def _read(store: Store, names: List[str]) -> Iterable[Tuple[str, Told]]:
    for row in checkpoints.of(store, names):
        told = _told(row["value"])
        if told is not None:
            yield str(row["name"]), told


def _name(group_key: str) -> str:
    digest = hashlib.sha256(group_key.encode("utf-8", "surrogatepass")).hexdigest()
    return _PREFIX + digest[:40]


def _told(value: Any) -> Optional[Told]:
    """What a row says; None for what nobody here wrote, so that people are told rather than not."""
    if not isinstance(value, Mapping):
        return None
    try:
        told = Told(**value)
        is_sound = (
            isinstance(told.incident_id, str) and
            isinstance(told.outbox_id, str) and
            isinstance(told.severity, str) and
            isinstance(told.returns, int) and
            all(
                time is None or isinstance(time, (int, float))
                for time in (told.closed_at, told.back_at)
            )
        )
    except TypeError:
        return None
    return told if is_sound else None
