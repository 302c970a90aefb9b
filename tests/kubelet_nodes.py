"""The nodes of the test bed, as a kubelet registers them and says how they are. They exist in the
API only; their address is loopback, where the logs of their pods are served.
"""

from __future__ import annotations

from urllib.parse import urlencode

from tests.kubelet_behaviour import timestamp
from tests.kubernetes_access import STRATEGIC, path_of

LABEL = "test/kubelet"
# Pressure of a node, and the taint that comes with it.
PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
NOT_READY = "node.kubernetes.io/not-ready"
_NO_INFO = (
    "architecture bootID containerRuntimeVersion kernelVersion kubeProxyVersion kubeletVersion "
    "machineID operatingSystem osImage systemUUID"
).split()


class Nodes:
    """The nodes of one kubelet, whose names in the cluster end in `-group`."""

    def __init__(self, kubernetes, group: str, log_port: int) -> None:
        self._kubernetes = kubernetes
        self._group = group
        self._log_port = log_port
        self.path = path_of("Node") + "?" + urlencode({"labelSelector": LABEL + "=" + group})

    def name_of(self, node: str) -> str:
        """The name in the cluster of what a test calls "node-a"."""
        return "%s-%s" % (node, self._group)

    def add(self, node: str, cpu, memory, pods) -> str:
        """Register a node, Ready and empty; its name in the cluster."""
        name = self.name_of(node)
        room = {"cpu": str(cpu), "memory": str(memory), "pods": str(pods)}
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", LABEL: self._group}
        status = {
            "capacity": room,
            "allocatable": room,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._log_port}},
            "conditions": _conditions(True, ""),
            "nodeInfo": dict.fromkeys(_NO_INFO, "test"),
        }
        about = {"name": name, "labels": labels}
        self._kubernetes.create(
            {"apiVersion": "v1", "kind": "Node", "metadata": about, "status": status}
        )
        # Nobody else here lifts the taint that the API puts on a new node.
        self._kubernetes.patch("Node", name, "", {"spec": {"taints": None}})
        return name

    def change(self, node: str, ready: bool, pressure: str) -> None:
        """Set a node's conditions and the taints that follow from them."""
        name = self.name_of(node)
        keys = [] if ready else [NOT_READY]
        keys += [PRESSURES[pressure]] if pressure else []
        taints = [{"key": key, "effect": "NoSchedule"} for key in keys]
        status = {"conditions": _conditions(ready, pressure)}
        self._kubernetes.patch("Node", name, "", {"status": status}, "status", STRATEGIC)
        self._kubernetes.patch("Node", name, "", {"spec": {"taints": taints or None}})

    def remove(self) -> None:
        """Take all of them out of the cluster."""
        self._kubernetes.ask("DELETE", self.path)


def _conditions(ready: bool, pressure: str):
    now = timestamp()
    states = [("Ready", ready, "KubeletReady" if ready else "KubeletNotReady")]
    states += [(kind, kind == pressure, "KubeletHas" + kind) for kind in PRESSURES]
    return [
        {
            "type": kind,
            "status": "True" if holds else "False",
            "reason": why,
            "message": why,
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        for kind, holds, why in states
    ]
