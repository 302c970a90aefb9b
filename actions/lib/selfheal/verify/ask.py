"""Asking a check: the alert by Alertmanager's API or the store, a workload by Kubernetes' API, a
URL, a Prometheus query.

Every answer says what was asked and what came back. What could not be asked is not healthy: it is
unknown, and says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from selfheal.breakers import service
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput
from selfheal.text import one_line, without_credentials
from selfheal.verify import alert
from selfheal.verify.model import (
    COMPARISONS,
    AlertCheck,
    Check,
    HttpCheck,
    Look,
    PrometheusCheck,
    WorkloadCheck,
)

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.verify.errors import Question

_TIMEOUT_S = 10.0
_SHOWN = 3


def look(
    ctx: Context,
    incident: Incident,
    checks: Sequence[Check],
    question: Optional[Question] = None,
) -> List[Look]:
    """One look at each of `checks`; `question` is for errors in the logs, which must have stayed
    away since then. Raises only when the store fails.
    """
    return [_look(ctx, incident, check, question) for check in checks]


def _look(ctx: Context, incident: Incident, check: Check, question: Optional[Question]) -> Look:
    asked = describe(ctx, incident, check)
    try:
        if isinstance(check, AlertCheck):
            state = alert.state(ctx, incident, question)
            return Look(check.kind, asked, state.answer, not state.is_firing, state.is_known)
        if isinstance(check, HttpCheck):
            answer, healthy = _http(ctx, check)
        elif isinstance(check, WorkloadCheck):
            seen = alert.kubernetes().look(ctx, incident)
            answer, healthy = seen.words, seen.is_well
        else:
            answer, healthy = _prometheus(ctx, incident, check)
    except (ConfigError, ExternalError, InvalidInput) as error:
        return Look(
            check.kind,
            asked,
            "could not be asked: %s" % one_line(str(error), 300),
            False,
            is_known=False,
        )
    return Look(check.kind, asked, answer, healthy)


def describe(ctx: Context, incident: Incident, check: Check) -> str:
    """What is asked of whom, in one line."""
    if isinstance(check, HttpCheck):
        contains = " containing %r" % check.contains if check.contains else ""
        return "GET %s, expecting %d%s" % (without_credentials(check.url), check.status, contains)
    if isinstance(check, PrometheusCheck):
        expected = (
            check.expect
            if check.expect in ("empty", "nonempty")
            else "%s %g" % (check.expect, check.bound)
        )
        return "Prometheus: %s, expecting %s" % (one_line(check.query), expected)
    if isinstance(check, WorkloadCheck):
        return str(alert.kubernetes().describe(ctx, incident))
    return alert.describe(ctx, incident)


def _http(ctx: Context, check: HttpCheck) -> Tuple[str, bool]:
    answer = ctx.http.request("GET", check.url, timeout_s=_TIMEOUT_S)
    if answer.status != check.status:
        return "answered %d" % answer.status, False
    if check.contains and check.contains.encode("utf-8") not in answer.body:
        return "answered %d, but %r is not in it: %s" % (
            answer.status,
            check.contains,
            one_line(answer.text(200)),
        ), False
    return "answered %d" % answer.status, True


def _prometheus(ctx: Context, incident: Incident, check: PrometheusCheck) -> Tuple[str, bool]:
    from selfheal.apis import prometheus

    target = ctx.config.target_for("prometheus", incident.cluster)
    if target is None:
        raise ExternalError(
            "no Prometheus is configured for cluster %s: set prometheus.url"
            % (incident.cluster or "(none)"),
            retryable=False,
        )
    name = service.name_of(ctx.config, "prometheus", target)
    samples = service.call(ctx, name, lambda: prometheus.query(ctx.http, target, check.query))
    shown = ", ".join(prometheus.show(sample) for sample in samples[:_SHOWN])
    more = " and %d more" % (len(samples) - _SHOWN) if len(samples) > _SHOWN else ""
    answer = "%d results: %s%s" % (len(samples), shown, more) if samples else "no result"
    if check.expect in ("empty", "nonempty"):
        return answer, bool(samples) == (check.expect == "nonempty")
    if not samples:
        raise ExternalError(
            "the query gave no result, so there is nothing to compare", retryable=False
        )
    return answer, all(COMPARISONS[check.expect](sample.value, check.bound) for sample in samples)
