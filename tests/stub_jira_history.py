"""The history of an issue in the stand-in for Jira: who changed its status and its assignee."""

from __future__ import annotations

MOST = 100  # of a page, whatever is asked for


class History:
    """What is kept of changes, and shown of them; `Stub` has the rest."""

    def write(self, one, by, **changed):
        """Set `changed`; what it says of status and assignee is kept in the issue's history."""
        items = [
            {"field": name, "fieldtype": "jira", "fromString": one[name], "toString": changed[name]}
            for name in ("status", "assignee")
            if name in changed and changed[name] != one[name]
        ]
        one.update(changed, updated=self._moment())
        if items:
            one["history"].append({
                "id": str(20001 + sum(len(other["history"]) for other in self.issues)),
                "author": self._person(by), "created": one["updated"], "items": items,
            })

    def _history(self, one):
        """Cloud shows the newest 100 first, Data Center all of them, the oldest first."""
        entries = one["history"][::-1][:MOST] if self.is_cloud else one["history"]
        return {"startAt": 0, "maxResults": len(entries), "total": len(one["history"]),
                "histories": entries}
