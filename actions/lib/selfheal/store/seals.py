"""Seals: the heads of all chains as they were, in one chain over all incidents, so that a whole
incident that disappears is missed.

The last seal's hash, kept outside of this database, vouches for all that was sealed before it. Old
seals go by age: a seal of kind `dropped` then names the last of them, and what only they vouched
for is sealed again, as it was then.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.store import chain, checkpoints
from selfheal.store.engine import Row, Store, placeholders

HEAD = "head"
REMOVED = "removed"
DROPPED = "dropped"
BATCH = 500
BATCHES = 20  # per turn; what is left waits for the next
CHECKPOINT = "audit_seals"
COLUMNS = ("seq", "at", "incident_id", "links", "head", "kind", "previous", "hash")
_ALONE = "incidents"  # who moves several heads at once, or seals, holds this
# What vouches for something that no later seal vouches for.
_STILL_NEEDED = (
    "SELECT a.seq, a.incident_id, a.links, a.head, a.kind FROM audit_seals a WHERE a.seq <= ? AND "
    "((a.kind = 'head' AND NOT EXISTS (SELECT 1 FROM audit_seals b WHERE "
    "b.incident_id = a.incident_id AND b.seq > a.seq AND b.links >= a.links)) OR "
    "(a.kind = 'removed' AND EXISTS (SELECT 1 FROM audit_heads h WHERE "
    "h.incident_id = a.incident_id) AND NOT EXISTS (SELECT 1 FROM audit_seals b WHERE "
    "b.incident_id = a.incident_id AND b.seq > a.seq AND b.kind = 'removed' AND "
    "b.links >= a.links))) ORDER BY a.seq"
)


def seal_hash(row: Mapping[str, Any]) -> str:
    """The hash of a seal, over all its other columns."""
    return chain.digest("seal", [row[name] for name in COLUMNS if name != "hash"])


def tip(store: Store) -> Tuple[int, str]:
    """Number and hash of the last seal; (0, "") before the first."""
    kept = checkpoints.read(store, CHECKPOINT)
    row = store.one(
        "SELECT seq, hash FROM audit_seals WHERE seq < ? ORDER BY seq DESC LIMIT 1",
        (chain.MOST_LINKS,),
    )
    found = (int(row["seq"]), str(row["hash"])) if row else (0, "")
    if isinstance(kept, dict) and isinstance(kept.get("seq"), int):
        # Seals that are gone from the end leave a gap: their numbers are not given out again.
        if found[0] < kept["seq"] < chain.MOST_LINKS:
            return kept["seq"], str(kept.get("hash"))
    return found


def seal_changed(store: Store, batch: int = BATCH, batches: int = BATCHES) -> Dict[str, Any]:
    """Seal the heads that moved since they were sealed last: {"sealed", "seq", "hash"} with the
    number and hash of the last seal there is then.
    """
    sealed = 0
    for _ in range(batches):
        with store.transaction(_ALONE):
            heads = store.query(
                "SELECT incident_id, links, hash FROM audit_heads WHERE links <> sealed "
                "ORDER BY incident_id LIMIT ?",
                (batch,),
            )
            _seal_heads(store, heads, HEAD)
        sealed += len(heads)
        if len(heads) < batch:
            break
    seq, hashed = tip(store)
    return {"sealed": sealed, "seq": seq, "hash": hashed}


def seal_removals(store: Store, condition: str, parameters: Sequence[Any], most: int) -> int:
    """Seal that the events of incidents are about to be deleted: of those whose incident_id meets
    `condition`, at most `most`. How many.
    """
    with store.transaction(_ALONE):
        heads = store.query(
            "SELECT h.incident_id, h.links, h.hash FROM audit_heads h WHERE h.incident_id IN (%s) "
            "AND NOT EXISTS (SELECT 1 FROM audit_seals s WHERE s.incident_id = h.incident_id AND "
            "s.kind = 'removed' AND s.links >= h.links) ORDER BY h.incident_id LIMIT ?" % condition,
            (*parameters, most),
        )
        _seal_heads(store, heads, REMOVED)
    return len(heads)


def drop_old(store: Store, before: float, batch: int = BATCH, batches: int = BATCHES) -> int:
    """Delete seals from before `before`, but never the last one; how many went."""
    gone = 0
    for _ in range(batches):
        with store.transaction(_ALONE):
            count = _drop_some(store, before, batch)
        gone += count
        if count < batch:
            break
    return gone


def _drop_some(store: Store, before: float, batch: int) -> int:
    last, _ = tip(store)
    rows = store.query(
        "SELECT seq, at, hash FROM audit_seals WHERE seq < ? ORDER BY seq LIMIT ?", (last, batch)
    )
    old: List[Row] = []
    for row in rows:
        if row["at"] >= before:
            break
        old.append(row)
    if not old:
        return 0
    until = old[-1]
    kept = store.query(_STILL_NEEDED, (until["seq"],))
    again = [(row["incident_id"], row["links"], row["head"], row["kind"]) for row in kept]
    _write(store, [*again, ("", until["seq"], until["hash"], DROPPED)])
    store.execute("DELETE FROM audit_seals WHERE seq <= ?", (until["seq"],))
    return len(old)


def _seal_heads(store: Store, heads: Sequence[Row], kind: str) -> None:
    if not heads:
        return
    _write(store, [(row["incident_id"], row["links"], row["hash"], kind) for row in heads])
    store.execute_many(
        "UPDATE audit_heads SET sealed = ? WHERE incident_id = ?",
        [(row["links"], row["incident_id"]) for row in heads],
    )


def _write(store: Store, facts: Sequence[Tuple[Any, ...]]) -> None:
    """Append seals of (incident_id, links, head, kind)."""
    seq, previous = tip(store)
    now = float(store.now())
    rows = []
    for fact in facts:
        seq += 1
        row = dict(zip(COLUMNS, (seq, now, *fact, previous)))
        previous = row["hash"] = seal_hash(row)
        rows.append(tuple(row.values()))
    store.insert_many("audit_seals", COLUMNS, rows)
    checkpoints.write(store, CHECKPOINT, {"seq": seq, "hash": previous})


def removals(store: Store, incident_ids: Sequence[str]) -> Dict[str, Row]:
    """{incident: {"links", "head"}} of those whose events retention has begun to delete: up to
    which link, and the hash of that one.
    """
    found: Dict[str, Row] = {}
    for row in store.query(
        "SELECT incident_id, links, head FROM audit_seals WHERE kind = 'removed' AND "
        "incident_id IN (%s) ORDER BY seq" % placeholders(incident_ids),
        incident_ids,
    ):
        found[row["incident_id"]] = row
    return found
