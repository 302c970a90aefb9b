"""What a breaker goes by, as the configuration says it, and what it is called.

Settings are read from safety.breaker (remedies) and safety.service_breaker (external services).
Names are hashed as JSON, so that no two of them share a key, whatever text from outside they hold.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from selfheal.exceptions import ConfigError
from selfheal.records import dataclass
from selfheal.store import dump
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.config import Config

REMEDY = "remedy"
SERVICE = "service"
_SECTIONS = {REMEDY: "safety.breaker", SERVICE: "safety.service_breaker"}
# A probe that has not come back by then is dead: a remedy runs for an hour at most and is proven by
# its signal afterwards; a call of a service is given up after seconds.
_PROBE_S = {REMEDY: 7200.0, SERVICE: 180.0}
_MAX_NAME = 300


@dataclass(frozen=True)
class Settings:
    """Times in seconds, rates from 0 to 1. `slow_s` 0 means learned, `slow_rate` 0 means never."""

    window_s: float
    min_calls: int
    failure_rate: float
    slow_rate: float
    slow_s: float
    open_s: float
    max_open_s: float
    probes: int
    adaptive: bool
    probe_s: float = _PROBE_S[REMEDY]

    def wait_s(self, level: int) -> float:
        """How long it stays open after `level` failed probes in a row."""
        return min(self.open_s * 2.0 ** min(level, 60), self.max_open_s)


@dataclass(frozen=True)
class Name:
    """Which breaker: a remedy on a scope, or an external service."""

    kind: str
    what: str
    scope: str = ""

    @property
    def key(self) -> str:
        """What its rows are found by: short, plain, fit for a chat message and a command line."""
        text = dump([self.kind, self.what, self.scope])
        return "%s-%s" % (self.kind, hashlib.sha256(text.encode("ascii")).hexdigest()[:20])

    @property
    def shown(self) -> str:
        """What people read: `runbook:restart|prod/shop/web`, `prometheus.edge`."""
        full = "%s|%s" % (self.what, self.scope) if self.kind == REMEDY else self.what
        return one_line(full, _MAX_NAME)


@dataclass(frozen=True)
class Stored:
    """A breaker as its row names it: what it was made of is not asked again."""

    kind: str
    key: str
    shown: str


def settings_of(config: Config, kind: str) -> Settings:
    """The settings of breakers of `kind`. Raises ConfigError for a figure that makes no sense."""
    section = _SECTIONS[kind]

    def figure(name: str, least: float, most: float) -> float:
        key = "%s.%s" % (section, name)
        value = config.number(key)
        if not least <= value <= most:
            raise ConfigError("%s must be from %g to %g, not %g" % (key, least, most, value))
        return value

    return Settings(
        window_s=60.0 * figure("window_minutes", 0.1, 44640),
        min_calls=int(figure("min_calls", 1, 1000000)),
        failure_rate=figure("failure_rate", 0.01, 1),
        slow_rate=figure("slow_rate", 0, 1),
        slow_s=figure("slow_seconds", 0, 86400),
        open_s=60.0 * figure("open_minutes", 0.01, 44640),
        max_open_s=60.0 * figure("max_open_minutes", 0.01, 44640),
        probes=int(figure("probes", 1, 100)),
        adaptive=config.get("%s.adaptive" % section) is not False,
        probe_s=_PROBE_S[kind],
    )
