"""A strict stand-in for Jira, Cloud (REST version 3) and Data Center (version 2), written from the
public documentation: who may ask, what a field may hold, workflows and their screens, JQL, pages,
limits, and the words of its errors.

It keeps issues and fails as told. Cloud's search lags behind by `lag_s`. `violations` holds what
the real one would let pass to somebody's harm.
"""

from __future__ import annotations

import base64
import re
import time
from urllib.parse import unquote

from tests import stub_jira_rules as rules
from tests.stub_jira_issues import MOST, Issues
from tests.stub_jira_rules import Refusal
from tests.stub_jira_site import Site
from tests.stub_server import Tracker

USER, API_TOKEN = "selfheal@example.net", "jira-api-token-4721"
TOKEN, PASSWORD = "jira-personal-token-4722", "jira-password-4723"
STATES = {"new": "open", "indeterminate": "in_progress", "done": "resolved"}


class Stub(Issues, Site, Tracker):
    """The server. `forbidden` holds what our user may not (comment, transition, assign, link,
    attach, edit, create, browse); `required` further fields of a new issue; `screen` those that it
    has.
    """

    section, name = "jira", "jira.default"

    def __init__(self, flavour="cloud", now=time.time, lag_s=0.0, workflow=None):
        self.flavour, self.is_cloud = flavour, flavour == "cloud"
        self.api = "/rest/api/3" if self.is_cloud else "/rest/api/2"
        self.now, self.lag_s = now, lag_s
        self.workflows = {"Task": workflow or rules.WITH_REVIEW, "Idea": rules.WITHOUT_END}
        self.issues, self.violations = [], []
        self.screen = {
            "project", "issuetype", "summary", "description", "labels", "priority", "components",
            "assignee", "customfield_10010",
        }
        self.required, self.forbidden, self.page = {}, set(), MOST
        self.keeps_properties = self.keeps_history = True
        self.captcha = False
        self._last = 10000
        super().__init__()

    def settings(self, **more):
        """The section `jira` of a configuration that reaches this server."""
        who = {"username": USER, "password": API_TOKEN} if self.is_cloud else {"token": TOKEN}
        return {
            "url": self.url, "flavour": self.flavour, **who, "project": "OPS", "timeout_s": 60,
            **more,
        }

    # What people do.

    def issue(self, ref):
        return next(one for one in self.issues if one["id"] == ref)

    def _by_hand(self, ref, by="ann", **changed):
        self.write(self.issue(ref), by, **changed)

    def close_by_hand(self, ref):
        self._by_hand(ref, status="Closed", resolution="Won't Do")

    def resolve_by_hand(self, ref):
        self._by_hand(ref, status="Done", resolution="Fixed")

    def reopen_by_hand(self, ref):
        self._by_hand(ref, status="In Progress", resolution=None)

    def assign_by_hand(self, ref, who="ann", by="ann"):
        self._by_hand(ref, by, assignee=who)

    def delete_by_hand(self, ref):
        self.issues.remove(self.issue(ref))

    def move_by_hand(self, ref):
        number = 1 + sum(one["project"] == "NET" for one in self.issues)
        self._by_hand(ref, project="NET", key="NET-%d" % number)

    def change_kind_by_hand(self, ref):
        self._by_hand(ref, type="Idea", status="Draft")

    def comment_by_hand(self, ref, text):
        body = {"type": "doc", "version": 1, "content": [
            {"type": "paragraph", "content": [{"type": "text", "text": text}]}]}
        self._add_comment(self.issue(ref), body if self.is_cloud else text, [], "ann")

    # What is there.

    def tickets(self):
        """All issues that exist, in the order of their creation."""
        with self._lock:
            return [self._ticket(one) for one in self.issues]

    def _ticket(self, one):
        category = rules.CATEGORIES[one["status"]][1]
        state = "closed" if one["status"] == "Closed" else STATES[category]
        return {
            "ref": one["id"], "number": one["key"],
            "correlation": one["properties"].get("selfheal", {}).get("correlation", ""),
            "state": "cancelled" if one["status"] == "Won't Do" else state,
            "raw_state": one["status"], "title": one["summary"],
            "body": rules.words_of(one["description"]),
            "comments": [rules.words_of(c["body"]) for c in one["comments"]],
            "resolution": one["resolution"] or "", "assignee": one["assignee"] or "",
            "severity": one["priority"], "kind": one["type"], "labels": list(one["labels"]),
            "attachments": {name: content for name, content, _ in one["attachments"]},
            "links": [other for _, _, other in one["links"]], "row": dict(one),
        }

    # What a request gets.

    def _failed(self, kind, wait):
        if kind == "429":
            raise Refusal(429, "Rate limit exceeded.", headers={
                "Retry-After": str(wait), "X-RateLimit-Remaining": "0",
                "RateLimit-Reason": "jira-cost-based",
            })
        if kind == "500":
            return 500, {}, {"errorMessages": ["Internal server error"], "errors": {}}
        return None

    def _is_write(self, request):
        return request["method"] != "GET" and not request["path"].endswith(("/jql", "/bulkfetch"))

    def _served(self, request):
        status, body = self._route(request)
        return status, {}, body

    def _route(self, request):
        path, method = unquote(request["path"]), request["method"]
        if path.startswith("/rest/api/3/") and not self.is_cloud:
            raise Refusal(404, body={
                "message": "null for uri: %s%s" % (self.url, path), "status-code": 404})
        if path == "/rest/api/2/serverInfo":  # Cloud has the older version as well
            return self._about(request)
        if not path.startswith(self.api + "/"):
            raise Refusal(404, body=b"<html><h1>Oops, you've found a dead link.</h1></html>")
        self._user(request)
        path = path[len(self.api):]
        if "application/json" not in request["headers"].get("accept", ""):
            self.violations.append("no Accept: application/json")
        for pattern, methods, name in _ROUTES:
            found = re.match(pattern + r"\Z", path)
            if found and method in methods:
                return getattr(self, "_" + name)(request, *found.groups())
        if path.rstrip("/").endswith("/issue") or "//" in path:
            self.violations.append("an empty key: %s %s" % (method, path))
        raise Refusal(405 if method != "GET" else 404, "no such resource: %s %s" % (method, path))

    def _user(self, request):
        kind, _, value = request["headers"].get("authorization", "").partition(" ")
        if self.captcha:
            raise Refusal(403, body=b"<html>CAPTCHA</html>", headers={
                "X-Seraph-LoginReason": "AUTHENTICATION_DENIED",
                "X-Authentication-Denied-Reason": "CAPTCHA_CHALLENGE; login-url=/login.jsp"})
        if kind == "Basic":
            pair = base64.b64decode(value).decode("utf-8")
            wanted = (USER, API_TOKEN) if self.is_cloud else ("selfheal", PASSWORD)
            if pair == "%s:%s" % wanted:
                return
        elif kind == "Bearer" and not self.is_cloud and value == TOKEN:
            return
        if self.is_cloud:
            raise Refusal(401, body={
                "message": "Client must be authenticated to access this resource.",
                "status-code": 401})
        raise Refusal(401, body=b"<html>Basic Authentication Failure</html>", headers={
            "X-Seraph-LoginReason": "AUTHENTICATED_FAILED",
            "WWW-Authenticate": 'OAuth realm="%s"' % self.url})


