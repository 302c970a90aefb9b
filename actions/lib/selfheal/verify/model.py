"""The checks that prove a fix, as frozen values, and the rules for writing them in a runbook."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple, Union

from selfheal.exceptions import InvalidInput
from selfheal.records import dataclass

COMPARISONS: Dict[str, Callable[[float, float], bool]] = {
    "lt": lambda found, bound: found < bound,
    "le": lambda found, bound: found <= bound,
    "gt": lambda found, bound: found > bound,
    "ge": lambda found, bound: found >= bound,
    "eq": lambda found, bound: found == bound,
    "ne": lambda found, bound: found != bound,
}
DEFAULT_CHECKS: Tuple[Dict[str, Any], ...] = ({"alert": "resolved"},)


@dataclass(frozen=True)
class AlertCheck:
    """The alert that raised the incident is gone."""

    kind = "alert"


@dataclass(frozen=True)
class HttpCheck:
    """`url` answers `status`, with `contains` in its body when that is given."""

    url: str
    status: int = 200
    contains: str = ""
    kind = "http"


@dataclass(frozen=True)
class PrometheusCheck:
    """`query` gives nothing (`empty`), something (`nonempty`), or only values that compare so with
    `bound`.
    """

    query: str
    expect: str
    bound: float = 0.0
    kind = "prometheus"


@dataclass(frozen=True)
class WorkloadCheck:
    """The incident's workload (or node) in Kubernetes is well, whatever raised the incident."""

    kind = "workload"


Check = Union[AlertCheck, HttpCheck, PrometheusCheck, WorkloadCheck]


@dataclass(frozen=True)
class Look:
    """One look at one check: what was asked, what came back, whether that is healthy. An unanswered
    one is not.
    """

    check: str
    asked: str
    answer: str
    healthy: bool
    is_known: bool = True

    def as_dict(self) -> Dict[str, Any]:
        return {
            "check": self.check,
            "asked": self.asked,
            "answer": self.answer,
            "healthy": self.healthy,
        }


def parse_checks(entries: Sequence[Any]) -> List[Check]:
    """The checks of a runbook's `verify` list. Raises InvalidInput saying which entry and why."""
    checks = []
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, Mapping) or len(entry) != 1:
            raise InvalidInput(
                "verify entry %d must be one of %s with its settings, not %r"
                % (number, ", ".join(_PARSERS), entry)
            )
        kind, settings = next(iter(entry.items()))
        try:
            checks.append(_PARSERS[kind](settings))
        except KeyError:
            raise InvalidInput(
                "verify entry %d: %r is none of %s" % (number, kind, ", ".join(_PARSERS))
            ) from None
        except InvalidInput as error:
            raise InvalidInput("verify entry %d (%s): %s" % (number, kind, error)) from error
    return checks


def _alert(settings: Any) -> Check:
    if settings != "resolved":
        raise InvalidInput("the only state to wait for is `resolved`, not %r" % (settings,))
    return AlertCheck()


def _workload(settings: Any) -> Check:
    if settings != "healthy":
        raise InvalidInput("the only state to wait for is `healthy`, not %r" % (settings,))
    return WorkloadCheck()


def _http(settings: Any) -> Check:
    _only(settings, ("url", "status", "contains"), "url")
    url, status, contains = (
        settings["url"],
        settings.get("status", 200),
        settings.get("contains", ""),
    )
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise InvalidInput("url must start with http:// or https://, not %r" % (url,))
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise InvalidInput("status must be an HTTP status such as 200, not %r" % (status,))
    if not isinstance(contains, str):
        raise InvalidInput("contains must be text, not %r" % (contains,))
    return HttpCheck(url, status, contains)


def _prometheus(settings: Any) -> Check:
    _only(settings, ("query", "expect"), "query", "expect")
    query, expect = settings["query"], settings["expect"]
    if not isinstance(query, str) or not query.strip():
        raise InvalidInput("query must be a PromQL expression, not %r" % (query,))
    if expect in ("empty", "nonempty"):
        return PrometheusCheck(query, str(expect))
    if isinstance(expect, Mapping) and len(expect) == 1:
        word, bound = next(iter(expect.items()))
        if word in COMPARISONS and isinstance(bound, (int, float)) and not isinstance(bound, bool):
            return PrometheusCheck(query, str(word), float(bound))
    raise InvalidInput(
        "expect must be empty, nonempty or one comparison such as {lt: 5} (%s), not %r"
        % (", ".join(COMPARISONS), expect)
    )


def _only(settings: Any, known: Sequence[str], *required: str) -> None:
    if not isinstance(settings, Mapping):
        raise InvalidInput("its settings must be a map, not %r" % (settings,))
    unknown = sorted(str(key) for key in settings if key not in known)
    if unknown:
        raise InvalidInput("unknown key %s (known: %s)" % (", ".join(unknown), ", ".join(known)))
    missing = [key for key in required if key not in settings]
    if missing:
        raise InvalidInput("%s is missing" % ", ".join(missing))


_PARSERS: Dict[Any, Callable[[Any], Check]] = {
    "alert": _alert,
    "http": _http,
    "prometheus": _prometheus,
    "workload": _workload,
}
