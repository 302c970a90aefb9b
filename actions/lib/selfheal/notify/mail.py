"""Carries letters as mail by SMTP. A mail whose arrival nobody knows of is sent again with the same
Message-ID, by which mail programs and many servers know it again.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from typing import TYPE_CHECKING, Any, Dict, List, Mapping

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.notify import channels, layout, mail_text
from selfheal.outbox.carrying import NotTaken
from selfheal.text import one_line, scrub
from selfheal.wire import tls_context

if TYPE_CHECKING:
    from email.message import EmailMessage

    from selfheal.context import Context
    from selfheal.outbox.carrying import Letter

STARTTLS, TLS, NONE = "starttls", "tls", "none"
PORTS = {STARTTLS: 587, TLS: 465, NONE: 25}
_TIMEOUT_S = 20.0

problem = channels.problem_of(channels.EMAIL)
SERVICE = channels.service_of


def carry(ctx: Context, letter: Letter) -> Dict[str, Any]:
    """Send the mail; {"message_id", "refused": [addresses]}. Raises NotTaken, ExternalError,
    ConfigError.
    """
    settings = channels.settings(ctx.config, letter.channel)
    payload = scrub(dict(letter.payload), ctx.config.secrets())
    message = mail_text.mail(
        layout.of(payload),
        sender=str(settings["from"]),
        to=recipients(settings),
        message_id=letter.id,
        thread_id=str(payload.get("thread") or ""),
        severity=str(payload.get("severity") or ""),
        at=letter.created_at,
    )
    refused = _send(settings, message, channels.setting_of(letter.channel))
    return {"message_id": str(message["Message-ID"]), "refused": refused}


def recipients(settings: Mapping[str, Any]) -> List[str]:
    """The addresses of `to`: a list, or text with commas."""
    to = settings.get("to")
    found = to.split(",") if isinstance(to, str) else to
    if not isinstance(found, (list, tuple)):
        raise ConfigError("to must be a list of mail addresses")
    return [str(one).strip() for one in found if str(one).strip()]


def connected(settings: Mapping[str, Any], timeout_s: float = 0.0) -> smtplib.SMTP:
    """A session with the mail server, encrypted and logged in as the settings say. Raises
    ConfigError, and smtplib's and the socket's errors.
    """
    way = str(settings.get("tls") or STARTTLS)
    if way not in PORTS:
        raise ConfigError("tls must be starttls, tls or none, not %r" % way[:40])
    host, port = str(settings["host"]), int(settings.get("port") or PORTS[way])
    wait_s = timeout_s or float(settings.get("timeout_s") or _TIMEOUT_S)
    verify = settings.get("verify_tls", True) is not False
    context = None if way == NONE else tls_context(verify, settings.get("ca_file") or None)
    session: smtplib.SMTP
    if way == TLS:
        session = smtplib.SMTP_SSL(host, port, timeout=wait_s, context=context)
    else:
        session = smtplib.SMTP(host, port, timeout=wait_s)
    try:
        if way == STARTTLS:
            session.starttls(context=context)
        if settings.get("username"):
            session.login(str(settings["username"]), str(settings.get("password") or ""))
    except BaseException:
        session.close()
        raise
    return session


def _send(settings: Mapping[str, Any], message: EmailMessage, setting: str) -> List[str]:
    """The addresses that the server refused, while it took others."""
    try:
        session = connected(settings)
    except smtplib.SMTPAuthenticationError as error:
        words = "%s; check %s.username and password" % (_said(error), setting)
        raise NotTaken(words, concerns_all=True) from None
    except smtplib.SMTPNotSupportedError as error:
        words = "%s: %s; check %s.tls (starttls, tls or none)"
        words %= (setting, one_line(str(error)), setting)
        raise NotTaken(words, concerns_all=True) from None
    except (smtplib.SMTPException, OSError, ssl.SSLError, ValueError) as error:
        words = "%s: no session with %s: %s" % (setting, settings["host"], reason_of(error))
        raise NotTaken(words, concerns_all=True) from None
    try:
        refused = session.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        first = next(iter(error.recipients.items()))
        raise NotTaken(
            "the mail server refused all of %s.to, such as %s: %s"
            % (setting, first[0], _answer(*first[1]))
        ) from None
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        raise NotTaken("%s; check %s.from" % (_said(error), setting)) from None
    except (smtplib.SMTPException, OSError) as error:
        raise ExternalError(
            "%s: %s went away while it took the mail: %s"
            % (setting, settings["host"], reason_of(error))
        ) from None
    finally:
        _quit(session)
    return sorted(str(one) for one in refused)


def _quit(session: smtplib.SMTP) -> None:
    try:
        session.quit()
    except (smtplib.SMTPException, OSError):
        session.close()


def reason_of(error: Exception) -> str:
    """The error in words."""
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "it took too long"
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error)
    return one_line(str(error) or type(error).__name__, 200)


def _said(error: smtplib.SMTPResponseException) -> str:
    return "the mail server answered %s" % _answer(error.smtp_code, error.smtp_error)


def _answer(code: Any, words: Any) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return "%s %s" % (code, one_line(text, 200))
