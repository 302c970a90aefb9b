"""One cluster as a sensor knows it between two looks: its pods, where to go on watching them, and
what was seen in between.

Losing it costs a list. While nothing is watched every look begins with a list of all pods; while
they are watched only each `resync_s`, or when the server no longer knows where we were (410 Gone):
then what the list says is compared with what was known, so that nothing is lost that can still be
seen.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Dict, List, Optional, Set

from selfheal.apis.kubernetes.failures import RIGHTS, Forbidden, Gone
from selfheal.intake.kubernetes.around import Around, Scope
from selfheal.intake.kubernetes.grouping import Findings
from selfheal.intake.kubernetes.listing import Lists, Object
from selfheal.intake.kubernetes.restarts import Restarts
from selfheal.intake.kubernetes.view import Scene, View, uid_of
from selfheal.records import dataclass
from selfheal.store import Store

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context

# What has ended well says nothing; the server leaves it out.
PODS = ("status.phase!=Succeeded",)
SLICE_S = 5.0  # of watching: what came is acted on after each; the server ends it with a bookmark
LEAST_SLICE_S = 1.0
_STALE_AFTER_POLLS = 3


@dataclass
class Cluster:
    """What is kept of one target. `feeds` is the resource version from which the pods of each
    namespace are watched on, `contact` until when (epoch s) all their changes are known.
    """

    client: Client
    restarts: Restarts
    view: View
    feeds: Dict[str, str] = field(default_factory=dict)
    contact: Dict[str, float] = field(default_factory=dict)
    listed_at: Optional[float] = None  # monotonic
    scene: Optional[Scene] = None
    scope: Optional[Scope] = None
    around: Around = field(default_factory=Around)
    fresh: Findings = field(default_factory=Findings)
    dropped: Set[str] = field(default_factory=set)
    turn: int = 0
    may_relist: bool = True  # once between two looks, should the server forget where we are
    refusal: str = ""  # why it may not be watched, and so is listed each time
    refused_at: float = 0.0  # monotonic

    @property
    def name(self) -> str:
        """The target's name."""
        return self.client.name

    @property
    def is_watching(self) -> bool:
        """Whether its pods can be watched now."""
        return bool(self.client.settings["watch"]) and bool(self.feeds) and not self.refusal

    def is_stale(self, now: float, most_s: float) -> bool:
        """Whether the view of the pods is too old to say that something is gone."""
        scopes = self.scope.namespaces if self.scope is not None else ("",)
        contact = [self.contact.get(scope) for scope in scopes]
        return any(at is None or abs(now - at) > most_s for at in contact)

    def needs_list(self, monotonic: float, now: float, most_s: float) -> bool:
        """Whether the pods have to be listed; a watch that was silent for more than `most_s`
        seconds is none.
        """
        if self.refusal and monotonic - self.refused_at >= float(self.client.settings["resync_s"]):
            self.refusal = ""  # somebody may have given us the right since
        return (
            not self.client.settings["watch"] or
            bool(self.refusal) or
            self.listed_at is None or
            self.scope is None or
            any(scope not in self.feeds for scope in self.scope.namespaces) or
            self.is_stale(now, most_s) or
            monotonic - self.listed_at >= float(self.client.settings["resync_s"])
        )


def stale_after_s(ctx: Context) -> float:
    """How old a view of the pods may be to say that something is gone."""
    return _STALE_AFTER_POLLS * float(ctx.config.number("monitoring.check_interval"))


def read_pods(ctx: Context, cluster: Cluster, lists: Lists, scope: Scope, scene: Scene) -> None:
    """Bring the view of the pods up to date: by a list, or by the time that has passed since they
    were watched.
    """
    is_due = cluster.needs_list(ctx.clock.monotonic(), scene.now, stale_after_s(ctx))
    cluster.scope, cluster.scene = scope, scene
    if not is_due:
        cluster.view.pass_time(scene)
        lists.was_read("Pod")
        return
    view = cluster.view
    view.is_lasting = bool(cluster.client.settings["watch"])
    view.keep_scopes(scope.namespaces)
    cluster.restarts.begin_list()
    is_whole = lists.is_worth_asking("Pod")
    for namespace in scope.namespaces if is_whole else ():
        is_whole = _list(cluster, lists, namespace, scene) and is_whole
    cluster.listed_at = ctx.clock.monotonic() if is_whole else None
    if is_whole:
        cluster.restarts.end_list(ctx.store)
        lists.was_read("Pod")


