"""What a guard cannot read is a no: failures of the store or of the settings become objections.

A guard that raised would leave it to its caller what that means; here it is said once. Failures of
code are not caught: whoever asks all guards must treat those as a no as well.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar, cast

from selfheal.exceptions import ConfigError, SelfhealError
from selfheal.guard.verdict import Objection
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

Guard = TypeVar("Guard", bound=Callable[..., Optional[Objection]])


def amount(ctx: Context, setting: str) -> float:
    """The number at `setting`, which counts or measures something. Raises ConfigError for one that
    cannot.
    """
    value = ctx.config.number(setting)
    if not math.isfinite(value) or value < 0:
        raise ConfigError("%s must be 0 or more, not %s" % (setting, value))
    return value


def unreadable(what: str, error: Exception, rule: str) -> Objection:
    """The objection of a guard with `rule` that could not read `what` because of `error`."""
    words = one_line(str(error), 300)
    if isinstance(error, ConfigError):
        return Objection(
            rule,
            "the guard cannot use its settings for %s: %s" % (what, words),
            "nothing is changed until the setting is mended; check_config names all that is wrong",
        )
    return Objection(
        "store",
        "the guard cannot read %s: %s" % (what, words),
        "nothing is changed while that is so; mend the database (database.url), then try again",
        data={"retryable": bool(getattr(error, "retryable", False))},
    )


def no_when_unreadable(what: str, rule: str) -> Callable[[Guard], Guard]:
    """Decorates a guard: a SelfhealError that leaves it becomes its objection."""

    def decorate(guard: Guard) -> Guard:
        @functools.wraps(guard)
        def asked(*arguments: Any, **named: Any) -> Optional[Objection]:
            try:
                return guard(*arguments, **named)
            except SelfhealError as error:
                return unreadable(what, error, rule)

        return cast(Guard, asked)

    return decorate
