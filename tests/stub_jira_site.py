"""What the stand-in for Jira tells of itself: its search, projects, rights, fields."""

from __future__ import annotations

import re

from tests import stub_jira_rules as rules
from tests.stub_jira_issues import MOST, PROJECTS, QUERY, TYPES, shown_status
from tests.stub_jira_rules import Refusal


class Site:
    """The resources of a site; `Stub` has the rest."""

    def _search(self, request):
        if self.is_cloud:
            raise Refusal(410, (
                "The requested API has been removed. Please migrate to the /rest/api/3/search/jql "
                "API."))
        self._check(request, "search")
        query = request["query"]
        start, size = int(query.get("startAt", 0)), int(query.get("maxResults", 50))
        rows = self._selected(query.get("jql", ""), query.get("validateQuery") != "false")
        page = rows[start:start + min(size, self.page)]
        fields = query.get("fields", "*navigable").split(",")
        return 200, {"startAt": start, "maxResults": min(size, self.page), "total": len(rows),
                     "issues": [self._shown(one, fields) for one in page]}

    def _search_pages(self, request):
        if not self.is_cloud:
            raise Refusal(404, "no such resource")
        given = self._given(request, {"jql", "maxResults", "fields", "nextPageToken", "expand",
                                      "properties", "fieldsByKeys", "failFast", "reconcileIssues"})
        rows = self._selected(given.get("jql") or "", True)
        token = given.get("nextPageToken")
        if token is not None and not re.match(r"page-[0-9]+\Z", token):
            raise Refusal(400, "The provided next page token is invalid or expired.")
        start = int(token.partition("-")[2]) if token else 0
        end = start + min(int(given.get("maxResults", 50)), self.page)
        shown = [self._shown(one, given.get("fields") or ["id"]) for one in rows[start:end]]
        more = {"nextPageToken": "page-%d" % end} if end < len(rows) else {}
        return 200, {"issues": shown, "isLast": not more, **more}

    def _selected(self, jql, is_strict):
        groups, order = rules.parsed(jql)
        if not groups and self.is_cloud:
            raise Refusal(400, (
                "Unbounded JQL queries are not allowed here. Please add a search restriction to "
                "your query."))
        for field, _, values in [clause for group in groups for clause in group]:
            if any(not value.strip() for value in values):
                self.violations.append("an empty value in JQL: %s" % jql)
            known = {"project": set(PROJECTS), "id": {
                name for one in self.issues for name in (one["id"], one["key"])}}.get(field)
            for value in values if known is not None and is_strict else ():
                if value not in known:
                    raise Refusal(400, (
                        "The value '%s' does not exist for the field '%s'." % (value, field)))
        rows = [
            one for one in self.issues
            if one["seen_at"] <= self.now() and (not groups or any(
                all(rules.holds(_indexed(one), clause) for clause in group) for group in groups))
        ]
        rows = [] if "browse" in self.forbidden else rows
        for name, direction in reversed(order):
            rows.sort(key=lambda one: str(_indexed(one).get(name)),
                      reverse=direction == "DESC")
        return rows

    def _myself(self, request):
        return 200, self._person("selfheal")

    def _permissions(self, request):
        names = request["query"].get("permissions", "").split(",")
        rights = {"CREATE_ISSUES": "create", "ADD_COMMENTS": "comment", "EDIT_ISSUES": "edit",
                  "TRANSITION_ISSUES": "transition", "ASSIGN_ISSUES": "assign",
                  "LINK_ISSUES": "link", "CREATE_ATTACHMENTS": "attach",
                  "BROWSE_PROJECTS": "browse"}
        if self.is_cloud and names == [""]:
            raise Refusal(400, "The 'permissions' query parameter is required.")
        names = names if names != [""] else list(rights)
        return 200, {"permissions": {
            name: {"key": name, "havePermission": rights.get(name) not in self.forbidden}
            for name in names}}

    def _project(self, request, key):
        if key not in PROJECTS:
            raise Refusal(404, "No project could be found with key '%s'." % key)
        types = [{"id": number, "name": name, "subtask": False} for name, number in TYPES.items()]
        return 200, {"id": PROJECTS[key], "key": key, "name": key, "issueTypes": types}

    def _project_statuses(self, request, key):
        self._project(request, key)
        return 200, [
            {"id": number, "name": name,
             "statuses": [shown_status(status) for status in self._workflow(name)]}
            for name, number in TYPES.items()
        ]

    def _fields(self, request, key, kind):
        self._project(request, key)
        if kind not in TYPES.values():
            raise Refusal(404, "The issue type could not be found.")
        names = sorted({*self.screen, *self.required})
        rows = [{
            "fieldId": name, "name": self.required.get(name, name), "hasDefaultValue": False,
            "required": name in self.required or name in ("project", "issuetype", "summary"),
            **({"allowedValues": [{"name": p} for p in rules.PRIORITIES]}
               if name == "priority" else {}),
        } for name in names]
        return 200, {"startAt": 0, "maxResults": MOST, "total": len(rows), "isLast": True,
                     "fields" if self.is_cloud else "values": rows}

    def _link_types(self, request):
        return 200, {"issueLinkTypes": [{"id": "1", "name": "Relates"},
                                        {"id": "2", "name": "Duplicate"}]}

    def _about(self, request):
        version = {"version": "1001.0.0" if self.is_cloud else "9.12.0",
                   "deploymentType": "Cloud" if self.is_cloud else "Server"}
        return 200, {"baseUrl": self.url, **version}

    def _check(self, request, kind):
        self.violations += [
            "unknown parameter %s of %s" % (name, request["path"])
            for name in request["query"] if name not in QUERY[kind]
        ]


def _indexed(one):
    return {
        **{name: one[name] for name in ("project", "labels", "status", "summary", "resolution",
                                        "priority", "assignee", "type", "created", "updated")},
        "id": [one["id"], one["key"]], "category": rules.CATEGORIES[one["status"]][1],
    }
