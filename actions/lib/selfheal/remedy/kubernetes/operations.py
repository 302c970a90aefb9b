"""What can be done in Kubernetes: one row for each operation, with its risk, the kinds it is for
and its options.

Options are constants that a person wrote. What is touched is the incident's own workload or node,
so nothing here names an object.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Mapping, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.records import dataclass
from selfheal.remedy.fields import one_of
from selfheal.remedy.model import DISRUPTIVE, REVERSIBLE, RISKS, KubernetesAct
from selfheal.text import one_line

Reader = Callable[[Any, str], Any]

MOST_PODS = 50
MOST_REPLICAS = 10000
ROLLING = ("Deployment", "StatefulSet", "DaemonSet")
WITH_PODS = (*ROLLING, "ReplicaSet", "Job", "Pod")
OF_PODS = ("delete_pod", "evict_pod", "reschedule_pod")
STEP = "step"
# The parts of objects that operations change.
REPLICAS = ("spec", "replicas")
UNSCHEDULABLE = ("spec", "unschedulable")
TEMPLATE = ("spec", "template")
CAUSE = ("metadata", "annotations", "kubernetes.io/change-cause")
_LEAST_MEMORY = "4Mi"  # with less not even the runtime's own process starts
_LEAST_PROCESSORS = "1m"
_QUANTITY = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?(m|k|K|M|G|T|Ki|Mi|Gi|Ti)?\Z")


@dataclass(frozen=True)
class Operation:
    """One operation. `kinds` are what it is for, `options` how each option is read, `is_undoable`
    whether there is something to put back; `words` say what happens to what.
    """

    name: str
    risk: str
    kinds: Tuple[str, ...]
    words: str
    options: Mapping[str, Reader]
    is_undoable: bool = True


def _whole(low: int, high: int) -> Reader:
    def read(value: Any, where: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidInput(
                "%s must be a whole number from %d to %d, not %s"
                % (where, low, high, _short(value))
            )
        return value

    return read


def _yes_or_no(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput("%s must be true or false, not %s" % (where, _short(value)))
    return value


def _one_of(*allowed: str) -> Reader:
    return lambda value, where: one_of(value, allowed, where)


def _quantity(value: Any, where: str) -> str:
    text = str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
    is_one = isinstance(text, str) and _QUANTITY.match(text) is not None
    if not is_one or not re.search(r"[1-9]", text):
        raise InvalidInput(
            "%s must be a quantity such as 512Mi or 250m, not %s" % (where, _short(value))
        )
    return str(text)


def _limit_or_step(value: Any, where: str) -> str:
    if value == STEP:
        return STEP
    text = _memory(value, where)
    if _is_less(text, _LEAST_MEMORY):
        raise InvalidInput(
            "%s: with a limit of %s no container starts: a number alone is bytes, so write %sMi "
            "when mebibytes are meant" % (where, text, text if text.isdigit() else "512")
        )
    return text


def _memory(value: Any, where: str) -> str:
    text = _quantity(value, where)
    if text.endswith("m"):
        raise InvalidInput("%s: %s is a thousandth of a byte; write 512Mi or 2Gi" % (where, text))
    return text


def _processors(value: Any, where: str) -> str:
    text = _quantity(value, where)
    if text[-1].isalpha() and not text.endswith("m"):
        raise InvalidInput("%s: processors are counted as 250m or 1.5, not %s" % (where, text))
    if _is_less(text, _LEAST_PROCESSORS):
        raise InvalidInput("%s: %s is less than a thousandth of a processor" % (where, text))
    return text


def _is_less(one: str, other: str) -> bool:
    from selfheal.remedy.kubernetes import quantities

    return quantities.parsed(one) < quantities.parsed(other)


def _container(value: Any, where: str) -> str:
    if not isinstance(value, str) or not re.match(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z", value):
        raise InvalidInput("%s must be the name of a container, not %s" % (where, _short(value)))
    return value


_OF_PODS: Dict[str, Reader] = {"which": _one_of("sick"), "most": _whole(1, MOST_PODS)}
_ROWS = (
    Operation(
        "restart_workload", REVERSIBLE, ROLLING,
        "restart all pods, a few at a time, by the workload's own rollout", {},
    ),
    Operation(
        "delete_pod", REVERSIBLE, WITH_PODS,
        "delete sick pods, which their controller replaces", _OF_PODS, is_undoable=False,
    ),
    Operation(
        "evict_pod", REVERSIBLE, WITH_PODS,
        "evict sick pods as far as disruption budgets allow; their controller replaces them",
        _OF_PODS, is_undoable=False,
    ),
    Operation(
        "reschedule_pod", REVERSIBLE, tuple(kind for kind in WITH_PODS if kind != "DaemonSet"),
        "evict sick pods until their replacements are ready on another node",
        {**_OF_PODS, "avoid_node": _yes_or_no},
    ),
    Operation(
        "scale_workload", REVERSIBLE, ("Deployment", "StatefulSet", "ReplicaSet"),
        "change the number of replicas",
        {"by": _whole(-MOST_REPLICAS, MOST_REPLICAS), "to": _whole(0, MOST_REPLICAS)},
    ),
    Operation(
        "rollback_workload", DISRUPTIVE, ROLLING,
        "put back the pod template of the revision before", {},
    ),
    Operation("cordon_node", DISRUPTIVE, ("Node",), "let no new pods onto the node", {}),
    Operation("uncordon_node", REVERSIBLE, ("Node",), "let new pods onto the node again", {}),
    Operation(
        "set_resources", DISRUPTIVE, ROLLING,
        "change what the containers may use and ask for, which restarts the pods",
        {
            "container": _container,
            "memory": _limit_or_step,
            "cpu": _processors,
            "memory_request": _memory,
            "cpu_request": _processors,
        },
    ),
    Operation(
        "apply_hpa", DISRUPTIVE, ("Deployment", "StatefulSet", "ReplicaSet"),
        "create or replace the horizontal pod autoscaler",
        {
            "min_replicas": _whole(1, MOST_REPLICAS),
            "max_replicas": _whole(1, MOST_REPLICAS),
            "cpu_percent": _whole(0, 1000),
            "memory_percent": _whole(0, 1000),
            "queue_length": _quantity,
            "request_seconds": _quantity,
        },
    ),
)
OPERATIONS: Dict[str, Operation] = {row.name: row for row in _ROWS}


def act_of(do: Any, options: Mapping[str, Any], where: str = "kubernetes") -> KubernetesAct:
    """The operation `do` with `options`, each checked. Raises InvalidInput saying where and what
    was expected. Options that are None count as not given.
    """
    operation = OPERATIONS[one_of(do, tuple(OPERATIONS), "%s.do" % where)]
    given = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(str(name) for name in given if name not in operation.options)
    if unknown:
        raise InvalidInput(
            "%s: %s has no option %s (it has: %s)"
            % (where, do, ", ".join(unknown), ", ".join(operation.options) or "none")
        )
    read = [
        (name, operation.options[name](value, "%s.%s" % (where, name)))
        for name, value in sorted(given.items())
    ]
    _fit_together(operation.name, dict(read), where)
    return KubernetesAct(operation.name, tuple(read))


def _fit_together(do: str, options: Mapping[str, Any], where: str) -> None:
    if do == "scale_workload" and ("by" in options) == ("to" in options):
        raise InvalidInput("%s: scale_workload needs either by or to" % where)
    if options.get("by") == 0:
        raise InvalidInput("%s.by must not be 0" % where)
    if do == "set_resources" and not set(options) - {"container"}:
        raise InvalidInput(
            "%s: set_resources needs one of memory, cpu, memory_request, cpu_request" % where
        )
    least, most = options.get("min_replicas"), options.get("max_replicas")
    if least is not None and most is not None and least > most:
        raise InvalidInput("%s.min_replicas must not be more than max_replicas" % where)


def operation_of(act: KubernetesAct) -> Operation:
    """The row of `act`. Raises InvalidInput when there is none."""
    return OPERATIONS[one_of(act.do, tuple(OPERATIONS), "kubernetes.do")]


def risk_of(act: KubernetesAct) -> str:
    """The least risk of `act` with its options."""
    options = dict(act.options)
    risk = operation_of(act).risk
    if options.get("to") == 0 or options.get("avoid_node"):
        risk = max(risk, DISRUPTIVE, key=RISKS.index)
    return risk


def is_undoable(act: KubernetesAct) -> bool:
    """Whether something would be owed after it: what controllers replace by themselves is not."""
    options = dict(act.options)
    if act.do == "reschedule_pod":
        return bool(options.get("avoid_node"))
    return operation_of(act).is_undoable


def touched_by(do: str) -> Tuple[Tuple[str, ...], Tuple[Tuple[str, ...], ...]]:
    """(kinds, paths): all that the operation `do` ever changes, and so all that taking it back may
    change. Both are empty where there is nothing to take back.
    """
    operation = OPERATIONS.get(do)
    if do in ("cordon_node", "uncordon_node", "reschedule_pod"):
        return ("Node",), (UNSCHEDULABLE,)
    if do == "apply_hpa":
        return ("HorizontalPodAutoscaler",), (("spec",),)
    if operation is None or not operation.is_undoable:
        return (), ()
    return operation.kinds, (REPLICAS,) if do == "scale_workload" else (TEMPLATE, CAUSE)


def in_words(act: KubernetesAct) -> str:
    """What `act` would do, for people: its name, its options and what happens to what."""
    options = ", ".join("%s %s" % (name, _shown(value)) for name, value in act.options)
    operation = OPERATIONS.get(act.do)
    return "%s%s: %s" % (
        act.do.replace("_", " "),
        " (%s)" % options if options else "",
        operation.words if operation else "no such operation",
    )


def as_dict(act: KubernetesAct) -> Dict[str, Any]:
    """{"do", "options"}, as plans hold it."""
    return {"do": act.do, "options": dict(act.options)}


def _short(value: Any) -> str:
    return one_line(repr(value), 100)


def _shown(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
