"""The ladder of an escalation as a pure function: who is to be told now.

A rung is told once its minutes have passed since the escalation began, unless somebody has
acknowledged. The first is told at once, whatever stands there. What became due while nobody looked
is told together, each channel once.
"""

from __future__ import annotations

from typing import Any, Collection, List, Mapping, Sequence, Tuple

from selfheal.exceptions import ConfigError
from selfheal.notify import channels
from selfheal.records import dataclass

_LONGEST_MINUTES = 10080.0
_MOST_REPEATS = 1000


@dataclass(frozen=True)
class Rung:
    """A step of the ladder: its number from 0, how long after the beginning, by which channels."""

    number: int
    after_s: float
    by: Tuple[str, ...]


def ladder(
    written: Any, configured: Sequence[str], repeat: int = 0, repeat_minutes: float = 30.0
) -> List[Rung]:
    """The rungs of the setting escalation.ladder, by time, gone through `repeat` times more, each
    `repeat_minutes` after the last rung. Channels that are not configured are left out; a first
    rung with none has all that are. Raises ConfigError for what is no ladder.
    """
    read = sorted((_read(position, one) for position, one in enumerate(_items(written))))
    known = [
        (minutes, tuple(name for name in by if name in configured)) for minutes, _, by in read
    ]
    known = [(minutes, by) for place, (minutes, by) in enumerate(known) if by or place == 0]
    if not known or not known[0][1]:
        known = [(0.0, tuple(configured)), *known[1:]]
    known[0] = (0.0, known[0][1])
    round_s = 60.0 * (known[-1][0] + repeat_minutes)
    return [
        Rung(turn * len(known) + place, turn * round_s + 60.0 * minutes, by)
        for turn in range(min(max(0, repeat), _MOST_REPEATS) + 1)
        for place, (minutes, by) in enumerate(known)
    ]


def due(
    rungs: Sequence[Rung],
    began_at: float,
    told: Collection[int],
    acknowledged: bool,
    now: float,
) -> List[Rung]:
    """The rungs to be told now, `told` being the numbers of those that were. A clock that was set
    back to before the beginning makes only the first due.
    """
    if acknowledged:
        return []
    gone_s = max(0.0, now - began_at)
    return [rung for rung in rungs if rung.number not in told and rung.after_s <= gone_s]


def unknown(written: Any, named: Collection[str]) -> List[str]:
    """The words of a ladder that name no channel of `named`. Raises ConfigError."""
    found = {
        channels.word_of(channel)
        for position, one in enumerate(_items(written))
        for channel in _read(position, one)[2]
        if channel not in named
    }
    return sorted(found)


def _items(written: Any) -> Sequence[Any]:
    if written is None:
        return ()
    if not isinstance(written, (list, tuple)):
        raise ConfigError("escalation.ladder must be a list of rungs, not %r" % (written,))
    return written


def _read(position: int, one: Any) -> Tuple[float, int, Tuple[str, ...]]:
    where = "escalation.ladder[%d]" % position
    if not isinstance(one, Mapping):
        raise ConfigError("%s must be a map of after_minutes and by, not %r" % (where, one))
    minutes, by = one.get("after_minutes", 0), one.get("by")
    is_number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if not is_number or not 0 <= minutes <= _LONGEST_MINUTES:
        raise ConfigError(
            "%s.after_minutes must be a number from 0 to %d, not %r"
            % (where, _LONGEST_MINUTES, minutes)
        )
    words = [by] if isinstance(by, str) else by
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise ConfigError("%s.by must be a list of channels such as slack.oncall" % where)
    found = dict.fromkeys(channels.channel_of(word) for word in words)
    return float(minutes), position, tuple(found)
