"""One Jira as the settings name it: where it is, which flavour, who we are, and what an answer
means.

Every request names what it is about: an empty issue key would be the address of a collection, so it
never leaves here. A no raises `Refusal` with Jira's own words, one for now `Declined`; without an
answer the HTTP client raises ExternalError, and nobody knows what became of the request.
"""

from __future__ import annotations

import re
import time
from dataclasses import field
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import quote, urlencode, urlsplit

from selfheal.apis.declined import Declined, retry_after_s
from selfheal.apis.target import request_options
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput, NotFound
from selfheal.http import HttpClient, Response
from selfheal.records import dataclass
from selfheal.text import one_line

CLOUD, DATA_CENTER, AUTO = "cloud", "datacenter", "auto"
FLAVOURS = (AUTO, CLOUD, DATA_CENTER)
_CLOUD_HOSTS = (".atlassian.net", ".jira.com", ".jira-dev.com", "api.atlassian.com")
# PROJECT-123, or the numeric id that outlives a move to another project.
_ISSUE = re.compile(r"(?:[A-Za-z][A-Za-z0-9_]{0,254}-[0-9]{1,18}|[0-9]{1,18})\Z", re.ASCII)
_CAPTCHA = "x-authentication-denied-reason"
_LOGIN = "x-seraph-loginreason"


class Refusal(ExternalError):
    """Jira answered, but not with a 2xx. `errors` is by field, `messages` what belongs to none.
    Below 500 it is a definite no: nothing was done.
    """

    def __init__(
        self,
        message: str,
        status: int,
        messages: Tuple[str, ...] = (),
        errors: Optional[Mapping[str, str]] = None,
    ) -> None:
        super().__init__(message, retryable=status >= 500)
        self.status = status
        self.messages = messages
        self.errors = dict(errors or {})


@dataclass(frozen=True)
class Connection:
    """A Jira that can be asked. `url` has no slash at its end; `site_url` is the one people open;
    `what` names its settings in messages (jira, or jira.edge).
    """

    http: HttpClient
    settings: Mapping[str, Any] = field(repr=False)
    what: str
    url: str
    site_url: str
    is_cloud: bool

    def address(self, path: str, query: Optional[Mapping[str, Any]] = None) -> str:
        """The URL of `path` below the API of this flavour, such as /myself."""
        version = "3" if self.is_cloud else "2"
        asked = "?" + urlencode(query) if query else ""
        return "%s/rest/api/%s%s%s" % (self.url, version, path, asked)

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        json: Any = None,
        body: Optional[bytes] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        """The answer as JSON, None when it has no body. Raises Refusal, NotFound (the issue of the
        path is gone, or hidden), ConfigError (401, 403, redirects), Declined (429), ExternalError.
        """
        options = request_options(self.settings)
        own = {"Accept": "application/json", **options.pop("headers"), **(headers or {})}
        answer = self.http.request(
            method, self.address(path, query), json=json, body=body, headers=own, **options
        )
        if not answer.ok:
            raise self._judged(method, path, answer)
        return answer.json() if answer.body.strip() else None

    def _judged(self, method: str, path: str, answer: Response) -> Exception:
        messages, errors = _words_of(answer)
        told = [*messages, *("%s: %s" % pair for pair in errors.items())]
        plain = one_line("; ".join(told) or answer.text(200), 600)
        shown = "Jira (%s) answered %d to %s %s: %s" % (
            self.what, answer.status, method, path.partition("?")[0], plain or "nothing more",
        )
        if answer.status == 401:
            return ConfigError("%s; %s" % (shown, self._who_advice(answer)))
        if answer.status == 403:
            return ConfigError("%s; %s" % (shown, self._rights_advice(answer)))
        if 300 <= answer.status < 400:
            return ConfigError("%s; %s.url is not Jira's own address" % (shown, self.what))
        if answer.status == 410 or (answer.status == 404 and not (_is_jiras(answer) or errors)):
            # Not Jira's word for a thing that is gone: a page of a proxy, or an API that this
            # flavour does not have. A ticket must not count as gone because of it.
            return ConfigError(
                "%s; check %s.url, and %s.flavour (it is asked as %s)"
                % (shown, self.what, self.what, CLOUD if self.is_cloud else DATA_CENTER)
            )
        if answer.status == 404 and path.startswith("/issue/"):
            return NotFound(shown)
        if answer.status == 400 and not told:
            # Jira refuses in JSON; a page of HTML comes from a proxy or the edge before it.
            return ExternalError("%s; something before Jira refused it" % shown)
        if answer.status == 429:
            return Declined(shown, retry_after_s(answer.headers, time.time()))
        refusal = Refusal(shown, answer.status, messages, errors)
        refusal.rest_s = retry_after_s(answer.headers, time.time())
        return refusal

    def _who_advice(self, answer: Response) -> str:
        if self.is_cloud:
            how = "%s.username (an e-mail address) and %s.password (an API token)"
        else:
            how = "%s.token (a personal access token), or %s.username and password"
        return "check %s" % (how % (self.what, self.what))

    def _rights_advice(self, answer: Response) -> str:
        if "captcha" in answer.headers.get(_CAPTCHA, "").lower():
            return "log in once by browser as %s.username and solve the captcha" % self.what
        if answer.headers.get(_LOGIN, "").upper().startswith("AUTHENTICATED_FAILED"):
            return self._who_advice(answer)
        return "give the user of %s the right in the project's permission scheme" % self.what


