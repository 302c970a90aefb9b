"""Hands on a real Kubernetes API: a context for one namespace, the actions k8s_*, and what is there
to see afterwards.
"""

from __future__ import annotations

from selfheal import door
from tests.kubernetes_access import path_of
from tests.remedy import scenes

# Quick to judge, since the test bed's pods fall ill at once.
QUICK = {"settle_s": 0, "unready_minutes": 0, "pending_minutes": 0, "rollout_timeout_s": 180}


def context(tmp_path, kubernetes, namespace, clock=None, safety=None, **settings):
    """A context whose only cluster is the test bed, seen from `namespace`."""
    target = kubernetes.target(namespace, **{**QUICK, **settings})
    values = {
        "kubernetes": target,
        "safety": {**scenes.UNBOUNDED["safety"], **(safety or {})},
    }
    made = scenes.context_for(tmp_path, values=values, clock=clock)
    made.platform.inject = lambda trigger, payload: None  # tests walk the steps themselves
    return made


def act(ctx, action, **given):
    """The answer of action k8s_`action`, which must be a success."""
    ok, answer = run(ctx, action, **given)
    assert ok, answer
    return answer


def run(ctx, action, **given):
    """(succeeded, answer) of action k8s_`action`, through the door as StackStorm comes."""
    close, ctx.close = ctx.close, lambda: None  # the door closes what it is given
    try:
        return door.call("selfheal.respond.kubernetes.%s" % action, given, context=ctx)
    finally:
        ctx.close = close


def ready(kubernetes, namespace, count, name="web", kind="Deployment"):
    """Wait until `count` pods of a workload are ready, all of its present version."""
    kubernetes.until(lambda: _counts(kubernetes.get(kind, name, namespace), count, count))


def sick(kubernetes, namespace, count=1, name="web"):
    """Wait until `count` pods of a Deployment crash in a loop, as often as it takes to be called
    so, and all its other pods are ready, which its controller has seen; their names.
    """

    def found():
        pods = kubernetes.find("Pod", namespace, labelSelector="app=%s" % name)
        names = [pod["metadata"]["name"] for pod in pods if _crashes(pod)]
        others = [pod for pod in pods if pod["metadata"]["name"] not in names]
        is_whole = len(names) >= count and all(_is_ready(pod) for pod in others)
        workload = kubernetes.get("Deployment", name, namespace)
        return names if is_whole and _counts(workload, len(pods), len(others)) else None

    return kubernetes.until(found)


def followed(kubernetes, namespace, name="web"):
    """Wait until the controllers have written all that they write about a new Deployment by
    themselves, whether or not somebody runs its pods.
    """
    kubernetes.until(
        lambda: _counts(kubernetes.get("Deployment", name, namespace)) and
        len(kubernetes.find("Pod", namespace, labelSelector="app=%s" % name)) > 0
    )


def _counts(workload, total=None, ready=None):
    """Whether a workload's controller has seen its newest spec and counts so many pods (as many as
    are wanted when nothing is said), all of the newest template, and so many of them ready.
    """
    status, wanted = workload.get("status", {}), workload["spec"]["replicas"]
    total = wanted if total is None else total
    return (
        status.get("observedGeneration") == workload["metadata"]["generation"] and
        status.get("replicas", 0) == status.get("updatedReplicas", 0) == total and
        (ready is None or status.get("readyReplicas", 0) == ready)
    )


def _is_ready(pod):
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _crashes(pod):
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return any(
        one.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff" and
        one["restartCount"] >= 2
        for one in statuses
    )


def close_node(kubernetes, kubelet, is_closed=True):
    """Cordon the only node of a kubelet, or open it again: what runs there goes on, and a rollout
    does not end before it is open.
    """
    change = {"spec": {"unschedulable": is_closed}}
    kubernetes.patch("Node", kubelet.name_of("node-a"), "", change)


def without_noise(thing):
    """An object without what the server alone writes."""
    about = {
        key: value
        for key, value in thing["metadata"].items()
        if key not in ("managedFields", "resourceVersion", "generation")
    }
    notes = dict(about.get("annotations") or {})
    notes.pop("deployment.kubernetes.io/revision", None)
    about["annotations"] = notes
    return dict(thing, metadata=about, status=None)


def everything(kubernetes, namespace, **query):
    """All that a remedy could change in a namespace and on the nodes of its kubelet: {path: what
    it is}, without what controllers rewrite by themselves.
    """
    found = {}
    for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod"):
        for one in kubernetes.find(kind, namespace, **query):
            about = one["metadata"]
            path = path_of(kind, namespace, about["name"])
            found[path] = (about["uid"], repr(one["spec"]), repr(about.get("annotations")))
    for node in kubernetes.find("Node", ""):
        if node["metadata"]["name"].endswith("-" + namespace):
            found[node["metadata"]["name"]] = repr(node["spec"])
    return found
