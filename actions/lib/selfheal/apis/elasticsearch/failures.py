"""What a search service's refusal means, cause by cause: what was asked, what came back, what to
do.

Pure functions of the answer. What does not hold the whole answer is a failure as well.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional

from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.text import counted, one_line

_WINDOW = re.compile(r"less than or equal to:? \[(\d+)\]")
_TOO_LARGE = ("result window is too large", "batch size is too large")
_NO_QUERY = ("query_shard_exception", "parse_exception", "token_mgr_error")
_UNKNOWN = ("no handler found", "incorrect http method", "mapping found for [_shard_doc]")
_LONGEST_WAIT_S = 3600.0


class Answer(NamedTuple):
    """One answer: its status, its headers (names in lower case), its JSON or text, its bytes."""

    status: int
    headers: Mapping[str, str]
    body: Any
    size: int = 0


class Expired(ExternalError):
    """The point in time or scroll that we read from is gone."""


class Crowded(ExternalError):
    """The service has no room now. `wait_s` is what it asked us to wait, if it said so."""

    wait_s: Optional[float] = None


class TooLarge(ExternalError):
    """So many documents cannot be asked for at once; `limit` is how many can, if it said so."""

    limit: Optional[int] = None


class Ailing(ExternalError):
    """It was reached, and could not do it, or not for all data."""


class Forbidden(ConfigError):
    """It knows us and does not let us."""


class Unsupported(ExternalError):
    """This service has no such question."""

    retryable = False


def failure(answer: Answer, asked: str) -> SelfhealError:
    """The error for an answer that is none: `asked` is method and URL. Never raises."""
    said = _said(answer.body)
    shown = "%s answered %d: %s" % (asked, answer.status, said or "nothing")
    kinds = set(_kinds(answer.body))
    special = _by_kind(answer, kinds, shown)
    if special is not None:
        return special
    if answer.status == 401:
        return ConfigError(
            "%s; it does not know us: check elasticsearch.username and password, or api_key" % shown
        )
    if answer.status == 403:
        return Forbidden(
            "%s; we may not: give the user or API key the index privilege read on "
            "elasticsearch.index, and the cluster privilege monitor for its health" % shown
        )
    if answer.status == 404 or 300 <= answer.status < 400:
        return ConfigError(
            "%s; check elasticsearch.url (with the path prefix, if it has one)" % shown
        )
    if answer.status in (406, 415):
        return ConfigError(
            "%s; it refuses plain JSON: check that elasticsearch.url is an Elasticsearch or "
            "OpenSearch, and what a proxy between does to headers" % shown
        )
    if answer.status >= 500:
        return Ailing("%s; the service failed: its own log says why" % shown)
    return ExternalError(shown, retryable=False)


def _by_kind(answer: Answer, kinds: Any, shown: str) -> Optional[SelfhealError]:
    """What the service's own words for the error tell apart better than its status."""
    text = str(answer.body).lower() if answer.status >= 400 else ""
    if "search_context_missing_exception" in kinds:
        return Expired("%s; the point in time has expired" % shown)
    if answer.status == 429 or "circuit_breaking_exception" in kinds:
        return _crowded(answer, shown)
    if answer.status == 413 or any(words in text for words in _TOO_LARGE):
        too_large = TooLarge("%s; lower elasticsearch.page_size" % shown, retryable=False)
        found = _WINDOW.search(text)
        too_large.limit = int(found.group(1)) if found else None
        return too_large
    if "index_not_found_exception" in kinds:
        return ConfigError(
            "%s; no index matches: check elasticsearch.index, and that something is shipped there"
            % shown
        )
    if "index_closed_exception" in kinds:
        return ConfigError("%s; open the index, or leave it out of elasticsearch.index" % shown)
    if "cluster_block_exception" in kinds:
        return ExternalError("%s; the cluster blocks this until it has recovered" % shown)
    if answer.status in (400, 405) and any(words in text for words in _UNKNOWN):
        return Unsupported(shown)
    if "allow_expensive_queries" in text:
        return ConfigError(
            "%s; set elasticsearch.keywords to words and phrases without a star, or let the "
            "cluster allow expensive queries" % shown
        )
    if "clauses" in text or "clause_count" in text or "maxclausecount" in text:
        return ConfigError("%s; fewer elasticsearch.keywords or text_fields will do" % shown)
    if answer.status == 400 and kinds & set(_NO_QUERY):
        return ConfigError(
            "%s; check that elasticsearch.filter, exclude and keywords are what a query string "
            "may be" % shown
        )
    return None


