"""min_healthy of Kubernetes: how many pods of a workload, or nodes of a cluster, a change in it
takes out of service, by the cluster as it is now.

Measured with no setting of safety.min_healthy: what must stay is kubernetes.min_healthy and
kubernetes.min_ready_nodes. A target that must not be touched at all shows here first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Tuple

from selfheal.exceptions import Refused, SelfhealError
from selfheal.guard.budgets import key
from selfheal.guard.verdict import Deed, Objection
from selfheal.records import dataclass
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

TARGET = "target"
ADVICE = "a person acts by hand, with the cluster's own tools, where that is meant"
_WAIT = "wait until more are ready, or lower kubernetes.min_healthy (nodes: min_ready_nodes)"


@dataclass(frozen=True)
class Taken:
    """What one operation takes from its `group`: `takes` of `healthy` of `total`, of which `keep`
    must stay; or the `problem` why that is unknown, or why it is `refused` whatever the numbers.
    """

    group: str = ""
    healthy: float = 0.0
    total: float = 0.0
    takes: int = 0
    keep: str = ""
    problem: str = ""
    refused: str = ""


def measure(ctx: Context, deed: Deed) -> Tuple[Taken, ...]:
    """What the operations of the deed take, asked of the cluster. Raises nothing foreseen."""
    return tuple(_taken(ctx, deed, number) for number in range(len(deed.operations)))


def _taken(ctx: Context, deed: Deed, number: int) -> Taken:
    from selfheal.remedy.kubernetes import tolls  # few deeds have operations

    try:
        toll = tolls.toll(ctx, deed.operations[number], deed)
    except Refused as error:
        return Taken(refused=one_line(str(error), 500))
    except SelfhealError as error:
        return Taken(problem=one_line(str(error), 300))
    return Taken(toll.group, toll.healthy, toll.total, toll.takes, toll.keep)


def charged(taken: Taken) -> List[str]:
    """The names that a deed is charged to for what it takes: one for each member."""
    return [member_name(taken.group, number) for number in range(1, taken.takes + 1)]


def member_name(group: str, number: int) -> str:
    """The name for the `number`-th member that a single deed takes away at once."""
    return key("kubernetes", group, str(number))


def refusal(taken: Taken) -> Optional[Objection]:
    """Why the operation is not for its target, or cannot be judged; None when it can be."""
    if taken.refused:
        return Objection(
            TARGET,
            taken.refused,
            ADVICE,
        )
    if taken.problem:
        return Objection(
            "min_healthy",
            "it cannot be told how many stay ready in Kubernetes: %s" % taken.problem,
            "mend what is asked (st2 run selfheal.check_config shows it); unknown counts as too "
            "few",
        )
    return None


def too_few(taken: Taken, flying: int) -> Objection:
    """The objection to taking away what must stay."""
    others = ", and %d more by others at work there" % flying if flying else ""
    return Objection(
        "min_healthy",
        "%g of %g of %s are ready; this takes %d away%s, and fewer than %s would stay"
        % (
            taken.healthy,
            taken.total,
            one_line(taken.group, 200),
            taken.takes,
            others,
            taken.keep,
        ),
        _WAIT,
        None,
        {
            "group": one_line(taken.group, 300),
            "healthy": taken.healthy,
            "total": taken.total,
            "takes": taken.takes,
            "in_flight": flying,
            "keep": taken.keep,
        },
    )
