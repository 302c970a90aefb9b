"""What Jira checks before it takes anything, written from its public documentation: Atlassian's
document format, JQL, workflows with the screens of their transitions. The stand-in's laws.
"""

from __future__ import annotations

import html
import re

from tests import stub_server

LONGEST = 32767
# What a project's workflow allows: {status: [(transition id, name, status it leads to, screen)]},
# a screen being {field: whether it is required}.
CATEGORIES = {
    "To Do": ("10000", "new"),
    "In Progress": ("3", "indeterminate"),
    "In Review": ("10001", "indeterminate"),
    "Done": ("10002", "done"),
    "Won't Do": ("10003", "done"),
    "Closed": ("6", "done"),
    "Draft": ("10004", "new"),
    "Considered": ("10005", "indeterminate"),
}
WITH_REVIEW = {
    "To Do": [("11", "Start work", "In Progress", {}), ("12", "Give up", "Won't Do", {})],
    "In Progress": [("21", "To review", "In Review", {}), ("22", "Stop", "To Do", {})],
    "In Review": [
        ("31", "Finish", "Done", {"resolution": True}),
        ("32", "Back to work", "In Progress", {}),
    ],
    "Done": [("41", "Reopen", "To Do", {}), ("42", "Close", "Closed", {})],
    "Won't Do": [("51", "Reopen", "To Do", {})],
    "Closed": [("61", "Reopen", "To Do", {})],
}
# Every status from every other, as team-managed projects have it.
OPEN = {
    status: [
        (CATEGORIES[other][0], other, other, {})
        for other in ("To Do", "In Progress", "Done") if other != status
    ]
    for status in ("To Do", "In Progress", "Done")
}
WITHOUT_END = {
    "Draft": [("71", "Consider", "Considered", {})],
    "Considered": [("72", "Redraft", "Draft", {})],
}
RESOLUTIONS = ("Done", "Fixed", "Won't Do", "Duplicate", "Cannot Reproduce")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")


class Refusal(stub_server.Refusal):
    """Ends a request with an error."""

    def __init__(self, status, messages=(), errors=None, headers=None, body=None):
        given = [messages] if isinstance(messages, str) else list(messages)
        said = {"errorMessages": given, "errors": errors or {}}
        super().__init__(status, headers, said if body is None else body)


