"""Carries letters to PagerDuty's Events API v2. Telling it twice is telling it once: all events of
one escalation have the same dedup_key, so a letter that may have arrived is simply sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List

from selfheal.apis.declined import is_page, retry_after_s, unavailable
from selfheal.apis.target import request_options
from selfheal.exceptions import ExternalError
from selfheal.notify import channels, pagerduty_event
from selfheal.notify.threads import ACKNOWLEDGED, RESOLVED
from selfheal.outbox.carrying import NotTaken
from selfheal.text import one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.http import Response
    from selfheal.outbox.carrying import Letter

URL = "https://events.pagerduty.com"
_ACTIONS = {ACKNOWLEDGED: pagerduty_event.ACKNOWLEDGE, RESOLVED: pagerduty_event.RESOLVE}
_REST_S = 60.0  # the API counts events by the minute

problem = channels.problem_of(channels.PAGERDUTY)
SERVICE = channels.service_of


def carry(ctx: Context, letter: Letter) -> Dict[str, Any]:
    """Send the event; {"dedup_key"}. Raises NotTaken, ExternalError, ConfigError."""
    settings = channels.settings(ctx.config, letter.channel)
    payload = scrub(dict(letter.payload), ctx.config.secrets())
    event = pagerduty_event.event(
        payload,
        str(settings["routing_key"]).strip(),
        _ACTIONS.get(letter.kind, pagerduty_event.TRIGGER),
        str(payload.get("about") or letter.id),
    )
    url = str(settings.get("url") or URL).rstrip("/") + "/v2/enqueue"
    answer = ctx.http.request("POST", url, json=event, **request_options(settings))
    if answer.ok and is_page(answer):  # nobody was called by it
        raise ExternalError(
            "%s answered as PagerDuty does not: %r" % (answer.url, answer.text(100))
        )
    if answer.ok:
        return {"dedup_key": event["dedup_key"]}
    raise _refusal(answer, channels.setting_of(letter.channel), ctx.clock.now())


def _refusal(answer: Response, setting: str, now: float) -> ExternalError:
    errors = _errors(answer)
    said = "PagerDuty answered %d: %s" % (answer.status, one_line("; ".join(errors), 300))
    if answer.status == 429:
        return NotTaken(said, retry_after_s(answer.headers, now) or _REST_S)
    if answer.status >= 500:
        return unavailable(said, answer.headers, now)
    if answer.status == 400 and not any("routing_key" in error for error in errors):
        return NotTaken(said, retryable=False)
    return NotTaken(
        "%s; check %s.routing_key (the integration key of an Events API v2 integration) and "
        "%s.url" % (said, setting, setting)
    )


def _errors(answer: Response) -> List[str]:
    try:
        body = answer.json()
    except ExternalError:
        return [answer.text(200)]
    found = body.get("errors") if isinstance(body, dict) else None
    if isinstance(found, list) and found:
        return [str(one) for one in found]
    return [str(body.get("message") or "") if isinstance(body, dict) else ""]
