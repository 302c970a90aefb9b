"""Counting instead of reading, when there is too much to read: exact counts per minute and source,
with samples.

A first question finds which sources (program, namespace, pod or host) a minute's errors come from;
a second one counts each of the largest and all the others together, which no document can be in
twice, and takes samples from each by lot.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

from selfheal.exceptions import ExternalError

Query = Dict[str, Any]
Ask = Callable[[Dict[str, Any]], Dict[str, Any]]
MINUTE_S = 60
OTHERS = "(others)"
_NONE = "(none)"
_SOURCES = 40  # the largest ones of a minute; the rest is counted as one
_WIDTHS = (30, 10, 10, 10)  # of each field, in the first question
_SHARD_SIZE = 1000
_SAMPLES = 400  # of a minute, shared out by size
_LEAST, _MOST = 3, 40  # samples of one source


class Bucket(NamedTuple):
    """Errors of one minute from one source: `key` names the source, `documents` is exact, `samples`
    are some of the hits, drawn by lot.
    """

    minute: int  # epoch seconds of its start
    key: str
    documents: int
    samples: List[Dict[str, Any]]


class Source(NamedTuple):
    """What the documents of a source have in the fields that tell sources apart."""

    values: Tuple[str, ...]
    documents: int


def busy_minutes(ask: Ask, query: Query, time_field: str) -> List[int]:
    """The minutes (epoch seconds) that have errors."""
    histogram = {"field": time_field, "fixed_interval": "1m", "min_doc_count": 1}
    body = {"size": 0, "query": query, "aggs": {"minutes": {"date_histogram": histogram}}}
    buckets = _buckets(ask(body), "minutes")
    return [int(bucket["key"]) // 1000 for bucket in buckets if bucket.get("doc_count")]


def minute(
    ask: Ask, query: Query, at: int, dimensions: Sequence[str], source: Any
) -> Iterator[Bucket]:
    """The buckets of the minute that begins `at` and that `query` is bounded to; the largest first.
    Their sum is the number of its errors.
    """
    sources = _largest(ask, query, dimensions)
    body = {
        "size": 0,
        "track_total_hits": True,
        "query": _drawn(query, at),
        "aggs": _aggregations(sources, dimensions, source),
    }
    answer = ask(body)
    total, found = _exact(answer), answer.get("aggregations")
    if not isinstance(found, Mapping):
        raise ExternalError("the search answered without aggregations", retryable=False)
    keys = [_key(dimensions, source.values) for source in sources] + [OTHERS]
    counts = [int(found[str(n)]["doc_count"]) for n in range(len(keys))]
    for position, documents in enumerate(shared(counts, total)):
        if documents:
            inner = found[str(position)]["samples"]["hits"]["hits"]
            yield Bucket(at, keys[position], documents, list(inner)[:documents])


def shared(counts: Sequence[int], total: int) -> List[int]:
    """`counts` as they are when their sum is `total`. A document with several values in one field
    is in several of them: then they are brought down to the sum, by largest remainder.
    """
    have = sum(counts)
    if have == total:
        return list(counts)
    if have < total:
        raise ExternalError(
            "the search counted %d documents and its parts only %d; not taken" % (total, have)
        )
    floors = [count * total // have for count in counts]
    by_rest = sorted(range(len(counts)), key=lambda n: (-(counts[n] * total % have), n))
    for position in by_rest[: total - sum(floors)]:
        floors[position] += 1
    return floors


def _largest(ask: Ask, query: Query, dimensions: Sequence[str]) -> List[Source]:
    if not dimensions:
        return []
    aggs: Dict[str, Any] = {}
    for field, width in reversed(list(zip(dimensions, _WIDTHS))):
        terms = {"field": field, "size": width, "shard_size": _SHARD_SIZE, "missing": _NONE}
        aggs = {"by": {"terms": terms, **({"aggs": aggs} if aggs else {})}}
    answer = ask({"size": 0, "query": query, "aggs": aggs})
    found = list(_leaves(_buckets(answer, "by"), ()))
    return sorted(found, key=lambda one: (-one.documents, one.values))[:_SOURCES]


def _leaves(buckets: Sequence[Mapping[str, Any]], above: Tuple[str, ...]) -> Iterator[Source]:
    for bucket in buckets:
        values = (*above, str(bucket["key"]))
        inner = bucket.get("by")
        if isinstance(inner, Mapping) and inner.get("buckets"):
            yield from _leaves(inner["buckets"], values)
        else:  # also where nothing is said of the fields below
            yield Source(values, int(bucket["doc_count"]))


def _aggregations(
    sources: Sequence[Source], dimensions: Sequence[str], source: Any
) -> Dict[str, Any]:
    """A filter and samples for each source, and one for what is in none of them."""
    filters = [_is_from(dimensions, source.values) for source in sources]
    weights = [source.documents for source in sources]
    whole = sum(weights) or 1
    found = {}
    for position, one in enumerate([*filters, {"bool": {"must_not": filters}}]):
        share = weights[position] * _SAMPLES // whole if position < len(weights) else _MOST
        if not filters:
            one, share = {"match_all": {}}, 2 * _MOST
        hits = {"size": max(_LEAST, min(share, 2 * _MOST)), "_source": source}
        found[str(position)] = {"filter": one, "aggs": {"samples": {"top_hits": hits}}}
    return found


def _is_from(dimensions: Sequence[str], values: Sequence[str]) -> Query:
    return {
        "bool": {
            "filter": [
                {"bool": {"must_not": [{"exists": {"field": field}}]}}
                if value == _NONE
                else {"term": {field: value}}
                for field, value in zip(dimensions, values)
            ]
        }
    }


def _drawn(query: Query, at: int) -> Query:
    """`query` with scores by lot, the same for the same minute: the best of a source are a fair
    sample of it.
    """
    lot = {"seed": at, "field": "_seq_no"}
    return {"function_score": {"query": query, "random_score": lot, "boost_mode": "replace"}}


def _key(dimensions: Sequence[str], values: Sequence[str]) -> str:
    pairs = zip(dimensions, values)
    return ", ".join("%s=%s" % (field, value) for field, value in pairs if value != _NONE) or _NONE


def _exact(answer: Mapping[str, Any]) -> int:
    total = answer["hits"]["total"]
    return int(total["value"] if isinstance(total, Mapping) else total)


def _buckets(answer: Mapping[str, Any], name: str) -> List[Mapping[str, Any]]:
    try:
        return list(answer["aggregations"][name]["buckets"])
    except (KeyError, TypeError) as error:
        raise ExternalError(
            "the search answered without the aggregation asked for (%s)" % error, retryable=False
        ) from error
