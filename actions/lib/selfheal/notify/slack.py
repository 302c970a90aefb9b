"""Carries letters to Slack, or to what takes the same: by an incoming webhook, which belongs to one
channel, or by a bot's token and chat.postMessage, which also answers in the thread.

Slack has no means to recognise a message that comes twice: one whose arrival nobody knows of is
posted again. A message that is refused for its form is posted as plain text at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping

from selfheal import document
from selfheal.apis.declined import is_page, retry_after_s, unavailable
from selfheal.apis.target import request_options
from selfheal.document import Document
from selfheal.exceptions import ExternalError
from selfheal.notify import channels, layout, slack_text
from selfheal.outbox.carrying import NotTaken
from selfheal.outbox.letters import answer_of
from selfheal.text import one_line, scrub

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.http import Response
    from selfheal.outbox.carrying import Letter

API = "https://slack.com/api"
_REST_S = 30.0
_UNKNOWN = ("internal_error", "fatal_error", "service_unavailable", "request_timeout")
_RATE = ("ratelimited", "rate_limited")
_FORM = ("blocks", "payload", "too_long", "attachments", "text")  # words in errors about the form
_NO_THREAD = ("thread_not_found", "cannot_reply_to_message", "invalid_thread_ts")
_ADVICE = {
    "not_in_channel": "invite the bot: /invite @its-name in the channel",
    "channel_not_found": "check the channel, and invite the bot when it is private",
    "is_archived": "name a channel that is not archived",
    "channel_is_archived": "name a channel that is not archived",
    "missing_scope": "give the bot the scope chat:write and install it again",
    "no_service": "the webhook was removed; make a new one",
    "no_team": "the webhook was removed; make a new one",
}

problem = channels.problem_of(channels.SLACK)
SERVICE = channels.service_of


def carry(ctx: Context, letter: Letter) -> Dict[str, Any]:
    """Post the message; {"ts", "channel"} by token, {} by webhook. Raises NotTaken, ExternalError,
    ConfigError.
    """
    settings = channels.settings(ctx.config, letter.channel)
    payload = scrub(dict(letter.payload), ctx.config.secrets())
    message = layout.cut(layout.of(payload))
    named = _named(message, payload)
    if settings.get("webhook_url"):
        return _by_webhook(ctx, settings, letter, named)
    first = answer_of(ctx.store, str(payload["thread"])) if payload.get("thread") else {}
    if first.get("ts") and first.get("channel"):
        return _by_token(ctx, settings, letter, message, named, first)
    return _by_token(ctx, settings, letter, named, named, {})


def _by_webhook(
    ctx: Context, settings: Mapping[str, Any], letter: Letter, message: Document
) -> Dict[str, Any]:
    options = request_options({**settings, "token": None, "username": None})
    url = str(settings["webhook_url"]).strip()
    answer = ctx.http.request("POST", url, json=slack_text.body(message), **options)
    if answer.status == 400 and _is_about_form(answer.text(200)):
        plain = slack_text.body(message, is_plain=True)
        answer = ctx.http.request("POST", url, json=plain, **options)
    if not answer.ok:
        raise _refusal(answer, answer.text(100), channels.setting_of(letter.channel), ctx)
    if is_page(answer):
        raise ExternalError("%s answered as Slack does not: %r" % (answer.url, answer.text(100)))
    return {}


def _by_token(
    ctx: Context,
    settings: Mapping[str, Any],
    letter: Letter,
    message: Document,
    named: Document,
    first: Mapping[str, Any],
) -> Dict[str, Any]:
    place: Dict[str, Any] = {"channel": str(settings["channel"]).strip()}
    if first:
        place = {"channel": first["channel"], "thread_ts": first["ts"]}
        if letter.is_urgent:
            place["reply_broadcast"] = True  # a call for somebody is no aside
    answer = _post(ctx, settings, {**place, **slack_text.body(message)})
    error = error_of(answer)
    if error in _NO_THREAD and "thread_ts" in place:
        place, message = {"channel": place["channel"]}, named
        answer = _post(ctx, settings, {**place, **slack_text.body(message)})
        error = error_of(answer)
    if _is_about_form(error):
        answer = _post(ctx, settings, {**place, **slack_text.body(message, is_plain=True)})
        error = error_of(answer)
    if error:
        raise _refusal(answer, error, channels.setting_of(letter.channel), ctx)
    found = answer.json()
    return {"ts": str(found.get("ts") or ""), "channel": str(found.get("channel") or "")}


def _post(ctx: Context, settings: Mapping[str, Any], body: Dict[str, Any]) -> Response:
    options = request_options(settings)
    options["headers"] = {
        **options["headers"],
        "Content-Type": "application/json; charset=utf-8",
    }
    url = str(settings.get("api_url") or API).rstrip("/") + "/chat.postMessage"
    return ctx.http.request("POST", url, json=body, **options)


def error_of(answer: Response) -> str:
    """Slack's word for what is wrong, empty when the message was taken. Raises ExternalError for an
    answer that is not Slack's.
    """
    if not answer.ok:
        return one_line(answer.text(100)) or "http_%d" % answer.status
    body = answer.json()
    if not isinstance(body, dict) or "ok" not in body:
        raise ExternalError("%s answered as Slack does not: %r" % (answer.url, answer.text(100)))
    return "" if body["ok"] is True else str(body.get("error") or "unknown_error")


def _is_about_form(error: str) -> bool:
    return any(word in error for word in _FORM) and not any(one in error for one in _ADVICE)


def _refusal(answer: Response, error: str, setting: str, ctx: Context) -> ExternalError:
    word = one_line(error, 100)
    said = "Slack answered %d: %s" % (answer.status, word)
    if answer.status == 429 or word in _RATE:
        return NotTaken(said, retry_after_s(answer.headers, ctx.clock.now()) or _REST_S)
    if answer.status >= 500 or word in _UNKNOWN:
        return unavailable(said, answer.headers, ctx.clock.now())
    if _is_about_form(word):
        return NotTaken(said, retryable=False)
    keys = "webhook_url" if answer.status >= 400 else "token and channel"
    return NotTaken("%s; check %s's %s: %s" % (
        said, setting, keys, _ADVICE.get(word, "docs/integrations/slack.md says how they are made")
    ))


def _named(message: Document, payload: Mapping[str, Any]) -> Document:
    """A message that cannot stand in a thread names the incident it follows."""
    incident = payload.get("incident")
    known = incident.get("id") if isinstance(incident, Mapping) else None
    if not payload.get("thread") or not known or not message:
        return message
    if message[0].kind != document.HEADING:
        return message
    return (message[0], document.text("Incident %s:" % known), *message[1:])
