"""Reading everything that a search finds, page by page, from one unchanging view of the indices.

A point in time with `search_after`; a scroll where the service has no point in time, or none with a
sort that is total. Each document comes once. A view that expires is opened anew behind the last
document that was read. What was read is counted against what the search said there is.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Callable, Dict, Generator, Iterator, List, Optional, Set, Tuple

from selfheal.apis.elasticsearch.failures import Expired, TooLarge, Unsupported, check_whole
from selfheal.apis.elasticsearch.wire import Wire
from selfheal.exceptions import ConfigError, ExternalError, SelfhealError

Hit = Dict[str, Any]
Id = Tuple[Any, Any]
KEEP_ALIVE = "2m"
_FIRST_PAGE = 500  # how large the documents are is known after it
_GROWTH = 4
_PAGE_BYTES = 4 * 1024 * 1024
_SCROLL_PAGE = 2000  # cannot change once it is open
_REOPENINGS = 3
_NANOSECONDS = 10**16  # epoch times beyond it are in nanoseconds


class Walk:
    """One reading. `query(start_ms)` is the query from that time on; `options` the parameters of
    every search; `can_pit` is cleared for good when the service turns out to have none.
    """

    def __init__(
        self,
        wire: Wire,
        index: str,
        query: Callable[[int], Dict[str, Any]],
        body: Dict[str, Any],
        time_sort: Dict[str, Any],
        page_size: int,
        can_pit: Callable[[Optional[bool]], bool],
    ) -> None:
        self._wire, self._index, self._query, self._body = wire, index, query, body
        self._time_sort = time_sort
        self._most = page_size
        self._size = min(page_size, _FIRST_PAGE)
        self._can_pit = can_pit
        self._last_ms: Optional[int] = None
        self._at_last: Set[Id] = set()

    def pages(self, start_ms: int) -> Iterator[List[Hit]]:
        """All hits from `start_ms` on, earliest first. Raises what `Wire.ask` does, ExternalError
        for a reading that is not whole.
        """
        reopened = 0
        while True:
            before = self._last_ms
            try:
                yield from self._view(start_ms if before is None else before)
                return
            except Expired as error:
                reopened = reopened + 1 if self._last_ms == before else 0
                if reopened > _REOPENINGS:
                    raise ExternalError(
                        "%s, %d times before a page could be read; nothing was skipped: give the "
                        "service more memory, or lower elasticsearch.page_size" % (error, reopened)
                    ) from error
            except Unsupported:
                if not self._can_pit(None):
                    raise
                self._can_pit(False)

    def _view(self, start_ms: int) -> Iterator[List[Hit]]:
        """The pages of one point in time or scroll, without what was read before."""
        given, total = 0, None
        way = self._with_pit if self._can_pit(None) else self._with_scroll
        with closing(way(start_ms)) as bodies:
            for body in bodies:
                if total is None:
                    total = _total(body)
                hits = body.pop("hits")["hits"]
                given += len(hits)
                hits = self._fresh(hits)
                if hits:
                    yield hits
                hits = []  # one page at a time is enough to hold
                if given == total:
                    break
        if total is not None and given != total:
            raise ExternalError(
                "the search of %s said that there are %d documents, and its pages held %d; not "
                "taken for all: it is read again" % (self._index, total, given)
            )

    def _with_pit(self, start_ms: int) -> Generator[Dict[str, Any], None, None]:
        wire, is_other = self._wire, self._wire.is_opensearch
        where = "/_search/point_in_time" if is_other else "/_pit"
        opened = wire.ask("POST", "/%s%s?keep_alive=%s" % (self._index, where, KEEP_ALIVE)).body
        key = "pit_id" if is_other else "id"
        pit = str((opened if isinstance(opened, dict) else {}).get(key) or "")
        if not pit:
            raise Unsupported("the point in time of %s has no id: %r" % (self._index, opened))
        body = self._first_body(start_ms)
        body["sort"] = [self._time_sort, {"_shard_doc": "asc"}]
        try:
            while True:
                body["pit"] = {"id": pit, "keep_alive": KEEP_ALIVE}
                found = self._search("/_search?allow_partial_search_results=false", body)
                pit = str(found.get("pit_id") or pit)
                last = found["hits"]["hits"][-1:]
                yield found
                if not last:
                    return
                body["search_after"] = last[0]["sort"]
                body["track_total_hits"] = False
        finally:
            self._forget("DELETE", where, {"pit_id": [pit]} if is_other else {"id": pit})

    def _with_scroll(self, start_ms: int) -> Generator[Dict[str, Any], None, None]:
        self._size = min(self._most, _SCROLL_PAGE)
        body = self._first_body(start_ms)
        body["sort"] = [self._time_sort]
        path = "/%s/_search?scroll=%s&allow_no_indices=false&allow_partial_search_results=false"
        found = self._search(path % (self._index, KEEP_ALIVE), body, is_page=False)
        scroll = str(found.get("_scroll_id") or "")
        try:
            while True:
                is_last = not found["hits"]["hits"]
                yield found
                if is_last:
                    return
                found = self._search(
                    "/_search/scroll", {"scroll": KEEP_ALIVE, "scroll_id": scroll}, is_page=False
                )
                scroll = str(found.get("_scroll_id") or scroll)
        finally:
            self._forget("DELETE", "/_search/scroll", {"scroll_id": [scroll]})

    def _first_body(self, start_ms: int) -> Dict[str, Any]:
        return {
            **self._body,
            "query": self._query(start_ms),
            "size": self._size,
            "track_total_hits": True,
        }

    def _search(self, path: str, body: Dict[str, Any], is_page: bool = True) -> Dict[str, Any]:
        """One page, made smaller until the service can give it."""

        def halve() -> None:
            self._size = max(1, self._size // 2)
            if "size" in body:
                body["size"] = self._size

        while True:
            if is_page:
                body["size"] = self._size
            try:
                answer = self._wire.ask("POST", path, body, halve)
            except TooLarge as error:
                if "size" not in body or self._size <= 1:
                    raise
                is_less = error.limit is not None and 0 < error.limit < self._size
                self._most = error.limit if is_less and error.limit else self._size // 2
                self._size = body["size"] = self._most
                continue
            found = check_whole(answer.body, "POST %s" % path.partition("?")[0])
            hits = _hits(found)
            self._fit(answer.size, len(hits))
            return found

    def _fit(self, size: int, hits: int) -> None:
        """How many documents of this size the next page may hold."""
        room = _PAGE_BYTES * hits // size if size and hits else self._most
        self._size = max(1, min(self._most, room, self._size * _GROWTH))

    def _fresh(self, hits: List[Hit]) -> List[Hit]:
        """`hits` without those given before, which can only be at the last time."""
        if self._at_last:
            hits = [
                hit
                for hit in hits
                if _ms(hit) != self._last_ms or
                (hit.get("_index"), hit.get("_id")) not in self._at_last
            ]
        if not hits:
            return hits
        last = _ms(hits[-1])
        ids = {(hit.get("_index"), hit.get("_id")) for hit in hits if _ms(hit) == last}
        self._at_last = self._at_last | ids if last == self._last_ms else ids
        self._last_ms = last
        return hits

    def _forget(self, method: str, path: str, body: Dict[str, Any]) -> None:
        try:
            self._wire.ask(method, path, body)
        except SelfhealError:
            pass  # it expires by itself


def _hits(body: Dict[str, Any]) -> List[Hit]:
    hits = (body.get("hits") or {}).get("hits")
    if not isinstance(hits, list) or not all(isinstance(hit, dict) for hit in hits):
        raise ExternalError("the search answered without a list of hits", retryable=False)
    return hits


def _total(body: Dict[str, Any]) -> Optional[int]:
    """How many documents there are, exactly; None when the service only says at least how many."""
    total = body["hits"].get("total")
    if isinstance(total, dict):
        return int(total["value"]) if total.get("relation") == "eq" else None
    return int(total) if isinstance(total, int) else None


def _ms(hit: Hit) -> int:
    """The time of a hit by its sort, in milliseconds."""
    try:
        value = int(hit["sort"][0])
    except (KeyError, IndexError, TypeError, ValueError):
        raise ConfigError(
            "a hit came without the time that it is sorted by: check elasticsearch.time_field"
        ) from None
    return value // 1000000 if abs(value) >= _NANOSECONDS else value
