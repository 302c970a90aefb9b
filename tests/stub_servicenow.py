"""A strict stand-in for ServiceNow, written from the public documentation of its Table, Attachment
and OAuth APIs, its choice lists, its rate limits and its error bodies.

It knows users and their rights, keeps incidents by the base system's rules, and fails as told.
`violations` holds what the real one would let pass to somebody's harm.
"""

from __future__ import annotations

import base64
import json
import re
import time
from urllib.parse import parse_qs

from tests.stub_server import Tracker
from tests.stub_servicenow_tables import (
    JOURNALS,
    REFERENCES,
    Refusal,
    Tables,
    moment,
    new_sys_id,
    select,
)

USER, PASSWORD = "selfheal.bot", "sn-pass-4711"
CLIENT_ID, CLIENT_SECRET = "be3aeb583ace210011c15b24a43e25d8", "sn-client-secret-4712"
REFRESH_TOKEN = "sn-refresh-token-4713"
MOST_ROWS = 10000
STATES = {"1": "open", "2": "in_progress", "3": "in_progress", "6": "resolved", "7": "closed",
          "8": "cancelled"}
READ_PARAMETERS = {
    "sysparm_query", "sysparm_fields", "sysparm_limit", "sysparm_offset", "sysparm_display_value",
    "sysparm_exclude_reference_link", "sysparm_no_count", "sysparm_suppress_pagination_header",
}
WRITE_PARAMETERS = {
    "sysparm_fields", "sysparm_display_value", "sysparm_exclude_reference_link",
    "sysparm_input_display_value", "sysparm_suppress_auto_sys_field",
}
_TABLE = re.compile(r"/api/now/table/([a-z_0-9]+)(?:/(.*))?\Z")
_SYS_ID = re.compile(r"[0-9a-f]{32}\Z")
_REFUSED = "User Not Authorized"


