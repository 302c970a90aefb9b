"""Statistics: asked for by people over any number of hours, and recorded every five minutes.

A record holds the figures since the record before it and the sum of all so far, so the sums outlive
the retention of what was counted. Records are also the proof that the pack is at work: it is up
since the first record after which none was late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from selfheal.exceptions import InvalidInput
from selfheal.operate import figures
from selfheal.store import Store, dump, load
from selfheal.text import counted, iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

EVERY_S = 300.0
GAP_S = 3 * EVERY_S  # two records missing in a row: nobody was at work in between
# Records end this long before they are written: what was stored under a time is committed by then.
SETTLED_S = 60.0
MAX_HOURS = 24 * 366
_DOCUMENTS = ("documents", "unreadable", "new_patterns")
_MAX_COMPONENTS = 50


def stats(ctx: Context, hours: float = 24) -> Dict[str, Any]:
    """What the pack did in the last `hours`, for people.

    Returns {"since", "until", "uptime", "documents", "errors", "detected", "analysed", "resolved",
    "failed", "open", "success_rate" (None when no remediation was judged), "success" (the same in
    words), "mean_time_to_resolve_s", "incidents", "remediations", "by_source", "by_origin",
    "components", "summary"}. Raises InvalidInput.
    """
    if isinstance(hours, bool) or not 0 < hours <= MAX_HOURS:
        raise InvalidInput("hours must be more than 0 and at most %d, not %s" % (MAX_HOURS, hours))
    store, until = ctx.store, ctx.clock.now()
    since = until - float(hours) * 3600
    # The minute that is not over yet is still being written; whole minutes are what is kept.
    taken = figures.documents(store, since, until + 60)
    done = figures.incidents(store, since, until + 1)
    tried = figures.remediations(store, since, until + 1)
    found = {
        "since": iso(since),
        "until": iso(until),
        "uptime": _uptime(store, until),
        **_totals(taken, done),
        "open": figures.summed(figures.unresolved(store), ("active", "handed_over")),
        "success_rate": figures.success_rate(tried),
        "success": _success_in_words(tried),
        **_mean_time(store, since, until + 1),
        "incidents": figures.summed(done, figures.COUNTED),
        "remediations": tried,
        "by_source": _by_source(store, done, since, until + 1),
        "by_origin": taken,
        "components": _components(store),
    }
    return dict(found, summary=_summary(found, hours))


def record_statistics(ctx: Context) -> Dict[str, Any]:
    """Write the record of the last five minutes when it is due, and one line to the log.

    Returns {"recorded", "minutes"} and the record's sums of the time; {} when none is due. Two that
    come at once write the same record.
    """
    store = ctx.store
    now = store.now()
    last = last_record(store, now)
    if last is not None and now - last["at"] < EVERY_S:
        return {}
    until = (now - SETTLED_S) // 60 * 60
    since = _begin(store, until) if last is None else float(last["until"])
    if until <= since:
        return {}
    period = _measured(store, since, until)
    is_up = last is not None and now - last["at"] <= GAP_S
    record = {
        "since": since,
        "until": until,
        "up_since": last["up_since"] if last is not None and is_up else now,
        "period": period,
        "total": _added(last["total"] if last else {}, period, store),
    }
    store.insert(
        "statistics",
        {"at": now, "figures": dump(record)},
        "ON CONFLICT (at) DO UPDATE SET figures = excluded.figures",
    )
    minutes = (until - since) / 60
    ctx.log.info("%s", _line(period, minutes))
    return {"recorded": iso(until), "minutes": round(minutes, 1), **period["counts"]}


def last_record(store: Store, now: float) -> Optional[Dict[str, Any]]:
    """The newest record that is not from the future (the clock may have been set back), with
    "at".
    """
    row = store.one(
        "SELECT at, figures FROM statistics WHERE at <= ? ORDER BY at DESC LIMIT 1", (now,)
    )
    return None if row is None else dict(load(row["figures"]), at=float(row["at"]))


def _begin(store: Store, until: float) -> float:
    """Where the first record begins: with the first thing that the store knows of."""
    first_incident = store.value("SELECT MIN(opened_at) FROM incidents")
    first_minute = store.value("SELECT MIN(minute) FROM error_intake")
    begins = [until - EVERY_S]
    if first_incident is not None:
        begins.append(float(first_incident) // 60 * 60)
    if first_minute is not None:
        begins.append(float(first_minute) * 60)
    return min(begins)


def _measured(store: Store, since: float, until: float) -> Dict[str, Any]:
    taken = figures.documents(store, since, until)
    done = figures.incidents(store, since, until)
    times = figures.times_to_resolve(store, since, until)
    tried = figures.remediations(store, since, until)["tried"]
    return {
        "counts": {**_totals(taken, done), "remediations": tried},
        "resolving": {
            "incidents": sum(many for many, _ in times.values()),
            "seconds": round(sum(many * mean for many, mean in times.values()), 3),
        },
        "by_source": done,
        "by_origin": taken,
    }


def _added(total: Mapping[str, Any], period: Mapping[str, Any], store: Store) -> Dict[str, Any]:
    """The sums so far with those of another period."""
    proven = figures.proven_so_far(store)
    return {
        "counts": _sums(total.get("counts", {}), period["counts"]),
        "resolving": _sums(total.get("resolving", {}), period["resolving"]),
        "by_source": {
            source: _sums(
                total.get("by_source", {}).get(source, {}), period["by_source"].get(source, {})
            )
            for source in sorted({*total.get("by_source", {}), *period["by_source"]})
        },
        "remediations": proven,
        "success_rate": figures.success_rate(proven),
    }


def _sums(one: Mapping[str, Any], other: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}


def _totals(
    taken: Mapping[str, Mapping[str, int]], done: Mapping[str, Mapping[str, int]]
) -> Dict[str, int]:
    read = figures.summed(taken, _DOCUMENTS)
    sums = figures.summed(done, figures.COUNTED)
    return {
        **read,
        "errors": read["documents"] - read["unreadable"],
        **{name: sums[name] for name in ("detected", "analysed", "resolved", "failed")},
    }


def _mean_time(store: Store, since: float, until: float) -> Dict[str, Optional[float]]:
    times = figures.times_to_resolve(store, since, until).values()
    many = sum(count for count, _ in times)
    mean = sum(count * mean for count, mean in times) / many if many else None
    return {"mean_time_to_resolve_s": None if mean is None else round(mean, 1)}


def _by_source(
    store: Store, done: Mapping[str, Mapping[str, int]], since: float, until: float
) -> Dict[str, Dict[str, Any]]:
    open_now = figures.unresolved(store)
    times = figures.times_to_resolve(store, since, until)
    return {
        source: {
            **done.get(source, dict.fromkeys(figures.COUNTED, 0)),
            "open": open_now.get(source, {"active": 0, "handed_over": 0}),
            "mean_time_to_resolve_s": round(times[source][1], 1) if source in times else None,
        }
        for source in sorted({*done, *open_now})
    }


def _uptime(store: Store, now: float) -> Dict[str, Any]:
    last = last_record(store, now)
    if last is None:
        return {"is_up": False, "since": None, "seconds": 0, "last_seen": None}
    is_up = now - last["at"] <= GAP_S
    return {
        "is_up": is_up,
        "since": iso(last["up_since"]),
        "seconds": round((now if is_up else last["at"]) - last["up_since"]),
        "last_seen": iso(last["at"]),
    }


def _components(store: Store) -> Dict[str, Dict[str, str]]:
    """What the parts of the pack last said of themselves."""
    rows = store.query(
        "SELECT component, status, since, updated_at FROM system_status ORDER BY component LIMIT ?",
        (_MAX_COMPONENTS,),
    )
    return {
        one_line(str(row["component"])): {
            "status": str(row["status"]),
            "since": iso(row["since"]),
            "last_seen": iso(row["updated_at"]),
        }
        for row in rows
    }


def _success_in_words(tried: Mapping[str, int]) -> str:
    judged = tried["succeeded"] + tried["failed"]
    if not tried["tried"]:
        return "none tried"
    words = "%d of %d" % (tried["succeeded"], judged) if judged else "none judged yet"
    return words + (", %d undecided" % tried["undecided"] if judged and tried["undecided"] else "")


def _summary(found: Mapping[str, Any], hours: float) -> str:
    many = found["incidents"]
    mean = found["mean_time_to_resolve_s"]
    return (
        "%g h: %s (%d unreadable), %s detected, %d analysed, %d resolved (%d by remediation, %d by "
        "themselves, %d by hand), %d failed, %d open, %d with people; remediations that helped: %s"
        "%s"
        % (
            hours,
            counted(found["documents"], "log document"),
            found["unreadable"],
            counted(many["detected"], "incident"),
            many["analysed"],
            many["resolved"],
            many["remediated"],
            many["self_resolved"],
            many["manual"],
            many["failed"],
            found["open"]["active"],
            found["open"]["handed_over"],
            found["success"],
            "" if mean is None else "; mean time to resolve: %d s" % mean,
        )
    )


def _line(period: Mapping[str, Any], minutes: float) -> str:
    counts = period["counts"]
    return (
        "statistics of %g min: documents=%d unreadable=%d detected=%d analysed=%d resolved=%d "
        "failed=%d remediations=%d"
        % (
            minutes,
            counts["documents"],
            counts["unreadable"],
            counts["detected"],
            counts["analysed"],
            counts["resolved"],
            counts["failed"],
            counts["remediations"],
        )
    )
