"""Pauses: what a person has stopped, everywhere or in a scope, until resumed or for some minutes.

A pause is one row that every remedy reads just before it begins, so it holds from the moment it is
written, whichever process asks; no hand, risk or approval gets past it. Names are compared without
regard to upper and lower case: a pause rather holds too much.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.exceptions import InvalidInput, SelfhealError
from selfheal.guard.doubt import no_when_unreadable
from selfheal.guard.verdict import Objection
from selfheal.ids import new_id
from selfheal.records import dataclass
from selfheal.store import dump, load
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.guard.verdict import Deed
    from selfheal.store import Row, Store

GLOBAL, CLUSTER, NAMESPACE = "global", "cluster", "namespace"
REMEDY, INCIDENT = "remedy", "incident"
KINDS = (GLOBAL, CLUSTER, NAMESPACE, REMEDY, INCIDENT)
PAUSED, PROLONGED, RESUMED = "paused", "prolonged", "resumed"
PURPOSE = "pauses"
MAX_PAUSES = 200
MAX_NAME = 253
_MAX_WORDS = 300
_SELECTS = set("*?[]{}<>%,;|=\\")  # of patterns, lists and templates: no name holds these
_EVERYTHING = ("all", "any", "each", "every", "everything", "everywhere", "none", "null", "true")
HOW = (
    "say global for everything, or one of namespace=NAME, namespace=CLUSTER/NAME, cluster=NAME, "
    "remedy=NAME, incident=ID"
)


@dataclass(frozen=True)
class Scope:
    """What is paused. `cluster` belongs to a namespace, and is empty for one in any cluster."""

    kind: str
    name: str = ""
    cluster: str = ""

    def __str__(self) -> str:
        if self.kind == GLOBAL:
            return GLOBAL
        within = self.cluster + "/" if self.cluster else ""
        return "%s=%s%s" % (self.kind, within, self.name)

    @property
    def key(self) -> str:
        """What the row is found by."""
        return dump([self.kind, _folded(self.cluster), _folded(self.name)])


@dataclass(frozen=True)
class Pause:
    """A pause that holds now. `until` is None when it ends only by resuming; `scope` is None when
    the row cannot be read, which counts as a pause of everything.
    """

    scope: Optional[Scope]
    words: str
    who: str
    reason: str
    since: float
    until: Optional[float]
    stops_running: bool

    def __str__(self) -> str:
        """By whom, since when, until when, why."""
        end = "until it is resumed" if self.until is None else "until %s" % iso(self.until)
        why = ": %s" % self.reason if self.reason else ""
        return "%s is paused by %s since %s, %s%s" % (
            self.words,
            self.who,
            iso(self.since),
            end,
            why,
        )


def scope_of(words: Any) -> Scope:
    """The scope that a person means by `words`. Raises InvalidInput with what may be said; nothing,
    `*` and the like never mean everything.
    """
    text = str(words or "").strip()
    kind, separator, name = text.partition("=")
    if not separator:
        kind, _, name = text.partition(" ")
    kind, name = kind.strip().lower(), name.strip()
    if kind == GLOBAL and not name:
        return Scope(GLOBAL)
    if kind not in KINDS or kind == GLOBAL:
        raise InvalidInput(
            "%s is no scope: %s" % (_shown(text) if text else "an empty scope", HOW)
        )
    cluster = ""
    if kind == NAMESPACE and "/" in name:
        cluster, _, name = name.rpartition("/")
        _refuse_unnamed(CLUSTER, cluster)
    _refuse_unnamed(kind, name)
    return Scope(kind, name, cluster)


def holds(scope: Optional[Scope], cluster: str, namespace: str, remedy: str, incident: str) -> bool:
    """Whether a pause of `scope` holds a remedy of this incident there.

    Where it is not known in which cluster that is, it may be the paused one.
    """
    if scope is None or scope.kind == GLOBAL:
        return True
    name = _folded(scope.name)
    if scope.kind == INCIDENT:
        return _folded(incident) == name
    if scope.kind == REMEDY:
        full = _folded(remedy)
        return name in (full, full.partition(":")[2])
    if scope.kind == CLUSTER:
        return _folded(cluster) in (name, "")
    is_there = not scope.cluster or _folded(cluster) in (_folded(scope.cluster), "")
    return is_there and _folded(namespace) == name


def live(store: Store) -> List[Pause]:
    """The pauses that hold now, the oldest first. Raises StoreError."""
    rows = store.query(
        "SELECT scope, words, paused_by, reason, since, until, stops_running FROM pauses "
        "WHERE until IS NULL OR until > ? ORDER BY since, scope",
        (store.now(),),
    )
    return [_pause(row) for row in rows]


def holding(store: Store, deed: Deed) -> List[Pause]:
    """The pauses that hold `deed` now, the one that lasts longest first. Raises StoreError."""
    found = [
        one
        for one in live(store)
        if holds(one.scope, deed.cluster, deed.namespace, deed.remedy, deed.incident_id)
    ]
    return sorted(found, key=lambda one: math.inf if one.until is None else one.until, reverse=True)


@no_when_unreadable("what is paused", "pause")
def objection(ctx: Context, deed: Deed) -> Optional[Objection]:
    """Why a pause forbids the deed, or None. It holds all that begins, also by hand."""
    found = holding(ctx.store, deed)
    if not found:
        return None
    scopes = [one.words for one in found]
    return Objection(
        "pause",
        str(found[0]),
        "resume with %s" % " and ".join("`%s`" % resuming(one) for one in found[:5]),
        found[0].until,
        {"scopes": scopes[:20], "paused_by": found[0].who, "since": found[0].since},
    )


def stops_running(store: Store, deed: Deed) -> str:
    """Why the deed, which is under way, must stop before its next step; empty when it may go on.

    A pause stops what runs only where whoever paused said so. What cannot be read stops it too.
    """
    try:
        found = [one for one in holding(store, deed) if one.stops_running]
    except SelfhealError as error:
        return "it cannot be read whether remedies are paused (%s)" % one_line(str(error), 300)
    return str(found[0]) if found else ""


def resuming(one: Pause) -> str:
    """The command that ends the pause."""
    return 'st2 run selfheal.resume scope="%s"' % one.words


def begin(
    store: Store, scope: Scope, who: str, reason: str, until: Optional[float], stops: bool
) -> Tuple[Pause, Optional[Pause]]:
    """Pause `scope` until then (None: until resumed); (the pause, the one that held it before).

    A pause that holds already is prolonged, never shortened. Raises InvalidInput when too many
    hold, StoreError.
    """
    with store.transaction(PURPOSE):
        now = store.now()
        current = live(store)
        before = next((one for one in current if one.scope and one.scope.key == scope.key), None)
        if before is None and len(current) >= MAX_PAUSES and scope.kind != GLOBAL:
            raise InvalidInput(
                "%d pauses hold already; resume some, or pause a wider scope (%s)"
                % (len(current), HOW)
            )
        if before is not None:
            until = None if None in (until, before.until) else max(until or 0, before.until or 0)
            stops, reason = stops or before.stops_running, reason or before.reason
        made = Pause(
            scope, str(scope), name_of(who), one_line(reason, _MAX_WORDS), now, until, stops
        )
        _write(store, made, scope.key)
        _record(store, PAUSED if before is None else PROLONGED, made, made.who, made.reason)
    return made, before


def end(store: Store, scope: Scope, who: str) -> Optional[Pause]:
    """Resume `scope`: the pause that held it, or None when none did. Raises StoreError."""
    with store.transaction(PURPOSE):
        row = store.one(
            "SELECT scope, words, paused_by, reason, since, until, stops_running FROM pauses "
            "WHERE scope = ? AND (until IS NULL OR until > ?)",
            (scope.key, store.now()),
        )
        if row is None:
            return None
        found = _pause(row)
        store.execute("DELETE FROM pauses WHERE scope = ?", (scope.key,))
        _record(store, RESUMED, found, name_of(who), "")
    return found


def end_unreadable(store: Store, who: str) -> List[Pause]:
    """Take away the rows that cannot be read, so that resuming everything is possible at all."""
    with store.transaction(PURPOSE):
        rows = store.query("SELECT * FROM pauses")
        found = [(row["scope"], _pause(row)) for row in rows]
        gone = [(key, one) for key, one in found if one.scope is None]
        for key, one in gone:
            store.execute("DELETE FROM pauses WHERE scope = ?", (key,))
            _record(store, RESUMED, one, name_of(who), "the record could not be read")
    return [one for _, one in gone]


def changes(store: Store, limit: int = 20) -> List[Row]:
    """The last changes, newest first: {"at", "change", "words", "who", "reason", "until"}."""
    return store.query(
        "SELECT at, change, words, who, reason, until FROM pause_changes ORDER BY id DESC LIMIT ?",
        (limit,),
    )


def name_of(who: Any) -> str:
    """A person's name as it may be stored and shown; it comes from outside."""
    return one_line(str(who or ""), 100) or "somebody unknown"


