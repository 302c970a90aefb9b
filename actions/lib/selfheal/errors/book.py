"""The book of errors: every document once, its pattern, its group and its minute counted with it.

Storing is one transaction that asks which documents are known already and adds only the others, so
that repeating, dying half-way, or a second sensor changes nothing. What the counts mean for
incidents is left to `watch`.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from selfheal.errors import ledger, storms, tally
from selfheal.errors.ledger import Entry, Patterns
from selfheal.errors.record import UNREADABLE, Document, Judgement
from selfheal.errors.scope import Scope, group_key, scope_of, values_of
from selfheal.errors.storable import storable, storable_id
from selfheal.store import Store
from selfheal.store.engine import dump, in_chunks, placeholders

Pair = Tuple[Document, Judgement]
MINUTE_S = 60
# A clock that is further ahead is wrong: then the error happened when it was seen. Else it would
# count as the latest of its group until that time comes.
MOST_AHEAD_S = 900.0
_LONG_AGO = 0.0
_MAX_PLACES = 50_000  # of a hostile log there may be any number
_COLUMNS = (
    "document_id",
    "origin",
    "group_key",
    "fingerprint",
    "logged_at",
    "seen_at",
    "error_type",
    "severity",
    "host",
    "program",
    "message",
    "detail",
)
_KEPT = tuple(
    (name, Document._fields.index(name))
    for name in (
        "level",
        "cluster",
        "namespace",
        "workload",
        "pod",
        "container",
        "node",
        "error_class",
        "stack",
        "trouble",
    )
)


class Stored(NamedTuple):
    """What became of a batch: how many documents were new, how many known before (repeats within
    the batch included), how many were left out because the minute was counted by aggregation; the
    fingerprints never seen before, and the keys of the groups that grew.
    """

    new: int
    known: int
    in_storm: int
    new_patterns: List[str]
    groups: List[str]


class ErrorBook:
    """The error tables of `store`. `scope_by` names what tells groups apart (scope.NAMES)."""

    def __init__(self, store: Store, scope_by: Sequence[str]) -> None:
        self._store = store
        self._scope_by = tuple(scope_by)
        self._places: Dict[Any, Tuple[str, Scope]] = {}

    def store(self, pairs: Sequence[Pair]) -> Stored:
        """Store the documents that are new, with all that is counted of them. Raises StoreError;
        then nothing of the batch is stored.
        """
        by_id: Dict[str, Pair] = {}
        store = self._store
        now = store.now()
        for pair in pairs:
            if not _LONG_AGO < pair[0].logged_at < now + MOST_AHEAD_S:
                pair = (pair[0]._replace(logged_at=now), pair[1])
            by_id.setdefault(storable_id(pair[0].document_id), pair)
        if not by_id:
            return Stored(0, 0, 0, [], [])
        with store.transaction("errors"):
            for known in self._known(list(by_id)):
                del by_id[known]
            distinct = len(by_id)
            self._leave_out_storms(by_id)
            if not by_id:
                return Stored(0, len(pairs) - distinct, distinct, [], [])
            patterns = ledger.patterns(store, (pair[1].fingerprint for pair in by_id.values()))
            rows, entries = self._rows(by_id, patterns, now)
            store.insert_many("error_logs", _COLUMNS, rows)
            written = ledger.write(store, entries, patterns, "stored")
            self._tally(rows, entries, written.new_patterns)
        return Stored(
            len(rows),
            len(pairs) - distinct,
            distinct - len(rows),
            written.new_patterns,
            written.groups,
        )

    def known(self, ids: Iterable[str]) -> Set[str]:
        """Which of these document ids are stored."""
        by_stored = {storable_id(one): one for one in ids}
        return {by_stored[one] for one in self._known(list(by_stored))}

    def count_storm(self, origin: str, minute: int, buckets: Sequence[storms.Bucket]) -> int:
        """Take in what the search counted for a whole `minute` (since the epoch) of `origin`: all
        its buckets at once, each (name, documents, shares out over (Document, Judgement, count)).

        Returns how many documents that added. What an earlier look counted, and what was stored one
        by one before, is not added again. Raises StoreError; then nothing was added.
        """
        store = self._store
        with store.transaction("errors"):
            growth = storms.take_in(store, origin, minute, buckets)
            if not growth.shares:
                return 0
            patterns = ledger.patterns(store, (share[1].fingerprint for share in growth.shares))
            entries: Dict[Any, Entry] = {}
            for document, judgement, count in growth.shares:
                entry = self._entry(entries, document, judgement, patterns)
                entry.add(document, judgement, minute, count)
            added = list(entries.values())
            if growth.is_first:
                added = storms.without_stored(store, origin, minute, added)
            written = ledger.write(store, added, patterns, "counted")
            total = sum(entry.count for entry in added)
            unreadable = sum(e.count for e in added if e.judgement.error_type == UNREADABLE)
            tally.add(store, {origin: (total, unreadable, len(written.new_patterns))})
        return total

    def _known(self, ids: Sequence[str]) -> List[str]:
        found: List[str] = []
        for chunk in in_chunks(ids):
            rows = self._store.query(
                "SELECT document_id FROM error_logs WHERE document_id IN (%s)"
                % placeholders(chunk),
                chunk,
            )
            found += [row["document_id"] for row in rows]
        return found

    def _leave_out_storms(self, by_id: Dict[str, Pair]) -> None:
        """Drop from `by_id` what belongs to a minute that was counted as a whole."""
        minutes: Dict[str, Set[int]] = {}
        for document, _ in by_id.values():
            minutes.setdefault(document.origin, set()).add(int(document.logged_at // MINUTE_S))
        for origin, asked in minutes.items():
            storm = storms.known_minutes(self._store, origin, asked)
            if storm:
                for one, (document, _) in list(by_id.items()):
                    if document.origin == origin and document.logged_at // MINUTE_S in storm:
                        del by_id[one]

    def _rows(
        self, by_id: Dict[str, Pair], patterns: Patterns, now: float
    ) -> Tuple[List[Sequence[Any]], List[Entry]]:
        entries: Dict[Any, Entry] = {}
        rows: List[Sequence[Any]] = []
        for document_id, (document, judgement) in by_id.items():
            entry = self._entry(entries, document, judgement, patterns)
            logged_at = document.logged_at
            entry.add(document, judgement, int(logged_at // MINUTE_S), 1)
            rows.append(
                (
                    document_id,
                    document.origin,
                    entry.group_key,
                    judgement.fingerprint,
                    logged_at,
                    now,
                    judgement.error_type,
                    judgement.severity,
                    storable(document.host),
                    storable(document.program),
                    storable(document.message),
                    _detail(document, judgement),
                )
            )
        return rows, list(entries.values())

    def _entry(
        self,
        entries: Dict[Any, Entry],
        document: Document,
        judgement: Judgement,
        patterns: Patterns,
    ) -> Entry:
        place = (
            judgement.fingerprint,
            document.cluster,
            document.namespace,
            document.workload,
            document.host,
            document.program,
        )
        entry = entries.get(place)
        if entry is None:
            canonical = ledger.canonical(patterns, judgement.fingerprint)
            key, scope = self._place((canonical, *place[1:]), document)
            entry = entries[place] = Entry(key, canonical, scope, judgement)
        return entry

    def _place(self, place: Any, document: Document) -> Tuple[str, Scope]:
        found = self._places.get(place)
        if found is None:
            if len(self._places) >= _MAX_PLACES:
                self._places.clear()
            values = values_of(document, self._scope_by)
            found = self._places[place] = (group_key(place[0], values), scope_of(values))
        return found

    def _tally(
        self, rows: Sequence[Sequence[Any]], entries: Sequence[Entry], new_patterns: Sequence[str]
    ) -> None:
        taken: Dict[str, List[int]] = {}
        for row in rows:
            of_origin = taken.setdefault(row[1], [0, 0, 0])
            of_origin[0] += 1
            of_origin[1] += row[6] == UNREADABLE
        first_seen = {entry.judgement.fingerprint: entry.origin for entry in entries}
        for fingerprint in new_patterns:
            taken[first_seen[fingerprint]][2] += 1
        tally.add(
            self._store, {origin: (one, two, three) for origin, (one, two, three) in taken.items()}
        )


def _detail(document: Document, judgement: Judgement) -> str:
    detail: Dict[str, Any] = dict(document.detail, rule=judgement.rule)
    for name, position in _KEPT:
        value = document[position]
        if value:
            detail[name] = value
    try:
        # What `dump` writes; but that makes an encoder for each value, which takes longer.
        items = [_quoted(name) + ":" + _quoted(detail[name]) for name in sorted(detail)]
        return "{%s}" % ",".join(items)
    except TypeError:  # not text alone
        return dump(detail)
