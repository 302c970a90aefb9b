"""Alertmanager's silences, by its API version 2: list, read, write, expire, and which alerts one
would catch.

`target` is one entry of the setting `alertmanager`. What Alertmanager refuses raises Refused with
its own words; else errors are those of `apis.alertmanager`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import quote, urlencode

from selfheal.apis.alertmanager import ask
from selfheal.apis.matchers import Matchers, as_api, from_api
from selfheal.exceptions import ExternalError, Refused
from selfheal.http import HttpClient, Response
from selfheal.records import dataclass
from selfheal.text import iso, one_line

ACTIVE, PENDING, EXPIRED = "active", "pending", "expired"
_REFUSALS = (400, 422)
_PATH = "/api/v2/silences"
_ONE = "/api/v2/silence/%s"


@dataclass(frozen=True)
class Silence:
    """A silence as Alertmanager has it. Times are seconds since the epoch; `state` is active,
    pending or expired.
    """

    id: str
    state: str
    matchers: Matchers
    starts_at: float
    ends_at: float
    created_by: str
    comment: str

    @property
    def is_living(self) -> bool:
        """Whether it mutes, or will."""
        return self.state != EXPIRED


def listed(http: HttpClient, target: Mapping[str, Any]) -> List[Silence]:
    """All silences that Alertmanager remembers, expired ones too, in its order."""
    answer = ask(http, target, _PATH)
    found = answer.json()
    if not isinstance(found, list):
        raise ExternalError(
            "%s did not answer with a list of silences but %r" % (answer.url, answer.text(120))
        )
    return [_silence(one, answer) for one in found]


def read(http: HttpClient, target: Mapping[str, Any], silence_id: str) -> Optional[Silence]:
    """The silence, or None when Alertmanager knows of none with that id."""
    path = _ONE % quote(silence_id, "")
    answer = ask(http, target, path, also=(404, 422))
    return _silence(answer.json(), answer) if answer.ok else None


def write(
    http: HttpClient,
    target: Mapping[str, Any],
    matchers: Matchers,
    starts_at: float,
    ends_at: float,
    created_by: str,
    comment: str,
    silence_id: str = "",
) -> str:
    """Make a silence, or change the end and comment of `silence_id`; its id.

    With another `starts_at` or other matchers than it has Alertmanager would end that one and make
    another.
    """
    body: Dict[str, Any] = {
        "matchers": as_api(matchers),
        "startsAt": iso(starts_at),
        "endsAt": iso(ends_at),
        "createdBy": created_by,
        "comment": comment,
    }
    if silence_id:
        body["id"] = silence_id
    answer = ask(http, target, _PATH, method="POST", body=body, also=_REFUSALS)
    _refuse(answer)
    made = answer.json()
    if not isinstance(made, dict) or not made.get("silenceID"):
        raise ExternalError(
            "%s did not tell the id of the silence but %r" % (answer.url, answer.text(120))
        )
    return str(made["silenceID"])


def expire(http: HttpClient, target: Mapping[str, Any], silence_id: str) -> None:
    """End a silence now. One that is over already stays so."""
    ask(http, target, _ONE % quote(silence_id, ""), method="DELETE", also=(404,))


def caught(
    http: HttpClient, target: Mapping[str, Any], matchers: Matchers
) -> List[Dict[str, Any]]:
    """The alerts that fire now and that a silence with `matchers` mutes, by Alertmanager's own
    judgement; those that are muted already are among them.
    """
    states = [(name, "true") for name in ("active", "silenced", "inhibited", "unprocessed")]
    query = urlencode([*states, *(("filter", str(one)) for one in matchers)])
    answer = ask(http, target, "/api/v2/alerts?" + query, also=_REFUSALS)
    _refuse(answer)
    return _alerts(answer)


def muted_counts(http: HttpClient, target: Mapping[str, Any]) -> Dict[str, int]:
    """How many alerts each silence mutes now, by the silence's id."""
    query = urlencode(
        [("active", "false"), ("silenced", "true"), ("inhibited", "true"), ("unprocessed", "false")]
    )
    counts: Dict[str, int] = {}
    for alert in _alerts(ask(http, target, "/api/v2/alerts?" + query)):
        status = alert.get("status")
        by = status.get("silencedBy") if isinstance(status, dict) else None
        for silence_id in by or ():
            counts[str(silence_id)] = counts.get(str(silence_id), 0) + 1
    return counts


def _alerts(answer: Response) -> List[Dict[str, Any]]:
    alerts = answer.json()
    if not isinstance(alerts, list) or not all(isinstance(alert, dict) for alert in alerts):
        raise ExternalError(
            "%s did not answer with a list of alerts but %r" % (answer.url, answer.text(120))
        )
    return alerts


def _refuse(answer: Response) -> None:
    if answer.status in _REFUSALS:
        raise Refused("Alertmanager refused it: %s" % one_line(answer.text().strip('"\n '), 300))


def _silence(value: Any, answer: Response) -> Silence:
    try:
        return Silence(
            str(value["id"]),
            str(value["status"]["state"]),
            from_api(value["matchers"]),
            _epoch(value["startsAt"]),
            _epoch(value["endsAt"]),
            str(value.get("createdBy") or ""),
            str(value.get("comment") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ExternalError(
            "%s answered something that is not a silence (%s): %s"
            % (answer.url, error, one_line(repr(value), 120))
        ) from error


def _epoch(text: str) -> float:
    """RFC 3339 in UTC or with an offset; fractions are dropped."""
    zone = re.sub(r"^\.\d+", "", text[19:]).replace(":", "")
    zone = "+0000" if zone in ("Z", "z") else zone
    return datetime.strptime(text[:19] + zone, "%Y-%m-%dT%H:%M:%S%z").timestamp()
