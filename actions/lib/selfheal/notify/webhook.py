"""The carrier of letters to `notify.webhook`: any receiver that takes one JSON object per message.

A letter keeps its id as `Idempotency-Key`, by which a receiver can drop the second of two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError
from selfheal.outbox.carrying import Letter, NotTaken
from selfheal.text import iso, one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context

SERVICE = "notify.webhook"


def problem(ctx: Context, _target: str) -> str:
    """Why there is nowhere to send to, or nothing."""
    if ctx.config.optional("notify.webhook.url"):
        return ""
    return "no destination is configured; set notify.webhook.url"


def carry(ctx: Context, letter: Letter) -> Dict[str, Any]:
    """Send one letter. Raises ConfigError, ExternalError, NotTaken."""
    return send(ctx, letter.id, letter.kind, letter.payload, letter.created_at)


def send(
    ctx: Context, message_id: str, kind: str, payload: Mapping[str, Any], created_at: float
) -> Dict[str, Any]:
    """Send one message now, past the store. Raises ConfigError, ExternalError when it is not taken.

    Text goes out as it came, template markers included: it leaves StackStorm here. Our own secrets
    are hidden.
    """
    settings = dict(ctx.config.optional("notify.webhook") or {})
    url = str(settings.get("url") or "")
    options = request_options(settings)
    headers = settings.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise ConfigError("notify.webhook.headers must be a map of name to value")
    own = {str(name): str(value) for name, value in headers.items()}
    options["headers"] = {**own, **options["headers"], "Idempotency-Key": message_id}
    said = {name: value for name, value in payload.items() if name != "document"}
    body = dict(said, id=message_id, kind=kind, created_at=iso(created_at))
    answer = ctx.http.request("POST", url, json=scrub(body, ctx.config.secrets()), **options)
    if answer.ok:
        return {"status": answer.status}
    from selfheal.apis.declined import retry_after_s  # seldom needed

    raise NotTaken(
        "%s answered %d%s: %s"
        % (answer.url, answer.status, _advice(answer.status), one_line(answer.text(), 200)),
        retry_after_s(answer.headers, ctx.clock.now()),
        retryable=answer.status >= 500 or answer.status == 429,
    )


def _advice(status: int) -> str:
    if status in (401, 403):
        return " (check notify.webhook.token and notify.webhook.headers)"
    if status in (404, 405, 410) or 300 <= status < 400:
        return " (check notify.webhook.url)"
    return ""
