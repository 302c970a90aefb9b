"""One page of the search after the other: hits to documents, judgements and rows, each once.

A page is stored before the next is fetched, so memory holds one page whatever the volume, and what
is stored stays stored if the rest fails. Documents that were stored before cost next to nothing
while this process remembers them, and change nothing when it does not.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Sequence, Set, Tuple

from selfheal.errors.record import Document, Judgement
from selfheal.intake import rejects
from selfheal.intake.documents.reading import Reading, read
from selfheal.records import dataclass

if TYPE_CHECKING:
    from selfheal.errors.book import ErrorBook
    from selfheal.errors.judge import Judge
    from selfheal.store import Store

# So many document ids are remembered: what the overlap of two polls holds at a quiet site.
REMEMBERED = 100_000


class Seen:
    """Ids of documents that are known to be stored: the newest `limit` at least, twice that at
    most.
    """

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._new: Set[str] = set()
        self._old: Set[str] = set()

    def __contains__(self, document_id: str) -> bool:
        return document_id in self._new or document_id in self._old

    def add(self, document_ids: Iterable[str]) -> None:
        """Remember these."""
        self._new.update(document_ids)
        if len(self._new) >= self._limit:
            self._old, self._new = self._new, set()

    def forget(self) -> None:
        """Remember nothing: the store is asked again."""
        self._new, self._old = set(), set()


@dataclass
class Taken:
    """What was taken in so far. `found` counts every hit, `new` those that were not stored before;
    `late` and `rejected` count new ones only. `groups` are those that grew, `new_patterns` the
    fingerprints never seen before, until somebody has looked at them.
    """

    found: int = 0
    new: int = 0
    late: int = 0
    rejected: int = 0
    patterns: int = 0
    new_patterns: List[str] = field(default_factory=list)
    groups: Set[str] = field(default_factory=set)


class Intake:
    """Takes in the hits of one target during one poll.

    `late_before` is the time (epoch s) before which a document that is new now came too late for
    the poll that should have seen it.
    """

    def __init__(
        self, store: Store, judge: Judge, book: ErrorBook, seen: Seen, reading: Reading
    ) -> None:
        self.taken = Taken()
        self.late_before = float("-inf")
        self._store = store
        self._judge = judge
        self._book = book
        self._seen = seen
        self._reading = reading
        self._samples_left = rejects.MAX_KEPT

    def take(self, hits: Sequence[Any]) -> None:
        """Store what is new among `hits`. Raises StoreError; then nothing of them is stored."""
        ids, pairs, odd = self._judged(hits)
        self.taken.found += len(hits)
        if not pairs:
            return
        known = self._book.known(list(odd)) if odd else set()
        stored = self._book.store(pairs)
        fresh = [entry for document_id, entry in odd.items() if document_id not in known]
        rejected = [entry for entry in fresh if entry[0].trouble]
        self._keep_samples(rejected)
        self._seen.add(ids)
        self.taken.new += stored.new
        self.taken.late += sum(1 for entry in fresh if entry[0].logged_at < self.late_before)
        self.taken.rejected += len(rejected)
        self.taken.patterns += len(stored.new_patterns)
        self.taken.new_patterns += stored.new_patterns
        self.taken.groups.update(stored.groups)

    def _judged(
        self, hits: Sequence[Any]
    ) -> Tuple[List[str], List[Tuple[Document, Judgement]], Dict[str, Tuple[Document, Any]]]:
        """(ids, judged documents, those that are late or could not be read) of the hits that are
        not known to be stored.
        """
        seen, reading, judge = self._seen, self._reading, self._judge.judge
        late_before = self.late_before
        ids: List[str] = []
        pairs: List[Tuple[Document, Judgement]] = []
        odd: Dict[str, Tuple[Document, Any]] = {}
        for hit in hits:
            try:
                if "%s/%s/%s" % (reading.origin, hit["_index"], hit["_id"]) in seen:
                    continue
            except (KeyError, TypeError, IndexError):
                pass  # a hit of another shape: read() makes a record of it
            document = read(hit, reading)
            ids.append(document.document_id)
            pairs.append((document, judge(document)))
            if document.trouble or document.logged_at < late_before:
                odd[document.document_id] = (document, hit)
        return ids, pairs, odd

    def _keep_samples(self, rejected: Sequence[Tuple[Document, Any]]) -> None:
        samples = rejected[: self._samples_left]
        self._samples_left -= len(samples)
        if samples:
            rejects.record_once(
                self._store,
                "elk:%s" % self._reading.origin,
                [(document.document_id, document.trouble, hit) for document, hit in samples],
            )
