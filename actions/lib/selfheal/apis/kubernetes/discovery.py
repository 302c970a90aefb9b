"""Which versions of an API a server has, and in which one it takes evictions."""

from __future__ import annotations

from typing import Any, Dict, List

from selfheal.apis.kubernetes.failures import Missing
from selfheal.apis.kubernetes.paths import Resource


def versions(client: Any, group: str) -> List[str]:
    """The versions of `group` that the server of `client` serves; those of the core for ""."""
    try:
        found = client.get("/apis/" + group if group else "/api")
    except Missing:
        return []
    listed = found.get("versions")
    names = [
        entry.get("version") if isinstance(entry, dict) else entry
        for entry in (listed if isinstance(listed, list) else [])
    ]
    return [name for name in names if isinstance(name, str)]


def version_with(client: Any, resource: Resource) -> str:
    """The newest version in which the server has `resource`; "" when it has it in none. A version
    alone does not tell: batch/v1 of Kubernetes 1.20 has jobs and no cron jobs.
    """
    for version in resource.versions:
        if client.serves("%s/%s" % (resource.group, version)):
            names = [entry.get("name") for entry in _resources(client, resource.group, version)]
            if resource.plural in names:
                return version
    return ""


def eviction_version(client: Any) -> str:
    """The apiVersion that the server takes an Eviction in, as its list of resources says; that of
    1.22 and later when it does not say.
    """
    for entry in _resources(client, "", "v1"):
        if entry.get("name") == "pods/eviction":
            return "%s/%s" % (entry.get("group") or "policy", entry.get("version") or "v1")
    return "policy/v1"


def _resources(client: Any, group: str, version: str) -> List[Dict[str, Any]]:
    path = "/apis/%s/%s" % (group, version) if group else "/api/" + version
    try:
        listed = client.get(path).get("resources")
    except Missing:
        return []
    entries = listed if isinstance(listed, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]