def _crowded(answer: Answer, shown: str) -> Crowded:
    try:
        asked = float(answer.headers.get("retry-after", ""))
        wait_s = max(0.0, min(asked, _LONGEST_WAIT_S)) if asked == asked else None
    except ValueError:
        wait_s = None  # a date, or nothing: our own back-off does
    crowded = Crowded(
        "%s; it has no room for more work now%s: it is asked again later; if this stays, lower "
        "elasticsearch.page_size or give it more memory"
        % (shown, "" if wait_s is None else " and asks to wait %g s" % wait_s)
    )
    crowded.wait_s = wait_s
    return crowded


def check_whole(body: Any, asked: str) -> Dict[str, Any]:
    """`body` of a search, when it is one and complete. Raises ExternalError for a partial one: a
    shard or cluster that failed, time that ran out.
    """
    if not isinstance(body, dict) or not isinstance(body.get("_shards"), dict):
        raise ExternalError(
            "%s did not answer as a search does but with %r; is elasticsearch.url the address of "
            "an Elasticsearch or OpenSearch?" % (asked, one_line(str(body), 120)),
            retryable=False,
        )
    shards = body["_shards"]
    failed, total = shards.get("failed", 0), shards.get("total", 0)
    if failed:
        reasons = _shard_reasons(shards.get("failures"))
        raise Ailing(
            "%s answered for part of the data only: %s of %s shards failed%s; nothing of it was "
            "used%s" % (asked, failed, total, ": " + reasons if reasons else "", _advice(reasons))
        )
    if body.get("timed_out"):
        raise ExternalError(
            "%s ran out of its time and answered for part of the data only; nothing of it was "
            "used: raise elasticsearch.timeout_s, or lower monitoring.window_minutes" % asked
        )
    # terminated_early is no such sign: we never ask for it, and OpenSearch says it of every count.
    _check_clusters(body.get("_clusters"), asked)
    return body


def _check_clusters(clusters: Any, asked: str) -> None:
    if not isinstance(clusters, dict):
        return
    lost = [name for name in ("skipped", "partial", "failed") if clusters.get(name)]
    if lost:
        details = clusters.get("details")
        named = details if isinstance(details, dict) else {}
        bad = [str(n) for n, one in named.items() if str(one.get("status")) != "successful"]
        raise Ailing(
            "%s answered without some remote clusters (%s%s); nothing of it was used: mend them, "
            "or leave them out of elasticsearch.index"
            % (
                asked,
                ", ".join("%s %s" % (clusters[name], name) for name in lost),
                ": " + one_line(", ".join(bad), 120) if bad else "",
            )
        )


def _advice(reasons: str) -> str:
    if "fielddata" in reasons.lower() or "illegal_argument" in reasons:
        return "; indices map a field differently: give them one template"
    if "no shard available" in reasons.lower() or "no_shard_available" in reasons:
        return "; bring the missing nodes back"
    return ""


def _shard_reasons(failures: Any) -> str:
    found: List[str] = []
    for one in failures if isinstance(failures, list) else []:
        reason = one.get("reason") if isinstance(one, dict) else None
        if isinstance(reason, dict):
            words = "%s: %s" % (reason.get("type"), reason.get("reason"))
            text = "%s of %s" % (one_line(words, 160), one_line(str(one.get("index")), 60))
            if text not in found:
                found.append(text)
    return ", ".join(found[:3])


def _said(body: Any) -> str:
    """The service's own words, on one line."""
    if isinstance(body, Mapping):
        error = body.get("error")
        if isinstance(error, Mapping):
            causes = list(_causes(error))
            named = [c for c in causes if c.get("type") != "search_phase_execution_exception"]
            best = (named or causes or [error])[0]
            return one_line("%s: %s" % (best.get("type"), best.get("reason")), 300)
        return one_line(str(error or body), 200)
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    return one_line(str(body or ""), 200)


def _kinds(body: Any) -> Iterator[str]:
    if isinstance(body, Mapping) and isinstance(body.get("error"), Mapping):
        for cause in _causes(body["error"]):
            yield str(cause.get("type"))


def _causes(error: Mapping[str, Any], depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The causes in an error body, the root ones first."""
    if depth > 6:
        return
    for key in ("root_cause", "caused_by", "failed_shards"):
        inner = error.get(key)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, Mapping):
                reason = one.get("reason")
                yield from _causes(reason if isinstance(reason, Mapping) else one, depth + 1)
    if "type" in error:
        yield error


def red(health: Mapping[str, Any]) -> str:
    """Why a red cluster cannot answer; "" for one that is not red."""
    if health.get("status") != "red":
        return ""
    return "the cluster %s is red: %s unassigned" % (
        one_line(str(health.get("cluster") or ""), 60),
        counted(int(health.get("unassigned_shards") or 0), "shard"),
    )
