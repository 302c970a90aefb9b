"""The tables of the ServiceNow stand-in: their dictionary and choices, what an encoded query finds
in them, and the rules by which an incident is written.

From the public documentation of the Table API, of encoded queries and of the base system's
incident table. As there, a condition on a field that does not exist is left out of a query, and a
field or a choice that does not exist is left out of what is written.
"""

from __future__ import annotations

import itertools
import re
from datetime import datetime, timezone

from tests import stub_server

_ids = itertools.count(1)
PRIORITY = {
    ("1", "1"): "1", ("1", "2"): "2", ("2", "1"): "2", ("1", "3"): "3", ("2", "2"): "3",
    ("3", "1"): "3", ("2", "3"): "4", ("3", "2"): "4", ("3", "3"): "5",
}
LENGTHS = {
    "short_description": 160, "description": 4000, "close_notes": 4000, "correlation_id": 100,
    "correlation_display": 100, "category": 40, "subcategory": 40, "close_code": 40,
}
# field: the table that it refers to
REFERENCES = {
    "assignment_group": "sys_user_group", "assigned_to": "sys_user", "caller_id": "sys_user",
    "resolved_by": "sys_user", "closed_by": "sys_user",
}
JOURNALS = ("work_notes", "comments")
PLAIN = (
    "sys_id number state incident_state active urgency impact priority severity resolved_at "
    "opened_at reopen_count sys_created_on sys_created_by sys_updated_on sys_updated_by "
    "sys_mod_count sys_class_name"
).split()
CUSTOM = {"u_monitoring_source": 40, "u_alert_fingerprint": 100}
CHOICES = {
    "state": {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed",
              "8": "Canceled"},
    "urgency": {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"},
    "impact": {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"},
    "severity": {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"},
    "category": {"inquiry": "Inquiry / Help", "software": "Software", "hardware": "Hardware",
                 "network": "Network", "database": "Database"},
    "subcategory": {"os": "Operating System", "internal application": "Internal Application"},
    "close_code": {"Solution provided": "Solution provided", "User error": "User error",
                   "Workaround provided": "Workaround provided"},
}
_OPERATORS = ("!=", ">=", "<=", "=", ">", "<", "NOT IN", "STARTSWITH", "LIKE", "IN")
_CONDITION = re.compile(
    r"([a-z_][a-z0-9_.]*?)(%s)(.*)" % "|".join(re.escape(one) for one in _OPERATORS), re.DOTALL
)


def new_sys_id():
    return "%032x" % (0xABC0000000000000000000000000000 + next(_ids))


def moment(at):
    """`at` as the database keeps it: UTC, without a zone."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def split(text):
    """The parts of an encoded query; ^^ is a caret that belongs to a value."""
    return [part.replace("\0", "^") for part in text.replace("^^", "\0").split("^")]


def matches(row, condition):
    """Whether `row` fulfils one condition; True when it names no field of the row."""
    found = _CONDITION.match(condition)
    if not found or found.group(1) not in row:
        return True
    field, operator, wanted = found.groups()
    have, wanted = str(row[field]).lower(), wanted.lower()  # as MySQL compares
    return {
        "=": lambda: have == wanted,
        "!=": lambda: have != wanted,
        ">=": lambda: have >= wanted,
        "<=": lambda: have <= wanted,
        ">": lambda: have > wanted,
        "<": lambda: have < wanted,
        "IN": lambda: have in wanted.split(","),
        "NOT IN": lambda: have not in wanted.split(","),
        "LIKE": lambda: wanted in have,
        "STARTSWITH": lambda: have.startswith(wanted),
    }[operator]()


def select(rows, query):
    """The rows that the encoded query finds, in its order."""
    orders, groups = [], [[]]
    for part in split(query) if query else []:
        if part.startswith("ORDERBY"):
            is_down = part.startswith("ORDERBYDESC")
            orders.append((part[len("ORDERBYDESC" if is_down else "ORDERBY"):], is_down))
        elif part.startswith("NQ"):
            groups.append([[part[2:]]])
        elif part.startswith("OR"):
            groups[-1][-1].append(part[2:])
        elif part:
            groups[-1].append([part])
    found = [
        row
        for row in rows
        if any(all(any(matches(row, c) for c in alternatives) for alternatives in group)
               for group in groups)
    ]
    for field, is_down in reversed(orders):
        found.sort(key=lambda row: str(row.get(field, "")), reverse=is_down)
    return found


class Refusal(stub_server.Refusal):
    """Ends a request with an error, as ServiceNow writes it."""

    def __init__(self, status, message, detail=None, headers=None):
        said = {"error": {"message": message, "detail": detail}, "status": "failure"}
        super().__init__(status, headers, said)


class Tables:
    """All rows, by table. `now` is the instance's clock; `has_custom` says whether the instance has
    the two custom fields of incidents; `missing` names fields that it does not have.
    """

    def __init__(self, now):
        self.now, self.has_custom, self.missing = now, True, set()
        self.is_resolution_mandatory = True
        self.is_read_only = False  # for all but people, record by record
        self.violations = []
        self.journal, self.attachments, self.files = [], [], {}
        self.audit = []
        self.tells_who = True  # the rules that fill resolved_by and closed_by
        self.users = [
            self._record(user_name="selfheal.bot", name="selfheal", email="bot@acme.example"),
            self._record(user_name="ann", name="Ann Lee", email="ann@acme.example"),
            self._record(user_name="bob", name="Bob Ray", email="bob@acme.example"),
        ]
        self.groups = [self._record(name=name) for name in ("Service Desk", "Shop", "Network^NQ")]
        self.incidents = []
        self.others = []  # incidents that are nobody's business here, as every instance has

    @staticmethod
    def _record(**fields):
        return {"sys_id": new_sys_id(), "active": "true", **fields}

    def fields(self):
        """Fields of an incident that one may write: name -> longest text, None for no limit."""
        known = dict.fromkeys((*REFERENCES, *JOURNALS, "urgency", "impact", "state", "severity",
                               "resolved_at"))
        known.update(LENGTHS)
        if self.has_custom:
            known.update(CUSTOM)
        return {name: length for name, length in known.items() if name not in self.missing}

    def rows(self, table):
        """The rows of a table, None when there is no such table."""
        tables = {
            "incident": lambda: [
                row for row in (*self.incidents, *self.others)
                if row["sys_class_name"] == "incident"
            ],
            "task": lambda: [*self.incidents, *self.others],
            "problem": lambda: [r for r in self.incidents if r["sys_class_name"] == "problem"],
            "sys_user": lambda: self.users,
            "sys_user_group": lambda: self.groups,
            "sys_journal_field": lambda: self.journal,
            "sys_attachment": lambda: self.attachments,
            "sys_audit": lambda: self.audit,
            "sys_choice": self._choices,
            "sys_dictionary": self._dictionary,
        }
        return tables[table]() if table in tables else None

    @staticmethod
    def _choices():
        return [
            {"sys_id": "c%031x" % number, "name": "incident", "element": element, "value": value,
             "label": label, "inactive": "false", "language": "en", "dependent_value": ""}
            for number, (element, value, label) in enumerate(
                (element, value, label)
                for element, values in CHOICES.items()
                for value, label in values.items()
            )
        ]

    def _dictionary(self):
        names = {**dict.fromkeys(PLAIN), **self.fields()}
        return [
            {"sys_id": "d%031x" % number, "name": "incident", "element": name,
             "internal_type": "journal_input" if name in JOURNALS else "string",
             "max_length": str(length or 40), "active": "true"}
            for number, (name, length) in enumerate(sorted(names.items()))
            if name not in self.missing
        ]

    def create(self, given, by):
        """A new incident; its row."""
        at = moment(self.now())
        row = {name: "" for name in (*PLAIN, *self.fields()) if name not in JOURNALS}
        row.update(
            sys_id=new_sys_id(), number="INC%07d" % (10001 + len(self.incidents)), state="1",
            incident_state="1", active="true", urgency="3", impact="3", severity="3",
            opened_at=at, reopen_count="0", sys_created_on=at, sys_created_by=by,
            sys_mod_count="0", sys_class_name="incident", category="inquiry",
        )
        self._write(row, given, by)
        self.incidents.append(row)
        return row

    def update(self, row, given, by):
        """Write `given` to `row`, as the instance's rules allow."""
        is_person = by in ("ann", "bob")
        if not is_person and (self.is_read_only or row["state"] in ("7", "8")):
            raise Refusal(403, "Operation Failed",
                          "ACL Exception Update Failed due to security constraints")
        self._write(row, given, by)
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)

    def _write(self, row, given, by):
        known = self.fields()
        after = dict(row)
        for name, value in given.items():
            if not isinstance(value, str):
                self.violations.append("%s is not text: %r" % (name, value))
            elif name in known and name not in JOURNALS:
                self._set(after, name, value, known[name])
        if self.is_resolution_mandatory and after["state"] in ("6", "7"):
            lacking = [one for one in ("close_code", "close_notes") if not after.get(one)]
            if lacking:
                raise Refusal(403, "Operation Failed", "Data Policy Exception: the following "
                              "fields are mandatory: %s" % ", ".join(lacking))
        before, at = row["state"], moment(self.now())
        self._tell_who(row, after, by, at)
        row.update(after, incident_state=after["state"], sys_updated_on=at, sys_updated_by=by)
        row["active"] = "false" if row["state"] in ("7", "8") else "true"
        row["priority"] = PRIORITY[(row["urgency"], row["impact"])]
        if row["state"] == "6" and before != "6" and not row["resolved_at"]:
            row["resolved_at"] = at
        if before in ("6", "7") and row["state"] in ("1", "2", "3"):
            row["reopen_count"] = str(int(row["reopen_count"]) + 1)
            row.update(close_code="", close_notes="", resolved_at="", resolved_by="", closed_by="")
        for name in JOURNALS:
            if given.get(name) and name in known:
                self.note(row, name, given[name], by)

    def _tell_who(self, row, after, by, at):
        """The audit of two fields, and who resolved or closed it."""
        changed = [name for name in ("state", "assigned_to") if row[name] != after[name]]
        self.audit += [
            {"sys_id": new_sys_id(), "tablename": "incident", "documentkey": row["sys_id"],
             "fieldname": name, "oldvalue": row[name], "newvalue": after[name], "user": by,
             "sys_created_on": at, "record_checkpoint": "%09d" % len(self.audit)}
            for name in changed
        ]
        field = {"6": "resolved_by", "7": "closed_by", "8": "closed_by"}.get(after["state"])
        if "state" in changed and field and self.tells_who:
            known = [one["sys_id"] for one in self.users if one["user_name"] == by]
            after[field] = known[0] if known else ""

    def _set(self, row, name, value, longest):
        if name in CHOICES and name not in ("category", "subcategory") and value:
            if value not in CHOICES[name]:
                return  # dropped without a word
        if name in REFERENCES and value:
            if value not in [one["sys_id"] for one in self.rows(REFERENCES[name])]:
                self.violations.append("%s refers to nothing: %r" % (name, value))
                return
        if name == "resolved_at" and not re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z", value):
            self.violations.append("resolved_at is no time of the database: %r" % value)
            return
        if longest and len(value) > longest:
            self.violations.append("%s is longer than %d: %d" % (name, longest, len(value)))
            value = value[:longest]
        row[name] = value

    def note(self, row, element, text, by):
        """One entry of a journal."""
        if re.search(r"\[/?code\]", text, re.IGNORECASE):
            self.violations.append("%s would be shown as HTML: %r" % (element, text[:80]))
        self.journal.append({
            "sys_id": new_sys_id(), "name": row["sys_class_name"], "element": element,
            "element_id": row["sys_id"], "value": text, "sys_created_by": by,
            "sys_created_on": moment(self.now()),
        })

    def notes(self, row, element=None):
        """The entries of a record's journals, the oldest first."""
        return [one for one in self.journal if one["element_id"] == row["sys_id"] and
                element in (None, one["element"])]

    def shown(self, row, name):
        """The display value of a field."""
        value = str(row.get(name, ""))
        if name in JOURNALS:
            return "".join(
                "%s - %s (%s)\n%s\n\n" % (one["sys_created_on"], one["sys_created_by"],
                                          "Work notes", one["value"])
                for one in reversed(self.notes(row, name))
            )
        if name in REFERENCES:
            named = [one for one in self.rows(REFERENCES[name]) if one["sys_id"] == value]
            return named[0]["name"] if named else value
        return CHOICES.get(name, {}).get(value, value)
