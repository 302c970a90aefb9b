"""What ServiceNow's refusals mean, by its documented status codes and error bodies.

Whoever asked learns three things apart: what the settings or rights must mend (ConfigError), what
the instance's own rules forbid for this record (Refused), and what may pass by itself.
"""

from __future__ import annotations

import json
from typing import Tuple

from selfheal.apis.declined import Declined, retry_after_s, unavailable
from selfheal.exceptions import (
    ConfigError,
    ExternalError,
    InvalidInput,
    NotFound,
    Refused,
    SelfhealError,
)
from selfheal.http import Response
from selfheal.text import one_line

_OF_PROXIES = (400, 404, 405, 408, 410, 421, 425)
_BY_RULE = "Operation Failed"  # an access rule on the record, a data policy, a business rule


def of(answer: Response, asked: str, now: float) -> SelfhealError:
    """The error for an answer that is no success; `asked` says what was asked."""
    status = answer.status
    message, detail = words(answer)
    shown = "%s: ServiceNow answered %d %s" % (asked, status, _joined(message, detail))
    if status == 401:
        return ConfigError("%s; check the credentials in section servicenow" % shown)
    if status == 429:
        return Declined(shown, retry_after_s(answer.headers, now))
    if status == 403 and message == _BY_RULE:
        return Refused(
            "%s; a rule of the instance forbids it: set what it asks for in servicenow.values or "
            "servicenow.close_code, or have the rule changed" % shown
        )
    if status == 403:
        return ConfigError("%s; give the user the right (docs/integrations/servicenow.md)" % shown)
    if not message and status in _OF_PROXIES:
        # ServiceNow refuses in JSON. A page of a proxy, or of an instance that sleeps, says nothing
        # of the record: no ticket counts as gone, and no letter as refused, because of it.
        return ExternalError("%s; something before ServiceNow refused it" % shown)
    if status == 404:
        return NotFound("%s; it was deleted, moved, or the user may not read it" % shown)
    if 300 <= status < 400 or message.startswith("Invalid table"):
        return ConfigError("%s; check servicenow.instance and servicenow.table" % shown)
    if status == 409:
        return Declined(shown, 0.0)
    if status < 500:
        return InvalidInput("%s; nothing was changed" % shown)
    return unavailable(shown, answer.headers, now)


def of_token(answer: Response, now: float) -> SelfhealError:
    """The error for a token that was not given. Nothing else was asked yet, so nothing was changed.

    The body is not quoted: it may hold what we sent.
    """
    try:
        body = json.loads(answer.body.decode("utf-8-sig"))
        reason = str(body.get("error_description") or body.get("error") or "")
    except (ValueError, AttributeError):
        reason = ""
    shown = "%s answered %d %s" % (answer.url, answer.status, one_line(reason, 120))
    if answer.status == 429 or answer.status >= 500:
        return Declined("no access token: %s" % shown, retry_after_s(answer.headers, now))
    return ConfigError(
        "no access token: %s; check client_id, client_secret, refresh_token or password in section "
        "servicenow, and that the instance allows that grant "
        "(docs/integrations/servicenow.md)" % shown
    )


def words(answer: Response) -> Tuple[str, str]:
    """(message, detail) of an error body; of another the beginning of what came."""
    try:
        error = json.loads(answer.body.decode("utf-8-sig"))["error"]
        message, detail = str(error.get("message") or ""), str(error.get("detail") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        message, detail = "", answer.text(200)
    return one_line(message), one_line(detail, 400)


def _joined(message: str, detail: str) -> str:
    return ": ".join(one for one in (message, detail) if one) or "without words"
