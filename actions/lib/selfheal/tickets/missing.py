"""Tickets that their tracker does not show any more: when that means that they were deleted.

One that is missing may as well be hidden from us: a right was lost, the tracker was restored from
an old copy, its index is empty. So one or two a day count as deleted at once, if the tracker proves
that it would show them. More are told as missing, and count as deleted when they are still missing
a day later. While settings or rights are at fault nothing is decided.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from selfheal.breakers import service
from selfheal.store import Store, checkpoints
from selfheal.text import counted, iso
from selfheal.tickets import findings, links
from selfheal.tickets.findings import Finding
from selfheal.tickets.links import Link

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.tickets.model import Tracker

FEW = 2
WAIT_S = 86400.0
_KEPT = "tickets_missing:%s"  # {id of the ticket: since when}
Told = List[Tuple[Link, Finding]]


def judge(
    ctx: Context,
    tracker: Tracker,
    absent: Sequence[Link],
    is_any_seen: bool,
    end: float = float("inf"),
) -> Told:
    """Decide about tickets that were read just now and are not there; what was told of which.
    `is_any_seen`: the tracker has shown others in the same run. Nothing new is begun after `end`
    (monotonic). Raises as the tracker does; what was not decided then is looked at again.
    """
    store = ctx.store
    before, now = since(store, tracker.name), store.now()
    absent = [one for one in absent if one.status != links.GONE]
    many = len({*before, *(one.id for one in absent)}) + _lately_gone(store, tracker.name)
    due = [one for one in absent if before.get(one.id, now) <= now - WAIT_S]
    news = [one for one in absent if one.id not in before]
    if not (due or news):
        return []
    is_proven = (is_any_seen and many <= FEW) or _sees(ctx, tracker, absent)
    if is_proven and many <= FEW:
        due += news  # of the others another time was told
    told: Told = []
    for link in absent:
        if ctx.clock.monotonic() >= end:
            break
        if link in due or link.id not in before:
            told += _decide(ctx, tracker, link, link in due, many)
    return told


def seen(store: Store, tracker: str, found: Sequence[Link]) -> Told:
    """These are shown; that is told of those that were missing."""
    if not since(store, tracker):
        return []
    told: Told = []
    with store.transaction("incidents"):
        kept = since(store, tracker)
        for link in found:
            if kept.pop(link.id, None) is not None:
                told.append((link, findings.back(link)))
                findings.tell(store, link, told[-1][1], "%d" % store.now())
        if told:
            checkpoints.write(store, _KEPT % tracker, kept)
    return told


def since(store: Store, tracker: str) -> Dict[str, float]:
    """The tickets that are missing in the tracker, by id, and since when."""
    value = checkpoints.read(store, _KEPT % tracker)
    now = store.now()
    kept = {key: checkpoints.number(value, key) for key in value} if isinstance(value, dict) else {}
    # Whom nobody has looked at for so long is not watched any more.
    return {
        key: min(at, now)
        for key, at in kept.items()
        if at is not None and at >= now - links.WATCHED_S
    }


def words(link: Link, began: float, others: int) -> str:
    """That the ticket is missing, and what comes of it."""
    return "%s is not shown any more%s: if that stays so it counts as deleted from %s on" % (
        findings.name_of(link),
        ", as are %s" % counted(others, "other") if others else "",
        iso(began + WAIT_S),
    )


def _decide(ctx: Context, tracker: Tracker, link: Link, is_due: bool, many: int) -> Told:
    # What was moved may have become another one; by its correlation id it is the same.
    again = service.call(ctx, tracker.name, lambda: tracker.find(link.correlation))
    store = ctx.store
    with store.transaction("incidents"):
        kept = since(store, tracker.name)
        if again:
            kept.pop(link.id, None)
            # Who has it now is seen at the next look, which asks who gave it to them.
            found = replace(again[0], assignee=link.assignee)
            told = [(link, one) for one in findings.keep(store, link, found)]
        elif is_due and (link.id in kept or _is_one_of_few(store, tracker.name, kept)):
            kept.pop(link.id, None)
            told = [(link, one) for one in findings.gone(store, link)]
        elif link.id in kept:  # another look was faster
            told = []
        else:
            kept[link.id] = store.now()
            data: Dict[str, Any] = {"until": iso(store.now() + WAIT_S)}
            missing = Finding(findings.MISSING, words(link, store.now(), many - 1), data)
            findings.tell(store, link, missing, "%d" % store.now())
            told = [(link, missing)]
        checkpoints.write(store, _KEPT % tracker.name, kept)
    return told


def _sees(ctx: Context, tracker: Tracker, absent: Sequence[Link]) -> bool:
    refs = [one.ref for one in absent]
    return service.call(ctx, tracker.name, lambda: tracker.sees(refs))


def _is_one_of_few(store: Store, tracker: str, kept: Dict[str, float]) -> bool:
    """Asked once more as it is decided: other looks and letters decide at the same time."""
    return len(kept) + _lately_gone(store, tracker) < FEW


def _lately_gone(store: Store, tracker: str) -> int:
    sql = "SELECT COUNT(*) FROM tickets WHERE tracker = ? AND status = ? AND changed_at >= ?"
    return int(store.value(sql, (tracker, links.GONE, store.now() - WAIT_S)) or 0)