def length(text):
    """Characters as Java counts them."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# Atlassian's document format, the nodes that descriptions and comments may hold.

_INLINE = ("text", "hardBreak", "mention", "emoji", "inlineCard", "date", "status")
_BLOCKS = (
    "paragraph", "heading", "bulletList", "orderedList", "codeBlock", "blockquote", "rule", "panel",
)
_CHILDREN = {
    "doc": _BLOCKS,
    "paragraph": _INLINE,
    "heading": _INLINE,
    "bulletList": ("listItem",),
    "orderedList": ("listItem",),
    "listItem": ("paragraph", "bulletList", "orderedList", "codeBlock"),
    "codeBlock": ("text",),
    "blockquote": ("paragraph", "bulletList", "orderedList", "codeBlock"),
    "panel": ("paragraph", "heading", "bulletList", "orderedList", "codeBlock"),
}
_NEEDS_CHILDREN = ("bulletList", "orderedList", "listItem", "blockquote", "panel")
_ATTRIBUTES = {"heading": {"level"}, "codeBlock": {"language"}, "panel": {"panelType"}}
_MARKS = ("link", "strong", "em", "code", "strike", "underline", "subsup", "textColor")


def adf_problem(node, kinds=("doc",), within=""):
    """Why `node` is no Atlassian document; empty when it is one."""
    if not isinstance(node, dict) or node.get("type") not in kinds:
        return "%r within %s" % (node, within or "nothing")
    kind = node["type"]
    allowed = {"type", "attrs"} | ({"text", "marks"} if kind == "text" else {"content"})
    if kind == "doc":
        allowed = {"type", "version", "content"}
        if node.get("version") != 1 or not isinstance(node.get("content"), list):
            return "doc without version 1 or content"
    if set(node) - allowed:
        return "unknown keys of %s: %s" % (kind, sorted(set(node) - allowed))
    if set(node.get("attrs") or {}) - _ATTRIBUTES.get(kind, set()):
        return "unknown attributes of %s" % kind
    if kind == "text":
        return _text_problem(node, within)
    if kind == "heading" and node.get("attrs", {}).get("level") not in range(1, 7):
        return "heading without a level"
    children = node.get("content", [])
    if kind in _NEEDS_CHILDREN and not children:
        return "empty %s" % kind
    if kind == "listItem" and children[0].get("type") not in ("paragraph", "codeBlock"):
        return "a list item must begin with a paragraph"
    for child in children:
        problem = adf_problem(child, _CHILDREN.get(kind, ()), kind)
        if problem:
            return problem
    return ""


def _text_problem(node, within):
    if not isinstance(node.get("text"), str) or not node["text"]:
        return "empty text"
    if within == "codeBlock" and node.get("marks"):
        return "marks in code"
    for mark in node.get("marks") or []:
        if mark.get("type") not in _MARKS or set(mark) - {"type", "attrs"}:
            return "mark %r" % (mark,)
        if mark["type"] == "link" and not re.match(
            r"(https?|mailto):", mark.get("attrs", {}).get("href", "")
        ):
            return "link %r" % (mark,)
    return ""


def words_of(value):
    """The words of a body, ADF or wiki markup, as people read them."""
    if isinstance(value, dict):
        return _adf_words(value).strip("\n")
    text = re.sub(r"\\([^A-Za-z0-9\s])", r"\1", str(value or ""))
    return html.unescape(text)


def _adf_words(node):
    if node.get("type") == "text":
        return node["text"]
    words = "".join(_adf_words(child) for child in node.get("content", []))
    is_block = node["type"] in ("paragraph", "heading", "codeBlock")
    return words + "\n" if is_block else words


# JQL.

_TOKEN = re.compile(
    r"""\s*(?:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(!=|!~|>=|<=|[=~<>(),])|([^\s"'=!~<>(),]+))""",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", " ": " "}
FIELDS = {
    "project": "project", "labels": "labels", "id": "id", "key": "id", "issue": "id",
    "issuekey": "id", "status": "status", "statuscategory": "category", "summary": "summary",
    "text": "summary", "resolution": "resolution", "priority": "priority", "assignee": "assignee",
    "issuetype": "type", "type": "type", "created": "created", "updated": "updated",
}
_OPERATORS = ("=", "!=", "~", "!~", "in", "not in", "is", "is not", ">", ">=", "<", "<=")


def tokens(query):
    """[(kind, value)] with kind value, operator, word; Jira's complaint for what is none."""
    found, position = [], 0
    query = query.rstrip()
    while position < len(query):
        match = _TOKEN.match(query, position)
        if not match:
            left = query[position:].lstrip()
            if left[0] in "\"'":
                raise Refusal(400, (
                    "Error in the JQL Query: The quoted string '%s' has not been completed. "
                    "(line 1, character %d)" % (left[1:], position + 1)
                ))
            raise Refusal(400, (
                "Error in the JQL Query: The character '%s' is a reserved JQL character. You must "
                "enclose it in a string or use the escape '\\u%04x' instead. (line 1, character %d)"
                % (left[0], ord(left[0]), position + 1)
            ))
        text, operator, word = match.groups()
        if text:
            found.append(("value", unescaped(text[1:-1])))
        else:
            found.append(("operator", operator) if operator else ("word", word))
        position = match.end()
    return found


def unescaped(text):
    """The characters that a quoted string of JQL stands for."""
    def one(match):
        if match.group(1):
            return chr(int(match.group(1), 16))
        if match.group(2) not in _ESCAPES:
            raise Refusal(400, (
                "Error in the JQL Query: '\\%s' is an illegal JQL escape sequence. The valid "
                "escape sequences are \\', \\\", \\t, \\n, \\r, \\\\, '\\ ' and \\uXXXX."
                % match.group(2)
            ))
        return _ESCAPES[match.group(2)]

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|(.))", one, text, flags=re.DOTALL)


def parsed(query):
    """([[(field, operator, [values])]]: AND within, OR between; [(field, direction)])."""
    left = tokens(query)
    order = []
    for position in range(len(left) - 1):
        pair = [str(one[1]).lower() for one in left[position:position + 2]]
        if pair == ["order", "by"] and left[position][0] == "word":
            order, left = _order(left[position + 2:]), left[:position]
            break
    groups, clauses = [], []
    while left:
        clauses.append(_clause(left))
        if left:
            kind, joint = left.pop(0)
            if kind != "word" or joint.lower() not in ("and", "or"):
                raise Refusal(400, (
                    "Error in the JQL Query: Expecting either 'OR' or 'AND' but got '%s'." % joint
                ))
            if not left:
                raise Refusal(400, "Error in the JQL Query: Unexpected end of the query.")
            if joint.lower() == "or":
                groups.append(clauses)
                clauses = []
    return [*groups, clauses] if clauses else groups, order


def _order(left):
    found = []
    for part in " ".join(one[1] for one in left).split(","):
        words = part.split()
        name = FIELDS.get(words[0].lower()) if words else None
        if not name or [word.upper() for word in words[1:]] not in ([], ["ASC"], ["DESC"]):
            raise Refusal(400, "Error in the JQL Query: not able to sort using field '%s'." % part)
        found.append((name, (words[1:] or ["ASC"])[0].upper()))
    return found


def _clause(left):
    kind, name = left.pop(0)
    field = FIELDS.get(name.lower())
    if kind == "operator" or not field:
        raise Refusal(400, (
            "Field '%s' does not exist or you do not have permission to view it." % name
            if kind != "operator" else
            "Error in the JQL Query: Expecting a field name but got '%s'." % name
        ))
    operator = left.pop(0)[1].lower() if left else ""
    if operator in ("not", "is") and left and left[0][1].lower() in ("in", "not"):
        operator = "%s %s" % (operator, left.pop(0)[1].lower())
    if operator not in _OPERATORS:
        raise Refusal(400, (
            "Error in the JQL Query: Expecting operator but got '%s'. The valid operators are '=', "
            "'!=', '<', '>', '<=', '>=', '~', '!~', 'IN', 'NOT IN', 'IS' and 'IS NOT'." % operator
        ))
    if not left:
        raise Refusal(400, (
            "Error in the JQL Query: Expecting either a value, list or function before the end of "
            "the query."
        ))
    if left[0] != ("operator", "("):
        return field, operator, [left.pop(0)[1]]
    left.pop(0)
    values = []
    while left and left[0] != ("operator", ")"):
        values.append(left.pop(0)[1])
        if left and left[0] == ("operator", ","):
            left.pop(0)
    if not left:
        raise Refusal(400, "Error in the JQL Query: Expecting ')' before the end of the query.")
    left.pop(0)
    return field, operator, values


def holds(row, clause):
    """Whether an issue (field -> value or list of values) fits one clause."""
    field, operator, values = clause
    have = row.get(field)
    have = [str(one).casefold() for one in (have if isinstance(have, list) else [have]) if one]
    wanted = [value.casefold() for value in values]
    if operator in ("is", "is not"):
        return (not have) == (operator == "is")
    if operator in ("~", "!~"):
        return any(word in one for one in have for word in wanted) == (operator == "~")
    if operator in ("=", "in"):
        return any(one in wanted for one in have)
    if operator in ("!=", "not in"):
        return bool(have) and not any(one in wanted for one in have)
    return True
