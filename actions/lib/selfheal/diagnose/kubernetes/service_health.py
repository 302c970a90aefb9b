"""The action k8s_service_health: does a service have anybody behind it, and if not, what does not
fit: selector, labels, ports, or pods that are not ready.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.diagnose.kubernetes import asking, events
from selfheal.diagnose.kubernetes.notebook import Notebook
from selfheal.exceptions import SelfhealError
from selfheal.records import dataclass
from selfheal.text import counted, one_line
from selfheal.workloads import services, shape

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context

DEADLINE_S = 15.0
_MOST_PODS = 2000
_SHOWN = 10


@dataclass
class Verdict:
    """What is behind a service: counts, the ports, and each thing that does not fit in words."""

    selector: Dict[str, str]
    ready: int
    not_ready: int
    pods: int
    ready_pods: int
    ports: List[Dict[str, Any]] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    hints: List[str] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        """Whether somebody answers at every port."""
        return self.ready > 0 and not self.problems


def k8s_service_health(
    ctx: Context, namespace: str, name: str, cluster: str = ""
) -> Dict[str, Any]:
    """Look at one service, its endpoints and the pods that it selects; nothing is changed.

    Returns {"service", "healthy", "problems": [words], "hints", "type", "selector", "endpoints":
    {"ready", "not_ready"}, "pods": {"selected", "ready"}, "ports": [{"port", "target", "found"}],
    "events", "missing": [{"part", "why"}], "summary"}. Raises InvalidInput, NotFound, ConfigError,
    ExternalError when the service or its endpoints cannot be read.
    """
    from selfheal.apis.kubernetes import client as api
    from selfheal.apis.kubernetes import paths

    paths.checked_name(name)
    paths.checked_namespace(namespace)
    client = api.connect(ctx, asking.cluster_of(ctx, cluster))
    try:
        client.hurry(DEADLINE_S)
        return _looked(ctx, client, namespace, name)
    finally:
        client.close()


def _looked(ctx: Context, client: Client, namespace: str, name: str) -> Dict[str, Any]:
    service = client.get(client.path("Service", namespace, name))
    notes = Notebook(ctx.config.secrets())
    kind = shape.line(shape.mapping(service, "spec"), "type", 40) or "ClusterIP"
    endpoints = _or_nothing(client, namespace, name)
    pods = _pods(client, namespace, notes)
    verdict = judge(service, endpoints, pods)
    try:
        selector = "involvedObject.kind=Service,involvedObject.name=%s" % name
        page = client.get(
            client.collection("Event", namespace), {"fieldSelector": selector, "limit": 50}
        )
        events.write(notes, shape.mappings(page, "items"))
    except SelfhealError as error:
        notes.lacks("events", str(error))
    summary = "service %s/%s: %s" % (
        namespace,
        name,
        "healthy, %d addresses ready" % verdict.ready
        if verdict.is_healthy
        else "; ".join(verdict.problems) or "nobody is ready behind it",
    )
    return {
        "service": "%s/%s" % (namespace, name),
        "healthy": verdict.is_healthy,
        "problems": verdict.problems,
        "hints": verdict.hints,
        "type": kind,
        "selector": verdict.selector,
        "endpoints": {"ready": verdict.ready, "not_ready": verdict.not_ready},
        "pods": {"selected": verdict.pods, "ready": verdict.ready_pods},
        "ports": verdict.ports,
        "events": notes.content.get("events", [])[:_SHOWN],
        "missing": notes.missing,
        "summary": one_line(summary, 500),
    }


def _or_nothing(client: Client, namespace: str, name: str) -> Any:
    """The endpoints; a service without any has no such object."""
    from selfheal.apis.kubernetes.failures import Missing, NotServed

    try:
        return client.get(client.path("Endpoints", namespace, name))
    except NotServed:
        raise
    except Missing:
        return {}


def _pods(client: Client, namespace: str, notes: Notebook) -> List[Any]:
    """The pods of the namespace: of those that the selector misses, some may be meant."""
    found: List[Any] = []
    try:
        for page in client.pages(client.collection("Pod", namespace)):
            found = found + shape.mappings(page, "items") if page is not None else []
            if len(found) >= _MOST_PODS:
                notes.lacks("pods", "only the first %d of the namespace were read" % len(found))
                break
    except SelfhealError as error:
        notes.lacks("pods", str(error))
    return found


def judge(service: Any, endpoints: Any, pods: Sequence[Any]) -> Verdict:
    """What fits and what does not. Pure; `pods` are those of the namespace."""
    spec = shape.mapping(service, "spec")
    selector = {
        one_line(str(key), 100): one_line(str(value), 100)
        for key, value in shape.mapping(spec, "selector").items()
    }
    selected = [
        pod
        for pod in pods
        if services.selects(service, shape.labels(pod)) and _is_alive(pod)
    ]
    ready = [pod for pod in selected if _is_ready(pod)]
    not_ready = sum(
        len(shape.mappings(one, "notReadyAddresses"))
        for one in shape.mappings(endpoints, "subsets")
    )
    verdict = Verdict(
        selector, services.ready_addresses([endpoints]), not_ready, len(selected), len(ready)
    )
    if spec.get("type") == "ExternalName":
        verdict.hints.append("it is an alias of another name, so it has no endpoints of its own")
        verdict.problems.append("nothing here can say whether %s answers" % _alias(spec))
        return verdict
    if not selector:
        verdict.hints.append("it has no selector: its endpoints are written by somebody else")
        if not verdict.ready:
            verdict.problems.append("it has no selector and no ready address")
        return verdict
    _members(verdict, selector, selected, ready, pods)
    _ports(verdict, spec, selected)
    return verdict


def _members(
    verdict: Verdict,
    selector: Mapping[str, str],
    selected: Sequence[Any],
    ready: Sequence[Any],
    pods: Sequence[Any],
) -> None:
    if not selected:
        verdict.problems.append(
            "its selector (%s) matches no pod"
            % ", ".join("%s=%s" % pair for pair in sorted(selector.items()))
        )
        verdict.hints += _near_misses(selector, pods)
    elif not ready:
        names = ", ".join(shape.place(pod)[1] for pod in selected[:3])
        verdict.problems.append(
            "none of the %s that it selects is ready (%s): see k8s_diagnose"
            % (counted(len(selected), "pod"), names)
        )
    elif not verdict.ready:
        verdict.problems.append(
            "%s ready, but the service has no ready address yet"
            % ("1 pod is" if len(ready) == 1 else "%d pods are" % len(ready))
        )
    if ready and len(ready) < len(selected):
        verdict.hints.append("%d of %d selected pods are ready" % (len(ready), len(selected)))


def _near_misses(selector: Mapping[str, str], pods: Sequence[Any]) -> List[str]:
    """Pods that only one label keeps from being selected."""
    found: Dict[str, int] = {}
    for pod in pods:
        labels = shape.labels(pod)
        wrong = [key for key, value in selector.items() if labels.get(key) != value]
        if len(wrong) == 1 and (len(selector) > 1 or wrong[0] in labels):
            has = one_line(labels[wrong[0]], 80) if wrong[0] in labels else "no such label"
            words = "with %s: %s, where the selector wants %s" % (wrong[0], has, selector[wrong[0]])
            found[words] = found.get(words, 0) + 1
    ranked = sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    return ["%s %s" % (counted(many, "pod"), words) for words, many in ranked]


def _ports(verdict: Verdict, spec: shape.Json, selected: Sequence[Any]) -> None:
    """Does what the service sends to listen in the pods, as far as these say on what they
    listen.
    """
    declared = [port for pod in selected for port in _container_ports(pod)]
    names = {name for name, _ in declared if name}
    numbers = {number for _, number in declared if number}
    for port in shape.mappings(spec, "ports")[:_SHOWN]:
        target = port.get("targetPort", port.get("port"))
        shown = one_line(str(target), 40)
        is_name = isinstance(target, str) and not target.isdigit()
        if not selected:
            found = "no pod"
        elif is_name:
            found = "yes" if target in names else "no"
        else:
            found = "yes" if str(target) in {str(one) for one in numbers} else "not declared"
        verdict.ports.append({"port": shape.number(port, "port"), "target": shown, "found": found})
        if found == "no":
            verdict.problems.append(
                "port %d goes to the port named %s, which no container of its pods has (they have "
                "%s)" % (shape.number(port, "port"), shown, ", ".join(sorted(names)) or "no names")
            )
        elif found == "not declared" and numbers:
            verdict.hints.append(
                "port %d goes to %s; the containers declare only %s"
                % (shape.number(port, "port"), shown, ", ".join(map(str, sorted(numbers)[:8])))
            )


def _container_ports(pod: Any) -> List[Tuple[str, int]]:
    return [
        (shape.line(port, "name", 40), shape.number(port, "containerPort"))
        for container in shape.mappings(shape.mapping(pod, "spec"), "containers")
        for port in shape.mappings(container, "ports")
    ]


def _alias(spec: shape.Json) -> str:
    return shape.line(spec, "externalName", 200) or "it"


def _is_ready(pod: Any) -> bool:
    return shape.text(shape.conditions(pod).get("Ready", {}), "status") == "True"


def _is_alive(pod: Any) -> bool:
    phase = shape.text(shape.mapping(pod, "status"), "phase")
    return phase not in ("Succeeded", "Failed") and not shape.is_deleting(pod)
