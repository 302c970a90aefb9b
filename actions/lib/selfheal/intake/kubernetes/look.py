"""One look at a cluster: what is wrong there becomes incidents, and what is well again ends them.

What was found is stored first and its responses are asked for afterwards, so that nothing is lost
that was seen. What could not be read is told and ends nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.incidents.dispatch import dispatch
from selfheal.intake.components import cluster as component_of
from selfheal.intake.garbage import rarely_collected
from selfheal.intake.kubernetes import around, judging, ledger, usage
from selfheal.intake.kubernetes import cluster as clusters
from selfheal.intake.kubernetes.grouping import Findings, Place
from selfheal.intake.kubernetes.listing import Lists
from selfheal.intake.kubernetes.view import Scene
from selfheal.store import checkpoints
from selfheal.store import status as states
from selfheal.text import counted
from selfheal.workloads.model import Thresholds

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.intake.kubernetes.cluster import Cluster

LEAST_LOOK_S = 60.0
_CLOCK_STEP_S = 60.0  # clocks of two sensors differ by less


def look(ctx: Context, cluster: Cluster) -> Tuple[str, Dict[str, Any]]:
    """Look once: (state, {"pods": looked at, "sick": unhealthy states, "owners": whose they are,
    "opened", "reopened", "attached", "resolved", "changed": causes, "dispatched", "waiting",
    "because": what could not be read or done}).

    Raises ExternalError or ConfigError when nothing can be read, and StoreError; then nothing has
    ended.
    """
    cluster.may_relist = True
    cluster.client.hurry(longest_s(ctx))
    with rarely_collected():
        return _look(ctx, cluster)


def _look(ctx: Context, cluster: Cluster) -> Tuple[str, Dict[str, Any]]:
    now = ctx.clock.now()
    settings = cluster.client.settings
    thresholds = Thresholds.from_settings(settings)
    place = place_of(ctx, cluster)
    scope = around.scope_of(settings)
    known = checkpoints.read(ctx.store, component_of(cluster.name))
    cluster.restarts.load(ctx.store)
    lists = Lists(cluster.client, list(scope.namespaces))
    before = cluster.around
    known_around = around.read(lists, scope, now, thresholds, before)
    used = usage.ask(ctx, place, settings)
    scene = Scene(
        now,
        _looked_at(known, now),
        thresholds,
        frozenset(known_around.lost_nodes),
        known_around.jobs,
    )
    clusters.read_pods(ctx, cluster, lists, scope, scene)
    read = judging.Read(lists, scope, scene, known_around, used, cluster.view, before)
    found = judging.judge(read)
    cluster.around = known_around  # a look that broke off leaves what was known
    lists.raise_if_nothing_was_read()
    clusters.save(ctx.store, cluster)
    complete = lists.complete | used.complete
    if cluster.is_stale(now, clusters.stale_after_s(ctx)):
        complete.discard("Pod")
    settled = ledger.settle(ctx, place, found, ledger.Look(now, thresholds.settle_s, complete))
    _note(ctx, cluster, known, now)
    because = [*lists.troubles.values(), *used.troubles.values(), *_of_cluster(cluster)]
    return _told(ctx, cluster, found, settled, because)


def longest_s(ctx: Context) -> float:
    """How long a look may ask a server that answers slowly: what it sees is of no use for ends
    later, and the other clusters wait.
    """
    return max(LEAST_LOOK_S, clusters.stale_after_s(ctx))


def follow(ctx: Context, cluster: Cluster, end: float) -> None:
    """Watch the pods of the cluster for a slice of time that ends before the monotonic time `end`,
    and act on what is new. Raises ExternalError when the watch broke off, StoreError.
    """
    is_known = True
    try:
        is_known = clusters.watch(ctx, cluster, end)
    finally:
        _flush(ctx, cluster)
    if not is_known and cluster.may_relist:
        ctx.log.info("%s: the server has forgotten where we were; all is listed anew", cluster.name)
        look(ctx, cluster)
        cluster.may_relist = False  # one that forgets at once is not asked for all again and again


def place_of(ctx: Context, cluster: Cluster) -> Place:
    """What the cluster is called in signals."""
    return Place(cluster.name, str(ctx.config.get("routing.cluster_label")))


def _flush(ctx: Context, cluster: Cluster) -> None:
    """Store what was seen since the last time, and ask for responses. What is gone already began
    and ends all the same; ends are for a look to tell.
    """
    clusters.save(ctx.store, cluster)
    for owner in cluster.fresh.owners():
        if cluster.around.is_ignored(owner):
            cluster.fresh.drop(owner)
    if not len(cluster.fresh):
        return
    thresholds = Thresholds.from_settings(cluster.client.settings)
    only_begins = ledger.Look(ctx.clock.now(), thresholds.settle_s, frozenset())
    settled = ledger.settle(ctx, place_of(ctx, cluster), cluster.fresh, only_begins)
    cluster.fresh = Findings()
    if settled.opened or settled.reopened:
        dispatch(ctx)


def _looked_at(known: Any, now: float) -> Optional[float]:
    """Until when the restarts of all pods were known; a time to come is that of a clock that was
    set back since.
    """
    found = checkpoints.number(known, "pods_at")
    return None if found is None or found > now + _CLOCK_STEP_S else min(found, now)


def _note(ctx: Context, cluster: Cluster, known: Any, now: float) -> None:
    pods_at = min(cluster.contact.values(), default=None)
    if pods_at is None:
        pods_at = checkpoints.number(known, "pods_at")
    value = {"looked_at": now, **({} if pods_at is None else {"pods_at": pods_at})}
    checkpoints.write(ctx.store, component_of(cluster.name), value)


def _of_cluster(cluster: Cluster) -> List[str]:
    found = [cluster.refusal] if cluster.refusal else []
    if cluster.view.is_crowded:
        found.append(
            "more pods are not well than are judged anew as time passes; all are each resync_s"
        )
    return found


def _told(
    ctx: Context,
    cluster: Cluster,
    found: Findings,
    settled: ledger.Settled,
    because: List[str],
) -> Tuple[str, Dict[str, Any]]:
    started = dispatch(ctx)
    closing = dispatch(ctx, cleared=settled.cleared) if settled.cleared else started
    error = started["error"] or closing["error"]
    if error:
        because = [*because, "incidents wait for StackStorm: %s" % error]
    told = {
        "pods": len(cluster.view),
        "sick": len(found),
        "owners": len(found.owners()),
        "opened": settled.opened,
        "reopened": settled.reopened,
        "attached": settled.attached,
        "resolved": settled.resolved,
        "changed": settled.changed,
        "dispatched": len(started["dispatched"]),
        "waiting": closing["waiting"],
        "watching": cluster.is_watching,
        "summary": "%s, %s" % (
            counted(len(cluster.view), "pod"),
            counted(len(found.owners()), "sick owner"),
        ),
        "because": because,
    }
    return (states.DEGRADED if because else states.OK), told
