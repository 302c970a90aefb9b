"""The whole store's chains, heads, executions and seals, read page by page and judged.

All is read as of one moment, while writers go on. Memory does not grow with the store. Whatever a
hand has put into a row is a finding, never an error.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from selfheal.incidents import audit
from selfheal.incidents.audit import Finding, Walk
from selfheal.records import dataclass
from selfheal.remedy import journal
from selfheal.store import Row, Store, chain, checkpoints, seals
from selfheal.store.engine import placeholders

INCIDENTS = 100  # per page
ROWS = 2000
EXECUTIONS = 200  # they hold whole plans
MOST_INCIDENTS = 50  # whose findings are listed; all are counted
_LEAST = -(2**62)
_EVENT_COLUMNS = ", ".join((*chain.HASHED, "link", "hash"))


@dataclass
class Report:
    """What was found, and how much was looked at. `broken` is {incident id: findings}; "" stands
    for the chain of seals.
    """

    incidents: int = 0
    events: int = 0
    before_chain: int = 0
    executions: int = 0
    seals: int = 0
    broken_incidents: int = 0
    findings: int = 0
    broken: Dict[str, List[Finding]] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether all is as it was written."""
        return self.findings == 0

    def add(self, incident_id: str, found: Sequence[Finding], count: int = 0) -> None:
        """Take up what was found of one incident."""
        if not found:
            return
        self.findings += max(count, len(found))
        if incident_id not in self.broken:
            self.broken_incidents += bool(incident_id)
            if len(self.broken) >= MOST_INCIDENTS:
                return
        listed = self.broken.setdefault(incident_id, [])
        listed += list(found)[: audit.MOST - len(listed)]


def examine_all(store: Store) -> Report:
    """Look at everything. Raises StoreError when the store cannot be read."""
    report = Report()
    with store.snapshot(), store.any_text():
        _examine_seals(store, report)
        after: Any = ""
        while True:
            names = _names_after(store, after)
            if not names:
                return report
            _examine(store, names, report)
            if names[-1] == after:
                says = "the id of an incident cannot be read: what comes after it was not looked at"
                report.add(
                    "", [Finding(audit.EVENT, audit.CHANGED, None, says)]
                )
                return report
            after = names[-1]


def examine_one(store: Store, incident_id: str) -> Report:
    """Look at one incident and its seals; `incidents` is 0 where nothing is known of it."""
    report = Report()
    with store.snapshot(), store.any_text():
        for row in _pages(store, _seals_of(store, "s.incident_id = ?", (incident_id,)), "seq"):
            report.seals += 1
            _examine_seal(store, row, report)
        _examine(store, [incident_id], report)
    is_known = bool(report.events or report.before_chain or report.executions or report.seals)
    report.incidents = int(is_known or incident_id in _heads(store, [incident_id]))
    return report


def kept_seal(store: Store, seq: int, expected: str, report: Report) -> str:
    """Compare the seal numbered `seq` with the hash that was kept elsewhere: matches, differs,
    missing, or dropped (by retention; then nothing is known). All but the first are findings.
    """
    with store.any_text():
        row = store.one("SELECT hash FROM audit_seals WHERE seq = ?", (seq,))
        first = store.value("SELECT MIN(seq) FROM audit_seals")
    if row is not None and row["hash"] == expected:
        return "matches"
    if row is not None:
        answer, kind = "differs", audit.CHANGED
        says = "seal %d is not the one that was kept: what it sealed was rewritten" % seq
    elif isinstance(first, int) and seq < first:
        answer, kind = "dropped", audit.MISSING
        says = (
            "seal %d was dropped, as old seals are; the first there is now is %d: compare a "
            "later one" % (seq, first)
        )
    else:
        answer, kind = "missing", audit.MISSING
        says = "there is no seal %d: the seals were cut off or rewritten" % seq
    report.add("", [Finding(audit.SEAL, kind, seq, says)])
    return answer


def _names_after(store: Store, after: Any) -> List[Any]:
    """The next incidents that anything is known of, in the database's order."""
    some = (
        "SELECT incident_id FROM (SELECT DISTINCT incident_id FROM %s WHERE incident_id > ? "
        "ORDER BY incident_id LIMIT %d) %s"
    )
    tables = ("incident_events", "audit_heads", "execution_history")
    together = " UNION ".join(some % (table, INCIDENTS, table[0]) for table in tables)
    rows = store.query(
        "SELECT incident_id FROM (%s) u ORDER BY incident_id LIMIT %d" % (together, INCIDENTS),
        (after,) * len(tables),
    )
    return [row["incident_id"] for row in rows]