_ROUTES = (
    (r"/issue", ("POST",), "create"),
    (r"/issue/bulkfetch", ("POST",), "bulk"),
    (r"/issue/createmeta/([^/]+)/issuetypes/([^/]+)", ("GET",), "fields"),
    (r"/issue/([^/]+)", ("GET",), "read"),
    (r"/issue/([^/]+)", ("PUT",), "edit"),
    (r"/issue/([^/]+)/comment", ("GET", "POST"), "comments"),
    (r"/issue/([^/]+)/transitions", ("GET", "POST"), "transitions"),
    (r"/issue/([^/]+)/assignee", ("PUT",), "assign"),
    (r"/issue/([^/]+)/remotelink", ("POST",), "weblink"),
    (r"/issue/([^/]+)/attachments", ("POST",), "attach"),
    (r"/issueLink", ("POST",), "link"),
    (r"/issueLinkType", ("GET",), "link_types"),
    (r"/user/assignable/search", ("GET",), "assignable"),
    (r"/search", ("GET", "POST"), "search"),
    (r"/search/jql", ("POST",), "search_pages"),
    (r"/myself", ("GET",), "myself"),
    (r"/mypermissions", ("GET",), "permissions"),
    (r"/project/([^/]+)", ("GET",), "project"),
    (r"/project/([^/]+)/statuses", ("GET",), "project_statuses"),
    (r"/serverInfo", ("GET",), "about"),
)
