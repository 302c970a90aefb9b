"""Have the errors of an incident stopped: asked of what the sensor has read from the logs since.

No further error is proof only as far as the logs have been looked at, so the source's checkpoint
has to pass the moment asked about. Until then the answer is unknown, which is not healthy. And rare
errors have to stay away for longer than frequent ones before they count as over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.store import Row, Store, checkpoints
from selfheal.store.engine import placeholders
from selfheal.text import counted, iso

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

SOURCE = "elk"
# While errors that come by chance go on, three times their usual gap without one is a 5 % chance.
GAPS = 3.0
MOST_OF_LIMIT = 0.6  # the rest is for the sensor's own interval
_SHOWN = 3
_MINUTE_S = 60


@dataclass(frozen=True)
class Question:
    """Whether errors ended by `since` (epoch seconds): they must stay away for `hold_s`, and there
    are `limit_s` seconds to see it.
    """

    since: float
    hold_s: float
    limit_s: float


@dataclass(frozen=True)
class Quiet:
    """What the logs say. `since` is when the last further error was logged, else when the question
    begins; `until` is how far the logs were looked at (0.0 never); `needed_s` how long must pass
    between them.
    """

    since: float
    until: float
    needed_s: float
    further: int

    @property
    def is_known(self) -> bool:
        """Whether the logs were looked at for any time after `since`."""
        return self.further > 0 or self.until > self.since

    @property
    def is_proven(self) -> bool:
        """Whether the errors stayed away for long enough."""
        return self.until - self.since >= self.needed_s


def describe(ctx: Context, incident: Incident) -> str:
    """What is asked of whom, in one line."""
    prints = sorted({str(group["fingerprint"]) for group in _groups(ctx.store, incident)})
    more = " and %d more" % (len(prints) - _SHOWN) if len(prints) > _SHOWN else ""
    return "the logs, for a further error of %s%s" % (
        ", ".join(prints[:_SHOWN]) or "this incident",
        more,
    )


def answer(
    ctx: Context, incident: Incident, question: Optional[Question]
) -> Tuple[bool, bool, str]:
    """(whether the errors go on, whether that is known, the answer in words). Without a `question`
    they go on until the sensor has said that they ended. Raises StoreError.
    """
    groups = _groups(ctx.store, incident)
    if not groups:
        return True, False, "no group of errors is known for this incident"
    if question is None:
        return _of_now(ctx, incident, groups)
    quiet = _quiet(ctx, groups, question)
    until = _clock(quiet.until)
    if not quiet.is_known:
        seen = "until %s only" % until if quiet.until else "never"
        return (
            True,
            False,
            "not known yet: looked at %s, and what matters came after %s"
            % (seen, _clock(quiet.since)),
        )
    if quiet.is_proven:
        since = _clock(quiet.since)
        return False, True, "none since %s, looked at until %s" % (since, until)
    if quiet.further:
        said = "%s since %s, the last at %s" % (
            counted(quiet.further, "further error"),
            _clock(question.since),
            _clock(quiet.since),
        )
    else:
        said = "none since %s" % _clock(quiet.since)
    return (
        True,
        True,
        "%s, looked at until %s; at this rate %g s without one are needed"
        % (said, until, round(quiet.needed_s, 1)),
    )


def quiet_for_s(ctx: Context, incident: Incident, question: Question) -> Optional[float]:
    """For how long the errors are known to have stayed away, in seconds before now; None when that
    is not proven. Raises StoreError.
    """
    groups = _groups(ctx.store, incident)
    quiet = _quiet(ctx, groups, question) if groups else None
    if quiet is None or not quiet.is_proven:
        return None
    return max(0.0, ctx.store.now() - quiet.since)


def _of_now(ctx: Context, incident: Incident, groups: Sequence[Row]) -> Tuple[bool, bool, str]:
    last = max(float(group["last_logged_at"]) for group in groups)
    words = "the last was logged at %s, looked at until %s" % (
        _clock(last),
        _clock(_looked_until(ctx.store, groups)),
    )
    return not incident.is_cleared, True, words


def _quiet(ctx: Context, groups: Sequence[Row], question: Question) -> Quiet:
    store = ctx.store
    keys = [str(group["group_key"]) for group in groups]
    rows = store.one(
        # A time stamp of the future is a clock that is wrong: it happened when it was seen.
        "SELECT COUNT(*) AS many, MAX(CASE WHEN logged_at < seen_at THEN logged_at ELSE seen_at "
        "END) AS last FROM error_logs "
        "WHERE group_key IN (%s) AND logged_at > ? AND seen_at >= ?" % placeholders(keys),
        (*keys, question.since, question.since),
    ) or {"many": 0, "last": None}
    storm = store.one(
        # What a storm counted has no rows of its own, and its minute is all that is known of it.
        "SELECT COALESCE(SUM(counted), 0) AS many, MAX(minute) AS last FROM error_counts "
        "WHERE group_key IN (%s) AND minute > ? AND counted > 0" % placeholders(keys),
        (*keys, int(question.since // _MINUTE_S)),
    ) or {"many": 0, "last": None}
    lasts = [float(rows["last"])] if rows["last"] is not None else []
    lasts += [(int(storm["last"]) + 1.0) * _MINUTE_S] if storm["last"] is not None else []
    return Quiet(
        max([question.since, *lasts]),
        _looked_until(store, groups),
        _needed_s(ctx, keys, question),
        int(rows["many"]) + int(storm["many"]),
    )


def _needed_s(ctx: Context, keys: Sequence[str], question: Question) -> float:
    """How long without an error is convincing, by the rate before `question.since`."""
    window_s = ctx.config.number("monitoring.window_minutes") * _MINUTE_S
    start = question.since - window_s
    found = ctx.store.one(
        "SELECT COUNT(*) AS many, MIN(logged_at) AS first FROM error_logs "
        "WHERE group_key IN (%s) AND logged_at > ? AND logged_at <= ?" % placeholders(keys),
        (*keys, start, question.since),
    )
    many = int(found["many"]) if found else 0
    if found is None or not many:
        return question.hold_s
    gap_s = (question.since - float(found["first"])) / many
    return max(question.hold_s, min(GAPS * gap_s, MOST_OF_LIMIT * question.limit_s))


def _groups(store: Store, incident: Incident) -> List[Row]:
    """The groups of errors behind the incident: those that its signals name."""
    return store.query(
        "SELECT group_key, fingerprint, origin, last_logged_at FROM error_groups "
        "WHERE incident_id = ? OR group_key IN "
        "(SELECT SUBSTR(fingerprint, ?) FROM alerts WHERE incident_id = ? AND fingerprint LIKE ?)",
        (incident.id, len(SOURCE) + 2, incident.id, SOURCE + ":%"),
    )


def _looked_until(store: Store, groups: Sequence[Row]) -> float:
    """Until when all sources of these groups were looked at; 0.0 where one never was."""
    return min(_checkpoint(store, str(group["origin"])) for group in groups)


def _checkpoint(store: Store, origin: str) -> float:
    names = (origin, "%s:%s" % (SOURCE, origin))
    known = [checkpoints.looked_until(checkpoints.read(store, name)) for name in names]
    return max((until for until in known if until is not None), default=0.0)


def _clock(at: float) -> str:
    return iso(at)[11:19] if at else "never"
