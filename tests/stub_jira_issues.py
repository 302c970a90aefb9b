"""What the stand-in for Jira does with one issue: make it, change it, comment on it, move it
through its workflow, link it, attach to it.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone

from tests import stub_jira_rules as rules
from tests.stub_jira_history import MOST, History
from tests.stub_jira_rules import Refusal

PEOPLE = ("selfheal", "ann", "bob", "eve")
ROBOT = "automation"  # the account of Cloud's automation rules
PROJECTS = {"OPS": "10100", "NET": "10101"}
TYPES = {"Task": "10201", "Bug": "10202", "Idea": "10203"}
COMPONENTS = ("web", "database")
QUERY = {
    "issue": {"fields", "expand", "properties", "updateHistory", "notifyUsers"},
    "comment": {"startAt", "maxResults", "orderBy", "expand"},
    "transitions": {"expand", "transitionId"},
    "search": {"jql", "startAt", "maxResults", "fields", "validateQuery", "expand"},
}
_OFF_SCREEN = "Field '%s' cannot be set. It is not on the appropriate screen, or unknown."


class Issues(History):
    """The resources of one issue; `Stub` has the rest."""

    def _find(self, name):
        for one in () if "browse" in self.forbidden else self.issues:
            if name in (one["id"], one["key"]):
                return one
        raise Refusal(404, (
            "Issue does not exist or you do not have permission to see it."
            if self.is_cloud else "Issue Does Not Exist"
        ))

    def _given(self, request, allowed):
        if "application/json" not in request["headers"].get("content-type", ""):
            raise Refusal(415, body=b"")
        try:
            given = json.loads(request["body"].decode("utf-8"))
        except ValueError:
            raise Refusal(400, "There was an error parsing JSON. Check that your request body is "
                               "valid.") from None
        if not isinstance(given, dict) or set(given) - allowed:
            raise Refusal(400, (
                "Invalid request payload. Refer to the REST API documentation and try again."
            ))
        return given

    def _allowed(self, right, message):
        if right in self.forbidden:
            raise Refusal(403 if right in ("assign", "attach") else 400, message)

    def _create(self, request):
        given = self._given(request, {"fields", "update", "properties", "transition"})
        fields = given.get("fields") or {}
        project = (fields.get("project") or {}).get("key")
        if project not in PROJECTS or "create" in self.forbidden:
            raise Refusal(400, errors={"project": "valid project is required"})
        kind = fields.get("issuetype") or {}
        types = {**{v: k for k, v in TYPES.items()}, **{k: k for k in TYPES}}
        name = types.get(kind.get("name") or kind.get("id"))
        if not name:
            raise Refusal(400, errors={"issuetype": (
                "Specify a valid issue type" if self.is_cloud else "issue type is required")})
        errors = self._field_errors(fields)
        for field, words in self.required.items():
            if not fields.get(field):
                errors[field] = "%s is required." % words
        if not str(fields.get("summary") or "").strip():
            errors["summary"] = "You must specify a summary of the issue."
        if errors:
            raise Refusal(400, errors=errors)
        one = self.make(project, name, fields)
        self._set_properties(one["properties"], given.get("properties"))
        where = "%s%s/issue/%s" % (self.url, self.api, one["id"])
        return 201, {"id": one["id"], "key": one["key"], "self": where}

    def make(self, project, name, fields):
        """A new issue, unchecked."""
        self._last += 1
        number = 1 + sum(one["project"] == project for one in self.issues)
        taken = {one["key"] for one in self.issues}
        while "%s-%d" % (project, number) in taken:
            number += 1
        one = {
            "id": str(self._last), "key": "%s-%d" % (project, number), "project": project,
            "type": name, "status": next(iter(self._workflow(name))), "resolution": None,
            "priority": (fields.get("priority") or {}).get("name") or "Medium",
            "summary": fields["summary"], "description": fields.get("description"),
            "labels": list(fields.get("labels") or []), "assignee": None, "properties": {},
            "components": [c["name"] for c in fields.get("components") or []], "comments": [],
            "links": [], "weblinks": {}, "attachments": [], "created": self._moment(),
            "updated": self._moment(), "seen_at": self.now() + self.lag_s, "history": [],
            "more": {k: v for k, v in fields.items() if k.startswith("customfield_")},
        }
        self.issues.append(one)
        return one

    def _field_errors(self, fields):
        errors = {}
        for field in set(fields) - self.screen:
            errors[field] = _OFF_SCREEN % field
        summary = fields.get("summary")
        if summary is not None and "\n" in str(summary):
            errors["summary"] = (
                "The summary is invalid because it contains newline characters.")
        elif summary is not None and rules.length(str(summary)) > 255:
            errors["summary"] = "Summary must be less than 255 characters."
        if fields.get("description") is not None:
            problem = self._body_problem(fields["description"])
            if problem:
                errors["description"] = problem
        for label in fields.get("labels") or []:
            if re.search(r"\s", label) or not label:
                errors["labels"] = "The label '%s' contains spaces which is invalid." % label
            elif len(label) > 255:
                errors["labels"] = "The label '%s' exceeds 255 characters." % label
        priority = fields.get("priority")
        if priority and priority.get("name") not in rules.PRIORITIES:
            errors["priority"] = "The priority selected is invalid."
        for component in fields.get("components") or []:
            if component.get("name") not in COMPONENTS:
                errors["components"] = "Component name '%s' is not valid" % component.get("name")
        return errors

    def _body_problem(self, body):
        """Why Jira takes no such text; raises for what it does not even read."""
        if self.is_cloud:
            if not isinstance(body, dict):
                return (
                    "Operation value must be an Atlassian Document (see the Atlassian Document "
                    "Format)"
                )
            if rules.adf_problem(body):
                raise Refusal(400, "INVALID_INPUT")
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        else:
            if not isinstance(body, str):
                return "Operation value must be a string"
            text = body
        if rules.length(text) > rules.LONGEST:
            return (
                "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
            )
        return ""

    def _set_properties(self, kept, given):
        for one in given or []:
            if set(one) != {"key", "value"} or len(json.dumps(one["value"])) > 32768:
                raise Refusal(400, "Invalid property")
            if self.keeps_properties:
                kept[one["key"]] = one["value"]

    def _read(self, request, name):
        self._check(request, "issue")
        one, query = self._find(name), request["query"]
        shown = self._shown(one, query.get("fields", "*all").split(","))
        if query.get("expand") == "changelog" and self.keeps_history:
            shown["changelog"] = self._history(one)
        return 200, shown

    def _edit(self, request, name):
        one = self._find(name)
        given = self._given(request, {"fields", "update", "properties", "historyMetadata"})
        self._allowed("edit", "You do not have permission to edit issues in this project.")
        fields = given.get("fields") or {}
        errors = self._field_errors(fields)
        if errors:
            raise Refusal(400, errors=errors)
        if "priority" in fields:
            one["priority"] = fields["priority"]["name"]
        for plain in ("summary", "description", "labels"):
            if plain in fields:
                one[plain] = fields[plain]
        one["updated"] = self._moment()
        return 204, None

    def _bulk(self, request):
        if not self.is_cloud:
            raise Refusal(404, "no such resource")
        given = self._given(request, {"issueIdsOrKeys", "fields", "expand", "properties",
                                      "fieldsByKeys"})
        names = given.get("issueIdsOrKeys") or []
        if not 0 < len(names) <= 100:
            raise Refusal(400, "between 1 and 100 issues may be fetched")
        found = [one for one in self.issues if one["id"] in names or one["key"] in names]
        found = [] if "browse" in self.forbidden else found
        wanted = given.get("fields") or ["*navigable"]
        return 200, {"issues": [self._shown(one, wanted) for one in found], "issueErrors": []}

    # Comments, transitions, people, links, files.

    def _comments(self, request, name):
        one = self._find(name)
        if request["method"] == "GET":
            self._check(request, "comment")
            query = request["query"]
            start, size = int(query.get("startAt", 0)), int(query.get("maxResults", MOST))
            rows = list(one["comments"])
            if query.get("orderBy", "").startswith("-"):
                rows.reverse()
            page = rows[start:start + min(size, self.page)]
            has_properties = "properties" in query.get("expand", "")
            shown = [
                {k: v for k, v in row.items() if has_properties or k != "properties"}
                for row in page
            ]
            return 200, {"startAt": start, "maxResults": min(size, self.page),
                         "total": len(rows), "comments": shown}
        given = self._given(request, {"body", "properties", "visibility", "jsdPublic"})
        self._allowed("comment", "You do not have the permission to comment on this issue.")
        if self.is_cloud and not isinstance(given.get("body"), dict):
            raise Refusal(400, errors={"comment": "Comment body is not valid!"})
        problem = self._body_problem(given.get("body"))
        if problem:
            raise Refusal(400, errors={"comment": problem})
        row = self._add_comment(one, given["body"], given.get("properties"), "selfheal")
        return 201, row

    def _add_comment(self, one, body, properties, author):
        kept = {}
        self._set_properties(kept, properties)
        self._last += 1
        row = {
            "id": str(self._last), "body": body, "author": self._person(author),
            "created": self._moment(), "updated": self._moment(),
            "properties": [{"key": key, "value": value} for key, value in kept.items()],
        }
        one["comments"].append(row)
        one["updated"] = self._moment()
        return row

    def _workflow(self, kind):
        return self.workflows.get(kind) or self.workflows["Task"]

    def _offered(self, one):
        return self._workflow(one["type"]).get(one["status"], [])

    def _transitions(self, request, name):
        one = self._find(name)
        if request["method"] == "GET":
            self._check(request, "transitions")
            offered = [] if "transition" in self.forbidden else self._offered(one)
            shown = [
                {"id": tid, "name": words, "to": shown_status(to), "hasScreen": bool(screen),
                 "isGlobal": False, "isInitial": False, "isConditional": False,
                 **({"fields": {f: _field(f, need) for f, need in screen.items()}}
                    if "transitions.fields" in request["query"].get("expand", "") else {})}
                for tid, words, to, screen in offered
            ]
            return 200, {"expand": "transitions", "transitions": shown}
        given = self._given(request, {"transition", "fields", "update", "historyMetadata",
                                      "properties"})
        wanted = str((given.get("transition") or {}).get("id") or "")
        step = next((step for step in self._offered(one) if step[0] == wanted), None)
        if not step or "transition" in self.forbidden:
            raise Refusal(400, (
                "It seems that you have tried to perform an illegal workflow operation."
                if not self.is_cloud else
                "Transition id '%s' is not valid for this issue." % wanted))
        _, _, to, screen = step
        self._take(one, to, screen, given)
        return 204, None

    def _take(self, one, to, screen, given):
        fields, errors = given.get("fields") or {}, {}
        for field in set(fields) | set(given.get("update") or {}):
            if field not in screen:
                errors[field] = _OFF_SCREEN % field
        for field, need in screen.items():
            if need and field not in fields and field not in (given.get("update") or {}):
                errors[field] = "%s is required." % field.capitalize()
        resolution = (fields.get("resolution") or {}).get("name")
        if resolution and resolution not in rules.RESOLUTIONS:
            errors["resolution"] = "Resolution name '%s' is not valid" % resolution
        if errors:
            raise Refusal(400, errors=errors)
        is_done = rules.CATEGORIES[to][1] == "done"
        self.write(one, "selfheal", status=to,
                   resolution=(resolution or one["resolution"] or "Done") if is_done else None)

    def _assign(self, request, name):
        one = self._find(name)
        key = "accountId" if self.is_cloud else "name"
        given = self._given(request, {key})
        self._allowed("assign", "You do not have permission to assign issues.")
        who = given.get(key)
        known = {self._person(person)[key]: person for person in PEOPLE if person != "eve"}
        if who is not None and who not in known:
            raise Refusal(400, errors={"assignee": "User '%s' cannot be assigned issues." % who})
        self.write(one, "selfheal", assignee=known.get(who))
        return 204, None

    def _assignable(self, request):
        query = request["query"]
        words = query.get("query" if self.is_cloud else "username")
        if words is None or ("username" in query) == self.is_cloud:
            raise Refusal(400, "The query parameter is required")
        self._find(query.get("issueKey", ""))
        people = [self._person(one) for one in PEOPLE if one != "eve"]
        return 200, [one for one in people if any(
            words.casefold() in str(value).casefold() for value in one.values())]

    def _link(self, request):
        given = self._given(request, {"type", "inwardIssue", "outwardIssue", "comment"})
        kind = (given.get("type") or {}).get("name")
        if kind not in ("Relates", "Duplicate"):
            raise Refusal(404, "No issue link type with name '%s' found." % kind)
        ends = [self._find((given.get(end) or {}).get("key", "")) for end in
                ("inwardIssue", "outwardIssue")]
        if (kind, "outward", ends[1]["key"]) not in ends[0]["links"]:
            ends[0]["links"].append((kind, "outward", ends[1]["key"]))
            ends[1]["links"].append((kind, "inward", ends[0]["key"]))
        return 201, None

    def _weblink(self, request, name):
        one = self._find(name)
        given = self._given(request, {"globalId", "relationship", "object", "application"})
        if not (given.get("object") or {}).get("url") or not given["object"].get("title"):
            raise Refusal(400, errors={"title": "'title' is required."})
        one["weblinks"][given.get("globalId") or len(one["weblinks"])] = given["object"]["url"]
        return 201, {"id": len(one["weblinks"])}

    def _attach(self, request, name):
        one = self._find(name)
        if request["headers"].get("x-atlassian-token") != "no-check":
            raise Refusal(403, body=b"XSRF check failed")
        self._allowed("attach", "You do not have permission to create attachments for this issue.")
        kind = request["headers"].get("content-type", "")
        mark = kind.partition("boundary=")[2].encode("ascii")
        if not kind.startswith("multipart/form-data") or not mark:
            raise Refusal(415, body=b"")
        head, _, rest = request["body"].partition(b"\r\n\r\n")
        content = rest.rpartition(b"\r\n--" + mark)[0]
        found = re.search(rb'name="file"; filename="([^"\r\n]+)"\r\nContent-Type: (\S+)', head)
        if not found:
            self.violations.append("an upload that is no form field named file")
            raise Refusal(400, "no file")
        if len(content) > 10 * 1024 * 1024:
            raise Refusal(413, "The attachment exceeds its maximum permitted size.")
        file_name, media_type = (part.decode("utf-8") for part in found.groups())
        one["attachments"].append((file_name, content, media_type))
        return 200, [{"id": "1", "filename": file_name, "size": len(content)}]

    def _person(self, name):
        if name is None:
            return None
        shown = {"displayName": name.capitalize(), "emailAddress": "%s@example.net" % name}
        if self.is_cloud:
            kind = "app" if name == ROBOT else "atlassian"
            return {"accountId": "5b10-%s" % name, "accountType": kind, **shown, "active": True}
        return {"name": name, "key": "JIRAUSER-%s" % name, **shown, "active": True}

    def _shown(self, one, wanted):
        def other(key):
            found = next((o for o in self.issues if o["key"] == key), {"id": ""})
            return {"id": found["id"], "key": key}

        fields = {
            "summary": one["summary"], "description": one["description"],
            "status": shown_status(one["status"]), "labels": one["labels"],
            "resolution": {"name": one["resolution"]} if one["resolution"] else None,
            "priority": {"name": one["priority"]}, "assignee": self._person(one["assignee"]),
            "issuetype": {"id": TYPES[one["type"]], "name": one["type"]},
            "project": {"key": one["project"]}, "created": one["created"],
            "updated": one["updated"],
            "issuelinks": [
                {"type": {"name": kind, "inward": "relates to", "outward": "relates to"},
                 way + "Issue": other(key)} for kind, way, key in one["links"]],
            "attachment": [{"filename": name, "size": len(content)}
                           for name, content, _ in one["attachments"]],
        }
        kept = fields if set(wanted) & {"*all", "*navigable"} else {
            name: fields[name] for name in wanted if name in fields}
        where = "%s%s/issue/%s" % (self.url, self.api, one["id"])
        return {"id": one["id"], "key": one["key"], "self": where, "fields": kept}

    def _moment(self):
        moment = datetime.fromtimestamp(self.now(), timezone.utc)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%03d+0000" % (moment.microsecond // 1000)


def shown_status(name):
    number, category = rules.CATEGORIES[name]
    return {"id": number, "name": name, "statusCategory": {"key": category, "name": category}}


def _field(name, is_required):
    found = {"required": is_required, "name": name.capitalize(), "key": name, "fieldId": name,
             "hasDefaultValue": False, "operations": ["set"]}
    if name == "resolution":
        found["allowedValues"] = [{"name": one} for one in rules.RESOLUTIONS]
    return found
