"""Which alerts have one cause: the group key of an alert, and what it was made of.

By default a cause is the alert's name, the cluster, the namespace and what the alert is about: the
workload that owns the pod, else another object that a label names, else the instance, else the
service. The owner is derived from the pod's name where no label gives it. `VERSION` is part of the
key, so a change of the algorithm never moves alerts of open incidents by accident.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Dict, Mapping, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.text import one_line

VERSION = 1
_MAX_NAME = 253  # the longest name that Kubernetes allows

# Where a label of this meaning may stand, best first. `exported_*` is what Prometheus keeps of the
# alert's own label when the scraped exporter has one of that name: then the plain one is the
# exporter's.
_NAMESPACE = ("exported_namespace", "namespace", "kubernetes_namespace")
_POD = ("exported_pod", "pod", "kubernetes_pod_name", "pod_name")
# Labels that name the workload. `job` is none of them: to Prometheus it is the scrape job.
_WORKLOAD = (
    "workload",
    "deployment",
    "statefulset",
    "daemonset",
    "cronjob",
    "deploymentconfig",
    "rollout",
)
# Objects that are no workload but tell causes apart, where `instance` would be the exporter's for
# all of them.
_OBJECT = (
    "persistentvolumeclaim",
    "persistentvolume",
    "horizontalpodautoscaler",
    "poddisruptionbudget",
    "resourcequota",
    "ingress",
    "node",
)
_SERVICE = (
    "exported_service",
    "service",
    "app",
    "app_kubernetes_io_name",
    "label_app_kubernetes_io_name",
)
# Scrape jobs that speak of others' pods; any other exporter's `pod` label is its own pod.
_SPEAKS_OF_OTHERS = ("kube-state-metrics", "kubelet", "cadvisor")

# Kubernetes' generated suffixes know neither vowels nor 0, 1, 3 and y; the hash of a pod template
# uses an even smaller part, as it is a decimal number in that alphabet.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
_REPLICA_SET = re.compile(r"(.+)-[bcdf456789]{6,10}\Z")
_REPLICA_SET_POD = re.compile(r"(.+)-[bcdf456789]{6,10}-[a-z0-9]{5}\Z")
_CRON_JOB = re.compile(r"(.+)-\d{8,11}\Z")  # minutes or seconds since the epoch
_CRON_JOB_POD = re.compile(r"(.+)-\d{8,11}-[a-z0-9]{5}\Z")
_STATEFUL_SET_POD = re.compile(r"(.+)-\d{1,4}\Z")
_GENERATED_POD = re.compile(r"(.+)-([%s]{5})\Z" % _SAFE)
# Words that can be written in the safe alphabet and end real names more often than chance makes
# them.
_WORDS = frozenset(
    "dhcpd grpcs html5 httpd https mssql nfsv4 pgsql plsql smtps sshfs xhtml".split()
)


@dataclass(frozen=True)
class Scope:
    """What an alert is about. Each is printable text or None."""

    cluster: Optional[str]
    namespace: Optional[str]
    workload: Optional[str]
    instance: Optional[str]
    service: Optional[str]


def owner_of_pod(pod: str, node: str = "") -> Optional[str]:
    """The workload that made the pod, read off its name; None when the name does not tell.

    Knows pods of Deployments, CronJobs, Jobs, DaemonSets, StatefulSets, and static pods of `node`.
    """
    if len(pod) > _MAX_NAME:
        return None
    for pattern in (_REPLICA_SET_POD, _CRON_JOB_POD):
        found = pattern.match(pod)
        if found:
            return found.group(1)
    if node and pod.endswith("-" + node) and len(pod) > len(node) + 1:
        return pod[: -len(node) - 1]
    generated = _GENERATED_POD.match(pod)
    if generated and generated.group(2) not in _WORDS and not generated.group(2).isdigit():
        return generated.group(1)
    stateful = _STATEFUL_SET_POD.match(pod)
    return stateful.group(1) if stateful else None


def scope_of(labels: Mapping[str, str], cluster_label: str = "cluster") -> Scope:
    """The scope that `labels` describe."""
    return Scope(
        cluster=_first(labels, (cluster_label,)),
        namespace=_first(labels, _NAMESPACE),
        workload=_workload(labels),
        instance=_first(labels, ("exported_instance", "instance")),
        service=_first(labels, _SERVICE),
    )


def group_of(
    alert_name: str, labels: Mapping[str, str], scope: Scope, group_by: Sequence[str] = ()
) -> Tuple[str, Dict[str, str]]:
    """(group key, what it was made of).

    With `group_by` these labels and nothing else tell causes apart; an alert that has none of them
    is grouped by the default, so that strangers do not end up in one incident.
    """
    parts = {name: _shown(labels[name]) for name in group_by if labels.get(name)}
    if parts:
        whole = {name: labels.get(name, "") for name in group_by}
    else:
        parts = {"alertname": alert_name}
        parts.update(
            (name, value)
            for name, value in (
                ("cluster", scope.cluster),
                ("namespace", scope.namespace),
                _subject(labels, scope),
            )
            if value
        )
        whole = parts
    text = json.dumps([VERSION, whole], sort_keys=True)
    return "v%d:%s" % (VERSION, hashlib.sha256(text.encode("ascii")).hexdigest()[:40]), parts


def _subject(labels: Mapping[str, str], scope: Scope) -> Tuple[str, Optional[str]]:
    if scope.workload:
        return "workload", scope.workload
    own_pod = None if _is_own_pod(labels) else _first(labels, _POD)
    if own_pod:
        return "pod", own_pod
    for name in _OBJECT:
        if labels.get(name):
            return name, _shown(labels[name])
    return ("instance", scope.instance) if scope.instance else ("service", scope.service)


def _workload(labels: Mapping[str, str]) -> Optional[str]:
    named = _first(labels, _WORKLOAD)
    if named:
        return named
    job = _first(labels, ("job_name",))
    if job:
        return _cut(_CRON_JOB, job)
    replica_set = _first(labels, ("replicaset",))
    if not replica_set and labels.get("owner_kind", labels.get("created_by_kind")) == "ReplicaSet":
        replica_set = _first(labels, ("owner_name", "created_by_name"))
    if replica_set:
        return _cut(_REPLICA_SET, replica_set)
    owner = _first(labels, ("owner_name", "created_by_name"))
    if owner and owner != "<none>":
        return _cut(_CRON_JOB, owner)
    pod = _first(labels, _POD)
    if not pod or _is_own_pod(labels):
        return None
    return owner_of_pod(pod, labels.get("node", ""))


def _is_own_pod(labels: Mapping[str, str]) -> bool:
    """Whether the pod is that of the exporter which was scraped, and not what the alert is about.

    A node exporter's alerts are about the node: by its pod, all nodes would be one cause.
    """
    job = labels.get("job", "").rpartition("/")[2]
    if labels.get("exported_pod") or job in _SPEAKS_OF_OTHERS or not labels.get("instance"):
        return False
    pod = _first(labels, _POD) or ""
    owner = owner_of_pod(pod) or pod
    return owner.replace("_", "-").endswith("exporter")


def _cut(pattern: re.Pattern[str], name: str) -> str:
    found = pattern.match(name)
    return found.group(1) if found else name


def _first(labels: Mapping[str, str], names: Sequence[str]) -> Optional[str]:
    for name in names:
        value = labels.get(name)
        if value and value.strip():
            return _shown(value)
    return None


def _shown(value: str) -> str:
    return one_line(value, _MAX_NAME)
