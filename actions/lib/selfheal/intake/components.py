"""Which sources of incidents there are, by their component in system_status: cheap to ask, for who
shows or begins them.
"""

from __future__ import annotations

from typing import List

from selfheal.config import Config
from selfheal.intake.elk import reached
from selfheal.intake.elk.settings import SECTION

FILES = "log_files"
CLUSTERS = "kubernetes"  # the section of their settings, and what their components begin with


def components(config: Config) -> List[str]:
    """What is to be looked at: `elk:NAME` for each search target, `log_files`, `kubernetes:NAME`
    for each cluster. Raises ConfigError.
    """
    return logs(config) + clusters(config)


def logs(config: Config) -> List[str]:
    """Where errors are logged. Raises ConfigError."""
    found = [reached.checkpoint_name(name) for name in config.targets(SECTION)]
    return found + ([FILES] if config.get("log_files.paths") else [])


def clusters(config: Config) -> List[str]:
    """The clusters whose workloads are watched. Raises ConfigError."""
    return [cluster(name) for name in config.targets(CLUSTERS)]


def cluster(name: str) -> str:
    """The component of the cluster that is target `name`."""
    return "%s:%s" % (CLUSTERS, name)


def is_cluster(component: str) -> bool:
    """Whether `component` is a cluster, and not a source of logged errors."""
    return component.startswith(cluster(""))
