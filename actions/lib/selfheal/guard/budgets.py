"""Blast-radius budgets: how many remedies may begin within any hour and any day, per target,
namespace, cluster, remedy and in all.

Windows slide: what began exactly an hour ago counts no longer. What is dated in the future (the
clock was set back) counts as used. `objection` and `charge` belong into one transaction of purpose
"guard"; then no two deeds take the same unit.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

from selfheal.exceptions import StoreError
from selfheal.guard.doubt import amount, no_when_unreadable
from selfheal.guard.verdict import Deed, Objection
from selfheal.store import Row, Store, dump
from selfheal.store.engine import placeholders
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

HOUR_S = 3600.0
DAY_S = 86400.0
WINDOWS: Tuple[Tuple[str, float], ...] = (("hour", HOUR_S), ("day", DAY_S))
_WINDOW_WORDS = {"hour": "an hour", "day": "a day"}
_MOST_S = 1e12  # no time is beyond it: a hand, or a disk, wrote such a value
_COUNTED = (
    "SELECT name, COUNT(*) AS day, SUM(CASE WHEN at > ? THEN 1 ELSE 0 END) AS hour, "
    "MAX(at) AS newest FROM budgets WHERE name IN (%s) AND at > ? AND execution_id <> ? "
    "GROUP BY name"
)


def key(kind: str, *parts: str) -> str:
    """The name under which table budgets holds what was charged to `parts`; two different lists of
    parts never share one, whatever text they are.
    """
    return "%s:%s" % (kind, hashlib.sha256(dump([kind, *parts]).encode("ascii")).hexdigest()[:40])


def cause_name(deed: Deed) -> str:
    """The name of what was done on the deed's target for its cause; see guard.waits."""
    return key("cause", deed.scope.casefold(), deed.group_key)


def names(deed: Deed) -> List[Tuple[str, str]]:
    """(kind, name) of each budget that the deed is charged to. It has always a cluster, if only the
    nameless one; a namespace only where it has one. Places have the same name in any letter case.
    """
    cluster = deed.cluster.casefold()
    found = [("target", key("target", deed.scope.casefold()))]
    if deed.namespace:
        found.append(("namespace", key("namespace", cluster, deed.namespace.casefold())))
    found.append(("cluster", key("cluster", cluster)))
    found.append(("remedy", key("remedy", deed.remedy)))
    found.append(("global", key("global")))
    return found


@no_when_unreadable("the budgets", "budget")
def objection(ctx: Context, deed: Deed) -> Optional[Objection]:
    """Why the budgets forbid the deed, or None. What it was charged itself does not count."""
    if not deed.changes_something:
        return None
    nameless = [
        what for what in ("execution_id", "scope", "remedy") if not getattr(deed, what).strip()
    ]
    if nameless:
        return Objection(
            "budget",
            "the deed names no %s, so no budget can be charged" % " and no ".join(nameless),
            "analyze the incident again; its plan must say what it touches",
        )
    spent = [entry for entry in _entries(ctx, deed) if not entry["used"] < entry["limit"]]
    if not spent:
        return None
    for entry in spent:
        entry["until"] = _frees_at(ctx.store, deed, entry)
    worst = max(spent, key=lambda entry: entry["until"] or math.inf)
    return _spoken(deed, worst, spent)


def charge(ctx: Context, deed: Deed) -> None:
    """Charge the deed to its budgets; a second time changes nothing. Raises StoreError, then
    nothing is charged and the deed must not begin.
    """
    if not deed.changes_something:
        return
    charged = [name for _, name in names(deed)] + [cause_name(deed)]
    record(ctx, charged, deed.execution_id)


def is_charged(store: Store, deed: Deed) -> bool:
    """Whether the deed was charged to its budgets. Raises StoreError."""
    remedy = dict(names(deed))["remedy"]
    sql = "SELECT 1 FROM budgets WHERE name = ? AND execution_id = ?"
    return store.value(sql, (remedy, deed.execution_id)) is not None


