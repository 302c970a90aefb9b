"""What the containers of a workload use, by Prometheus, against what they may use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from selfheal.apis.kubernetes import paths
from selfheal.breakers import service
from selfheal.diagnose.kubernetes.notebook import Notebook
from selfheal.exceptions import DeadlineExceeded, InvalidInput
from selfheal.remedy.kubernetes.quantities import parsed

if TYPE_CHECKING:
    from selfheal.apis.prometheus import Sample
    from selfheal.context import Context

SECTION = "prometheus"
_MOST_PODS = 50
_MOST_FACTS = 3
_TIMEOUT_S = 4.0
_LEAST_S = 0.2
MEMORY = (
    'max by (container) (container_memory_working_set_bytes{namespace="%s",pod=~"%s",'
    'container!="",container!="POD"})'
)
CPU = (
    'max by (container) (sum by (pod, container) (rate(container_cpu_usage_seconds_total'
    '{namespace="%s",pod=~"%s",container!="",container!="POD"}[5m])))'
)


def write(
    notes: Notebook,
    ctx: Context,
    cluster: Optional[str],
    namespace: str,
    containers: Sequence[Mapping[str, Any]],
    left_s: float,
) -> None:
    """Ask for the use of `containers` (entries of `containers.of_pod`), within `left_s` seconds.
    Raises ConfigError, ExternalError and DeadlineExceeded; without a Prometheus nothing is asked,
    and that is no fault.
    """
    target = ctx.config.target_for(SECTION, cluster)
    pods = pods_pattern([str(one["pod"]) for one in containers])
    if target is None or not pods:
        return
    patience_s = min(_TIMEOUT_S, left_s / 2, float(target.get("timeout_s") or _TIMEOUT_S))
    if patience_s < _LEAST_S:
        raise DeadlineExceeded("no time was left to ask Prometheus")
    target = dict(target, timeout_s=patience_s)
    used = {
        "memory": by_container(ctx, target, MEMORY % (namespace, pods)),
        "cpu": by_container(ctx, target, CPU % (namespace, pods)),
    }
    limits = {str(one["container"]): one["limits"] for one in containers}
    found: List[Dict[str, Any]] = []
    for name in sorted({*used["memory"], *used["cpu"]} & set(limits)):
        words = []
        for resource, show in (("memory", bytes_words), ("cpu", cpu_words)):
            value = used[resource].get(name)
            if value is not None:
                words.append(_against(resource, value, limits[name].get(resource), show))
        found.append({"container": name, "use": "; ".join(words)})
    notes.content["usage"] = found
    for one in found[:_MOST_FACTS]:
        notes.fact("use of container %s (Prometheus)" % one["container"], one["use"])


def pods_pattern(names: Sequence[str]) -> str:
    """A pattern of PromQL for these pods; names that none could have are left out."""
    kept = []
    for name in dict.fromkeys(names):
        try:
            kept.append(paths.checked_name(name).replace(".", "\\\\."))
        except InvalidInput:
            continue
    return "|".join(kept[:_MOST_PODS])


def by_container(ctx: Context, target: Mapping[str, Any], query: str) -> Dict[str, float]:
    """{container: value} of the samples of `query`. Raises ConfigError, ExternalError."""
    from selfheal.apis import prometheus

    name = service.name_of(ctx.config, SECTION, target)
    samples: List[Sample] = service.call(
        ctx, name, lambda: prometheus.query(ctx.http, target, query)
    )
    return {
        one.labels["container"]: one.value
        for one in samples
        if one.labels.get("container") and math.isfinite(one.value)
    }


def _against(resource: str, value: float, limit: Any, show: Any) -> str:
    try:
        bound = float(parsed(limit)) if limit else 0.0
    except InvalidInput:
        bound = 0.0
    if not bound:
        return "%s %s, no limit" % (resource, show(value))
    return "%s %s of %s (%d %%)" % (resource, show(value), show(bound), 100 * value / bound)


def bytes_words(value: float) -> str:
    """1536 MiB as 1.5 GiB."""
    for unit, size in (("GiB", 1024.0**3), ("MiB", 1024.0**2), ("KiB", 1024.0)):
        if value >= size:
            return "%.4g %s" % (value / size, unit)
    return "%d B" % value


def cpu_words(value: float) -> str:
    """Cores, to the thousandth."""
    return "%.3g cores" % value
