"""Two patterns that are one to a human: from now on their errors count together.

The map is flat: what is merged points to a pattern that is not merged itself. No fingerprint and no
stored document changes, so a merge can be taken back at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from selfheal.errors import signals
from selfheal.errors.patterns import pattern
from selfheal.errors.scope import group_key
from selfheal.exceptions import InvalidInput
from selfheal.incidents import model, timeline
from selfheal.incidents.attach import attach
from selfheal.incidents.dispatch import dispatch
from selfheal.store import Row, Store

if TYPE_CHECKING:
    from selfheal.context import Context


def error_pattern_merge(
    ctx: Context, fingerprint: str, into: str = "", undo: bool = False
) -> Dict[str, Any]:
    """Let the errors of pattern `fingerprint` count as those of `into` from now on; with `undo`, as
    its own again.

    Where `into` is merged itself, its target is meant; what was merged into `fingerprint` moves
    along, and stays there when the merge is undone. What was counted before stays where it is. An
    open incident of the merged pattern follows: it becomes that of the other pattern in the same
    scope, or, where that has one already, it ends and the other one goes on.

    Returns {"fingerprint", "merged_into" (None after undo), "changed", "moved_along":
    [fingerprints], "incidents_moved", "incidents_cleared"}. Raises NotFound, InvalidInput.
    """
    if undo:
        return _undone(ctx, fingerprint)
    if not into:
        raise InvalidInput("into is missing: name the pattern that %s is merged into" % fingerprint)
    store = ctx.store
    with store.transaction("incidents", "errors"):
        row = pattern(store, fingerprint)
        target = pattern(store, into)
        canonical = str(target["merged_into"] or into)
        _refuse_circle(fingerprint, into, canonical)
        result: Dict[str, Any] = {
            "fingerprint": fingerprint,
            "merged_into": canonical,
            "changed": row["merged_into"] != canonical,
            "moved_along": [],
            "incidents_moved": [],
            "incidents_cleared": [],
        }
        if not result["changed"]:
            return result
        along = store.query(
            "SELECT fingerprint FROM error_patterns WHERE merged_into = ? ORDER BY fingerprint",
            (fingerprint,),
        )
        result["moved_along"] = [one["fingerprint"] for one in along]
        store.execute(
            "UPDATE error_patterns SET merged_into = ?, merged_at = ?, merged_by = ? "
            "WHERE fingerprint = ? OR merged_into = ?",
            (canonical, store.now(), ctx.run_id, fingerprint, fingerprint),
        )
        scope_by = ctx.config.get("monitoring.scope_by")
        moved, cleared = _follow(store, fingerprint, canonical, scope_by)
        result.update(incidents_moved=moved, incidents_cleared=cleared)
    ctx.log.info("pattern %s is merged into %s by %s", fingerprint, canonical, ctx.run_id)
    if result["incidents_cleared"]:
        dispatch(ctx, cleared=result["incidents_cleared"])
    return result


def _undone(ctx: Context, fingerprint: str) -> Dict[str, Any]:
    store = ctx.store
    with store.transaction("incidents", "errors"):
        was = pattern(store, fingerprint)["merged_into"]
        if was is None:
            raise InvalidInput(
                "pattern %s is not merged into another: there is nothing to undo" % fingerprint
            )
        store.execute(
            "UPDATE error_patterns SET merged_into = NULL, merged_at = ?, merged_by = ? "
            "WHERE fingerprint = ?",
            (store.now(), ctx.run_id, fingerprint),
        )
    ctx.log.info("pattern %s is no longer merged into %s by %s", fingerprint, was, ctx.run_id)
    return {
        "fingerprint": fingerprint,
        "merged_into": None,
        "changed": True,
        "moved_along": [],
        "incidents_moved": [],
        "incidents_cleared": [],
    }


def _refuse_circle(fingerprint: str, into: str, canonical: str) -> None:
    if canonical != fingerprint:
        return
    if into == fingerprint:
        raise InvalidInput("pattern %s cannot be merged into itself" % fingerprint)
    raise InvalidInput(
        "pattern %s is merged into %s already, so the other way round would be a circle: undo that "
        "merge first (error_pattern_merge fingerprint=%s undo=true)" % (into, fingerprint, into)
    )


def _follow(
    store: Store, fingerprint: str, canonical: str, scope_by: Sequence[str]
) -> Tuple[List[str], List[str]]:
    """(incidents that became those of `canonical`, incidents that ended for one it has already)."""
    groups = store.query(
        "SELECT g.*, i.status AS incident_status FROM error_groups g "
        "LEFT JOIN incidents i ON i.id = g.incident_id "
        "WHERE g.fingerprint = ? AND g.alerting_since IS NOT NULL ORDER BY g.group_key",
        (fingerprint,),
    )
    moved: List[str] = []
    cleared: List[str] = []
    for group in groups:
        values = tuple((name, str(group[name])) for name in scope_by if group[name])
        key = group_key(canonical, values)
        is_open = group["incident_status"] not in (None, model.RESOLVED)
        if is_open and _is_free(store, group, key):
            _move(store, group, key, canonical)
            moved.append(group["incident_id"])
        elif group["incident_status"] is not None:
            cleared += attach(store, [signals.quiet(group)]).cleared
            _tell(
                store,
                group,
                "pattern %s was merged into %s, which goes on by itself" % (fingerprint, canonical),
            )
        store.execute(
            "UPDATE error_groups SET alerting_since = NULL, pending_from = NULL, fresh_from = ?, "
            "incident_id = CASE WHEN ? = 1 THEN NULL ELSE incident_id END WHERE group_key = ?",
            (
                signals.after(signals.time_of(group["last_logged_at"])),
                int(group["incident_id"] in moved),
                group["group_key"],
            ),
        )
    return moved, cleared


def _is_free(store: Store, group: Row, key: str) -> bool:
    """Whether the group `key` can take the incident over: it has none, and no signal of this
    start.
    """
    taken = store.query(
        "SELECT 1 FROM incidents WHERE group_key = ? AND status <> 'resolved'",
        (signals.cause_of(key),),
    ) or store.query(
        "SELECT 1 FROM alerts WHERE fingerprint = ? AND starts_at >= ?",
        (signals.name_of(key), group["alerting_since"]),
    )
    return not taken


def _move(store: Store, group: Row, key: str, canonical: str) -> None:
    old, incident_id = group["group_key"], group["incident_id"]
    store.execute(
        "UPDATE incidents SET group_key = ?, updated_at = ? WHERE id = ?",
        (signals.cause_of(key), store.now(), incident_id),
    )
    store.execute(
        "UPDATE alerts SET fingerprint = ? WHERE fingerprint = ? AND starts_at = ?",
        (signals.name_of(key), signals.name_of(old), group["alerting_since"]),
    )
    taken = {
        "alerting_since": group["alerting_since"],
        "alerts": group["alerts"],
        "notes": group["notes"],
        "next_alert_at": group["next_alert_at"],
        "incident_id": incident_id,
    }
    known = store.one("SELECT last_logged_at FROM error_groups WHERE group_key = ?", (key,))
    if known is None:
        columns = {name: value for name, value in group.items() if name != "incident_status"}
        columns.update(group_key=key, fingerprint=canonical, occurrences=0, pending_from=None)
        store.insert("error_groups", columns)
    else:
        taken["last_logged_at"] = max(known["last_logged_at"], group["last_logged_at"])
        store.execute(
            "UPDATE error_groups SET %s WHERE group_key = ?"
            % ", ".join("%s = ?" % name for name in taken),
            (*taken.values(), key),
        )
    _tell(
        store,
        group,
        "pattern %s was merged into %s: this incident is about that one now"
        % (group["fingerprint"], canonical),
    )


def _tell(store: Store, group: Row, message: str) -> None:
    timeline.record(
        store, group["incident_id"], "pattern_merged", message, {"group_key": group["group_key"]}
    )
