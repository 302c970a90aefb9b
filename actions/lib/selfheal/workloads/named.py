"""How people name things of Kubernetes: kinds as they are typed, clusters as they are set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from selfheal.exceptions import InvalidInput, NotFound
from selfheal.text import one_line
from selfheal.workloads.subject import NODE

if TYPE_CHECKING:
    from selfheal.config import Config

SECTION = "kubernetes"
# What people type, and how the API writes it.
CHANGEABLE = {
    "any": "",
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "replicaset": "ReplicaSet",
    "job": "Job",
    "pod": "Pod",
}
KINDS = {**CHANGEABLE, "cronjob": "CronJob", "node": NODE}


def kind_of(typed: str, kinds: Mapping[str, str] = KINDS) -> str:
    """The kind as the API writes it, empty for any. Raises InvalidInput when it is none of `kinds`.
    """
    found = kinds.get(typed or "any")
    if found is None:
        raise InvalidInput(
            "kind must be one of %s, not %s" % (", ".join(kinds), one_line(repr(typed), 80))
        )
    return found


def check_cluster(config: Config, name: str, shown: str) -> None:
    """Raises NotFound when no target is called `name` (`shown`: the same, fit for a message): who
    names one means that one, and not whichever there is.
    """
    known = config.targets(SECTION)
    if name not in known:
        raise NotFound(
            "no Kubernetes target is named %s; give one of: %s"
            % (shown, ", ".join(sorted(known)) or "(none is configured)")
        )
