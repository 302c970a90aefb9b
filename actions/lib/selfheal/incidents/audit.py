"""Whether one incident's chain of events, its head and its executions are as they were written.

Pure: rows come in by the order of their links, findings come out. A finding says which part is not
as it was and how that shows; who can write the database can also write a new chain, so heads are
sealed (`store.seals`) and the last seal is kept elsewhere.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from selfheal.records import dataclass
from selfheal.store import Row, chain, load

EVENT = "event"
HEAD = "head"
EXECUTION = "execution"
SEAL = "seal"
CHANGED = "changed"
REMOVED = "removed"
INSERTED = "inserted"
REORDERED = "reordered"
LOST = "lost"
MISSING = "missing"
MOST = 10  # findings kept of one incident; all are counted


@dataclass(frozen=True)
class Finding:
    """`part` (event, head, execution, seal) is `kind` (changed, removed, inserted, reordered, lost,
    missing); `link` is the number of the event or seal, where it has one.
    """

    part: str
    kind: str
    link: Optional[int]
    says: str


@dataclass
class _Broken:
    """An event that does not follow: its finding's place, and what it was to follow."""

    place: int
    row: Row
    before: Tuple[Any, ...]


class Walk:
    """One incident's chain, event by event.

    `head` and `removal` (up to which link retention deletes, with that one's hash) are None where
    there is none; `unlinked` counts events without a number; `sealed` is what the last seal says of
    the head's links, None when it is not to be checked.
    """

    def __init__(
        self,
        head: Optional[Row],
        removal: Optional[Row] = None,
        unlinked: int = 0,
        sealed: Optional[Sequence[Any]] = None,
    ) -> None:
        self.findings: List[Finding] = []
        self.found = 0
        self.last = 0
        self._head, self._unlinked, self._sealed = head, unlinked, sealed
        is_removal = removal is not None and _is_whole(removal["links"])
        self._removed: int = removal["links"] if removal and is_removal else 0
        self._removed_hash = removal["head"] if removal else None
        self._before: Optional[Tuple[Any, ...]] = None
        self._after: Optional[Tuple[Any, ...]] = self._starts()
        self._is_ok = True
        self._broken: List[_Broken] = []
        self._recorded: Dict[str, Any] = {}
        self._begun: Dict[str, bool] = {}

    def see(self, row: Row) -> None:
        """The next event, in the order of links: the columns of chain.HASHED, link and hash."""
        link = row["link"]
        if not _is_whole(link) or link < 1 or link < self.last:
            self._note(EVENT, INSERTED, None, "entry %s has no number" % _shown(row["id"]))
            return
        if link == self.last:
            self._see_second(row)
            return
        if link > self.last + 1:
            self._see_gap(link)
        self.last, self._before = link, self._after
        hashes = self._hashes(row)
        self._is_ok = hashes is None or row["hash"] in hashes
        if self._is_ok:
            self._after = (row["hash"],)
        else:
            says = "entry %d is not what was written, or the one before it is not" % link
            self._note(EVENT, CHANGED, link, says, row)
            self._after = (row["hash"], *(hashes or ())[:2])
        self._remember(row)

    def end(self, executions: Sequence[Tuple[Any, str]]) -> None:
        """All events are seen. `executions` are (id, digest as it is now) of the incident's."""
        if self._head is None:
            if self.last or self._unlinked:
                self._note(HEAD, LOST, None, "the head of the chain is gone")
        else:
            self._check_head(self._head)
            self._check_old(self._head)
        self._check_executions(executions)
        self._find_moved()

    def _starts(self) -> Tuple[str, ...]:
        """What the first link may follow. If the head's account of before the chain was changed,
        the first link still follows what there is.
        """
        if self._head is None:
            return (chain.genesis(0, 0), chain.genesis(self._unlinked, 0))
        events, executions = self._head["old_events"], self._head["old_executions"]
        return (chain.genesis(events, executions), chain.genesis(self._unlinked, executions))

    def _hashes(self, row: Row) -> Optional[List[str]]:
        if self._before is None:
            return None
        return [chain.event_hash(previous, row["link"], row) for previous in self._before]

    def _see_gap(self, link: int) -> None:
        first = max(self.last, self._removed) + 1
        if first < link:
            self._note(EVENT, REMOVED, first, "%s missing" % _numbers(first, link - 1))
        self._after = (self._removed_hash,) if link - 1 == self._removed else None

    def _see_second(self, row: Row) -> None:
        link = self.last
        hashes = self._hashes(row)
        if not self._is_ok and hashes is not None and row["hash"] in hashes:
            self._relabel(link, "a second entry %d stands beside the real one" % link)
            self._is_ok, self._after = True, (row["hash"],)
            self._remember(row)
            return
        self._note(
            EVENT,
            INSERTED,
            link,
            "entry %s has the number %d, as another one has" % (_shown(row["id"]), link),
        )

    def _relabel(self, link: int, says: str) -> None:
        for place, finding in enumerate(self.findings):
            if (finding.part, finding.kind, finding.link) == (EVENT, CHANGED, link):
                self.findings[place] = Finding(EVENT, INSERTED, link, says)
        self._broken = [one for one in self._broken if one.row["link"] != link]

    def _check_head(self, head: Row) -> None:
        links = head["links"]
        if not _is_whole(links) or links < 0:
            self._note(HEAD, CHANGED, None, "the head's number of links is none")
        elif links > self.last:
            first = max(self.last, self._removed) + 1
            if first <= links:
                self._note(EVENT, REMOVED, first, "%s missing at the end" % _numbers(first, links))
            elif links == self._removed and head["hash"] != self._removed_hash:
                self._note(HEAD, CHANGED, links, "the head's hash is not the sealed one")
        elif links < self.last:
            says = "the head says %d links, the chain goes on to %d" % (links, self.last)
            self._note(HEAD, CHANGED, links, says)
        elif links == 0:
            if head["hash"] != chain.genesis(head["old_events"], head["old_executions"]):
                self._note(HEAD, CHANGED, 0, "the head's account of before the chain was changed")
        elif head["hash"] not in (self._after or ()):
            self._note(HEAD, CHANGED, links, "the head's hash is not that of entry %d" % links)
        if self._sealed is not None and head["sealed"] not in self._sealed:
            says = "the head says that it was sealed at %s, the seals say otherwise"
            self._note(HEAD, CHANGED, None, says % _shown(head["sealed"]))

    def _check_old(self, head: Row) -> None:
        there, were = self._unlinked, head["old_events"]
        if not _is_whole(were):
            self._note(HEAD, CHANGED, None, "the head's number of entries before the chain is none")
        elif there > were:
            self._note(
                EVENT,
                INSERTED,
                None,
                "%d entries are in no chain, %d were there when it began" % (there, were),
            )
        elif there < were and not self._removed:
            self._note(
                EVENT,
                REMOVED,
                None,
                "of %d entries from before the chain %d are there" % (were, there),
            )

    def _check_executions(self, executions: Sequence[Tuple[Any, str]]) -> None:
        ids = {name for name, _ in executions}
        for name, digest in executions:
            if name in self._recorded and self._recorded[name] != digest:
                says = "execution %s is not as it was recorded last" % _shown(name)
                self._note(EXECUTION, CHANGED, None, says)
        if self._removed:  # its records are being deleted
            return
        for name in self._recorded:
            if name not in ids:
                says = "execution %s was recorded, and is gone" % _shown(name)
                self._note(EXECUTION, REMOVED, None, says)
        old = [name for name in sorted(ids, key=str) if not self._begun.get(name)]
        were = self._head["old_executions"] if self._head else 0
        if not _is_whole(were) or len(old) != were:
            kind = INSERTED if _is_whole(were) and len(old) > were else REMOVED
            unknown = [_shown(name) for name in old if name not in self._recorded][:3]
            says = "%d executions were not recorded as begun%s, %s were there before the chain" % (
                len(old),
                " (%s)" % ", ".join(unknown) if unknown else "",
                _shown(were),
            )
            self._note(EXECUTION, kind, None, says)

    def _remember(self, row: Row) -> None:
        if row["kind"] != chain.EXECUTION or row["link"] <= self._removed:
            return
        try:
            data = load(row["data"])
            name = str(data["execution_id"])
            self._recorded[name] = data["digest"]
            self._begun[name] = bool(data["is_new"]) or self._begun.get(name, False)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return  # not as we write them, so its hash has said so already

    def _find_moved(self) -> None:
        """Broken entries that fit where another broken one stands were moved, not rewritten."""
        hashes = [one.row["hash"] for one in self._broken]
        for one in self._broken:
            for other in self._broken:
                if one is other:
                    continue
                targets = (one.row["hash"], other.row["hash"])
                link = other.row["link"]
                if any(
                    chain.event_hash(previous, link, one.row) in targets
                    for previous in (*other.before, *hashes)
                ):
                    for broken in (one, other):
                        says = "entry %d is not where it was written" % broken.row["link"]
                        self.findings[broken.place] = Finding(
                            EVENT, REORDERED, broken.row["link"], says
                        )

    def _note(
        self, part: str, kind: str, link: Optional[int], says: str, row: Optional[Row] = None
    ) -> None:
        self.found += 1
        if len(self.findings) < MOST:
            if row is not None:
                self._broken.append(_Broken(len(self.findings), row, self._before or ()))
            self.findings.append(Finding(part, kind, link, says))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 64 else text[:61] + "..."


def _numbers(first: int, last: int) -> str:
    return "entry %d is" % first if first == last else "entries %d to %d are" % (first, last)


def as_dict(finding: Finding) -> Mapping[str, Any]:
    """The finding as plain JSON."""
    return {
        "part": finding.part,
        "kind": finding.kind,
        "link": finding.link,
        "says": finding.says,
    }
