"""What a refusal of the API means, cause by cause: what was asked, what came back, what to do.

Pure functions of the answer. A change of which it is not known whether it was made says so:
`Unsure`.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Mapping, NamedTuple, Optional

from selfheal.apis.kubernetes.paths import asked_of, verb_of
from selfheal.exceptions import (
    ConfigError,
    Conflict,
    ExternalError,
    InvalidInput,
    NotFound,
    SelfhealError,
)
from selfheal.text import one_line

_LONGEST_WAIT_S = 3600.0
_LONGEST_WORDS = 500
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")
_NO_RIGHT = re.compile(r'User ".{0,500}?" cannot ')
_TWO_BUDGETS = "more than one PodDisruptionBudget"
RIGHTS = "manifests/rbac.yaml has what each level needs, check_config shows what is missing"


class Missing(NotFound):
    """No such object, or no namespace of that name."""


class NotServed(Missing):
    """The server does not know this path: an API version that it does not have, or no Kubernetes
    at all.
    """


class Unauthorized(ConfigError):
    """It does not know us: the credentials are wrong or have expired."""


class Forbidden(ConfigError):
    """It knows us and does not let us: `verb` on `resource` (pods, pods/eviction, deployments.apps)
    in `namespace` ("" for the whole cluster). `is_access` is False when it is not a right that is
    missing but admission (a quota, a policy, a namespace that ends) that refuses.
    """

    verb = ""
    resource = ""
    namespace = ""
    is_access = True


class Changed(Conflict):
    """Somebody has changed the object since it was read: read it again."""


class AlreadyThere(Conflict):
    """An object of that name exists."""

    retryable = False


class Throttled(ExternalError):
    """Not now: `retry_after_s` is what the server asked us to wait (0 when it said nothing), and
    `is_disruption_budget` whether it is a PodDisruptionBudget that keeps the pod.
    """

    retry_after_s = 0.0
    is_disruption_budget = False


class Unprocessable(InvalidInput):
    """The API understands us and cannot take what we sent."""


class Gone(ExternalError):
    """The version of the collection that we read from is too old: list anew."""


class Unsure(ExternalError):
    """A change was sent, and it is not known whether it was made: look before it is sent again."""


class Reply(NamedTuple):
    """One answer: its status, its headers (names in lower case), its body parsed or as text."""

    status: int
    headers: Mapping[str, str]
    body: Any


def reply_of(raw: Any) -> Reply:
    """An answer as it came (status, headers, bytes), its body parsed where it is JSON."""
    text = raw.body.decode("utf-8", "replace")
    try:
        return Reply(raw.status, raw.headers, json.loads(text))
    except (ValueError, RecursionError):
        return Reply(raw.status, raw.headers, text)


def failure(reply: Reply, method: str, path: str, cluster: str = "") -> SelfhealError:
    """The error for an answer that is not 2xx. `cluster` is the target's name. Never raises."""
    words = _words(reply.body)
    shown = "%s%s %s answered %d: %s" % (
        "cluster %s: " % cluster if cluster else "",
        method,
        one_line(path.partition("?")[0], 300),
        reply.status,
        words or "nothing",
    )
    status = reply.status
    if status == 401:
        return Unauthorized(
            "%s; it does not know us: check kubernetes.token, token_file or the kubeconfig's "
            "user, and whether they have expired" % shown
        )
    if status == 403:
        return _forbidden(reply.body, shown, method, path)
    if status == 404:
        return _missing(reply.body, shown)
    if status == 409:
        return _conflict(reply.body, shown)
    if status == 410:
        return Gone("%s; the list is read anew" % shown)
    if status in (400, 413, 422):
        return Unprocessable("%s; nothing was changed" % shown)
    if status == 429:
        return _throttled(reply, shown)
    if status >= 500:
        return _failed(reply, shown, method)
    if 300 <= status < 400:
        return ConfigError(
            "%s; redirects are not followed: check kubernetes.url (with its path prefix, if it has "
            "one), and what a proxy between does" % shown
        )
    return ExternalError("%s; nothing was changed" % shown, retryable=False)


def of_status(status: Any, method: str, path: str, cluster: str = "") -> SelfhealError:
    """The error for a Status object that came within a stream (an ERROR event of a watch)."""
    code = _field(status, "code")
    reply = Reply(code if isinstance(code, int) else 500, {}, status)
    return failure(reply, method, path, cluster)