class Stub(Tracker):
    """The server. `forbidden` holds (method, table) that our user may not, such as
    ("GET", "sys_journal_field"); `hidden` fields of incidents that it may not read, `unreadable`
    the sys_ids of records.
    """

    section, name = "servicenow", "servicenow.default"

    def __init__(self, now=time.time):
        self.tables = Tables(now)
        self.violations = self.tables.violations
        self.tokens = {}
        self.token_life_s = 1800
        self.is_query_checked = False  # newer instances refuse a query by a field that is hidden
        self.forbidden, self.hidden, self.unreadable = set(), set(), set()
        self.is_hibernating = False
        super().__init__()

    def settings(self, **more):
        """The section `servicenow` of a configuration that reaches this server."""
        who = {"username": USER, "password": PASSWORD}
        return {"instance": self.url, **who, "timeout_s": 60, **more}

    def oauth(self, grant="client_credentials", **more):
        """The same by OAuth."""
        found = {"instance": self.url, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        if grant == "refresh_token":
            found["refresh_token"] = REFRESH_TOKEN
        if grant == "password":
            found.update(username=USER, password=PASSWORD)
        return {**found, "timeout_s": 60, **more}

    # What people do.

    def row(self, ref):
        return next(one for one in self.tables.incidents if one["sys_id"] == ref)

    def _by_hand(self, ref, **fields):
        self.tables.update(self.row(ref), fields, "ann")

    def close_by_hand(self, ref):
        self._by_hand(ref, state="7", close_code="User error", close_notes="closed by hand")

    def resolve_by_hand(self, ref):
        self._by_hand(ref, state="6", close_code="User error", close_notes="resolved by hand")

    def reopen_by_hand(self, ref):
        self._by_hand(ref, state="2")

    def assign_by_hand(self, ref, who="ann", by="ann"):
        user = next(one for one in self.tables.users if one["user_name"] == who)
        self.tables.update(self.row(ref), {"assigned_to": user["sys_id"], "state": "2"}, by)

    def delete_by_hand(self, ref):
        self.tables.incidents.remove(self.row(ref))

    def move_by_hand(self, ref):
        self.row(ref).update(sys_class_name="problem", sys_updated_by="ann")

    change_kind_by_hand = move_by_hand

    def comment_by_hand(self, ref, text):
        self.tables.note(self.row(ref), "work_notes", text, "ann")

    def made_by_others(self):
        """An incident that somebody made, as every instance has some."""
        row = self.tables.create({"short_description": "a mouse"}, "ann")
        self.tables.incidents.remove(row)
        self.tables.others.append(dict(row, number="INC0000001"))

    # What is there.

    def tickets(self):
        """All tickets, in the order of their creation."""
        return [self._ticket(row) for row in list(self.tables.incidents)]

    def _ticket(self, row):
        return {
            "ref": row["sys_id"], "number": row["number"], "correlation": row["correlation_id"],
            "state": STATES[row["state"]], "raw_state": row["state"],
            "title": row["short_description"], "body": row["description"],
            "comments": [one["value"] for one in self.tables.notes(row)],
            "resolution": row["close_notes"], "kind": row["sys_class_name"],
            "assignee": self.tables.shown(row, "assigned_to"),
            "severity": "%s/%s" % (row["urgency"], row["impact"]),
            "attachments": {
                one["file_name"]: self.tables.files[one["sys_id"]]
                for one in self.tables.attachments if one["table_sys_id"] == row["sys_id"]
            },
            "row": dict(row),
        }

    # What a request gets.

    def _failed(self, kind, wait):
        if self.is_hibernating:
            return 200, {}, b"<html>Instance Hibernating page</html>"
        if kind == "429":
            raise Refusal(429, "Rate limit exceeded", "requests per hour", {
                "Retry-After": str(wait), "X-RateLimit-Limit": "100",
            })
        if kind == "500":
            return 500, {}, {"error": {"message": "Internal error", "detail": None},
                             "status": "failure"}
        return None

    def _is_write(self, request):
        return request["method"] != "GET" and "oauth" not in request["path"]

    def _served(self, request):
        path, method = request["path"], request["method"]
        if path == "/oauth_token.do":
            return self._token(request)
        user = self._user(request["headers"])
        if "application/json" not in request["headers"].get("accept", ""):
            raise Refusal(406, "Not acceptable", "the Accept header asks for no JSON")
        found = _TABLE.match(path)
        if found:
            return self._table(request, found.group(1), found.group(2), user)
        if path == "/api/now/attachment/file" and method == "POST":
            return self._attach(request, user)
        if path == "/api/now/attachment" and method == "GET":
            return self._select(request, "sys_attachment", self.tables.attachments)
        raise Refusal(400, "Requested URI does not represent any resource: %s" % path)

    def _token(self, request):
        if request["headers"].get("content-type") != "application/x-www-form-urlencoded":
            return 400, {}, {"error": "invalid_request", "error_description": "content type"}
        given = {key: values[0] for key, values in parse_qs(request["body"].decode()).items()}
        denied = 401, {}, {"error_description": "access_denied", "error": "server_error"}
        if (given.get("client_id"), given.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return denied
        grant = given.get("grant_type")
        if grant == "password" and (given.get("username"), given.get("password")) != (
            USER, PASSWORD
        ):
            return denied
        if grant == "refresh_token" and given.get("refresh_token") != REFRESH_TOKEN:
            return denied
        if grant not in ("client_credentials", "password", "refresh_token"):
            return 400, {}, {"error": "unsupported_grant_type"}
        token = "sn-access-token-%s" % new_sys_id()
        self.tokens[token] = time.monotonic() + self.token_life_s
        body = {"access_token": token, "scope": "useraccount", "token_type": "Bearer",
                "expires_in": self.token_life_s}
        if grant != "client_credentials":
            body["refresh_token"] = REFRESH_TOKEN
        return 200, {}, body

    def _user(self, headers):
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            if base64.b64decode(value).decode("utf-8") == "%s:%s" % (USER, PASSWORD):
                return USER
        elif kind == "Bearer" and self.tokens.get(value, 0.0) > time.monotonic():
            return USER
        raise Refusal(401, "User Not Authenticated", "Required to provide Auth information",
                      {"WWW-Authenticate": 'BASIC realm="Service-now"'})

    def _table(self, request, table, sys_id, user):
        rows = self.tables.rows(table)
        if rows is None:
            raise Refusal(400, "Invalid table %s" % table)
        method = request["method"]
        if (method, table) in self.forbidden:
            raise Refusal(403, _REFUSED, "User is unauthorized to access table: %s" % table)
        if ("slow", table) in self.forbidden:
            raise Refusal(500, "Transaction cancelled: maximum execution time exceeded")
        if method == "GET" and not sys_id:
            self._check(request, READ_PARAMETERS)
            return self._select(request, table, rows)
        if method == "POST" and sys_id is None and table == "incident":
            self._check(request, WRITE_PARAMETERS)
            row = self.tables.create(self._given(request), user)
            where = "%s/api/now/table/incident/%s" % (self.url, row["sys_id"])
            return 201, {"Location": where}, {"result": self._shown(row, request["query"])}
        if not sys_id or not _SYS_ID.match(sys_id):
            self.violations.append("%s without a sys_id: %s" % (method, request["path"]))
            raise Refusal(405, "Method not supported")
        found = [row for row in rows if row["sys_id"] == sys_id]
        if not found:
            raise Refusal(404, "No Record found",
                          "Record doesn't exist or ACL restricts the record retrieval")
        self._check(request, WRITE_PARAMETERS)
        if method == "PATCH":
            self.tables.update(found[0], self._given(request), user)
        elif method != "GET":
            self.violations.append("%s %s" % (method, request["path"]))
            raise Refusal(405, "Method not supported")
        return 200, {}, {"result": self._shown(found[0], request["query"])}

    def _given(self, request):
        if "application/json" not in request["headers"].get("content-type", ""):
            raise Refusal(415, "Unsupported media type")
        try:
            given = json.loads(request["body"].decode("utf-8"))
        except ValueError:
            raise Refusal(400, "Exception while reading request", "not JSON") from None
        if "correlation_id" in given and not str(given["correlation_id"]).strip():
            self.violations.append("an empty correlation id was written")
        return given

    def _check(self, request, allowed):
        self.violations += [
            "unknown parameter %s" % name for name in request["query"] if name not in allowed
        ]

    def _select(self, request, table, rows):
        query = request["query"]
        condition = query.get("sysparm_query", "")
        if "javascript:" in condition:
            self.violations.append("a script in a query: %s" % condition)
        if re.search(r"(?:\A|\^)(correlation_id|sys_id|number|element_id|documentkey)(=|LIKE|IN)"
                     r"(\^|\Z)", condition):
            self.violations.append("an empty name in a query: %s" % condition)
        if self.is_query_checked and any(name in condition for name in self.hidden):
            raise Refusal(403, "Insufficient rights to query records",
                          "Field(s) present in the query do not have permission to be read")
        readable = [{k: v for k, v in row.items() if k not in self.hidden} for row in rows]
        found = select(readable, condition)
        limit, offset = (int(query.get("sysparm_" + name, default)) for name, default in
                         (("limit", MOST_ROWS), ("offset", 0)))
        page = found[offset:offset + min(limit, MOST_ROWS)]
        is_past_the_end = bool(found) and not page
        page = [row for row in page if row["sys_id"] not in self.unreadable]  # X-Total-Count stays
        if is_past_the_end:
            raise Refusal(404, "No Record found",
                          "Records matching query not found. Check query parameter or offset")
        is_task = table in ("incident", "task", "problem")
        shown = [self._shown(row, query) if is_task else _only(row, query) for row in page]
        return 200, {"X-Total-Count": str(len(found))}, {"result": shown}

    def _shown(self, row, query):
        row = {name: value for name, value in row.items() if name not in self.hidden}
        whose = {name + ".user_name": self._user_name(row.get(name)) for name in REFERENCES}
        row = _only({**row, **dict.fromkeys(JOURNALS, "")}, query, whose)
        kind = query.get("sysparm_display_value", "false")
        if kind == "true":
            return {name: self.tables.shown(dict(row, sys_id=row.get("sys_id", "")), name)
                    for name in row} if "sys_id" in row else row
        if kind == "all":
            return {name: {"value": value, "display_value": self.tables.shown(row, name)}
                    for name, value in row.items()}
        return row

    def _user_name(self, sys_id):
        return next((u["user_name"] for u in self.tables.users if u["sys_id"] == sys_id), "")

    def _attach(self, request, user):
        query = request["query"]
        names = ("table_name", "table_sys_id", "file_name")
        if not all(query.get(one) for one in names) or "content-type" not in request["headers"]:
            raise Refusal(400, "Missing parameter", "table_name, table_sys_id and file_name")
        if ("POST", "sys_attachment") in self.forbidden:
            raise Refusal(403, _REFUSED, "User is unauthorized to access table: sys_attachment")
        rows = self.tables.rows(query["table_name"]) or []
        if not any(row["sys_id"] == query["table_sys_id"] for row in rows):
            raise Refusal(404, "Invalid parent record for attachment")
        row = {
            "sys_id": new_sys_id(), **{name: query[name] for name in names},
            "content_type": request["headers"]["content-type"],
            "size_bytes": str(len(request["body"])), "sys_created_by": user,
            "sys_created_on": moment(self.tables.now()),
        }
        self.tables.attachments.append(row)
        self.tables.files[row["sys_id"]] = request["body"]
        return 201, {}, {"result": row}


def _only(row, query, walked=()):
    names = [one for one in query.get("sysparm_fields", "").split(",") if one]
    row = {**row, **{name: walked[name] for name in walked if name in names}}
    return {name: row[name] for name in names if name in row} if names else dict(row)
