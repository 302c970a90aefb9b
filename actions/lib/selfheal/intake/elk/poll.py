"""One look at the errors of a search target: from where the last one ended, nothing twice.

A look searches again what may have been indexed late, in slices when there is much to catch up, and
moves the checkpoint after each slice: when its documents are stored, the incidents they make are
stored, and their responses are asked for. Killed anywhere, the next look, here or in another
process, finds the rest and ends in the same rows. Too many documents are counted by `storm`, those
that came too late are found by `late`.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, Iterator, Mapping, Optional, Set, Tuple

from selfheal.errors import watch
from selfheal.errors.book import ErrorBook, Stored
from selfheal.errors.storms import known_minutes
from selfheal.errors.unusual import unusual
from selfheal.exceptions import SelfhealError
from selfheal.incidents.dispatch import dispatch
from selfheal.intake.documents.reading import Reading
from selfheal.intake.elk import late, storm
from selfheal.intake.elk.pages import Intake, Seen
from selfheal.intake.elk.reached import checkpoint_name
from selfheal.intake.garbage import rarely_collected
from selfheal.records import dataclass
from selfheal.store import checkpoints

if TYPE_CHECKING:
    from selfheal.apis.elasticsearch.search import Search
    from selfheal.context import Context
    from selfheal.errors.judge import Judge

# A server's clock may be ahead of ours by so much, and its errors still count now.
AHEAD_S = 600.0
# A look that has taken this part of the interval begins no further slice.
TIME_SHARE = 0.8
# Clocks of two sensors differ by a little; by more, one was set.
CLOCK_STEP_S = 60.0


@dataclass
class PollState:
    """What a sensor keeps of one target between two looks. Losing it costs work, never an error.

    `reached` is how far documents are stored whose responses could not be asked for yet (epoch s).
    """

    judge: Judge
    seen: Seen = field(default_factory=Seen)
    reached: float = float("-inf")
    comparison: late.Comparison = field(default_factory=late.Comparison)

    def forget(self) -> None:
        """After a failure: rely on the store alone."""
        self.seen.forget()
        self.reached = float("-inf")
        self.comparison = late.Comparison()


@dataclass
class _Look:
    """One poll under way. `since` is where the first look of all began, `until` the checkpoint,
    `reached` how far all is stored at least.
    """

    ctx: Context
    name: str
    search: Search
    state: PollState
    settings: Mapping[str, Any]
    reading: Reading
    window_s: float
    book: ErrorBook
    intake: Intake
    since: float
    until: float
    reached: float
    deadline: float
    limit: int
    counts: Dict[str, Any]
    storm: storm.Counted = field(default_factory=storm.Counted)

    @property
    def now(self) -> float:
        """When the look began."""
        return self.reading.now

    @property
    def start(self) -> float:
        """From when on errors are searched: all that may not have been there the last time."""
        delay_s = float(self.settings["query_delay_s"])
        return min(self.reached - delay_s, self.now - self.window_s)


def poll(ctx: Context, name: str, search: Search, state: PollState) -> Dict[str, Any]:
    """Look once at the target `name`, asked through `search`, whose settings are complete.

    Returns {"found": hits, "new": documents stored, "late", "rejected", "new_patterns", "storm":
    what was counted by aggregation or None, "opened": incidents opened or reopened, "resolved":
    groups that are quiet again, "dispatched", "waiting", "slices": searched, "behind": whether some
    was left for the next look, "checkpoint", "lag_s", "health", "warnings": what hides errors from
    the search, "error": the first failure to reach StackStorm}. Raises ExternalError or ConfigError
    when the target cannot be asked, StoreError; then what was taken in before stays, and the
    checkpoint has not passed anything that was not.
    """
    with rarely_collected():
        return _poll(ctx, name, search, state)


def _poll(ctx: Context, name: str, search: Search, state: PollState) -> Dict[str, Any]:
    look = _begin(ctx, name, search, state)
    health = _health(search)
    slices, is_behind = 0, False
    for start, end in _slices(look):
        if slices and (
            ctx.clock.monotonic() >= look.deadline or look.intake.taken.found >= look.limit
        ):
            is_behind = True
            break
        _take_slice(look, start, end)
        _settle(look, min(end, look.now))
        slices += 1
    if not is_behind and late.is_due(state.comparison, ctx.clock.monotonic()):
        _look_for_late(look)
    taken = look.intake.taken
    return {
        "found": taken.found,
        "new": taken.new,
        "late": taken.late,
        "rejected": taken.rejected,
        "new_patterns": taken.patterns,
        "storm": look.storm.shown(),
        **look.counts,
        "slices": slices,
        "behind": is_behind,
        "checkpoint": look.until,
        "lag_s": max(0.0, round(ctx.clock.now() - look.until, 3)),
        "health": health,
        "warnings": search.warnings(),
    }


def _begin(ctx: Context, name: str, search: Search, state: PollState) -> _Look:
    settings = search.settings
    reading = Reading(
        origin=name,
        cluster=str(settings.get("cluster") or ""),
        time_field=str(settings["time_field"]),
        now=ctx.clock.now(),
    )
    window_s = ctx.config.number("monitoring.window_minutes") * 60
    checkpoint = checkpoints.read(ctx.store, checkpoint_name(name))
    known = checkpoints.number(checkpoint, "until")
    until = reading.now - window_s if known is None else known
    if until > reading.now + CLOCK_STEP_S:
        ctx.log.warning(
            "%s was looked at until %d s from now: the clock was set back here or was ahead there; "
            "the checkpoint stays where it is",
            name,
            until - reading.now,
        )
    book = ErrorBook(ctx.store, ctx.config.get("monitoring.scope_by"))
    intake = Intake(ctx.store, state.judge, book, state.seen, reading)
    # Nobody has looked at what is still to come: groups would count as quiet by it.
    reached = min(max(checkpoints.looked_until(checkpoint) or until, state.reached), reading.now)
    if known is not None:
        intake.late_before = reached - settings["query_delay_s"]
    return _Look(
        ctx=ctx,
        name=name,
        search=search,
        state=state,
        settings=settings,
        reading=reading,
        window_s=window_s,
        book=book,
        intake=intake,
        since=checkpoints.number(checkpoint, "since") or until - float(settings["query_delay_s"]),
        until=until,
        reached=reached,
        deadline=ctx.clock.monotonic() +
        TIME_SHARE * ctx.config.number("monitoring.check_interval"),
        limit=int(ctx.config.number("monitoring.max_documents_per_poll")),
        counts={
            **dict.fromkeys(("opened", "resolved", "dispatched", "waiting"), 0),
            "error": "",
        },
    )


def _health(search: Search) -> Dict[str, Any]:
    """The cluster's own word. Without it the search itself has to show whether it can answer."""
    try:
        return search.health()
    except SelfhealError as error:
        return {"status": "unknown", "error": str(error)}