def object_of(raw: Any, method: str, path: str, cluster: str) -> Dict[str, Any]:
    """The JSON object in a 2xx answer. Raises ExternalError (Unsure for a change) for none."""
    reply = reply_of(raw)
    if isinstance(reply.body, dict):
        return reply.body
    raise not_understood(reply, method, path, cluster, "no JSON object")


def not_understood(reply: Reply, method: str, path: str, cluster: str, why: str) -> ExternalError:
    """The error for a 2xx answer that does not hold what was asked for."""
    is_change = method in _CHANGES
    kind = Unsure if is_change else ExternalError
    return kind(
        "%s%s %s answered %d with what is no answer of Kubernetes (%s): %s; is kubernetes.url the "
        "address of an API server?%s"
        % (
            "cluster %s: " % cluster if cluster else "",
            method,
            one_line(path.partition("?")[0], 300),
            reply.status,
            why,
            one_line(str(reply.body), 120),
            " Whether the change was made is not known" if is_change else "",
        ),
        retryable=False,
    )


def _forbidden(body: Any, shown: str, method: str, path: str) -> Forbidden:
    asked = asked_of(path)
    verb, resource = verb_of(method, path), asked.resource_words
    where = "in namespace %s" % asked.namespace if asked.namespace else "in the whole cluster"
    # The authorizer's words: 'User "x" cannot list resource "pods" ...'; admission has others, and
    # may well say in them what an image cannot be.
    message = str(_field(body, "message"))
    is_access = _field(body, "kind") != "Status" or _NO_RIGHT.search(message) is not None
    if is_access:
        advice = "give our user or service account the verb %s on %s %s: %s" % (
            verb,
            resource or "this path",
            where,
            RIGHTS,
        )
    else:
        advice = "it is no right that is missing: the cluster's admission (a quota, a policy, a "
        advice += "namespace that is being deleted) refuses to %s %s %s" % (verb, resource, where)
    error = Forbidden("%s; %s" % (shown, advice))
    error.verb, error.resource, error.namespace = verb, resource, asked.namespace
    error.is_access = is_access
    return error


def _missing(body: Any, shown: str) -> Missing:
    if _field(body, "details", "name"):
        return Missing(shown)
    if _field(body, "kind") == "Status":
        return NotServed("%s; this server has no such API, or no such part of it" % shown)
    return NotServed(
        "%s; this server has no such API: check that kubernetes.url is the address of an API "
        "server (with its path prefix, if it has one)" % shown
    )


def _conflict(body: Any, shown: str) -> Conflict:
    if _field(body, "reason") == "AlreadyExists":
        return AlreadyThere(shown)
    return Changed("%s; somebody changed it meanwhile: it is read again" % shown)


def _throttled(reply: Reply, shown: str) -> Throttled:
    causes = _field(reply.body, "details", "causes")
    is_budget = isinstance(causes, list) and any(
        _field(cause, "reason") == "DisruptionBudget" for cause in causes
    )
    wait_s = _seconds(_field(reply.body, "details", "retryAfterSeconds"))
    if wait_s is None:
        wait_s = _seconds(reply.headers.get("retry-after"))
    advice = (
        "a PodDisruptionBudget keeps this pod until others are healthy"
        if is_budget
        else "the API server has no room for more requests now; it is asked again later"
    )
    error = Throttled("%s; %s" % (shown, advice))
    error.retry_after_s = wait_s or 0.0
    error.is_disruption_budget = is_budget
    return error


def _failed(reply: Reply, shown: str, method: str) -> ExternalError:
    if _TWO_BUDGETS in _words(reply.body):  # no time helps, though it says 500
        return ExternalError(
            "%s; nothing was changed: let one budget alone select the pod, or delete the pod "
            "instead" % shown,
            retryable=False,
        )
    # Only the API server itself knows that it did nothing; a proxy says 503 of a broken connection.
    is_undone = reply.status == 503 and _field(reply.body, "kind") == "Status"
    if method in _CHANGES and not is_undone:
        return Unsure("%s; whether the change was made is not known" % shown)
    return ExternalError("%s; the API server, or a proxy before it, has trouble" % shown)


def _words(body: Any) -> str:
    """The server's own words, on one line."""
    message = _field(body, "message")
    text = message if isinstance(message, str) and message else body
    if isinstance(text, dict):
        text = _field(body, "reason") or ""
    return one_line(str(text or ""), _LONGEST_WORDS)


def _field(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _seconds(value: Any) -> Optional[float]:
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None  # a date, or nothing
    return max(0.0, min(found, _LONGEST_WAIT_S)) if found == found else None