def connect(http: HttpClient, settings: Mapping[str, Any], what: str) -> Connection:
    """The Jira that `settings` (one target of section jira) name. Raises ConfigError."""
    url = str(settings.get("url") or "").rstrip("/")
    if not url:
        raise ConfigError("%s.url is not set: write Jira's base URL" % what)
    flavour = settings.get("flavour") or AUTO
    if flavour not in FLAVOURS:
        raise ConfigError(
            "%s.flavour must be one of %s, not %r" % (what, ", ".join(FLAVOURS), flavour)
        )
    host = urlsplit(url).hostname or ""
    is_cloud = flavour == CLOUD or (flavour == AUTO and ("." + host).endswith(_CLOUD_HOSTS))
    site = str(settings.get("site_url") or url).rstrip("/")
    return Connection(http, settings, what, url, site, is_cloud)


def issue_path(issue: str, more: str = "") -> str:
    """The path of one issue. Raises InvalidInput for what names no single issue."""
    if not isinstance(issue, str) or not _ISSUE.match(issue):
        raise InvalidInput(
            "%s names no issue: give one key, such as OPS-17" % one_line(repr(issue), 80)
        )
    return "/issue/%s%s" % (quote(issue, safe=""), more)


def part(name: str) -> str:
    """`name` as one piece of a path. Raises InvalidInput for an empty one."""
    if not name.strip():
        raise InvalidInput("an empty name in Jira's address: give one name")
    return quote(name, safe="")


def _is_jiras(answer: Response) -> bool:
    """Whether a refusal is about the thing that was asked for. Of an address that it does not have
    Jira speaks otherwise: {"message": "null for uri: ...", "status-code": 404}.
    """
    return bool(_body_of(answer).get("errorMessages"))


def _body_of(answer: Response) -> Dict[str, Any]:
    try:
        body = answer.json()
    except ExternalError:
        return {}
    return body if isinstance(body, dict) else {}


def _words_of(answer: Response) -> Tuple[Tuple[str, ...], Dict[str, str]]:
    body = _body_of(answer)
    messages: List[str] = [str(one) for one in body.get("errorMessages") or [] if one]
    for key in ("message", "error"):
        if not messages and isinstance(body.get(key), str):
            messages.append(body[key])
    errors = body.get("errors")
    by_field = errors if isinstance(errors, dict) else {}
    return tuple(messages), {str(name): str(words) for name, words in by_field.items()}
