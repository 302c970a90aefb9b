"""Whether the channels by which people are told can be used, and whether the ladder says who.

No message is sent: Slack is asked who the token is, the mail server for a session, the rest only
for a connection.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple
from urllib.parse import urlsplit

from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError, SelfhealError
from selfheal.notify import channels, pagerduty, slack
from selfheal.operate.configuration import url_problem
from selfheal.respond import rungs
from selfheal.text import counted, one_line

if TYPE_CHECKING:
    from selfheal.context import Context

Row = Tuple[str, str, str, str]
_LADDER = "escalation.ladder"
_DOCS = "docs/integrations/%s.md says how"


def lines(ctx: Context, longest_wait_s: float) -> List[Row]:
    """(what, state, detail, do) for each channel and the ladder, as in `check_config`."""
    try:
        written = channels.written(ctx.config)
    except ConfigError as error:
        return [("notify", "error", str(error), "write a map of settings there")]
    rows: List[Row] = []
    if channels.WEBHOOK not in written:
        others = [name for name, one in written.items() if not channels.lacking(name, one)]
        without = "the other channels are used" if others else "escalations wait in the outbox"
        rows.append((
            "notify.webhook", "off", "notify.webhook.url is not set: %s" % without,
            "" if others else "set notify.webhook.url, or another channel under notify",
        ))
    for channel, settings in written.items():
        rows.append(_channel(ctx, channel, settings, longest_wait_s))
    return rows + _ladder(ctx, written)


def _channel(ctx: Context, channel: str, settings: Mapping[str, Any], wait_s: float) -> Row:
    what, carrier = channels.setting_of(channel), channel.partition(":")[0]
    lacks = channels.lacking(channel, settings)
    if lacks:
        return what, "error", "%s: nobody is told by it" % lacks, _DOCS % carrier
    check = {
        channels.WEBHOOK: _webhook,
        channels.SLACK: _slack,
        channels.PAGERDUTY: _pagerduty,
        channels.EMAIL: _email,
    }[carrier]
    try:
        return (what, *check(ctx, what, settings, wait_s))
    except SelfhealError as error:
        return what, "error", str(error), "correct %s; %s" % (what, _DOCS % carrier)


def _webhook(
    _ctx: Context, what: str, settings: Mapping[str, Any], wait_s: float
) -> Tuple[str, str, str]:
    return _connection("%s.url" % what, str(settings["url"]), wait_s)


def _slack(
    ctx: Context, what: str, settings: Mapping[str, Any], wait_s: float
) -> Tuple[str, str, str]:
    if settings.get("webhook_url"):
        key = "%s.webhook_url" % what
        return _connection(key, str(settings["webhook_url"]).strip(), wait_s)
    options = request_options(settings)
    options["timeout_s"] = min(options["timeout_s"], wait_s)
    url = str(settings.get("api_url") or slack.API).rstrip("/") + "/auth.test"
    answer = ctx.http.request("POST", url, **options)
    error = slack.error_of(answer)
    if error:
        return "error", "Slack answered: %s" % error, "check %s.token" % what
    body = answer.json()
    scopes = answer.headers.get("x-oauth-scopes")
    if scopes is not None and "chat:write" not in re.split(r"[,\s]+", scopes):
        return (
            "error",
            "the token has the scopes %s, but not chat:write" % one_line(scopes, 200),
            "add the scope chat:write to the bot and install it again",
        )
    who = "%s of %s" % (body.get("user") or "a bot", body.get("team") or "a workspace")
    return "on", "Slack knows the token as %s (no message was sent)" % one_line(who), ""


def _pagerduty(
    _ctx: Context, what: str, settings: Mapping[str, Any], wait_s: float
) -> Tuple[str, str, str]:
    if not re.match(r"[0-9A-Za-z]{32}\Z", str(settings["routing_key"]).strip()):
        return (
            "error",
            "%s.routing_key is not 32 letters and digits" % what,
            "copy the integration key of an Events API v2 integration",
        )
    return _connection("%s.url" % what, str(settings.get("url") or pagerduty.URL), wait_s)


def _email(
    _ctx: Context, what: str, settings: Mapping[str, Any], wait_s: float
) -> Tuple[str, str, str]:
    import smtplib

    from selfheal.notify import mail, mail_text

    for one in (settings["from"], *mail.recipients(settings)):
        mail_text.address(str(one))
    try:
        session = mail.connected(settings, wait_s)
        session.quit()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return (
            "error",
            "%s: no session with %s: %s" % (what, settings["host"], mail.reason_of(error)),
            "check %s.host, port, tls, username and password" % what,
        )
    words = "%s takes mail for %s (none was sent)"
    to = counted(len(mail.recipients(settings)), "recipient")
    return "on", words % (settings["host"], to), ""


def _connection(key: str, url: str, wait_s: float) -> Tuple[str, str, str]:
    reason = url_problem(url)
    if reason:
        return "error", "%s cannot be used: %s" % (key, reason), "correct %s" % key
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), timeout=wait_s).close()
    except OSError as error:
        return (
            "error",
            "%s: no connection to %s port %d: %s" % (key, parts.hostname, port, error),
            "check %s, that the receiver runs, and that this host may reach it" % key,
        )
    taken = "%s port %d takes connections (no message was sent)" % (parts.hostname, port)
    return "on", taken, ""


def _ladder(ctx: Context, written: Dict[str, Dict[str, Any]]) -> List[Row]:
    ladder = ctx.config.get(_LADDER)
    if not ladder:
        return []
    usable = [name for name, one in written.items() if not channels.lacking(name, one)]
    try:
        unknown = rungs.unknown(ladder, usable)
        found = rungs.ladder(ladder, usable)
    except ConfigError as error:
        return [(_LADDER, "error", str(error), "mend it; until then all channels are told at once")]
    if unknown:
        names = ", ".join(channels.word_of(one) for one in usable) or "none"
        detail = "it names %s, but configured are: %s" % (", ".join(unknown), names)
        return [(_LADDER, "error", detail, "configure them under notify, or take them out")]
    shown = "; ".join(
        "after %d min: %s"
        % (rung.after_s / 60, ", ".join(channels.word_of(one) for one in rung.by))
        for rung in found
    )
    rows: List[Row] = [(_LADDER, "on", shown, "")]
    first = min(float(one.get("after_minutes", 0)) for one in ladder)
    if first > 0:
        rows[0] = (
            _LADDER, "warning", "the first rung is told at once, not after %g minutes" % first,
            "write after_minutes: 0 there",
        )
    return rows
