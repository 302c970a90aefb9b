"""The action k8s_recommend_resources: requests and limits for each container of a workload, from
what its pods have used over a window.

It recommends only on enough samples and says why not otherwise. What was held back by its limit is
told: nobody can see how much more it would have used.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

from selfheal.apis.kubernetes import paths
from selfheal.breakers import service as breaker
from selfheal.diagnose.kubernetes import asking, containers, usage
from selfheal.exceptions import ConfigError, InvalidInput
from selfheal.records import dataclass
from selfheal.remedy.kubernetes.quantities import parsed
from selfheal.text import one_line
from selfheal.verify.kubernetes import NODE, service_name
from selfheal.workloads import shape
from selfheal.workloads.model import Ref

if TYPE_CHECKING:
    from selfheal.context import Context

STEP_S = 300
QUERY_S = 60.0
DEADLINE_S = 15.0
LEAST_CPU = 0.01  # cores
LEAST_MEMORY = 16.0 * 1024**2
AT_LIMIT = 0.95  # of a limit: it may have been held back
MEMORY = "container_memory_working_set_bytes{%s}"
CPU = "rate(container_cpu_usage_seconds_total{%s}[5m])"
_MATCHERS = 'namespace="%s",pod=~"%s",container!="",container!="POD"'
# What controllers append to their names: no vowels and none of 0, 1, 3.
_HASH = "[bcdfghjklmnpqrstvwxz2456789]"
_PODS = {
    "Deployment": "-%s{6,10}-%s{5}" % (_HASH, _HASH),
    "ReplicaSet": "-%s{5}" % _HASH,
    "StatefulSet": "-[0-9]+",
    "DaemonSet": "-%s{5}" % _HASH,
    "Job": "-%s{5}" % _HASH,
    "CronJob": "-[0-9]+-%s{5}" % _HASH,
    "Pod": "",
}


@dataclass(frozen=True)
class Use:
    """What one container used over the window, over all its pods: bytes, cores; NaN where there is
    no sample. `samples` is how many there are, one each STEP_S and pod.
    """

    samples: float
    memory_usual: float
    memory_most: float
    cpu_usual: float
    cpu_most: float


def k8s_recommend_resources(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    window_hours: int = 168,
    quantile: float = 0.95,
    memory_headroom: float = 1.25,
    cpu_headroom: float = 1.2,
    min_samples: int = 288,
) -> Dict[str, Any]:
    """What to request and to limit for each container; nothing is changed.

    Requests are the `quantile` of use over `window_hours`, limits the most that was used, each
    times its headroom. A container with fewer than `min_samples` samples (one each five minutes and
    pod) gets no recommendation. Returns {"workload", "window_hours", "containers": [{"container",
    "samples", "use", "current", "recommended" ({"requests", "limits"} or None), "why", "notes"}],
    "apply", "summary"}. Raises InvalidInput, NotFound, ConfigError (Kubernetes or Prometheus are
    off), ExternalError.
    """
    _checked(window_hours, quantile, memory_headroom, cpu_headroom, min_samples)
    about = asking.about(ctx, namespace, name, kind, cluster)
    if about.workload is None:
        raise InvalidInput("a node has no containers of its own: name a workload")
    target = ctx.config.target_for(usage.SECTION, about.cluster)
    if target is None:
        raise ConfigError("Prometheus is off, and only it knows what was used: set prometheus.url")
    ref, template, settings = _workload(ctx, about)
    used = _used(ctx, target, ref, window_hours, quantile)
    rows = []
    for one in shape.mappings(shape.mapping(template, "spec"), "containers"):
        entry = shape.line(one, "name", 80)
        current = containers.resources_of(one)
        found = used.get(entry, Use(0.0, math.nan, math.nan, math.nan, math.nan))
        headrooms = (memory_headroom, cpu_headroom)
        rows.append(recommend(entry, found, current, headrooms, min_samples, settings))
    good = [row for row in rows if row["recommended"]]
    return {
        "workload": str(ref),
        "window_hours": window_hours,
        "containers": rows,
        "apply": [_command(ref, row) for row in good],
        "summary": "%s: %s" % (ref, "; ".join(_said(row) for row in rows) or "no containers"),
    }


def _checked(
    window_hours: int, quantile: float, memory: float, cpu: float, min_samples: int
) -> None:
    for name, value, least, most in (
        ("window_hours", window_hours, 1, 24 * 90),
        ("quantile", quantile, 0.5, 1),
        ("memory_headroom", memory, 1, 10),
        ("cpu_headroom", cpu, 1, 10),
        ("min_samples", min_samples, 1, 1000000),
    ):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise InvalidInput("%s must be from %g to %g, not %r" % (name, least, most, value))


def _workload(
    ctx: Context, about: asking.About
) -> Tuple[Ref, Mapping[str, Any], Mapping[str, Any]]:
    """The object that is meant, its pod template, and the target's settings."""
    from selfheal.apis.kubernetes import client as api
    from selfheal.workloads import reading

    client = api.connect(ctx, about.cluster)
    try:
        client.hurry(DEADLINE_S)
        wanted = about.labels.get("workload_kind", "")

        def found() -> Tuple[Ref, Any]:
            ref = reading.find(client, str(about.namespace), str(about.workload), wanted)
            if ref.kind not in _PODS or ref.kind == NODE:
                raise InvalidInput("%s has no containers of its own" % ref)
            return ref, client.get(client.path(ref.kind, ref.namespace, ref.name))

        ref, workload = breaker.call(ctx, service_name(client.name), found)
    finally:
        client.close()
    if ref.kind == "Pod":
        return ref, workload, client.settings
    spec = shape.mapping(workload, "spec")
    if ref.kind == "CronJob":
        spec = shape.mapping(spec, "jobTemplate", "spec")
    return ref, shape.mapping(spec, "template"), client.settings


