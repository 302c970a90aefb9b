"""What Prometheus says of pods: close to their CPU or memory limit, or not to be scraped.

Each query of `kubernetes.queries` is asked once for all pods of a cluster; its samples are the sick
ones. Names get into a query only as the quoted value of a matcher, and they are names that
Kubernetes allows.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Set, Tuple

from selfheal.apis.kubernetes import paths
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, SelfhealError
from selfheal.records import dataclass
from selfheal.text import one_line
from selfheal.workloads import states
from selfheal.workloads.states import State

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.intake.kubernetes.grouping import Place

STATE_OF: Dict[str, State] = {
    "cpu": states.POD_CPU_HIGH,
    "memory": states.POD_MEMORY_HIGH,
    "up": states.POD_DOWN,
}
# A value that has to be written in another way where a matcher takes a regular expression, and one
# that never has: it holds the place of the namespaces.
_TELLING = "a.b"
_PLACE = "selfheal0namespaces"
_MOST_PATTERN = 8000  # characters; a URL holds no more


@dataclass
class Usage:
    """The sick pods by (namespace, name), each with what was found and its value; which queries
    were answered (or are off), and why the others were not.
    """

    pods: Dict[Tuple[str, str], List[Tuple[str, float]]] = field(default_factory=dict)
    complete: Set[str] = field(default_factory=set)
    troubles: Dict[str, str] = field(default_factory=dict)


def kind_of(query: str) -> str:
    """What a finding of `query` was seen on."""
    return "Prometheus/%s" % query


def ask(ctx: Context, place: Place, settings: Mapping[str, Any]) -> Usage:
    """Ask the Prometheus of the cluster. A query that fails is told, and the others go on, unless
    it is Prometheus that is down.
    """
    found = Usage()
    target = ctx.config.target_for("prometheus", place.cluster)
    queries, is_down = settings.get("queries"), False
    for name in STATE_OF:
        template = str((queries if isinstance(queries, Mapping) else {}).get(name) or "").strip()
        if target is None or not template or "${pod}" in template or "${workload}" in template:
            found.complete.add(kind_of(name))  # off: what it once found is over
            continue
        if is_down:
            continue  # waiting for it once is enough
        try:
            expression = filled(template, settings.get("namespaces") or (), name)
            _take(ctx, place, target, name, expression, found)
            found.complete.add(kind_of(name))
        except SelfhealError as error:
            found.troubles[kind_of(name)] = one_line("queries.%s: %s" % (name, error), 300)
            is_down = isinstance(error, ExternalError) and error.retryable
    return found


def filled(template: str, namespaces: Sequence[str], name: str = "cpu") -> str:
    """PromQL `template` for all of `namespaces` (empty: whatever there is). Raises ConfigError for
    one that cannot be filled.
    """
    from selfheal.guard import groups

    if "${" not in template:
        return template
    pattern = "|".join(paths.checked_namespace(one) for one in namespaces) or ".+"
    try:
        if len(namespaces) != 1 and _TELLING in groups.filled(template, {"namespace": _TELLING}):
            raise ConfigError(
                'kubernetes.queries.%s: write namespace=~"${namespace}", as there may be several'
                % name
            )
        whole = groups.filled(template, {"namespace": _PLACE})
    except InvalidInput as error:
        raise ConfigError("kubernetes.queries.%s: %s" % (name, error)) from None
    if len(pattern) > _MOST_PATTERN:
        pattern = ".+"  # the samples of other namespaces are left out afterwards
    return whole.replace(_PLACE, pattern)


def _take(
    ctx: Context,
    place: Place,
    target: Mapping[str, Any],
    name: str,
    expression: str,
    found: Usage,
) -> None:
    from selfheal.apis import prometheus

    for sample in prometheus.query(ctx.http, target, expression):
        labels = sample.labels
        if place.cluster and labels.get(place.cluster_label, place.cluster) != place.cluster:
            continue  # one Prometheus knows several clusters
        key = (labels.get("namespace", ""), labels.get("pod", ""))
        if all(key):
            found.pods.setdefault(key, []).append((name, sample.value))