def _list(cluster: Cluster, lists: Lists, namespace: str, scene: Scene) -> bool:
    """List the pods of one namespace into the view; whether that came to its end."""
    scope, view = cluster.scope, cluster.view
    assert scope is not None
    version = ""

    def take(_namespace: str, items: Optional[List[Object]], seen_version: str) -> None:
        nonlocal version
        if items is None:
            view.begin(namespace)
            return
        version = seen_version or version
        while items:  # each goes as soon as it was judged
            pod = items.pop()
            if scope.has(pod):
                view.listed(namespace, pod, scene)

    cluster.feeds.pop(namespace, None)
    view.begin(namespace)
    is_whole = False
    try:
        is_whole = lists.pages("Pod", namespace, take, scope.query(PODS, is_labelled=True))
    finally:
        view.end(namespace, is_whole)
    if is_whole:
        cluster.contact[namespace] = scene.now
        if version:
            cluster.feeds[namespace] = version
    return is_whole


def watch(ctx: Context, cluster: Cluster, end: float) -> bool:
    """Watch the pods of one namespace for one slice of time, at most until the monotonic time
    `end`: what is new is left in `fresh`. The namespaces have their turns. Whether the server still
    knew where we were; when it did not, the next look lists again.

    Raises ExternalError when the watch broke off; the next one goes on from where it was.
    """
    scope, scene = cluster.scope, cluster.scene
    namespaces = sorted(cluster.feeds)
    left = end - ctx.clock.monotonic()
    if scope is None or scene is None or not namespaces or left < LEAST_SLICE_S:
        return True
    cluster.turn += 1
    namespace = namespaces[cluster.turn % len(namespaces)]
    path = cluster.client.collection("Pod", namespace)
    query = scope.query(PODS, is_labelled=True)
    began = ctx.clock.monotonic()
    with cluster.client.watch(path, query, cluster.feeds[namespace], min(SLICE_S, left)) as events:
        try:
            for kind, pod in events:
                _take(ctx, cluster, namespace, kind, pod)
                cluster.feeds[namespace] = events.resource_version
        except Gone:
            del cluster.feeds[namespace]
            return False
        except Forbidden as error:
            where = "namespace %s" % namespace if namespace else "the whole cluster"
            cluster.refusal = "we may not watch pods in %s (%s)" % (where, RIGHTS)
            cluster.refused_at = ctx.clock.monotonic()
            ctx.log.warning("%s: %s", cluster.name, error)
            return True
    cluster.feeds[namespace] = events.resource_version
    cluster.contact[namespace] = ctx.clock.now()
    if ctx.clock.monotonic() - began < LEAST_SLICE_S:
        ctx.clock.sleep(LEAST_SLICE_S)  # a server that ends each watch at once is not stormed
    return True


def _take(ctx: Context, cluster: Cluster, namespace: str, kind: str, pod: Object) -> None:
    """Take in one event."""
    assert cluster.scene is not None and cluster.scope is not None
    if kind == "BOOKMARK" or not cluster.scope.has(pod):
        return
    if kind == "DELETED":
        cluster.dropped.add(cluster.view.gone(namespace, pod))
        return
    cluster.dropped.discard(uid_of(pod))
    scene = cluster.scene._replace(now=ctx.clock.now(), looked_at=cluster.contact.get(namespace))
    found = cluster.view.changed(namespace, pod, scene)
    # Whether a CronJob made a Job is known of those that were there at the last look, and whether
    # people have annotated a ReplicaSet out only of those that were sick then.
    told = (one for one in found if one.owner.kind not in ("Job", "ReplicaSet"))
    cluster.fresh.add(told, "Pod")


def save(store: Store, cluster: Cluster) -> None:
    """Store the restarts that were seen. Raises StoreError; then the next time does."""
    cluster.restarts.save(store)
    cluster.restarts.drop(store, cluster.dropped)
    cluster.dropped.clear()