def pods_of(ref: Ref) -> str:
    """A pattern of PromQL for the names of all pods that the workload has had; in RE2 and in a
    quoted string.
    """
    name = paths.checked_name(ref.name).replace(".", "\\\\.")
    return name + _PODS[ref.kind]


def _used(
    ctx: Context, target: Mapping[str, Any], ref: Ref, window_hours: int, quantile: float
) -> Dict[str, Use]:
    """{container: use}. Raises ConfigError, ExternalError."""
    matchers = _MATCHERS % (paths.checked_namespace(ref.namespace), pods_of(ref))
    span = "[%dh:%ds]" % (window_hours, STEP_S)
    memory, cpu = MEMORY % matchers + span, CPU % matchers + span
    # Of several pods the hungriest counts: all of them get the same.
    asked = {
        "samples": "sum by (container) (count_over_time(%s))" % memory,
        "memory_usual": _largest("quantile_over_time(%g, %s)" % (quantile, memory)),
        "memory_most": _largest("max_over_time(%s)" % memory),
        "cpu_usual": _largest("quantile_over_time(%g, %s)" % (quantile, cpu)),
        "cpu_most": _largest("max_over_time(%s)" % cpu),
    }
    patient = dict(target, timeout_s=max(QUERY_S, float(target.get("timeout_s") or 0)))
    answers = {
        key: usage.by_container(ctx, patient, query) for key, query in asked.items()
    }
    return {
        name: Use(**{key: answers[key].get(name, math.nan) for key in asked})
        for name in answers["samples"]
    }


def _largest(query: str) -> str:
    return "max by (container) (%s)" % query


def recommend(
    name: str,
    use: Use,
    current: Mapping[str, Mapping[str, str]],
    headrooms: Tuple[float, float],
    min_samples: int,
    settings: Mapping[str, Any],
) -> Dict[str, Any]:
    """The row of one container. Pure."""
    row: Dict[str, Any] = {
        "container": name,
        "samples": int(use.samples),
        "use": {},
        "current": {kind: dict(values) for kind, values in current.items()},
        "recommended": None,
        "why": "",
        "notes": [],
    }
    figures = (use.memory_usual, use.memory_most, use.cpu_usual, use.cpu_most)
    if use.samples < min_samples:
        row["why"] = "only %d samples, and %d are needed: wait, or ask for fewer" % (
            use.samples, min_samples,
        )
        return row
    if not all(math.isfinite(one) and one >= 0 for one in figures):
        row["why"] = "Prometheus has samples of its memory, but not of all that it used"
        return row
    row["use"] = {
        "memory_usual": usage.bytes_words(use.memory_usual),
        "memory_most": usage.bytes_words(use.memory_most),
        "cpu_usual": usage.cpu_words(use.cpu_usual),
        "cpu_most": usage.cpu_words(use.cpu_most),
    }
    memory, cpu = headrooms
    row["recommended"] = {
        "requests": {
            "memory": _memory(use.memory_usual * memory), "cpu": _cpu(use.cpu_usual * cpu),
        },
        "limits": {"memory": _memory(use.memory_most * memory), "cpu": _cpu(use.cpu_most * cpu)},
    }
    row["notes"] = _notes(row, use, settings)
    return row


def _notes(row: Dict[str, Any], use: Use, settings: Mapping[str, Any]) -> List[str]:
    """What to know before it is applied."""
    found = []
    limits = row["current"].get("limits", {})
    for resource, most in (("memory", use.memory_most), ("cpu", use.cpu_most)):
        limit = _number(limits.get(resource))
        if limit and most >= AT_LIMIT * limit:
            found.append(
                "it used %d %% of its %s limit, so it may need more than could be seen"
                % (100 * most / limit, resource)
            )
    highest = _number(settings.get("max_memory"))
    if highest and (_number(row["recommended"]["limits"]["memory"]) or 0) > highest:
        found.append("the memory limit is beyond kubernetes.max_memory, which refuses it")
    return found


def _memory(value: float) -> str:
    """Whole MiB, rounded up."""
    return "%dMi" % math.ceil(max(value, LEAST_MEMORY) / 1024**2 - 1e-9)


def _cpu(value: float) -> str:
    """Thousandths of a core in steps of five, rounded up."""
    return "%dm" % (5 * math.ceil(max(value, LEAST_CPU) * 200 - 1e-9))


def _number(quantity: Any) -> Optional[float]:
    try:
        found = parsed(quantity) if quantity else Decimal(0)
    except InvalidInput:
        return None
    return float(found) or None


def _said(row: Mapping[str, Any]) -> str:
    if not row["recommended"]:
        return "%s: no recommendation (%s)" % (row["container"], row["why"])
    wanted = row["recommended"]
    return "%s: request %s memory and %s CPU, limit %s and %s" % (
        row["container"],
        wanted["requests"]["memory"],
        wanted["requests"]["cpu"],
        wanted["limits"]["memory"],
        wanted["limits"]["cpu"],
    )


def _command(ref: Ref, row: Mapping[str, Any]) -> str:
    """How a person applies it, with all its guards."""
    wanted = row["recommended"]
    return one_line(
        "st2 run selfheal.k8s_set_resources namespace=%s name=%s container=%s memory=%s cpu=%s "
        "memory_request=%s cpu_request=%s"
        % (
            ref.namespace,
            ref.name,
            row["container"],
            wanted["limits"]["memory"],
            wanted["limits"]["cpu"],
            wanted["requests"]["memory"],
            wanted["requests"]["cpu"],
        ),
        400,
    )
