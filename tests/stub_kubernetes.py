"""An API server that answers as told, for what a real one does only now and then: a list that
breaks off or has to begin anew, a kind that is forbidden, a watch that is told 410 Gone.
"""

from __future__ import annotations

import json

from tests.stub_server import Server

GROUPS = {"apps": "v1", "batch": "v1", "autoscaling": "v2"}
KINDS = (
    "pods namespaces nodes services endpoints persistentvolumeclaims deployments statefulsets "
    "daemonsets replicasets controllerrevisions jobs cronjobs horizontalpodautoscalers"
).split()


def status(code, reason, message="no"):
    """A Status object, as errors are written."""
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason,
            "message": message}


class Stub(Server):
    """`objects` by the plural of their kind. `fails` maps a plural to (status, body) for its lists;
    `watches` are scripts for the next watches of pods: lists of events, or (status, body). `asked`
    keeps (plural, query).
    """

    def __init__(self):
        self.objects = {kind: [] for kind in KINDS}
        self.fails = {}
        self.watches = []
        self.gone_after = 0  # pages of pods until 410, once
        self.asked = []
        super().__init__()

    def times(self, plural):
        """How often it was asked for the first page of a list."""
        return sum(
            1 for kind, query in self.asked
            if kind == plural and "continue" not in query and "watch" not in query
        )

    def answer(self, request):
        """See Server."""
        code, body = self._answer(request["path"], request["query"])
        return code, {"Content-Type": "application/json"}, body

    def _answer(self, path, query):
        last = path.rpartition("/")[2]
        if last in GROUPS:
            return 200, {"versions": [{"version": GROUPS[last]}]}
        if last in GROUPS.values() and path.startswith("/apis/"):
            return 200, {"resources": [{"name": kind} for kind in KINDS]}
        parts = path.strip("/").split("/")
        plural = last if last in KINDS else parts[-2]
        self.asked.append((plural, query))
        if plural in self.fails and "watch" not in query:
            return self.fails[plural]
        if plural not in KINDS:
            return 404, status(404, "NotFound")  # events, logs
        if last not in KINDS:
            found = [one for one in self.objects[plural] if one["metadata"]["name"] == last]
            absent = dict(status(404, "NotFound"), details={"name": last})
            return (200, found[0]) if found else (404, absent)
        return self._watch() if "watch" in query else self._page(plural, query, parts)

    def _watch(self):
        script = self.watches.pop(0) if self.watches else []
        if isinstance(script, tuple):
            return script
        return 200, b"".join(json.dumps(event).encode() + b"\n" for event in script)

    def _page(self, plural, query, parts):
        found = self.objects[plural]
        if "namespaces" in parts[:-1]:
            where = parts[parts.index("namespaces") + 1]
            found = [one for one in found if one["metadata"].get("namespace") == where]
        selector = query.get("labelSelector", "")
        for pair in selector.split(",") if selector else ():
            key, _, value = pair.partition("=")
            found = [one for one in found if one["metadata"].get("labels", {}).get(key) == value]
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 500))
        if plural == "pods" and start and self.gone_after and start >= self.gone_after:
            self.gone_after = 0
            return 410, status(410, "Expired", "The provided continue parameter is too old")
        about = {"resourceVersion": "100"}
        if start + limit < len(found):
            about["continue"] = str(start + limit)
        return 200, {"kind": "List", "metadata": about, "items": found[start:start + limit]}
