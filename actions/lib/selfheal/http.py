"""One small HTTP client on the standard library (29 ms to import; `requests` costs 103 ms in every
action process).

The context imports this module only when an action first sends something.

Promises one deadline for the whole answer however slowly it drips, a cap on what is read, TLS
verification unless a caller turns it off, and errors that name the URL without its credentials. Any
status comes back as a `Response`; judging it is the caller's.
"""

from __future__ import annotations

import http.client
import json as jsonlib
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import field
from functools import partial
from typing import Any, Dict, Optional, Tuple

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.records import dataclass
from selfheal.text import one_line, scrub, without_credentials
from selfheal.wire import (
    LONGEST_TIMEOUT_S,
    MAX_BODY_BYTES,
    USER_AGENT,
    Answer,
    oversized,
    read_whole,
    reason_of,
    tls_context,
    unpacked,
    unsendable,
)

_SECRET_HEADER = re.compile(r"(?i)auth|cookie|token|secret|password|signature|(?<!idempotency-)key")
_LONGEST_HIDDEN = 4096  # a credential that is cut in two would be shown in part


@dataclass(frozen=True)
class Response:
    """What came back: status code, lower-cased headers, body bytes, and the URL it came from (fit
    to show). `hidden` are the credentials that were sent, which `text` does not show.
    """

    status: int
    headers: Dict[str, str]
    body: bytes
    url: str
    hidden: Tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises ExternalError naming the URL and what came instead."""
        try:
            return jsonlib.loads(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            raise ExternalError(
                "%s answered %d with something that is not JSON (%s): %r"
                % (self.url, self.status, error, self.text(120))
            ) from error

    def text(self, limit: int = 500) -> str:
        """The beginning of the body, to show; our own credentials hidden where it repeats them."""
        start = self.body[:limit + _LONGEST_HIDDEN].decode("utf-8", "replace")
        return str(scrub(start, self.hidden))[:limit]


def _credentials(headers: Dict[str, str]) -> Tuple[str, ...]:
    """What in `headers` says who we are: such values, and their last words (after Bearer)."""
    values = [value for name, value in headers.items() if _SECRET_HEADER.search(name)]
    return tuple(word for value in values for word in (value, *value.split()[-1:]))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect comes back as it is: following it would carry our credentials to another host."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


class _Http(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Both schemes, each answer read until the monotonic time `end`. `tls` is None for http.
    `is_connected` says that a server was reached.
    """

    def __init__(self, end: float, tls: Optional[ssl.SSLContext]) -> None:
        urllib.request.HTTPHandler.__init__(self)
        self._end, self._tls = end, tls
        self.is_connected = False

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> Any:
        kind = partial(http.client.HTTPSConnection, context=self._tls)
        return self.do_open(partial(self._connection, kind), req)

    def _connection(self, kind: Any, host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection.response_class = partial(Answer, end=self._end)
        connect = connection.connect

        def connected() -> None:
            connect()
            self.is_connected = True

        connection.connect = connected
        return connection


def _fit(url: str) -> str:
    """The URL as it may be shown. Raises ConfigError when it is none that can be asked."""
    shown = without_credentials(url)
    if not re.match(r"https?://[^/\s]", url):
        raise ConfigError("%r is not an http:// or https:// URL" % shown)
    if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
        raise ConfigError(
            "%s holds credentials, which would be looked up as a host: send them as a header, "
            "or by the settings username and password" % shown
        )
    return shown


@dataclass
class HttpClient:
    """Sends requests. `max_body_bytes` bounds what one answer may hold."""

    max_body_bytes: int = MAX_BODY_BYTES
    _contexts: Dict[Tuple[bool, Optional[str]], Any] = field(default_factory=dict)

    def request(
        self,
        method: str,
        url: str,
        *,
        json: Any = None,
        body: Optional[bytes] = None,
        headers: Optional[Dict[str, str]] = None,
        timeout_s: float = 10.0,
        verify_tls: bool = True,
        ca_file: Optional[str] = None,
    ) -> Response:
        """Send one request and read the answer whole.

        Raises ConfigError for a URL that is not http(s) or holds credentials, ExternalError
        (retryable) when no whole answer comes in `timeout_s` seconds, the connection fails (it then
        `concerns_all`), or the answer is longer than `max_body_bytes`.
        """
        shown = _fit(url)
        all_headers = {"User-Agent": USER_AGENT}
        if json is not None:
            body = jsonlib.dumps(json).encode("ascii")
            all_headers["Content-Type"] = "application/json"
        all_headers.update(headers or {})
        tls = self._tls(verify_tls, ca_file) if url.startswith("https") else None
        message = urllib.request.Request(url, data=body, headers=all_headers, method=method)
        status, found, content = self._asked(
            message, shown, min(timeout_s, LONGEST_TIMEOUT_S), tls
        )
        if content is None:
            raise oversized(method, shown, self.max_body_bytes)
        return Response(status, found, content, shown, _credentials(headers or {}))

    def _asked(
        self,
        message: urllib.request.Request,
        shown: str,
        timeout_s: float,
        tls: Optional[ssl.SSLContext],
    ) -> Tuple[int, Dict[str, str], Optional[bytes]]:
        """(status, headers, body or None when it is too long). Raises ExternalError."""
        method, way = message.get_method(), _Http(time.monotonic() + timeout_s, tls)
        opener = urllib.request.build_opener(_NoRedirect(), way)
        try:
            with self._open(opener, message, timeout_s) as answer:
                content = read_whole(answer, self.max_body_bytes)
                found = {key.lower(): value for key, value in answer.headers.items()}
                if content and found.get("content-encoding"):
                    content = unpacked(content, found["content-encoding"], self.max_body_bytes)
                return int(answer.status), found, content
        except urllib.error.URLError as error:
            failed = ExternalError(
                "%s %s failed: %s" % (method, shown, one_line(str(error.reason)))
            )
            failed.concerns_all = not way.is_connected
            raise failed from error
        except http.client.InvalidURL as error:
            raise unsendable(method, shown, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise ExternalError(
                "%s %s failed: %s" % (method, shown, reason_of(error))
            ) from error
        except ValueError as error:  # its words would quote the header or the URL
            raise unsendable(method, shown, error) from None

    @staticmethod
    def _open(
        opener: urllib.request.OpenerDirector, message: urllib.request.Request, timeout_s: float
    ) -> Any:
        try:
            return opener.open(message, timeout=timeout_s)
        except urllib.error.HTTPError as answer:  # any status but 2xx; still an answer to be read
            return answer

    def _tls(self, verify: bool, ca_file: Optional[str]) -> Any:
        key = (verify, ca_file)
        if key not in self._contexts:
            self._contexts[key] = tls_context(verify, ca_file)
        return self._contexts[key]
