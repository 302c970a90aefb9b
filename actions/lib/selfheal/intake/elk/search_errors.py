"""What the error sensor would find, asked for now and by hand: nothing is stored, nobody is told.

Judged by the same reader and the same judge as in the sensor, so that settings can be tried here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from selfheal.apis.elasticsearch.search import Search
from selfheal.errors.classify import Rules
from selfheal.errors.judge import Judge
from selfheal.errors.record import Document, Judgement
from selfheal.exceptions import NotFound
from selfheal.intake.documents.reading import Reading, read
from selfheal.intake.elk import settings as elk_settings
from selfheal.text import iso, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

MOST_JUDGED = 5000
_LEAST_SPAN_S = 1.0
_MESSAGE = 500
_TEMPLATE = 300
Pair = Tuple[Document, Judgement]


def elk_search_errors(
    ctx: Context,
    index: str = "",
    query: str = "",
    minutes: int = 15,
    limit: int = 20,
    target: str = "default",
) -> Dict[str, Any]:
    """Search one target for errors of the last `minutes` that also match `query`, and judge them.

    {"target", "index", "from", "to", "total", "judged", "judged_from", "types": {type: count},
    "patterns": [{"fingerprint", "count", "error_type", "severity", "rule", "last_seen",
    "template"}] most frequent first, "examples": [...] newest first, "unreadable", "warnings"}. At
    most `limit` patterns and examples. Of more than 5000 errors only the newest are judged. Raises
    NotFound for an unknown target, else as `Search`.
    """
    settings = _settings(ctx, target, index, query)
    now = ctx.clock.now()
    search = Search(settings, sleep=ctx.clock.sleep, monotonic=ctx.clock.monotonic)
    try:
        start = now - minutes * 60.0
        total = search.count(start, now)
        since = _recent_enough(search, start, now, total)
        paths = ctx.config.get("monitoring.classification_paths") or []
        judge = Judge(Rules.load([str(path) for path in paths]))
        cluster, time_field = str(settings.get("cluster") or ""), str(settings["time_field"])
        reading = Reading(target, cluster, time_field, now)
        pairs = list(_judged(search, since, now, judge, reading))
        warnings = search.warnings()
    finally:
        search.close()
    pairs.sort(key=lambda pair: pair[0].logged_at, reverse=True)
    return {
        "target": target,
        "index": str(settings["index"]),
        "from": iso(start),
        "to": iso(now),
        "total": total,
        "judged": len(pairs),
        "judged_from": iso(since),
        "types": _types(pairs),
        "patterns": _patterns(pairs)[:limit],
        "examples": [_example(*pair) for pair in pairs[:limit]],
        "unreadable": sum(1 for document, _ in pairs if document.trouble),
        "warnings": warnings,
    }


def _settings(ctx: Context, target: str, index: str, query: str) -> Dict[str, Any]:
    targets = elk_settings.targets(ctx.config)
    if target not in targets:
        known = ", ".join(sorted(targets)) or "none: set elasticsearch.url"
        raise NotFound(
            "no search target %r is configured; there are: %s" % (one_line(target, 80), known)
        )
    settings = dict(targets[target])
    if index:
        settings["index"] = index
    settings["filter"] = [settings.get("filter"), query]
    return settings


def _recent_enough(search: Search, start: float, now: float, total: int) -> float:
    """From when on there are so few errors that they can be read here."""
    while total > MOST_JUDGED and now - start > _LEAST_SPAN_S:
        start = now - (now - start) / 2
        total = search.count(start, now)
    return start


def _judged(
    search: Search, start: float, now: float, judge: Judge, reading: Reading
) -> Iterator[Pair]:
    left = MOST_JUDGED
    for page in search.pages(start, now, MOST_JUDGED):
        for hit in page[:left]:
            document = read(hit, reading)
            yield document, judge.judge(document)
        left -= len(page)
        if left <= 0:
            return


def _types(pairs: List[Pair]) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for _, judgement in pairs:
        found[judgement.error_type] = found.get(judgement.error_type, 0) + 1
    return found


def _patterns(pairs: List[Pair]) -> List[Dict[str, Any]]:
    """`pairs` are newest first."""
    found: Dict[str, Dict[str, Any]] = {}
    for document, judgement in pairs:
        if judgement.fingerprint in found:
            found[judgement.fingerprint]["count"] += 1
            continue
        found[judgement.fingerprint] = {
            "fingerprint": judgement.fingerprint,
            "count": 1,
            "error_type": judgement.error_type,
            "severity": judgement.severity,
            "rule": judgement.rule,
            "last_seen": iso(document.logged_at),
            "template": one_line(judgement.template, _TEMPLATE),
        }
    return sorted(found.values(), key=lambda one: (-one["count"], one["fingerprint"]))


def _example(document: Document, judgement: Judgement) -> Dict[str, Any]:
    return {
        "logged_at": iso(document.logged_at),
        "severity": judgement.severity,
        "error_type": judgement.error_type,
        "fingerprint": judgement.fingerprint,
        "host": document.host,
        "program": document.program,
        "namespace": document.namespace,
        "workload": document.workload,
        "message": one_line(document.message, _MESSAGE),
        "trouble": document.trouble,
        "document_id": document.document_id,
    }
