"""Minutes with more errors than can be read one by one: counted by the search, sampled, and told.

The count of each bucket of a minute is exact; which patterns it holds is estimated from its
samples. A minute that was counted this way stays so, in every later look and on every sensor, and
is asked as a whole: what it holds more than before is the difference that is added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Set, Tuple

from selfheal.errors.record import Document, Judgement
from selfheal.errors.storms import apportion
from selfheal.intake.documents.reading import Reading, read
from selfheal.records import dataclass
from selfheal.text import counted

if TYPE_CHECKING:
    from selfheal.apis.elasticsearch.search import Bucket, Search
    from selfheal.errors.book import ErrorBook
    from selfheal.errors.judge import Judge

MINUTE_S = 60
Range = Tuple[float, float]
Share = Tuple[Document, Judgement, int]


@dataclass
class Counted:
    """What was counted in one look; `new` of the documents were not counted before."""

    documents: int = 0
    new: int = 0
    buckets: int = 0
    samples: int = 0

    def shown(self) -> Optional[Dict[str, Any]]:
        """For the result of a look; None when nothing was counted this way."""
        if not self.buckets:
            return None
        return {
            "documents": self.documents,
            "new": self.new,
            "buckets": self.buckets,
            "samples": self.samples,
            "note": "%s counted by aggregation, patterns estimated from %s"
            % (counted(self.documents, "error"), counted(self.samples, "sample")),
        }


def minutes_of(start: float, end: float) -> Set[int]:
    """Every minute that [start, end) touches."""
    return set(range(_minute(start), _minute_after(end)))


def split(start: float, end: float, minutes: Iterable[int]) -> Tuple[List[Range], List[Range]]:
    """[start, end) in two: (ranges outside of `minutes`, ranges of whole `minutes`)."""
    outside: List[Range] = []
    inside: List[Range] = []
    position = start
    for minute in sorted(set(minutes) & minutes_of(start, end)):
        begins, ends = float(minute * MINUTE_S), float((minute + 1) * MINUTE_S)
        if position < begins:
            outside.append((position, begins))
        if inside and inside[-1][1] == begins:
            inside[-1] = (inside[-1][0], ends)
        else:
            inside.append((begins, ends))
        position = ends
    if position < end:
        outside.append((position, end))
    return outside, inside


def count(
    search: Search, book: ErrorBook, judge: Judge, reading: Reading, over: Range, done: Counted
) -> None:
    """Count the whole minutes of `over` and add them to `done`. Raises ExternalError, StoreError;
    what was counted before stays, and is not counted again.
    """
    minutes: Dict[int, List[Tuple[str, int, List[Share]]]] = {}
    for bucket in search.minutes(*over):
        shares = shares_of(bucket, judge, reading)
        minute = int(bucket.minute) // MINUTE_S
        minutes.setdefault(minute, []).append((bucket.key, bucket.documents, shares))
        done.documents += bucket.documents
        done.buckets += 1
        done.samples += len(bucket.samples)
    for minute, buckets in sorted(minutes.items()):
        done.new += book.count_storm(reading.origin, minute, buckets)


def shares_of(bucket: Bucket, judge: Judge, reading: Reading) -> List[Share]:
    """The bucket's documents shared out over what its samples are, by largest remainder: the counts
    add up to `bucket.documents`.
    """
    documents = [read(hit, reading) for hit in bucket.samples] or [_unseen(bucket, reading)]
    alike: Dict[Any, List[Tuple[Document, Judgement]]] = {}
    for document in documents:
        judgement = judge.judge(document)
        alike.setdefault((judgement.fingerprint, *_place(document)), []).append(
            (document, judgement)
        )
    groups = sorted(alike.values(), key=lambda pairs: (-len(pairs), pairs[0][0].document_id))
    counts = apportion(bucket.documents, [len(pairs) for pairs in groups])
    return [(*pairs[0], number) for pairs, number in zip(groups, counts) if number]


def _place(document: Document) -> Tuple[str, ...]:
    return (
        document.cluster,
        document.namespace,
        document.workload,
        document.host,
        document.program,
    )


def _unseen(bucket: Bucket, reading: Reading) -> Document:
    return Document(
        document_id="%s/storm/%d" % (reading.origin, bucket.minute),
        origin=reading.origin,
        logged_at=float(bucket.minute),
        message="errors that were counted without a sample",
        cluster=reading.cluster,
    )


def _minute(at: float) -> int:
    return int(at // MINUTE_S)


def _minute_after(end: float) -> int:
    return -int(-end // MINUTE_S)