def _examine(store: Store, names: Sequence[Any], report: Report) -> None:
    """Look at some incidents."""
    report.incidents += len(names)
    for name, walk in _walked(store, names, report).items():
        report.add(str(name), walk.findings, walk.found)


def _walked(store: Store, names: Sequence[Any], report: Report) -> Dict[Any, Walk]:
    removals = seals.removals(store, names)
    sealed = _sealed(store, names)
    heads = _heads(store, names)
    unlinked = _unlinked(store, names)
    walks = {
        name: Walk(
            heads.get(name), removals.get(name), unlinked.get(name, 0), sealed.get(name, (-1,))
        )
        for name in names
    }
    for row in _events(store, names[0], names[-1]):
        report.events += 1
        if row["incident_id"] in walks:
            walks[row["incident_id"]].see(row)
    executions: Dict[Any, List[Tuple[Any, str]]] = {}
    for row in _executions(store, names):
        report.executions += 1
        executions.setdefault(row["incident_id"], []).append((row["id"], journal.digest(row)))
    for name, walk in walks.items():
        walk.end(executions.get(name, ()))
    report.before_chain += sum(unlinked.values())
    return walks


def _heads(store: Store, names: Sequence[Any]) -> Dict[Any, Row]:
    rows = store.query(
        "SELECT * FROM audit_heads WHERE incident_id IN (%s)" % placeholders(names), names
    )
    return {row["incident_id"]: row for row in rows}


def _sealed(store: Store, names: Sequence[Any]) -> Dict[Any, Tuple[Any, ...]]:
    """What a head may say of when it was sealed, by the last seal of its incident."""
    rows = store.query(
        "SELECT s.incident_id, s.links, s.kind FROM audit_seals s WHERE s.incident_id IN (%s) AND "
        "s.seq = (SELECT MAX(t.seq) FROM audit_seals t WHERE t.incident_id = s.incident_id)"
        % placeholders(names),
        names,
    )
    never = (chain.NEVER_SEALED,)
    return {
        row["incident_id"]: (row["links"], *(never if row["kind"] == seals.REMOVED else ()))
        for row in rows
    }


def _unlinked(store: Store, names: Sequence[Any]) -> Dict[Any, int]:
    rows = store.query(
        "SELECT incident_id, COUNT(*) AS many FROM incident_events "
        "WHERE link IS NULL AND incident_id IN (%s) GROUP BY incident_id" % placeholders(names),
        names,
    )
    return {row["incident_id"]: int(row["many"]) for row in rows}


def _events(store: Store, first: Any, last: Any) -> Iterator[Row]:
    """The linked events of the incidents from `first` to `last`, by incident and link. Several may
    have one number, where a hand has been.
    """
    place: Tuple[Any, Any] = (first, _LEAST)
    comparison = ">="
    seen: Dict[Any, None] = {}
    while True:
        rows = store.query(
            "SELECT %s FROM incident_events WHERE incident_id <= ? AND link IS NOT NULL AND "
            "(incident_id, link) %s (?, ?) ORDER BY incident_id, link LIMIT %d"
            % (_EVENT_COLUMNS, comparison, ROWS),
            (last, *place),
        )
        fresh = [row for row in rows if row["id"] not in seen]
        yield from fresh
        if len(rows) < ROWS:
            return
        # All on the page were known: more of one number than fit it. They are findings already.
        comparison = ">=" if fresh else ">"
        place = (rows[-1]["incident_id"], rows[-1]["link"])
        seen = {
            row["id"]: None for row in rows if (row["incident_id"], row["link"]) == place
        }


def _executions(store: Store, names: Sequence[Any]) -> Iterator[Row]:
    columns = ", ".join(journal.DIGESTED)
    place: Tuple[Any, Any] = ("", "")
    while True:
        rows = store.query(
            "SELECT %s FROM execution_history WHERE incident_id IN (%s) AND (incident_id, id) > "
            "(?, ?) ORDER BY incident_id, id LIMIT %d" % (columns, placeholders(names), EXECUTIONS),
            (*names, *place),
        )
        yield from rows
        if len(rows) < EXECUTIONS:
            return
        place = (rows[-1]["incident_id"], rows[-1]["id"])


def _seals_of(
    store: Store, condition: str, parameters: Sequence[Any]
) -> Callable[[Any], List[Row]]:
    """Pages of seals after a number. `is_there` says whether the entry that a seal names is."""
    sql = (
        "SELECT s.*, EXISTS (SELECT 1 FROM incident_events e WHERE e.incident_id = s.incident_id "
        "AND e.link = s.links AND e.hash = s.head) AS is_there FROM audit_seals s "
        "WHERE s.seq > ? AND %s ORDER BY s.seq LIMIT %d" % (condition, ROWS)
    )
    return lambda after: store.query(sql, (after, *parameters))


