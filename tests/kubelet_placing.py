"""Where a pod of the test bed may run: node selectors, required node affinity, taints, cordons,
free cpu, memory and pod count. Pure: nodes and pods as the API shows them in, a name out.
"""

from __future__ import annotations

from tests.kubelet_behaviour import quantity, requested

ENDED = ("Succeeded", "Failed")


def is_node_ready(node) -> bool:
    """Whether the node's kubelet says that it works."""
    conditions = (node.get("status") or {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def place(pod, nodes, pods):
    """(node name, "") or ("", why not), as the scheduler words it."""
    reasons, fitting = [], []
    for node in nodes:
        here = [
            one
            for one in pods
            if one["spec"].get("nodeName") == node["metadata"]["name"] and
            (one.get("status") or {}).get("phase") not in ENDED
        ]
        reason = _obstacle(pod, node, here)
        if reason:
            reasons.append(reason)
        else:
            fitting.append((len(here), node["metadata"]["name"]))
    if fitting:
        return min(fitting)[1], ""
    counted = ", ".join("%d %s" % (reasons.count(why), why) for why in sorted(set(reasons)))
    return "", "0/%d nodes are available: %s." % (len(reasons), counted or "no nodes")


def _obstacle(pod, node, here) -> str:
    if not _is_chosen(pod, node):
        return "node(s) didn't match Pod's node affinity"
    for taint in _taints(node):
        if not any(_tolerates(one, taint) for one in pod["spec"].get("tolerations", ())):
            if taint["key"] == "node.kubernetes.io/unschedulable":
                return "node(s) were unschedulable"
            return "node(s) had taint {%s: %s}, that the pod didn't tolerate" % (
                taint["key"],
                taint.get("value", ""),
            )
    room = node["status"]["allocatable"]
    for resource in ("cpu", "memory"):
        taken = sum(requested(one, resource) for one in here)
        if requested(pod, resource) + taken > quantity(room[resource]):
            return "Insufficient " + resource
    return "Too many pods" if len(here) >= int(room["pods"]) else ""


def _taints(node):
    taints = [one for one in node["spec"].get("taints", ()) if one["effect"] != "PreferNoSchedule"]
    keys = [one["key"] for one in taints]
    cordon = "node.kubernetes.io/unschedulable"
    if node["spec"].get("unschedulable") and cordon not in keys:
        taints.append({"key": cordon, "effect": "NoSchedule"})
    if not is_node_ready(node) and "node.kubernetes.io/not-ready" not in keys:
        taints.append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    return taints


def _tolerates(toleration, taint) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("key") not in (None, "", taint["key"]):
        return False
    is_any = toleration.get("operator") == "Exists"
    return is_any or toleration.get("value", "") == taint.get("value", "")


def _is_chosen(pod, node) -> bool:
    labels = node["metadata"]["labels"]
    wanted = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms")
    return not terms or any(_matches(term, node) for term in terms)


def _matches(term, node) -> bool:
    labels = node["metadata"]["labels"]
    fields = {"metadata.name": node["metadata"]["name"]}
    return all(_holds(one, labels) for one in term.get("matchExpressions", ())) and all(
        _holds(one, fields) for one in term.get("matchFields", ())
    )


def _holds(expression, values) -> bool:
    key, operator = expression["key"], expression["operator"]
    listed = expression.get("values", ())
    return {
        "In": values.get(key) in listed,
        "NotIn": values.get(key) not in listed,
        "Exists": key in values,
        "DoesNotExist": key not in values,
    }[operator]
