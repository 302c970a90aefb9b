"""What an incident is about in Kubernetes, as its labels name it: the one reading of all who look,
heal or verify, so that what is judged is what is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from selfheal.workloads.model import Ref

NODE = "Node"
_ALERTS_OF_NODES = "KubeNode"  # kube-prometheus names them so, and gives no kind


def is_of_node(incident: Any) -> bool:
    """Whether `incident` (or a deed of the guard) is about a node, named or not."""
    kind = (incident.labels or {}).get("workload_kind")
    return kind == NODE or not kind and str(incident.alert_type).startswith(_ALERTS_OF_NODES)


def node_of(incident: Any) -> str:
    """The node that the incident is about; empty when it is about something else, or names none.
    The instance of an alert is who measured it, and no node's name.
    """
    if not is_of_node(incident):
        return ""
    labels = incident.labels or {}
    own = incident.workload if labels.get("workload_kind") == NODE else ""
    return str(labels.get("node") or own or "")


def subject_of(incident: Any) -> Optional[Ref]:
    """The workload, node or other object that the incident is about; its kind may be empty (not
    known). None where it names nothing of Kubernetes.
    """
    from selfheal.workloads.model import Ref

    if is_of_node(incident):
        node = node_of(incident)
        return Ref(NODE, "", node) if node else None
    if incident.namespace and incident.workload:
        kind = str((incident.labels or {}).get("workload_kind") or "")
        return Ref(kind, str(incident.namespace), str(incident.workload))
    return None