def record(ctx: Context, charged: Sequence[str], execution_id: str) -> None:
    """Write that `execution_id` began now into each of `charged`, where it is not written yet."""
    now = ctx.clock.now()
    ctx.store.insert_many(
        "budgets",
        ("name", "execution_id", "at"),
        [(name, execution_id, now) for name in charged],
        "ON CONFLICT (name, execution_id) DO NOTHING",
    )


def left(ctx: Context, deed: Deed) -> Dict[str, Dict[str, Dict[str, float]]]:
    """What is left for the deed: {kind: {"hour" | "day": {"used", "limit", "left"}}}. Raises
    StoreError, ConfigError.
    """
    shown: Dict[str, Dict[str, Dict[str, float]]] = {}
    for entry in _entries(ctx, deed):
        shown.setdefault(entry["kind"], {})[entry["window"]] = {
            "used": entry["used"],
            "limit": entry["limit"],
            "left": max(0, entry["limit"] - entry["used"]),
        }
    return shown


def checked_time(value: Any, where: str) -> float:
    """A time read from the store. Raises StoreError when it is none."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) < _MOST_S:
        raise StoreError(
            "%s holds the time %s, which is none; delete that row if you know that nothing began "
            "then" % (where, one_line(repr(value), 60))
        )
    return float(value)


def _entries(ctx: Context, deed: Deed) -> List[Dict[str, Any]]:
    """One entry per budget and window: kind, name, window, window_s, used, limit, setting."""
    now = ctx.clock.now()
    kinds = names(deed)
    counted = _counted(ctx.store, [name for _, name in kinds], now, deed.execution_id)
    entries = []
    for kind, name in kinds:
        row = counted.get(name)
        for window, window_s in WINDOWS:
            setting = "safety.budgets.%s_%s" % (kind, window)
            entries.append(
                {
                    "kind": kind,
                    "name": name,
                    "window": window,
                    "window_s": window_s,
                    "since": now - window_s,
                    "used": int(row[window] or 0) if row else 0,
                    "limit": amount(ctx, setting),
                    "setting": setting,
                }
            )
    return entries


def _counted(store: Store, wanted: Sequence[str], now: float, execution_id: str) -> Dict[str, Row]:
    rows = store.query(
        _COUNTED % placeholders(wanted), (now - HOUR_S, *wanted, now - DAY_S, execution_id)
    )
    for row in rows:
        checked_time(row["newest"], "table budgets, name %s," % row["name"])
    return {str(row["name"]): row for row in rows}


def _frees_at(store: Store, deed: Deed, entry: Dict[str, Any]) -> Optional[float]:
    """When so many have left the window that one more may begin; None when none ever may."""
    if not entry["limit"] >= 1:
        return None
    surplus = entry["used"] - int(entry["limit"])
    at = store.value(
        "SELECT at FROM budgets WHERE name = ? AND at > ? AND execution_id <> ? "
        "ORDER BY at LIMIT 1 OFFSET ?",
        (entry["name"], entry["since"], deed.execution_id, surplus),
    )
    return checked_time(at, "table budgets, name %s," % entry["name"]) + float(entry["window_s"])


def _spoken(deed: Deed, worst: Dict[str, Any], spent: List[Dict[str, Any]]) -> Objection:
    whose = {
        "target": "the target %s" % one_line(deed.scope, 100),
        "namespace": "the namespace %s" % one_line(deed.namespace, 100),
        "cluster": "the cluster %s" % (one_line(deed.cluster, 100) or "(without a name)"),
        "remedy": "the remedy %s" % one_line(deed.remedy, 100),
        "global": "all remedies together",
    }[worst["kind"]]
    until = worst["until"]
    wait = "wait until %s, when it frees, or " % iso(until) if until else ""
    return Objection(
        "budget",
        "the budget of %s is used up: %d of %g remedies within %s"
        % (whose, worst["used"], worst["limit"], _WINDOW_WORDS[worst["window"]]),
        "%sraise %s" % (wait, " and ".join(entry["setting"] for entry in spent)),
        until,
        {
            "budgets": [
                {name: entry[name] for name in ("kind", "window", "used", "limit", "until")}
                for entry in spent
            ]
        },
    )
