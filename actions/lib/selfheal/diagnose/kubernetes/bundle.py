"""The bundle: everything about a sick workload or node that can be read within a few seconds.

Each part is for itself: a right that is missing, a timeout or an object of an odd shape is noted in
the bundle and keeps nothing else from being found. It changes nothing, reads no Secret, and never
takes longer than its deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence

from selfheal.breakers import service as breaker
from selfheal.diagnose import record
from selfheal.diagnose.kubernetes import changes, containers, events, logs, usage
from selfheal.diagnose.kubernetes.notebook import Notebook
from selfheal.diagnose.kubernetes.scene import Bundle, Scene, subject_words
from selfheal.exceptions import NotFound, SelfhealError
from selfheal.text import counted
from selfheal.verify.kubernetes import NODE, SECTION, SOURCE, service_name
from selfheal.workloads import shape
from selfheal.workloads.model import Finding, Thresholds
from selfheal.workloads.subject import subject_of

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context

DEADLINE_S = 15.0
REQUEST_S = 4.0
_MOST_STATES = 4
_MOST_NODES = 3
_MOST_CONFIG_MAPS = 5
_EVENTS_OF_ONE = 50
_NODE_EVENTS = "default"  # the namespace that events of nodes are in


def collect(ctx: Context, about: Any, deadline_s: float = DEADLINE_S) -> Bundle:
    """Look at what `about` (an incident, or whatever names its place as one does) is about.

    Raises nothing but what stops everything: a store that fails is none of that. What could not be
    asked is in the bundle's notes.
    """
    subject = subject_of(about)
    if subject is None:
        raise ValueError("it names nothing of Kubernetes")  # whoever asks knows so before
    start = ctx.clock.monotonic()
    bundle = Bundle(subject, Notebook(ctx.config.secrets()))
    try:
        client = _connected(ctx, about.cluster, deadline_s)
    except SelfhealError as error:
        bundle.notes.lacks("everything", str(error))
        return bundle
    except Exception as error:  # settings of an odd shape
        _note_defect(ctx, bundle.notes, "everything", error)
        return bundle
    try:
        bundle.target = client.name
        bundle.notes.secrets = ctx.config.secrets()  # what a token file held is known now
        end = start + deadline_s
        _carried_out(Scene(ctx, client, about.cluster, bundle, ctx.clock.now(), end))
    finally:
        client.close()
        bundle.took_s = ctx.clock.monotonic() - start
    return bundle


def _connected(ctx: Context, cluster: Optional[str], deadline_s: float) -> Client:
    """The API of the cluster, with less patience than a remedy has."""
    from selfheal.apis.kubernetes import client as api
    from selfheal.apis.kubernetes import settings

    name = api.target_name(ctx, cluster)
    target = settings.completed(ctx.config, name, ctx.config.targets(SECTION)[name])
    target["timeout_s"] = min(float(target["timeout_s"]), REQUEST_S)
    client = api.connect_target(name, target, ctx.clock, ctx.config.hide)
    client.hurry(deadline_s)
    return client


def _carried_out(scene: Scene) -> None:
    """All parts, one after the other. Without the object itself there is nothing else to look
    at.
    """
    is_node = scene.ref.kind == NODE
    if not _part(scene, "state", _node_state if is_node else _state):
        return
    for name, part in _NODE_PARTS if is_node else _PARTS:
        _part(scene, name, part)


def _part(scene: Scene, name: str, part: Callable[[Scene], None]) -> bool:
    try:
        part(scene)
        return True
    except SelfhealError as error:
        if name == "state" and isinstance(error, NotFound):
            scene.bundle.is_gone = True
            scene.notes.fact("state", "there is no such object any more: %s" % error)
        scene.notes.lacks(name, str(error))
    except Exception as error:  # an object of a shape that nobody thought of
        _note_defect(scene.ctx, scene.notes, name, error)
    return False


def _note_defect(ctx: Context, notes: Notebook, name: str, error: Exception) -> None:
    ctx.log.error("the diagnosis lacks its part %s", name, exc_info=True)
    notes.lacks(name, "it could not be read: %s: %s" % (type(error).__name__, error))


def _state(scene: Scene) -> None:
    """What is wrong with the workload, as everybody here judges it."""
    from selfheal.workloads import causes, reading

    client, subject = scene.client, scene.bundle.subject

    picture = breaker.call(
        scene.ctx,
        service_name(client.name),
        lambda: reading.look_for(client, subject, scene.now, with_neighbours=True),
    )
    scene.workload, scene.pods = picture.workload, list(picture.pods)
    scene.bundle.ref = picture.ref
    scene.histories = [*picture.replica_sets, *picture.controller_revisions]
    found = causes.by_cause(reading.findings(picture))
    scene.bundle.lasting = tuple(reading.lasting(found))
    health = reading.health(picture)
    scene.bundle.findings, scene.bundle.health = tuple(found), health
    scene.bundle.sees = reading.sees(picture)
    scene.notes.fact("state of %s" % picture.ref, health.words)
    _states(scene.notes, found)
    scene.notes.content["health"] = {
        "desired": health.desired,
        "ready": health.ready,
        "available": health.available,
        "updated": health.updated,
        "is_settled": health.is_settled,
    }


def _states(notes: Notebook, found: Sequence[Finding]) -> None:
    notes.content["states"] = [
        {
            "alert_type": one.state.alert_type,
            "pod": one.pod,
            "container": one.container,
            "node": one.node,
            "reason": one.reason,
            "exit_code": one.exit_code,
            "restarts": one.restarts,
            "since": one.since,
            "words": one.words,
            "message": notes.clean(one.message),
        }
        for one in found[:30]
    ]
    seen: Dict[str, Finding] = {}
    for one in found:
        seen.setdefault(one.state.name, one)
    for one in list(seen.values())[:_MOST_STATES]:
        many = sum(1 for other in found if other.state is one.state)
        more = " (and %d more)" % (many - 1) if many > 1 else ""
        message = ": %s" % one.message if one.message else ""
        notes.fact(one.state.alert_type, "%s%s%s" % (one.words or one.reason, more, message))


def _containers(scene: Scene) -> None:
    sick = [one.pod for one in scene.bundle.findings if one.pod]
    names = {name: rank for rank, name in reversed(list(enumerate(sick)))}
    pods = sorted(scene.pods, key=lambda pod: names.get(shape.place(pod)[1], len(names)))
    containers.write(scene.notes, pods[: containers.MOST_PODS])
    scene.entries = scene.notes.content["containers"]


def _events(scene: Scene) -> None:
    sick = list(dict.fromkeys(one.pod for one in scene.bundle.findings if one.pod))[:2]
    asked = [(scene.ref.kind, scene.ref.name), *(("Pod", name) for name in sick)]
    newest = changes.newest_set(scene.histories, scene.ref)
    asked += [("ReplicaSet", newest)] if newest else []
    found: List[Any] = []
    for kind, name in dict.fromkeys(asked):
        found += _events_of(scene, scene.ref.namespace, kind, name)
    events.write(scene.notes, found)


def _events_of(scene: Scene, namespace: str, kind: str, name: str) -> List[Any]:
    plain = kind.partition(".")[0]  # events name kinds without their groups
    selector = "involvedObject.kind=%s,involvedObject.name=%s" % (plain, name)
    page = scene.client.get(
        scene.client.collection("Event", namespace),
        {"fieldSelector": selector, "limit": _EVENTS_OF_ONE},
    )
    return shape.mappings(page, "items")


def _changes(scene: Scene) -> None:
    changes.write(scene.notes, scene.workload, scene.ref, scene.histories, scene.now)


def _configuration(scene: Scene) -> None:
    """The ConfigMaps that the workload reads: a hash of each, when it was changed, and whether it
    is another than at the last look.
    """
    template = shape.mapping(scene.workload, "spec", "template")
    before = _hashes_before(scene)
    found: List[Dict[str, Any]] = []
    scene.notes.content["config_maps"] = found
    for name in changes.config_maps(template)[:_MOST_CONFIG_MAPS]:
        try:
            one = scene.client.get(scene.client.path("ConfigMap", scene.ref.namespace, name))
        except NotFound:  # Forbidden, as by the pack's own roles, ends this part
            scene.notes.fact("config map %s" % name, "it does not exist")
            found.append({"name": name, "exists": False})
            continue
        changed_at = shape.changed_at(one)
        entry = {
            "name": name,
            "exists": True,
            "hash": changes.digest_of([one.get("data"), one.get("binaryData")]),
            "resource_version": shape.line(shape.metadata(one), "resourceVersion", 40),
            "changed_at": changed_at,
        }
        found.append(entry)
        words = changes.config_words(entry, before.get(name), scene.now)
        if words:
            scene.notes.fact("config map %s" % name, words)


def _hashes_before(scene: Scene) -> Dict[str, str]:
    """The hashes of ConfigMaps at the last look at this workload, whoever looked."""
    last = record.latest_of(
        scene.ctx.store, SOURCE, subject_words(scene.ref, scene.bundle.target), scene.now
    )
    entries = shape.mappings(last.content, "config_maps") if last else []
    return {shape.text(one, "name"): shape.text(one, "hash") for one in entries}


def _nodes(scene: Scene) -> None:
    sick = [one.node for one in scene.bundle.findings if one.node]
    others = [entry["node"] for entry in scene.entries]
    names = [name for name in dict.fromkeys([*sick, *others]) if name][:_MOST_NODES]
    scene.notes.content["nodes"] = []
    for name in names:
        _one_node(scene, scene.client.get(scene.client.path(NODE, "", name)))


def _one_node(scene: Scene, node: Any) -> None:
    from selfheal.workloads import nodes

    thresholds = Thresholds.from_settings(scene.client.settings)
    spec, status = shape.mapping(node, "spec"), shape.mapping(node, "status")
    bad = nodes.findings_of(node, scene.now, thresholds)
    taints = [shape.line(one, "key", 80) for one in shape.mappings(spec, "taints")]
    is_cordoned = spec.get("unschedulable") is True
    name = shape.place(node)[1]
    scene.notes.content.setdefault("nodes", []).append(
        {
            "name": name,
            "is_lost": nodes.is_lost(node),
            "is_cordoned": is_cordoned,
            "taints": taints[:10],
            "allocatable": {
                key: shape.line(shape.mapping(status, "allocatable"), key, 40)
                for key in ("cpu", "memory", "pods")
            },
            "kubelet": shape.line(shape.mapping(status, "nodeInfo"), "kubeletVersion", 40),
            "conditions": {
                kind: shape.line(one, "status", 20)
                for kind, one in sorted(shape.conditions(node).items())[:20]
            },
        }
    )
    words = [one.words or one.reason for one in bad]
    words = words or ["not ready" if nodes.is_lost(node) else "ready, no pressure"]
    if is_cordoned:
        words.append("cordoned")
    scene.notes.fact("node %s" % name, "; ".join(words))


def _usage(scene: Scene) -> None:
    left_s = scene.end - scene.ctx.clock.monotonic()
    usage.write(scene.notes, scene.ctx, scene.cluster, scene.ref.namespace, scene.entries, left_s)


def _logs(scene: Scene) -> None:
    logs.write(scene.notes, scene.client, scene.ref.namespace, scene.entries)


def _node_state(scene: Scene) -> None:
    """What is wrong with the node itself."""
    from selfheal.workloads import causes, nodes

    client, name = scene.client, scene.bundle.subject.name
    node = breaker.call(
        scene.ctx, service_name(client.name), lambda: client.get(client.path(NODE, "", name))
    )
    scene.workload, scene.bundle.ref = node, scene.bundle.subject
    thresholds = Thresholds.from_settings(client.settings)
    found = causes.by_cause(nodes.findings_of(node, scene.now, thresholds))
    scene.bundle.findings = tuple(found)
    _states(scene.notes, found)
    _one_node(scene, node)


def _node_pods(scene: Scene) -> None:
    """How many pods are on the node, and how many of them are not ready."""
    page = scene.client.get(
        scene.client.collection("Pod"),
        {"fieldSelector": "spec.nodeName=%s" % scene.ref.name, "limit": 500},
    )
    pods = shape.mappings(page, "items")
    unready = sum(
        1
        for pod in pods
        if shape.text(shape.conditions(pod).get("Ready", {}), "status") != "True"
    )
    more = " or more" if shape.text(shape.metadata(page), "continue") else ""
    scene.notes.content["pods"] = {"count": len(pods), "unready": unready}
    scene.notes.fact(
        "pods on the node", "%s%s, %d not ready" % (counted(len(pods), "pod"), more, unready)
    )


def _node_events(scene: Scene) -> None:
    events.write(scene.notes, _events_of(scene, _NODE_EVENTS, NODE, scene.ref.name))


_PARTS = (
    ("containers", _containers),
    ("logs", _logs),
    ("changes", _changes),
    ("events", _events),
    ("configuration", _configuration),
    ("nodes", _nodes),
    ("usage", _usage),
)
_NODE_PARTS = (("pods", _node_pods), ("events", _node_events))
