"""Remedies in a real cluster: a context on it, incidents about its workloads, operations done and
taken back as a response does, and objects as they compare.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

from selfheal.incidents import registry
from selfheal.remedy import execute, undo
from selfheal.remedy import plan as plans
from selfheal.remedy.kubernetes import operations
from tests import kubernetes_manifests as manifests
from tests.remedy import scenes

# What the server and its controllers write, whoever changed the object.
_THEIRS = ("managedFields", "resourceVersion", "generation")
_NUMBERS = ("deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation")


class Clock:
    """Real time; for deadlines ahead by what a test says."""

    now = staticmethod(time.time)
    sleep = staticmethod(time.sleep)

    def __init__(self):
        self.ahead_s = 0.0

    def monotonic(self):
        return time.monotonic() + self.ahead_s


@dataclass
class Scene:
    """One namespace of a cluster and a store."""

    ctx: object
    cluster: object
    namespace: str
    notes: list

    def incident(self, name="web", kind="Deployment", **labels):
        """An incident about a workload of the namespace."""
        alert_type = labels.pop("alertname", "PodCrashLooping")
        labels = {"alertname": alert_type, "workload_kind": kind, **labels}
        place = {"namespace": labels.pop("namespace", self.namespace), "workload": name}
        if kind == "Node":
            place = {"instance": name}
            labels["node"] = name
        found = scenes.add_incident(self.ctx.store, labels=labels, service=None, **place)
        return registry.get(self.ctx.store, found)

    def do(self, name, about, timeout_s=180.0, stop=lambda: "", end=lambda: "", **options):
        """Carry out one operation for an incident; the Execution."""
        return execute.carry_out(
            self.ctx, self.job(name, about, timeout_s, stop, end, **options)
        )

    def job(self, name, about, timeout_s=180.0, stop=lambda: "", end=lambda: "", **options):
        """The job of one operation."""
        plan = plans.build_typed(operations.act_of(name, options), about)
        execution_id = scenes_execution(self.ctx.store, about.id, plan)
        note = lambda kind, message, data: self.notes.append((kind, message, data))  # noqa: E731
        return execute.Job(
            plans.reload(plan), about, execution_id, timeout_s, stop, end, note
        )

    def over_once(self, condition):
        """A `stop` that calls nothing off: all the time is over as soon as `condition()` holds."""
        def stop():
            if not self.ctx.clock.ahead_s and condition():
                self.ctx.clock.ahead_s = 1e6
            return ""

        return stop

    def over_once_changed(self, looks=1, kind="Deployment", name="web"):
        """The same, once the workload was changed and so many looks were taken at it."""
        before, seen = self.get(kind, name)["metadata"]["generation"], []

        def has_changed():
            seen.extend([1] * (self.get(kind, name)["metadata"]["generation"] > before))
            return len(seen) >= looks

        return self.over_once(has_changed)

    def undo(self, about):
        """Take back what is owed for an incident; the Undoing."""
        note = lambda kind, message, data: self.notes.append((kind, message, data))  # noqa: E731
        return undo.undo(self.ctx, about.id, note, permit=lambda action: action)

    def owed(self, about):
        """The undo records of an incident: (status, action)."""
        from selfheal.store import load

        rows = self.ctx.store.query(
            "SELECT status, action FROM undo_log WHERE incident_id = ? ORDER BY id", (about.id,)
        )
        return [(row["status"], load(row["action"])) for row in rows]

    def get(self, kind="Deployment", name="web"):
        """An object of the namespace."""
        return self.cluster.get(kind, name, self.namespace)

    def plain(self, kind="Deployment", name="web"):
        """An object of the namespace as it compares."""
        return plain(self.get(kind, name))

    def ready(self, count, kind="Deployment", name="web"):
        """Wait until the workload has settled with `count` ready replicas."""
        keys = ("readyReplicas", "updatedReplicas", "replicas")
        if kind == "DaemonSet":
            keys = ("numberReady", "updatedNumberScheduled", "desiredNumberScheduled")

        def is_so():
            found = self.get(kind, name)
            status = found.get("status", {})
            is_seen = status.get("observedGeneration", 0) >= found["metadata"]["generation"]
            return is_seen and all(status.get(key, 0) == count for key in keys)

        self.cluster.until(is_so, what="%d ready of %s %s" % (count, kind, name))

    def counted(self, kind="Deployment", name="web"):
        """Wait until the controller counts as ready the pods that are. What begins before that
        takes those that have just crashed for ready ones, and what it leaves behind for worse.
        """
        def is_so():
            ready = [
                pod for pod in self.pods(name)
                for one in pod["status"].get("conditions", ())
                if (one["type"], one["status"]) == ("Ready", "True")
            ]
            status = self.get(kind, name)["status"]
            counts = (status.get(key, 0) for key in ("readyReplicas", "availableReplicas"))
            return all(count == len(ready) for count in counts)

        self.cluster.until(is_so, what="the ready pods of %s %s are counted" % (kind, name))

    def pods(self, name="web"):
        """The pods of a workload that are not on their way out."""
        found = self.cluster.find("Pod", self.namespace, labelSelector="app=" + name)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def told(self):
        """All that was noted, as one text."""
        return "\n".join(message for _kind, message, _data in self.notes)


def scenes_execution(store, incident_id, plan):
    """A running execution of `plan`, as respond.carrying begins it; its id."""
    from selfheal.remedy import journal

    return journal.begin(store, incident_id, "", plan)


def scene_for(directory, cluster, namespace, **settings):
    """A scene whose target are `namespace` and these settings of kubernetes."""
    # Nodes are shared by all tests, so how many are ready is no matter of one of them.
    fast = {"rollout_timeout_s": 180, "settle_s": 0, "min_ready_nodes": "0%"}
    target = cluster.target(namespace, **{**fast, **settings})
    ctx = scenes.context_for(directory, values={"kubernetes": target}, clock=Clock())
    return Scene(ctx, cluster, namespace, [])


def made(scene, kubelet, kind, name="web", image="good:1", replicas=2, **more):
    """A workload of `kind`, ready."""
    if kind == "DaemonSet":
        manifest = manifests.daemonset(scene.namespace, kubelet.selector, name, image, **more)
        replicas = 1
    else:
        make = {"Deployment": manifests.deployment, "StatefulSet": manifests.statefulset}[kind]
        manifest = make(scene.namespace, name, image, replicas=replicas, **more)
    scene.cluster.create(manifest)
    if image.startswith("good"):
        scene.ready(replicas, kind, name)
    return replicas


def plain(found):
    """An object without what the server and its controllers write by themselves."""
    found = copy.deepcopy(found)
    found.pop("status", None)
    about = found["metadata"]
    for key in _THEIRS:
        about.pop(key, None)
    for key in _NUMBERS:
        if about.get("annotations", {}).pop(key, None) and not about["annotations"]:
            about.pop("annotations")
    return found