def _slices(look: _Look) -> Iterator[Tuple[float, float]]:
    """The time to search in slices: the first overlaps with what was searched before, the last one
    reaches beyond now.
    """
    start, position = look.start, max(look.start, min(look.reached, look.now))
    horizon = max(look.now, look.reached) + AHEAD_S
    while start < horizon:
        step_s = float(look.settings["slice_minutes"]) * 60
        end = position + step_s
        while (
            position + look.window_s < look.now and
            step_s > look.window_s and
            _one_by_one(look, start, end) > look.limit
        ):
            step_s = max(look.window_s, step_s / 2)
            end = position + step_s
        if end >= look.now:
            end = horizon
        yield start, end
        start = position = end


def _one_by_one(look: _Look, start: float, end: float) -> int:
    """How many errors of [start, end) lie outside of the minutes that are counted as a whole."""
    outside, _ = storm.split(start, end, _storm_minutes(look, start, end))
    return sum(look.search.count(*part) for part in outside)


def _storm_minutes(look: _Look, start: float, end: float) -> Set[int]:
    return known_minutes(look.ctx.store, look.name, storm.minutes_of(start, end))


def _take_slice(look: _Look, start: float, end: float) -> None:
    """Store or count every error of [start, end)."""
    minutes = _storm_minutes(look, start, end)
    outside, inside = storm.split(start, end, minutes)
    # What was read one by one before stays so where that is little enough: new minutes go first.
    for first in (max(start, min(look.reached, look.now)), start):
        if sum(look.search.count(*part) for part in outside) <= look.limit:
            break
        minutes |= storm.minutes_of(first, end)
        outside, inside = storm.split(start, end, minutes)
    for part in outside:
        _read(look, *part)
    for part in inside:
        storm.count(look.search, look.book, look.state.judge, look.reading, part, look.storm)


def _read(look: _Look, start: float, end: float) -> None:
    for hits in look.search.pages(start, end, look.settings["page_size"]):
        look.intake.take(hits)
        del hits  # else the page would be kept while the next one comes


def _look_for_late(look: _Look) -> None:
    """Read again where the search has other counts than we have, before the time of this look."""
    oldest = max(look.since, look.now - float(look.settings["late_minutes"]) * 60)
    again = late.compare(
        look.ctx.store,
        look.search,
        look.name,
        (oldest, look.start),
        look.state.comparison,
        lambda start, end: _take_slice(look, start, end),
    )
    look.state.comparison.compared_at = look.ctx.clock.monotonic()
    if again:
        _settle(look, look.now)


def _settle(look: _Look, searched_to: float) -> None:
    """Make incidents of what is stored, ask for their responses, and then move the checkpoint."""
    look.reached = max(look.reached, searched_to)
    evaluated = watch.evaluate(look.ctx, look.name, look.reached)
    _tell_of_unusual(look)
    started = dispatch(look.ctx)
    closing = dispatch(look.ctx, cleared=evaluated.cleared) if evaluated.cleared else started
    counts = look.counts
    counts["opened"] += len(evaluated.incidents)
    counts["resolved"] += evaluated.resolved
    counts["dispatched"] += len(started["dispatched"])
    counts["waiting"] = closing["waiting"]
    counts["error"] = counts["error"] or started["error"] or closing["error"]
    if counts["error"]:
        look.state.reached = look.reached
        _advance(look, None)
    else:
        look.until = _advance(look, look.reached)


def _tell_of_unusual(look: _Look) -> None:
    """Spikes and new patterns among what was stored since the last time, where that is wanted."""
    taken = look.intake.taken
    unusual(look.ctx, Stored(0, 0, 0, taken.new_patterns, sorted(taken.groups)))
    taken.new_patterns = []
    taken.groups = set()


def _advance(look: _Look, until: Optional[float]) -> float:
    """Note that there was a look, and move the checkpoint to `until`, never backwards; where it is
    now.
    """
    store, name = look.ctx.store, checkpoint_name(look.name)
    with store.transaction("checkpoints"):
        value = checkpoints.read(store, name)
        known = checkpoints.number(value, "until")
        reached = [at for at in (known, until) if at is not None]
        value = {
            "since": checkpoints.number(value, "since") or look.since,
            "looked_at": store.now(),
            **({"until": max(reached)} if reached else {}),
        }
        checkpoints.write(store, name, value)
    return max(reached, default=look.until)