def _pages(store: Store, page: Callable[[Any], List[Row]], key: str) -> Iterator[Row]:
    after: Any = _LEAST
    while True:
        rows = page(after)
        yield from rows
        if len(rows) < ROWS or rows[-1][key] == after:
            return
        after = rows[-1][key]


def _examine_seals(store: Store, report: Report) -> None:
    """The chain of all seals, and whether what each one seals is still there."""
    noted = _tip(store)
    last: Optional[Row] = None
    for row in _pages(store, _seals_of(store, "1 = 1", ()), "seq"):
        report.seals += 1
        _examine_seal(store, row, report)
        found = _gap_before(store, row, last)
        if found is not None:
            report.add("", [found])
        last = row
    found = _end_of_seals(noted, last)
    if found is not None:
        report.add("", [found])


def _end_of_seals(noted: Optional[Tuple[int, Any]], last: Optional[Row]) -> Optional[Finding]:
    """Whether the last seal is the one that was noted."""
    if noted is None:
        if last is None:
            return None
        return Finding(audit.SEAL, audit.MISSING, None, "the note of the last seal is gone")
    seq = last["seq"] if last else 0
    if last is not None and _is_after(seq, noted[0]):
        says = "there is a seal %s after the last one that was noted" % seq
        return Finding(audit.SEAL, audit.INSERTED, None, says)
    if last is None or seq < noted[0]:
        says = "the last seal was number %s, and it is gone" % noted[0]
        return Finding(audit.SEAL, audit.MISSING, noted[0], says)
    if last["hash"] != noted[1]:
        says = "the last seal is not the one that was noted"
        return Finding(audit.SEAL, audit.CHANGED, noted[0], says)
    return None


def _tip(store: Store) -> Optional[Tuple[int, Any]]:
    kept = checkpoints.read(store, seals.CHECKPOINT)
    if not isinstance(kept, dict) or not isinstance(kept.get("seq"), int):
        return None
    return kept["seq"], kept.get("hash")


def _is_after(one: Any, other: int) -> bool:
    return not isinstance(one, int) or one > other


def _gap_before(store: Store, row: Row, last: Optional[Row]) -> Optional[Finding]:
    """What is wrong between two seals that follow each other."""
    seq = row["seq"]
    if not isinstance(seq, int):
        return Finding(audit.SEAL, audit.INSERTED, None, "a seal has no number")
    if last is not None and isinstance(last["seq"], int) and seq == last["seq"] + 1:
        # What a changed seal was to be is what the next one follows.
        if row["previous"] in (last["hash"], seals.seal_hash(last)):
            return None
        return Finding(
            audit.SEAL, audit.CHANGED, seq, "seal %d does not follow the one before it" % seq
        )
    if seq == 1:
        is_first = row["previous"] == ""
        return None if is_first else Finding(audit.SEAL, audit.CHANGED, 1, "seal 1 follows another")
    is_vouched = store.one(
        "SELECT 1 FROM audit_seals WHERE incident_id = '' AND kind = ? AND links = ? AND head = ?",
        (seals.DROPPED, seq - 1, row["previous"]),
    )
    is_first = store.one("SELECT 1 FROM audit_seals WHERE seq < ?", (seq,)) is None
    if is_vouched and is_first:
        return None
    return Finding(audit.SEAL, audit.MISSING, seq - 1, "seals before number %d are missing" % seq)


def _examine_seal(store: Store, row: Row, report: Report) -> None:
    """One seal in itself, and whether what it seals is there or was deleted by retention."""
    found: List[Finding] = []
    seq, name = row["seq"], row["incident_id"]
    number = seq if isinstance(seq, int) else None
    if row["hash"] != seals.seal_hash(row):
        found.append(Finding(audit.SEAL, audit.CHANGED, number, "seal %s was changed" % seq))
    elif row["kind"] == seals.HEAD and not row["is_there"] and not _is_accounted(store, row):
        says = "seal %s holds entry %s of it, which is gone or was rewritten" % (seq, row["links"])
        found.append(Finding(audit.SEAL, audit.REMOVED, number, says))
    report.add(str(name), found)


def _is_accounted(store: Store, row: Mapping[str, Any]) -> bool:
    later = store.one(
        "SELECT 1 FROM audit_seals WHERE incident_id = ? AND kind = ? AND links >= ? AND seq > ?",
        (row["incident_id"], seals.REMOVED, row["links"], row["seq"]),
    )
    if later is not None:
        return True
    if row["links"] != 0:
        return False
    head = _heads(store, [row["incident_id"]]).get(row["incident_id"])
    return head is not None and row["head"] == chain.genesis(
        head["old_events"], head["old_executions"]
    )