def _write(store: Store, made: Pause, key: str) -> None:
    row: Dict[str, Any] = {
        "scope": key,
        "words": made.words,
        "paused_by": made.who,
        "reason": made.reason,
        "since": made.since,
        "until": made.until,
        "stops_running": int(made.stops_running),
    }
    others = ", ".join("%s = excluded.%s" % (name, name) for name in row if name != "scope")
    store.insert("pauses", row, "ON CONFLICT (scope) DO UPDATE SET %s" % others)


def _record(store: Store, change: str, one: Pause, who: str, reason: str) -> None:
    now = store.now()
    row = {
        "id": new_id("pch", now),
        "at": now,
        "change": change,
        "words": one.words,
        "who": who,
        "reason": reason,
        "until": one.until,
    }
    store.insert("pause_changes", row)


def _pause(row: Row) -> Pause:
    """The pause in a row; garbage in it makes the pause wider and longer, never less."""
    try:
        kind, cluster, name = load(row["scope"])
        is_readable = kind in KINDS and isinstance(cluster, str) and isinstance(name, str)
        scope = Scope(kind, name, cluster) if is_readable else None
    except (ValueError, TypeError, RecursionError):
        scope = None
    since, until = _time(row["since"]), _time(row["until"])
    return Pause(
        scope,
        str(row["words"]) if scope else "global",
        str(row["paused_by"]),
        str(row["reason"]) if scope else "a record of a pause cannot be read, so everything waits",
        0.0 if since is None else since,
        until,
        row["stops_running"] not in (0, None),
    )


def _time(value: Any) -> Optional[float]:
    is_time = isinstance(value, (int, float)) and 0 <= value < 1e11
    return float(value) if is_time else None


def _refuse_unnamed(kind: str, name: str) -> None:
    is_name = name.isprintable() and not _SELECTS & set(name) and 0 < len(name) <= MAX_NAME
    if not is_name or name.lower() in _EVERYTHING:
        raise InvalidInput(
            "%s names no %s; %s" % (_shown(name) if name else "nothing", kind, HOW)
        )


def _folded(name: Any) -> str:
    return str(name or "").casefold()


def _shown(text: str) -> str:
    return one_line(repr(text), 80)
