"""Does a service have anybody behind it who is ready.

A service without a selector is fed by others, and one that nothing answers because its workload is
scaled to zero is meant so. One that selects nothing at all is a mistake when it is new (labels and
selector no longer agree), and left over when it is old.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

from selfheal.text import counted
from selfheal.workloads import shape, states
from selfheal.workloads.model import DAY_S, Finding, Ref, Thresholds
from selfheal.workloads.pods import Brief


def is_served(service: Any) -> bool:
    """Whether pods are to stand behind a service by its selector."""
    spec = shape.mapping(service, "spec")
    return (
        bool(shape.mapping(spec, "selector")) and
        spec.get("type") != "ExternalName" and
        not shape.is_deleting(service)
    )


def selects(service: Any, labels: Mapping[str, Any]) -> bool:
    """Whether the selector of a service matches `labels`; never without a selector."""
    selector = shape.mapping(service, "spec", "selector")
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def ready_addresses(endpoints: Sequence[Any]) -> int:
    """How many addresses are ready in the Endpoints or EndpointSlices of a service."""
    ready = 0
    for one in endpoints:
        for subset in shape.mappings(one, "subsets"):
            ready += len(shape.mappings(subset, "addresses"))
        for endpoint in shape.mappings(one, "endpoints"):
            # null means ready: who wrote the slice does not know better
            if shape.mapping(endpoint, "conditions").get("ready") is not False:
                addresses = endpoint.get("addresses")
                ready += len(addresses) if isinstance(addresses, list) else 0
    return ready


def findings_of(
    service: Any,
    endpoints: Sequence[Any],
    pods: Sequence[Tuple[Ref, Brief]],
    workloads: Sequence[Tuple[Ref, int]],
    now: float,
    thresholds: Thresholds,
) -> Tuple[Finding, ...]:
    """What is wrong with a service. `endpoints` are its Endpoints or EndpointSlices, `pods` those
    that it selects with their owners, `workloads` those whose template it selects with the replicas
    that they want. The finding belongs to the workload behind it where there is exactly one.
    """
    if not is_served(service) or ready_addresses(endpoints) > 0:
        return ()
    serving = [(owner, one) for owner, one in pods if one.is_active and not one.is_task]
    if not serving and any(one.is_task for _, one in pods):
        return ()
    wanting = [owner for owner, desired in workloads if desired > 0]
    if not serving and workloads and not wanting:
        return ()
    since = _empty_since(service, endpoints, [one for _, one in serving])
    are_all_sick = bool(serving) and all(one.sick is not None for _, one in serving)
    if now - since <= thresholds.unready_s and not are_all_sick:
        return ()
    matches_nothing = not serving and not wanting
    if matches_nothing and is_left_over(service, endpoints, now):
        return ()
    owner = _only({owner for owner, _ in serving} or set(wanting))
    namespace, name = shape.place(service)
    return (
        Finding(
            states.SERVICE_WITHOUT_ENDPOINTS,
            owner or Ref("Service", namespace, name),
            reason="NothingSelected" if matches_nothing else "NoneReady",
            since=min(since, now),
            words="service %s has no ready endpoint: %s"
            % (
                name,
                "its selector matches no pod"
                if matches_nothing
                else "none of %s is" % counted(len(serving), "pod"),
            ),
        ),
    )


def is_left_over(service: Any, endpoints: Sequence[Any], now: float) -> bool:
    """Whether a service behind which there is no pod has been so for more than a day."""
    return now - _empty_since(service, endpoints, ()) > DAY_S


def _only(owners: Any) -> Optional[Ref]:
    found: List[Ref] = list(owners)
    return found[0] if len(found) == 1 else None


def _empty_since(service: Any, endpoints: Sequence[Any], serving: Sequence[Brief]) -> float:
    """Since when nobody is ready, at the latest: since the last pod ceased to be, or since the
    endpoints were last written.
    """
    written = max((shape.changed_at(one) for one in endpoints), default=0.0)
    ceased = max((one.unready_since for one in serving), default=0.0)
    return shape.earliest(written, ceased) or shape.moment(
        shape.metadata(service), "creationTimestamp"
    )
