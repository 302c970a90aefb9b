"""The words of this room: whose health (Ref), what is wrong with it (Finding), from when it counts
(Thresholds), how well a workload stands (Health).
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from selfheal.exceptions import ConfigError
from selfheal.records import dataclass
from selfheal.workloads.states import State

DAY_S = 86400.0
_MINUTE_S = 60.0


@dataclass(frozen=True, order=True)
class Ref:
    """An object by `kind` as the API writes kinds; `namespace` is empty for a node."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """As people name it: Deployment shop/cart, Node a1."""
        return "%s %s%s" % (self.kind, self.namespace and self.namespace + "/", self.name)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong now with what `owner` stands for.

    `words` are ours. `reason` and `message` came from outside: printable and bounded, no more.
    `since` is in seconds since the epoch as far as the objects tell, 0.0 unknown. `pod`,
    `container` and `node` are empty where it is about the whole.
    """

    state: State
    owner: Ref
    pod: str = ""
    container: str = ""
    reason: str = ""
    message: str = ""
    node: str = ""
    exit_code: Optional[int] = None
    since: float = 0.0
    restarts: int = 0
    words: str = ""


@dataclass(frozen=True)
class Thresholds:
    """From when a state counts: the settings of a Kubernetes target, times in seconds."""

    max_restarts: int
    restart_window_s: float
    pending_s: float
    terminating_s: float
    unready_s: float
    short_s: float
    settle_s: float
    rollout_blame_s: float

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Thresholds:
        """Of a target's completed settings. Raises ConfigError for one that is missing or is no
        number from 0.
        """
        return cls(
            max_restarts=int(_number(settings, "max_restarts")),
            restart_window_s=_number(settings, "restart_window_minutes") * _MINUTE_S,
            pending_s=_number(settings, "pending_minutes") * _MINUTE_S,
            terminating_s=_number(settings, "terminating_minutes") * _MINUTE_S,
            unready_s=_number(settings, "unready_minutes") * _MINUTE_S,
            short_s=_number(settings, "short_minutes") * _MINUTE_S,
            settle_s=_number(settings, "settle_s"),
            rollout_blame_s=_number(settings, "rollout_blame_minutes") * _MINUTE_S,
        )


@dataclass(frozen=True)
class Health:
    """How a workload stands. `ready` and `available` leave out pods of which a finding says that
    they are sick (`sick` counts them), as one that runs for a moment between two crashes.

    `is_settled`: what was asked of it has been carried out in full and all replicas are available,
    so nothing is under way any more. `steady_since` is when the last of its pods became ready
    (epoch seconds, 0.0 unknown), and `is_steady` whether that is settle_s ago: a pod that crashes
    after some seconds looks well until then. `words` say the same for people.
    """

    desired: int
    ready: int
    available: int
    updated: int
    is_settled: bool
    words: str
    sick: int = 0
    steady_since: float = 0.0
    is_steady: bool = True

    @property
    def is_well(self) -> bool:
        """Whether all that is wanted is there, well, and nothing is under way."""
        return self.is_settled and self.sick == 0 and self.available >= self.desired

    @property
    def missing(self) -> int:
        """How many of the wanted replicas are not available."""
        return max(0, self.desired - self.available)


def _number(settings: Mapping[str, Any], key: str) -> float:
    value = settings.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 10 ** 9:  # type: ignore[operator]
        raise ConfigError("kubernetes.%s must be a number from 0, not %r" % (key, value))
    return float(value)  # type: ignore[arg-type]
