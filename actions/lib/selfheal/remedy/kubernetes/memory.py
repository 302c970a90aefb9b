"""Which containers were killed for want of memory, and at which limit: that of their pods, whoever
set it. A template need not say it, for a LimitRange fills in what is missing and a
VerticalPodAutoscaler puts another in its place. Pure.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Sequence

from selfheal.exceptions import InvalidInput, Refused
from selfheal.remedy.kubernetes import quantities
from selfheal.workloads import containers, shape

Json = Mapping[str, Any]
IN_TEMPLATES = ("containers", "initContainers")


class Kill(NamedTuple):
    """The memory limit of a container that was killed, and what it had asked for. An empty limit is
    none: then it was the node that had no memory left.
    """

    limit: str
    request: str


_NOTHING = Kill("", "")


def killed(pods: Iterable[Json]) -> Dict[str, List[Kill]]:
    """The containers that were killed, by their names, most often killed first."""
    found: Dict[str, List[Kill]] = {}
    for pod in pods:
        sizes = _sizes(pod)
        for one in containers.containers_of(pod):
            if one.is_step and one.is_done:
                continue  # it had enough in the end
            for ended in (one.state("terminated"), one.last):
                if shape.text(ended, "reason") == containers.OOM_KILLED:
                    found.setdefault(one.name, []).append(sizes.get(one.name, _NOTHING))
    return {name: found[name] for name in sorted(found, key=lambda key: (-len(found[key]), key))}


def at_limit(name: str, in_template: str, kills: Sequence[Kill]) -> Kill:
    """With which limit, and which request, container `name` was killed, when its template says
    `in_template`: what a step begins from. Raises Refused where there is no limit, and where
    another one in the template would change nothing.
    """
    known = [one for one in kills if _is_quantity(one.limit)]
    if not in_template:
        if not known:
            raise Refused(
                "container %s has no memory limit: it was the node that had no memory left; a "
                "limit cannot be raised" % name
            )
        return max(known, key=_limit)
    if known and _is_quantity(in_template):
        wanted = quantities.parsed(in_template)
        if all(_limit(one) != wanted for one in known):
            raise Refused(
                "container %s was killed with a memory limit of %s, and its template says %s: "
                "either its rollout has not ended yet, or something else sets the limit of its "
                "pods (a VerticalPodAutoscaler) and is where to raise it"
                % (name, max(known, key=_limit).limit, in_template)
            )
    return Kill(in_template, "")


def refuse_added(names: Sequence[str]) -> None:
    """Raises Refused for containers that were killed and are in no template."""
    raise Refused(
        "container %s was killed for want of memory, and is not in its template: something adds it "
        "to the pods (as meshes do), and that is where to raise its limit" % ", ".join(names)
    )


def _sizes(pod: Json) -> Dict[str, Kill]:
    spec = shape.mapping(pod, "spec")
    return {
        shape.line(one, "name", shape.NAME_LIMIT): Kill(
            *(
                str(shape.mapping(one, "resources", key).get("memory") or "")
                for key in ("limits", "requests")
            )
        )
        for key in IN_TEMPLATES
        for one in shape.mappings(spec, key)
    }


def _limit(kill: Kill) -> Decimal:
    return quantities.parsed(kill.limit)


def _is_quantity(value: str) -> bool:
    try:
        return quantities.parsed(value) > 0
    except InvalidInput:
        return False
