"""A scheduler and a kubelet for the test bed's pods: binds them to nodes, runs nothing, and writes
what a kubelet would write. How a pod behaves is told by its images (kubelet_behaviour.py).

`with Kubelet(kubernetes, namespace) as kubelet:` serves the pods of one or more namespaces on
nodes of its own. A watch tells it of every change and one thread answers them in order.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import queue
import threading
import time

from tests import kubelet_behaviour as behaviour
from tests.kubelet_behaviour import BEHAVIOUR, Life, timestamp
from tests.kubelet_logs import LogServer
from tests.kubelet_nodes import LABEL, Nodes
from tests.kubelet_placing import ENDED, is_node_ready, place
from tests.kubernetes_access import ADMIN, STRATEGIC, Refused, path_of
from tests.kubernetes_watch import Watch

_addresses = itertools.count(1)


class Kubelet:
    """Plays for the pods of `namespaces` (a name or several). Node "node-a" becomes
    "node-a-NAMESPACE" in the cluster, since all tests share it; `name_of("node-a")` tells.
    """

    def __init__(self, kubernetes, namespaces, node="node-a", cpu="4", memory="8Gi") -> None:
        self.kubernetes = kubernetes
        self.namespaces = [namespaces] if isinstance(namespaces, str) else list(namespaces)
        group = self.namespaces[0]
        # A DaemonSet needs this as its nodeSelector, so that it keeps off the nodes of other tests.
        self.selector = {LABEL: group}
        self._logs = LogServer(kubernetes.ca_file, self._look_up)
        self._registered = Nodes(kubernetes, group, self._logs.port)
        self._first = (node, cpu, memory)
        self._nodes, self._pods, self._lives, self._owners = {}, {}, {}, {}
        self._changes, self._timers, self._order = queue.Queue(), [], itertools.count()
        self._watch = None

    def start(self):
        """Register the first node and begin to work; returns self."""
        self.add_node(*self._first)
        paths = [self._registered.path] + [path_of("Pod", one) for one in self.namespaces]
        self._watch = Watch(self.kubernetes, paths, self._changes)
        threading.Thread(target=self._work, daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop working: pods stay as they are, the nodes go."""
        self._changes.put(None)
        self._watch.stop()
        self._logs.stop()
        with contextlib.suppress(Refused, OSError):
            self._registered.remove()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error) -> None:
        self.stop()

    def name_of(self, node: str = "node-a") -> str:
        """The name in the cluster of what a test calls "node-a"."""
        return self._registered.name_of(node)

    def add_node(self, node: str, cpu="4", memory="8Gi", pods: int = 110) -> str:
        """Register a further node, Ready and empty; its name in the cluster."""
        return self._registered.add(node, cpu, memory, pods)

    def set_node(self, node: str = "node-a", ready: bool = True, pressure: str = "") -> None:
        """Change a node: not ready (its kubelet does nothing any more, its pods are no longer
        ready), or under pressure ("MemoryPressure", "DiskPressure", "PIDPressure").
        """
        self._registered.change(node, ready, pressure)

    def become(self, namespace: str, pod: str, word: str) -> None:
        """Change the behaviour of a pod, such as "bad:unready"; "good:1" heals it."""
        change = {"metadata": {"annotations": {BEHAVIOUR: word}}}
        self.kubernetes.patch("Pod", pod, namespace, change)

    # One thread does what the watches and the timers ask for, in order.

    def _work(self) -> None:
        while True:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            try:
                task = self._changes.get(timeout=wait)
            except queue.Empty:
                task = heapq.heappop(self._timers)[2]
            if task is None:
                return
            self._do(*task)

    def _do_later(self, seconds: float, task) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), task))

    def _do(self, what: str, path, thing) -> None:
        if what == "step":
            self._step(path, thing)
        elif what == "serve":
            self._serve(self._pods.get(path))
        elif path == self._registered.path:
            self._nodes_changed(what, thing)
        elif what == "list":
            namespace = path.split("/")[4]
            listed = {one["metadata"]["uid"] for one in thing}
            for uid, pod in list(self._pods.items()):
                if pod["metadata"]["namespace"] == namespace and uid not in listed:
                    self._forget(uid)
            for pod in thing:
                self._pod_changed(pod)
        elif what == "DELETED":
            self._forget(thing["metadata"]["uid"])
        else:
            self._pod_changed(thing)

    def _nodes_changed(self, what: str, thing) -> None:
        for node in thing if what == "list" else [thing]:
            self._nodes[node["metadata"]["name"]] = node
            if what == "DELETED":
                del self._nodes[node["metadata"]["name"]]
            elif not is_node_ready(node):
                self._lose_pods(node["metadata"]["name"])
        for pod in list(self._pods.values()):
            self._serve(pod)

    def _pod_changed(self, pod) -> None:
        self._pods[pod["metadata"]["uid"]] = pod
        self._serve(pod)

    def _forget(self, uid: str) -> None:
        pod = self._pods.pop(uid, None)
        self._lives.pop(uid, None)
        if pod is None:
            return
        self._owner(pod)["has_lost"] = True
        for other in list(self._pods.values()):
            if not other["spec"].get("nodeName"):
                self._serve(other)  # there may be room now

    # What is done about a pod.

    def _serve(self, pod) -> None:
        try:
            if pod is not None:
                self._attend(pod)
        except (Refused, OSError) as error:
            # Gone meanwhile is fine; a server that is away comes back.
            if getattr(error, "status", 0) != 404:
                self._do_later(0.2, ("serve", pod["metadata"]["uid"], None))

    def _attend(self, pod) -> None:
        node = pod["spec"].get("nodeName")
        is_leaving = "deletionTimestamp" in pod["metadata"]
        phase = (pod.get("status") or {}).get("phase")
        if not node:
            if is_leaving or phase in ENDED or not self._schedule(pod):
                return
            node = pod["spec"]["nodeName"]
        if node not in self._nodes or not is_node_ready(self._nodes[node]):
            return
        life = self._life(pod)
        words = behaviour.words_of(pod)
        if is_leaving:
            self._confirm(pod, life, words)
        elif phase not in ENDED and (words != life.words or not life.is_written):
            if life.words not in ((), words):
                behaviour.turn(life, self._kinds(pod, life)[-1])
            life.words = words
            self._write(pod, life)

    def _schedule(self, pod) -> bool:
        about = pod["metadata"]
        # As they are now: what the watch told may be from before a cordon that a test relies on.
        nodes = self.kubernetes.ask("GET", self._registered.path)["items"]
        name, why = place(pod, nodes, list(self._pods.values()))
        path = path_of("Pod", about["namespace"], about["name"])
        if name:
            binding = {
                "apiVersion": "v1",
                "kind": "Binding",
                "metadata": {"name": about["name"]},
                "target": {"kind": "Node", "name": name},
            }
            self.kubernetes.ask("POST", path + "/binding", binding)
            pod["spec"]["nodeName"] = name
            return True
        if why != about.get("why"):  # kept in our own copy only
            about["why"] = why
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
            status = {"conditions": [dict(condition, message=why, lastTransitionTime=timestamp())]}
            before = (pod.get("status") or {}).get("conditions", ())
            if not any(one.get("message") == why for one in before):
                self.kubernetes.ask(
                    "PATCH", path + "/status", {"status": status}, ADMIN, STRATEGIC
                )
                self._tell(pod, "Warning", "FailedScheduling", why)
        return False

    def _confirm(self, pod, life: Life, words) -> None:
        """Say that a pod that is being deleted has ended, as a kubelet does."""
        if life.is_confirmed or "bad:stuck" in words:
            return
        about = pod["metadata"]
        self.kubernetes.delete(
            "Pod",
            about["name"],
            about["namespace"],
            gracePeriodSeconds=0,
            preconditions={"uid": about["uid"]},
        )
        life.is_confirmed = True

    def _step(self, uid: str, step: int) -> None:
        pod, life = self._pods.get(uid), self._lives.get(uid)
        if pod is None or life is None or life.step != step:
            return
        life.step += 1
        life.is_written = False
        self._serve(pod)

    def _write(self, pod, life: Life) -> None:
        about = pod["metadata"]
        kinds = self._kinds(pod, life)
        status = behaviour.pod_status(pod, kinds, life)
        path = path_of("Pod", about["namespace"], about["name"]) + "/status"
        life.is_written = False
        self.kubernetes.ask("PATCH", path, {"status": status}, ADMIN, STRATEGIC)
        life.is_written = True
        for container, word, kind in zip(_containers(pod), life.words, kinds):
            for event in behaviour.events_of(container, kind, life):
                self._tell(pod, *event)
            seconds = behaviour.next_step_in(word, kind, life.step)
            if seconds is not None:
                self._do_later(seconds, ("step", about["uid"], life.step))

    def _lose_pods(self, node: str) -> None:
        change = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        for pod in list(self._pods.values()):
            about, life = pod["metadata"], self._lives.get(pod["metadata"]["uid"])
            if pod["spec"].get("nodeName") == node and life and life.is_written:
                life.is_written = False  # its kubelet says how it is when it comes back
                path = path_of("Pod", about["namespace"], about["name"]) + "/status"
                with contextlib.suppress(Refused, OSError):
                    self.kubernetes.ask("PATCH", path, change, ADMIN, STRATEGIC)

    def _tell(self, pod, kind: str, reason: str, message: str) -> None:
        """An event about a pod; one that was told before counts up. One that cannot be written is
        lost, as from a kubelet.
        """
        about, life = pod["metadata"], self._lives.get(pod["metadata"]["uid"])
        told = life.events if life else {}
        name, count = told.get((reason, message), ("", 0))
        told[(reason, message)] = (name, count + 1)
        with contextlib.suppress(Refused, OSError):
            if name:
                change = {"count": count + 1, "lastTimestamp": timestamp()}
                self.kubernetes.patch("Event", name, about["namespace"], change)
            else:
                event = behaviour.event(pod, kind, reason, message)
                self.kubernetes.create(event)
                told[(reason, message)] = (event["metadata"]["name"], 1)

    # What is known.

    def _life(self, pod) -> Life:
        uid = pod["metadata"]["uid"]
        if uid not in self._lives:
            owner = self._owner(pod)
            owner["count"] += 1
            version = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
            owner.setdefault("version", version)
            is_first = not owner["has_lost"] and owner["version"] == version
            number = next(_addresses)
            ip = "10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)
            self._lives[uid] = Life(owner["count"], is_first, ip)
        return self._lives[uid]

    def _owner(self, pod):
        about = pod["metadata"]
        owners = [one for one in about.get("ownerReferences", ()) if one.get("controller")]
        kind, name = (owners[0]["kind"], owners[0]["name"]) if owners else ("", about["name"])
        version = (about.get("labels") or {}).get("pod-template-hash")
        if version and name.endswith("-" + version):
            name = name[: -len(version) - 1]  # the Deployment, whose ReplicaSets come and go
        node = pod["spec"].get("nodeName") if kind == "DaemonSet" else None
        key = (about["namespace"], kind, name, node)
        return self._owners.setdefault(key, {"count": 0, "has_lost": False})

    def _kinds(self, pod, life: Life):
        node = pod["spec"]["nodeName"]
        return [
            behaviour.kind_of(word, container, pod, life, node)
            for word, container in zip(life.words, _containers(pod))
        ]

    def _look_up(self, namespace: str, name: str, container: str):
        for uid, pod in list(self._pods.items()):
            about = pod["metadata"]
            if (about["namespace"], about["name"]) == (namespace, name) and uid in self._lives:
                life = self._lives[uid]
                for one, kind in zip(_containers(pod), self._kinds(pod, life)):
                    if one["name"] == container:
                        return pod, kind, behaviour.restarts_of(kind, life)
        return None


def _containers(pod):
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
