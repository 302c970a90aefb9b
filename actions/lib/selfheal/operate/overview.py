"""What matters now, on one screen: whether all parts are well, what holds remedies back, what waits
for a person, and the incidents that are not resolved, the worst first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from selfheal.guard import pause as pauses
from selfheal.incidents import model
from selfheal.operate.system_status import system_status
from selfheal.respond import next_command
from selfheal.respond.approval import record
from selfheal.text import counted, iso, one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.store import Row

MOST_SHOWN = 5
_TITLE = 100


def overview(ctx: Context) -> Dict[str, Any]:
    """{"ok" (all parts are well), "amiss" (those that are not), "paused" [words], "waiting" (how
    many questions), "counts" {status: how many}, "open" (how many incidents are not resolved),
    "incidents" (the MOST_SHOWN worst: incident_id, severity, status, title, age), "next" (a chat
    command), "lines", "summary" (the first of them)}. Raises StoreError.
    """
    now = ctx.store.now()
    health = system_status(ctx)
    counts = {
        str(row["status"]): int(row["many"])
        for row in ctx.store.query(
            "SELECT status, COUNT(*) AS many FROM incidents WHERE status <> ? GROUP BY status",
            (model.RESOLVED,),
        )
    }
    waiting = int(
        ctx.store.value(
            "SELECT COUNT(*) FROM approvals WHERE status = ? AND expires_at > ?",
            (record.PENDING, now),
        ) or 0
    )
    worst = [_shown(row, now) for row in _worst(ctx)]
    found: Dict[str, Any] = {
        "ok": health["ok"],
        "amiss": list(health["amiss"]),
        "paused": [one_line(str(one)) for one in pauses.live(ctx.store)[:MOST_SHOWN]],
        "waiting": waiting,
        "counts": counts,
        "open": sum(counts.values()),
        "incidents": worst,
        "next": _next(ctx, worst, waiting, health["amiss"]),
    }
    found["lines"] = _lines(found)
    found["summary"] = found["lines"][0]
    shown: Dict[str, Any] = scrub(found, ctx.config.secrets())
    return shown


def _worst(ctx: Context) -> List[Row]:
    """Those that somebody is to act on first, among them the most severe, then the newest."""
    ranks = " ".join("WHEN '%s' THEN %d" % (name, at) for at, name in enumerate(model.SEVERITIES))
    urgent = ", ".join("'%s'" % name for name in sorted((*model.ACTIVE, model.ESCALATED)))
    return ctx.store.query(
        "SELECT id, severity, status, title, opened_at FROM incidents WHERE status <> ? "
        "ORDER BY CASE WHEN status IN (%s) THEN 0 ELSE 1 END, CASE severity %s ELSE %d END, "
        "opened_at DESC, id DESC LIMIT ?" % (urgent, ranks, len(model.SEVERITIES)),
        (model.RESOLVED, MOST_SHOWN),
    )


def _shown(row: Row, now: float) -> Dict[str, Any]:
    return {
        "incident_id": row["id"],
        "severity": row["severity"],
        "status": row["status"],
        "title": one_line(str(row["title"]), _TITLE),
        "opened_at": iso(row["opened_at"]),
        "age": _age(now - float(row["opened_at"])),
    }


def _age(seconds: float) -> str:
    minutes = max(0, int(seconds // 60))
    if minutes < 60:
        return "%d min" % minutes
    return "%d h" % (minutes // 60) if minutes < 2880 else "%d days" % (minutes // 1440)


def _next(ctx: Context, worst: List[Dict[str, Any]], waiting: int, amiss: List[str]) -> str:
    if waiting:
        return "heal approvals"
    if worst:
        return next_command.after(ctx, worst[0]["incident_id"], worst[0]["status"])
    return "heal health" if amiss else "heal stats"


def _lines(found: Dict[str, Any]) -> List[str]:
    many, counts = found["open"], found["counts"]
    states = ", ".join(
        "%d %s" % (counts[name], name.replace("_", " ")) for name in sorted(counts)
    )
    lines = ["%s not resolved%s" % (counted(many, "incident"), ": %s" % states if states else "")]
    if found["amiss"]:
        named = ", ".join(str(name) for name in found["amiss"][:MOST_SHOWN])
        more = len(found["amiss"]) - MOST_SHOWN
        lines.append("NOT well: %s%s" % (named, " and %d more" % more if more > 0 else ""))
    else:
        lines.append("All parts of selfheal are well.")
    if found["paused"]:
        lines.append("PAUSED: %s" % "; ".join(found["paused"]))
    if found["waiting"]:
        lines.append("%s for a yes or no" % _waits(found["waiting"]))
    lines += [
        "%(incident_id)s  %(severity)s  %(status)s  %(age)s  %(title)s" % one
        for one in found["incidents"]
    ]
    if many > len(found["incidents"]):
        lines.append("and %d more: heal incidents" % (many - len(found["incidents"])))
    return lines


def _waits(count: int) -> str:
    return "%s %s" % (counted(count, "question"), "waits" if count == 1 else "wait")
