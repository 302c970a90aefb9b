"""Is the workload, node or other object of an incident well: asked of the Kubernetes API, judged as
everybody here judges it (`selfheal.workloads`).

A workload is well when nothing is wrong with it and what was asked of it has been carried out in
full; a node when it is ready and under no pressure. What cannot be asked is unknown, never well.
What is gone is not sick any more, and the answer says that it is gone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, Iterator, List, Sequence, Tuple

from selfheal.breakers import service as breaker
from selfheal.config import DEFAULT_TARGET, target_key
from selfheal.exceptions import ExternalError, InvalidInput, Refused
from selfheal.records import dataclass
from selfheal.store import load_map
from selfheal.text import counted, one_line
from selfheal.workloads import SOURCE, states
from selfheal.workloads.model import Finding, Ref, Thresholds
from selfheal.workloads.subject import subject_of

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context
    from selfheal.incidents.model import Incident

__all__ = ["SOURCE", "Looked", "answer", "describe", "look"]
SECTION = "kubernetes"
NODE = "Node"
_SHOWN = 3
_AT_ONCE = float("-inf")
# What shows only in what stands around a workload; who asks about these looks there as well.
_AROUND = frozenset(
    state.name
    for state in (
        states.SERVICE_WITHOUT_ENDPOINTS,
        states.VOLUME_CLAIM_PENDING,
        states.AUTOSCALER_AT_MAXIMUM,
    )
)


@dataclass(frozen=True)
class Looked:
    """What a look saw: of what, what is wrong with it, whether it is well, the same in words, and
    the names of the states that it would have shown. `leftovers` are what is over with the workload
    and still there to be seen: pods that failed and were replaced.
    """

    ref: Ref
    findings: Tuple[Finding, ...]
    is_well: bool
    words: str
    is_gone: bool = False
    sees: FrozenSet[str] = frozenset()
    leftovers: Tuple[Finding, ...] = ()


def describe(ctx: Context, incident: Incident) -> str:
    """What is asked of whom, in one line."""
    subject = subject_of(incident)
    name = ctx.config.target_name(SECTION, incident.cluster)
    cluster = "" if name in (None, DEFAULT_TARGET) else " %s" % name
    if subject is None:
        return "Kubernetes%s: is what this incident is about well?" % cluster
    kind = subject.kind.lower() or "workload"
    place = "%s/%s" % (subject.namespace, subject.name) if subject.namespace else subject.name
    return "Kubernetes%s: is %s %s well?" % (cluster, kind, place)


def answer(ctx: Context, incident: Incident) -> Tuple[bool, bool, str]:
    """(whether what is wrong goes on, whether that is known, the answer in words), for an incident
    that the sensor raised. Raises ConfigError, ExternalError, StoreError.
    """
    firing = _firing(ctx, incident)
    try:
        seen = look(ctx, incident, with_neighbours=bool(_AROUND & set(firing)))
    except InvalidInput as error:
        # Of a kind that we cannot look at: what the sensor saw through its pods is all there is.
        if incident.is_cleared:
            return False, True, "the sensor does not see it any more"
        return True, False, one_line(str(error), 300)
    # Restarts of a while ago, and what only Prometheus knows: the sensor says when that is over.
    unseen = sorted(name for state, name in firing.items() if state not in seen.sees)
    if seen.leftovers:
        left = counted(len(seen.leftovers), "pod")
        return True, True, "%s; still there: %s that failed" % (seen.words, left)
    if seen.is_gone or not unseen:
        return not (seen.is_well or seen.is_gone), True, seen.words
    return True, True, "%s; the sensor still sees %s" % (seen.words, ", ".join(unseen))


def look(ctx: Context, incident: Any, with_neighbours: bool = False) -> Looked:
    """One look at what the incident is about, whatever raised it; `with_neighbours` also at the
    services, claims and autoscalers around it. Raises ConfigError and
    ExternalError when it cannot be asked, InvalidInput when it names nothing that can be looked at.
    """
    from selfheal.apis.kubernetes import client as api
    from selfheal.apis.kubernetes.failures import NotServed

    subject = subject_of(incident)
    if subject is None:
        raise InvalidInput("the incident names no workload and no node to look at")
    is_around = with_neighbours or (incident.labels or {}).get("state") in _AROUND
    client = api.connect(ctx, incident.cluster)
    try:
        return breaker.call(
            ctx,
            service_name(client.name),
            lambda: look_at(client, subject, ctx.clock.now(), is_around),
        )
    except (NotServed, Refused) as error:
        raise ExternalError(str(error), retryable=False) from error
    finally:
        client.close()


def service_name(target: str) -> str:
    """What the breaker calls the API of a target."""
    return target_key(SECTION, target)


def look_at(client: Client, subject: Ref, now: float, with_neighbours: bool = False) -> Looked:
    """One look at `subject` at `now` (epoch s). Raises what the client raises, Refused when several
    kinds have that name, InvalidInput for a kind that the pack does not know.
    """
    from selfheal.apis.kubernetes.failures import Missing, NotServed
    from selfheal.workloads import reading

    try:
        if subject.kind == NODE:
            return _node(client, subject, now)
        picture = reading.look_for(client, subject, now, with_neighbours)
        ref = picture.ref
        found = tuple(reading.findings(picture))
        health = reading.health(picture)
        # A pod that was evicted and replaced is history, and one that crashes after some seconds
        # looks well until then.
        wrong = tuple(reading.lasting(found))
        is_well = not wrong and health.is_well and health.is_steady
        is_too_soon = not wrong and health.is_well and not health.is_steady
        parts = [*_said(wrong), health.words, *(["not for long enough"] if is_too_soon else [])]
        return Looked(
            ref,
            wrong,
            is_well,
            "; ".join(parts),
            sees=reading.sees(picture),
            leftovers=tuple(one for one in found if one not in wrong),
        )
    except NotServed:
        raise
    except Missing as error:
        words = "%s is gone: %s" % (_shown(subject), one_line(str(error), 200))
        return Looked(subject, (), False, words, is_gone=True)


def _node(client: Client, subject: Ref, now: float) -> Looked:
    from selfheal.workloads import nodes

    node = client.get(client.path(NODE, "", subject.name))
    # However short it has been so: what is to be proven is that it is over.
    thresholds = Thresholds.from_settings(client.settings)
    thresholds = replace(thresholds, unready_s=_AT_ONCE, settle_s=_AT_ONCE)
    found = tuple(nodes.findings_of(node, now, thresholds))
    is_ready = not nodes.is_lost(node)
    words = "; ".join(_said(found)) or ("ready, no pressure" if is_ready else "not ready")
    return Looked(subject, found, not found and is_ready, words, sees=frozenset(states.STATES))


def _said(found: Sequence[Finding]) -> Iterator[str]:
    """What is wrong, state by state, with how many pods are in it."""
    seen: List[str] = []
    for one in found:
        if one.state.name in seen:
            continue
        seen.append(one.state.name)
        if len(seen) > _SHOWN:
            break
        many = sum(1 for other in found if other.state is one.state)
        more = " and %d more" % (many - 1) if many > 1 else ""
        yield "%s: %s%s" % (one.state.alert_type, one_line(one.words or one.reason, 160), more)


def _shown(subject: Ref) -> str:
    return str(subject) if subject.kind else "workload %s/%s" % (subject.namespace, subject.name)


def _firing(ctx: Context, incident: Incident) -> Dict[str, str]:
    """{state: what it is called} of the incident's alerts that fire, as the sensor last saw it."""
    rows = ctx.store.query(
        "SELECT labels FROM alerts WHERE incident_id = ? AND status = ?", (incident.id, "firing")
    )
    found = {}
    for row in rows:
        labels = load_map(row["labels"])
        if labels.get("state"):
            found[str(labels["state"])] = str(labels.get("alertname") or labels["state"])
    return found
