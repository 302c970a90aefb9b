"""Elasticsearch or OpenSearch as a search service: how many errors there are in a time, and which.

`Search(settings)` takes one target of the setting `elasticsearch`, completed (see
`errors.keywords.completed`). An answer that is not whole is an error, never a smaller answer. What
failed is said by `elasticsearch_errors`, what is asked by `elasticsearch_query`.
"""

from __future__ import annotations

import random
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional
from urllib.parse import quote

from selfheal.apis.elasticsearch import fields, storm
from selfheal.apis.elasticsearch.failures import Ailing, Forbidden, Unsupported, check_whole, red
from selfheal.apis.elasticsearch.pages import Hit, Walk
from selfheal.apis.elasticsearch.query import errors_between, milliseconds, source_of
from selfheal.apis.elasticsearch.storm import MINUTE_S, Bucket
from selfheal.apis.elasticsearch.wire import Wire
from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.text import one_line

__all__ = ["Bucket", "Hit", "Search"]

_DEFAULT_PAGE = 5000
_LARGEST_PAGE = 10000
_FIELDS_FOR_S = 60.0
_WHOLE = "allow_no_indices=false&ignore_unavailable=false&allow_partial_search_results=false"


class Search:
    """The errors of one target; for one thread. Times are epoch seconds, [start, end).

    Every method raises ConfigError (something must be set right: credentials, index, mapping) or
    ExternalError (mostly retryable) with a message for its cause. `sleep`, `spread` and `monotonic`
    are the clock and the dice.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        sleep: Callable[[float], None] = time.sleep,
        spread: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings: Dict[str, Any] = dict(settings)
        self.settings["time_field"] = str(settings.get("time_field") or "@timestamp")
        self._wire = Wire(settings, sleep, spread)
        self._index = _quoted(settings.get("index") or "logstash-*")
        self._monotonic = monotonic
        self._fields = fields.Fields()
        self._fields_until: Optional[float] = None
        self._has_pit = True

    def health(self) -> Dict[str, Any]:
        """{"status": green|yellow|red|unknown, "unassigned_shards", "nodes", "cluster", "version",
        "detail": a sentence, "" when all is well}, for the indices that are searched.

        unknown: we may not ask for it (it needs the privilege monitor); the search may do all the
        same.
        """
        found = {"version": self._version(), **self._cluster_health()}
        found["detail"] = red(found) or str(found.get("detail") or "")
        return found

    def count(self, start: float, end: float) -> int:
        """How many errors, exactly."""
        self._look_at_fields()
        query = self._query(milliseconds(start), milliseconds(end))
        found = self._ask({"size": 0, "track_total_hits": True, "query": query})
        total = found["hits"]["total"]
        return int(total["value"] if isinstance(total, Mapping) else total)

    def pages(
        self, start: float, end: float, page_size: Optional[int] = None
    ) -> Iterator[List[Hit]]:
        """All errors as hits {"_index", "_id", "_source", "sort": [time, ...]}, earliest first, in
        lists of at most `page_size` (the first ones are shorter: it is found out how large the
        documents are). Each comes once, and none is left out, whatever is indexed meanwhile.
        """
        self._look_at_fields()
        until = milliseconds(end)
        size = int(page_size or self.settings.get("page_size") or _DEFAULT_PAGE)
        walk = Walk(
            self._wire,
            self._index,
            lambda since: self._query(since, until),
            {"_source": source_of(self.settings), **self._time_limit()},
            self._time_sort(),
            max(1, min(size, _LARGEST_PAGE)),
            self._can_pit,
        )
        with _explained(self):
            yield from walk.pages(milliseconds(start))

    def minutes(self, start: float, end: float) -> Iterator[Bucket]:
        """How many errors each minute had, by source, with samples. Whole minutes: that of `start`
        from its beginning, that of `end` to its end.
        """
        self._look_at_fields()
        first, last = int(start // MINUTE_S) * MINUTE_S, int(-(-end // MINUTE_S)) * MINUTE_S
        query = self._query(first * 1000, last * 1000)
        for at in storm.busy_minutes(self._ask, query, self.settings["time_field"]):
            query = self._query(at * 1000, (at + MINUTE_S) * 1000)
            wanted = source_of(self.settings)
            yield from storm.minute(self._ask, query, at, self._fields.dimensions, wanted)

    def close(self) -> None:
        """Close the connections; the next question opens them again."""
        self._wire.close()

    def warnings(self) -> List[str]:
        """What of the indices' mapping hides documents, without being an error."""
        self._look_at_fields()
        return list(self._fields.warnings)

    def _query(self, start_ms: int, end_ms: int) -> Dict[str, Any]:
        return errors_between(self.settings, start_ms, end_ms, self._fields.kinds)

    def _time_limit(self) -> Dict[str, Any]:
        """The service is to stop when nobody waits any longer."""
        return {"timeout": "%dms" % (self._wire.timeout_s * 900)}

    def _time_sort(self) -> Dict[str, Any]:
        how = {"order": "asc", "unmapped_type": "date"}
        if self._fields.is_mixed:
            how["numeric_type"] = "date_nanos"
        return {self.settings["time_field"]: how}

    def _ask(self, body: Dict[str, Any]) -> Dict[str, Any]:
        path = "/%s/_search" % self._index
        with _explained(self):
            answer = self._wire.ask("POST", path + "?" + _WHOLE, {**body, **self._time_limit()})
            found = check_whole(answer.body, "POST %s" % path)
        if not found["_shards"].get("total"):
            raise ConfigError(
                "no index matches elasticsearch.index %s: check it, and that something is shipped "
                "there" % self.settings.get("index")
            )
        return found

    def _can_pit(self, said: Optional[bool]) -> bool:
        if said is not None:
            self._has_pit = said
        return self._has_pit

    def _look_at_fields(self) -> None:
        """Ask how the fields are mapped, once in a minute."""
        now = self._monotonic()
        if self._fields_until is not None and now < self._fields_until:
            return
        names = ",".join(quote(name, safe="@.*_-") for name in fields.wanted(self.settings))
        path = "/%s/_field_caps?allow_no_indices=false&include_unmapped=true&fields=%s"
        try:
            with _explained(self):
                answer = self._wire.ask("GET", path % (self._index, names)).body
        except Unsupported:
            answer = {}
        self._fields = fields.read(answer if isinstance(answer, dict) else {}, self.settings)
        self._fields_until = now + _FIELDS_FOR_S

    def _version(self) -> str:
        try:
            about = self._wire.ask("GET", "/").body
        except Forbidden:
            return "a search service that does not tell us its version"
        version = about.get("version") if isinstance(about, dict) else None
        if not isinstance(version, dict):
            raise ExternalError(
                "GET / did not answer as an Elasticsearch or OpenSearch does but with %r; check "
                "elasticsearch.url" % one_line(str(about), 120),
                retryable=False,
            )
        product = str(version.get("distribution") or "elasticsearch")
        return one_line("%s %s" % (product, version.get("number") or "?"), 60)

    def _cluster_health(self) -> Dict[str, Any]:
        try:
            # 408: waited in vain for an index that is not there; it is an answer all the same.
            path = "/_cluster/health/%s?timeout=1s" % self._index
            found = self._wire.ask("GET", path, also=(408,)).body
        except Forbidden as error:
            return {"status": "unknown", "unassigned_shards": 0, "detail": str(error)}
        if not isinstance(found, dict) or "status" not in found:
            return {"status": "unknown", "unassigned_shards": 0, "detail": one_line(str(found))}
        if found["status"] == "red" and not found.get("unassigned_shards"):
            detail = "nothing is known of elasticsearch.index %s" % self.settings.get("index")
            return {"status": "unknown", "unassigned_shards": 0, "detail": detail}
        return {
            "status": str(found["status"]),
            "unassigned_shards": int(found.get("unassigned_shards") or 0),
            "nodes": int(found.get("number_of_nodes") or 0),
            "cluster": one_line(str(found.get("cluster_name") or ""), 80),
        }


class _explained:
    """Adds to a failure of the service that the cluster is red, where it is."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, _trace: Any) -> None:
        if not isinstance(error, Ailing):
            return
        try:
            reason = red(self._search._cluster_health())
        except SelfhealError:
            return
        if reason:
            told = "%s; %s: bring the missing nodes or indices back" % (error, reason)
            raise ExternalError(told, retryable=True) from error


def _quoted(index: Any) -> str:
    """The index pattern as part of a path. Raises ConfigError for one that would be something
    else there.
    """
    names = [one.strip() for one in str(index).split(",") if one.strip()]
    if not names or any(
        set(one) & set('/\\?#"<>| ') or one.startswith("_") or one in (".", "..") for one in names
    ):
        raise ConfigError(
            "elasticsearch.index %r is no index pattern; write logstash-*, several separated by "
            "commas" % one_line(str(index), 120)
        )
    return ",".join(quote(one, safe="*:.-_+") for one in names)
