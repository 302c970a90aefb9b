"""Whether each ServiceNow target can be reached, and whether the settings fit the instance: its
fields and how long they are, its choice lists, the caller, the groups, what our user may read.

Only reads. Whether the user may write is only known from the first ticket, since asking would make
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from selfheal.apis.servicenow.query import one_of, text_of
from selfheal.config import target_key
from selfheal.exceptions import ConfigError, NotFound
from selfheal.operate import check_trackers
from selfheal.operate.check_trackers import Row
from selfheal.text import one_line
from selfheal.tickets import servicenow_settings

if TYPE_CHECKING:
    from selfheal.apis.servicenow.client import Client
    from selfheal.context import Context

_MAY_BE_MISSING = ("monitoring_source", "fingerprint", "correlation_display", "severity")
_PARENTS = ("task", "incident")
_MOST_GROUPS = 10


def lines(ctx: Context, longest_wait_s: float) -> List[Row]:
    """(what, state, detail, do) for each target of section servicenow, as in `check_config`."""
    section = servicenow_settings.SECTION

    def look(name: str, target: Mapping[str, Any]) -> List[Row]:
        settings = servicenow_settings.completed(ctx.config, name, target)
        settings["timeout_s"] = min(float(settings["timeout_s"]), longest_wait_s)
        return _target(ctx, target_key(section, name), settings)

    return check_trackers.lines(ctx, section, "instance", look)


def _target(ctx: Context, what: str, settings: Dict[str, Any]) -> List[Row]:
    from selfheal.apis.servicenow.client import Client

    client = Client(ctx.http, settings, ctx.clock.now, ctx.config.hide)
    table = str(settings["table"])
    names = sorted({name for name in settings["fields"].values() if name})
    sample = client.newest(table, ["sys_id", *names])
    detail = "%s answers, table %s can be read" % (client.url, table)
    return [
        (what, "on", detail, ""),
        *_fields(what, client, settings, sample),
        *_choices(what, client, settings),
        *_references(what, client, settings),
        *_journal(what, client),
    ]


def _fields(
    what: str, client: Client, settings: Mapping[str, Any], sample: Any
) -> List[Row]:
    """Whether the fields are there, and as long as we think."""
    key, fields = "%s: fields" % what, settings["fields"]
    wanted = {theirs: ours for ours, theirs in fields.items() if theirs}
    lengths = _dictionary(client, str(settings["table"]), list(wanted))
    if not lengths and sample is None:
        return [(key, "warning", "the user may not read sys_dictionary, and the table is empty",
                 "give the right to read sys_dictionary, or make a first ticket by hand")]
    there = set(lengths) | set(sample or ())
    missing = {ours: theirs for theirs, ours in wanted.items() if theirs not in there}
    needed = ["%s (%s)" % (theirs, ours) for ours, theirs in sorted(missing.items())
              if ours not in _MAY_BE_MISSING]
    rows: List[Row] = []
    if needed:
        rows.append((key, "error", "not there, or the user may not read them: %s"
                     % ", ".join(needed), "correct %s.fields, or give the right" % what))
    short = [
        "%s holds %d, %s.limits.%s is %d" % (theirs, lengths[theirs], what, ours, limit)
        for ours, limit in settings["limits"].items()
        for theirs in (fields.get(ours) or "",)
        if 0 < lengths.get(theirs, 0) < limit
    ]
    if short:
        rows.append((key, "warning", "; ".join(short), "lower the limits"))
    left_out = sorted(theirs for ours, theirs in missing.items() if ours in _MAY_BE_MISSING)
    if not rows:
        more = "; left out, as the instance has none: %s" % ", ".join(left_out) if left_out else ""
        rows.append((key, "on", "all there%s" % more, ""))
    return rows


def _dictionary(client: Client, table: str, names: Sequence[str]) -> Dict[str, int]:
    """Field: its longest text; empty when the user may not read the dictionary."""
    tables = sorted({table, *_PARENTS})
    try:
        rows = client.select(
            "sys_dictionary", [one_of("name", tables), one_of("element", names)],
            ("sys_id", "element", "max_length", "internal_type"),
        )
    except (ConfigError, NotFound):
        return {}
    found: Dict[str, int] = {}
    for row in rows:
        length = text_of(row.get("max_length"))
        is_text = text_of(row.get("internal_type")) == "string"
        kept = int(length) if length.isdigit() and is_text else 0
        name = text_of(row.get("element"))
        found[name] = max(kept, found.get(name, 0))
    return found


def _choices(what: str, client: Client, settings: Mapping[str, Any]) -> List[Row]:
    """Whether the values that are written are in the instance's choice lists."""
    key, fields = "%s: choices" % what, settings["fields"]
    used: Dict[str, Dict[str, str]] = {}

    def uses(name: str, value: str, setting: str) -> None:
        if fields[name] and value:
            used.setdefault(fields[name], {}).setdefault(value, setting)

    for state, value in settings["states"].items():
        uses("state", value, "states.%s" % state)
    for level, values in settings["levels"].items():
        for name, value in values.items():
            uses(name, value, "levels.%s.%s" % (level, name))
    for name in ("category", "subcategory", "close_code"):
        uses(name, str(settings[name]), name)
    for position, route in enumerate(settings["routes"]):
        for name in ("category", "subcategory"):
            uses(name, str(route.get(name) or ""), "routes[%d].%s" % (position, name))
    try:
        rows = client.select(
            "sys_choice",
            [one_of("name", sorted({str(settings["table"]), *_PARENTS})),
             one_of("element", sorted(used)), ("inactive", "=", "false")],
            ("sys_id", "element", "value"),
        )
    except (ConfigError, NotFound) as error:
        return [(key, "warning", "not checked: %s" % error, "give the right to read sys_choice")]
    there: Dict[str, List[str]] = {}
    for row in rows:
        there.setdefault(text_of(row.get("element")), []).append(text_of(row.get("value")))
    wrong = [
        "%s.%s is %s, which is not in %s (%s)"
        % (what, setting, one_line(repr(value), 60), field,
           one_line(", ".join(sorted(set(there[field]))), 160))
        for field, values in used.items()
        if field in there
        for value, setting in values.items()
        if value not in there[field]
    ]
    if wrong:
        return [(key, "error", "; ".join(wrong[:5]), "choose values that are in the list")]
    return [(key, "on", "every value is in its list", "")]


def _references(what: str, client: Client, settings: Mapping[str, Any]) -> List[Row]:
    """Whether the caller and the groups are there."""
    from selfheal.tickets import servicenow_draft

    notes: List[str] = []
    sources = (settings, *settings["routes"])
    callers = {str(one.get("caller") or "") for one in sources} - {""}
    groups = {str(one.get("assignment_group") or "") for one in sources} - {""}
    for name in sorted(callers)[:_MOST_GROUPS]:
        servicenow_draft.caller(name, client, notes)
    for name in sorted(groups)[:_MOST_GROUPS]:
        servicenow_draft.group(name, client, notes)
    key = "%s: people" % what
    if notes:
        return [(key, "error", one_line(" ".join(notes), 500),
                 "correct the names, or write the sys_id; tickets are made without them")]
    if not groups:
        return [(key, "on", "no group is set: the instance's own rules assign", "")]
    return [(key, "on", "the caller and every group are there", "")]


def _journal(what: str, client: Client) -> List[Row]:
    """Whether comments can be looked for the cheap way."""
    try:
        client.newest("sys_journal_field", ("sys_id",))
    except (ConfigError, NotFound):
        detail = "sys_journal_field cannot be read: comments are looked for in the whole ticket"
        return [("%s: comments" % what, "on", detail, "")]
    return []
