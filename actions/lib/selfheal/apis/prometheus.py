"""Prometheus' query API, as far as verification needs it: one instant query, its samples as
numbers.
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Mapping
from urllib.parse import urlencode

from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError, ExternalError
from selfheal.records import dataclass
from selfheal.text import one_line

_MAX_SAMPLES = 10000


@dataclass(frozen=True)
class Sample:
    """One result of an instant query: its labels and its value (which may be NaN or infinite)."""

    labels: Dict[str, str]
    value: float


def query(http: Any, target: Mapping[str, Any], expression: str) -> List[Sample]:
    """Evaluate `expression` now at `target` (settings of section prometheus). A scalar is one
    sample without labels.

    Raises ConfigError (401, 403) and ExternalError for whatever is not a usable answer, with
    Prometheus' own words where it gave some.
    """
    url = "%s/api/v1/query?%s" % (str(target["url"]).rstrip("/"), urlencode({"query": expression}))
    answer = http.request("GET", url, **request_options(target))
    if answer.status in (401, 403):
        raise ConfigError(
            "Prometheus refused us (%s answered %d): check prometheus.token, or username and "
            "password" % (answer.url, answer.status)
        )
    body = answer.json()
    if answer.status == 400 or (isinstance(body, dict) and body.get("status") == "error"):
        raise ExternalError(
            "Prometheus could not evaluate %s: %s"
            % (
                one_line(expression),
                one_line(str(body.get("error") if isinstance(body, dict) else body)),
            ),
            retryable=_may_pass(answer.status),
        )
    if not answer.ok:
        raise ExternalError(
            "%s answered %d: %s" % (answer.url, answer.status, answer.text(200)),
            retryable=_may_pass(answer.status),
        )
    try:
        return _samples(body["data"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ExternalError(
            "%s answered something that is not a query result (%s): %s"
            % (answer.url, error, answer.text(200)),
            retryable=False,
        ) from error


def show(sample: Sample) -> str:
    """The sample on one line."""
    labels = ", ".join("%s=%s" % pair for pair in sorted(sample.labels.items()))
    value = "%g" % sample.value if math.isfinite(sample.value) else str(sample.value)
    return "%s (%s)" % (value, one_line(labels, 120)) if labels else value


def _may_pass(status: int) -> bool:
    """Whether it is Prometheus that has trouble, and not the question."""
    return status >= 500 or status == 429


def _samples(data: Mapping[str, Any]) -> List[Sample]:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return [Sample({}, float(result[1]))]
    if kind != "vector":
        raise ValueError("the result is a %s; only vectors and scalars can be judged" % kind)
    return [
        Sample(dict(entry["metric"]), float(entry["value"][1])) for entry in result[:_MAX_SAMPLES]
    ]
