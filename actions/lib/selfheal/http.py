"""One small HTTP client on the standard library (29 ms to import; `requests` costs 103 ms in every
action process).

The context imports this module only when an action first sends something.

Promises one deadline for the whole answer however slowly it drips, a cap on what is read, TLS
verification unless a caller turns it off, and errors that name the URL without its credentials. Any
status comes back as a `Response`; judging it is the caller's.
"""

from __future__ import annotations

import http.client
import io
import json as jsonlib
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Dict, Optional, Tuple

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.text import one_line, without_credentials

MAX_BODY_BYTES = 64 * 1024 * 1024
_LONGEST_TIMEOUT_S = 86400.0  # far longer ones do not fit the system call


@dataclass(frozen=True)
class Response:
    """What came back: status code, lower-cased headers, body bytes, and the URL it came from (fit
    to show).
    """

    status: int
    headers: Dict[str, str]
    body: bytes
    url: str

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON. Raises ExternalError naming the URL and what came instead."""
        try:
            return jsonlib.loads(self.body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            start = self.body[:120].decode("utf-8", "replace")
            raise ExternalError(
                "%s answered %d with something that is not JSON (%s): %r"
                % (self.url, self.status, error, start)
            ) from error

    def text(self, limit: int = 500) -> str:
        return self.body[:limit].decode("utf-8", "replace")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect comes back as it is: following it would carry our credentials to another host."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


class _Until(io.RawIOBase):
    """Reads `source`, the stream of `sock`, until the monotonic time `end` and not a moment longer:
    a socket's own timeout begins anew with every byte.
    """

    def __init__(self, source: Any, sock: Any, end: float) -> None:
        super().__init__()
        self._source, self._sock, self._end = source, sock, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Any:
        left = self._end - time.monotonic()
        if left <= 0:
            raise socket.timeout("timed out before the answer was complete")
        self._sock.settimeout(left)
        return self._source.readinto(buffer)

    def close(self) -> None:
        self._source.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, end: float, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(_Until(self.fp.detach(), sock, end), 65536)


class _Http(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Both schemes, each answer read until the monotonic time `end`. `tls` is None for http."""

    def __init__(self, end: float, tls: Optional[ssl.SSLContext]) -> None:
        urllib.request.HTTPHandler.__init__(self)
        self._end, self._tls = end, tls

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(self._connection, http.client.HTTPConnection), req)

    def https_open(self, req: urllib.request.Request) -> Any:
        kind = partial(http.client.HTTPSConnection, context=self._tls)
        return self.do_open(partial(self._connection, kind), req)

    def _connection(self, kind: Any, host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection.response_class = partial(_Answer, end=self._end)
        return connection


def _unsendable(method: str, shown: str, error: Exception) -> ExternalError:
    return ExternalError(
        "%s %s failed: its address, port or a header cannot be sent (%s); look for a line break, a "
        "space or a letter that does not belong there" % (method, shown, type(error).__name__),
        retryable=False,
    )


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
        (retryable) when no whole answer comes in `timeout_s` seconds, the connection fails, or the
        answer is longer than `max_body_bytes`.
        """
        timeout_s = min(timeout_s, _LONGEST_TIMEOUT_S)
        shown = without_credentials(url)
        if not re.match(r"https?://[^/\s]", url):
            raise ConfigError("%r is not an http:// or https:// URL" % shown)
        if "@" in re.split(r"[/?#]", url.partition("://")[2], maxsplit=1)[0]:
            raise ConfigError(
                "%s holds credentials, which would be looked up as a host: send them as a header, "
                "or by the settings username and password" % shown
            )
        all_headers = {"User-Agent": "selfheal"}
        if json is not None:
            body = jsonlib.dumps(json).encode("ascii")
            all_headers["Content-Type"] = "application/json"
        all_headers.update(headers or {})
        tls = self._tls(verify_tls, ca_file) if url.startswith("https") else None
        end = time.monotonic() + timeout_s
        opener = urllib.request.build_opener(_NoRedirect(), _Http(end, tls))
        try:
            message = urllib.request.Request(url, data=body, headers=all_headers, method=method)
            with self._open(opener, message, timeout_s) as answer:
                content = answer.read(self.max_body_bytes + 1)
                if len(content) <= self.max_body_bytes:
                    content += answer.read()  # raises when the end is missing
                found = {key.lower(): value for key, value in answer.headers.items()}
                status = int(answer.status)
        except urllib.error.URLError as error:
            raise ExternalError(
                "%s %s failed: %s" % (method, shown, one_line(str(error.reason)))
            ) from error
        except http.client.InvalidURL as error:
            raise _unsendable(method, shown, error) from None
        except (OSError, http.client.HTTPException) as error:
            raise ExternalError(
                "%s %s failed: %s" % (method, shown, one_line(str(error)) or type(error).__name__)
            ) from error
        except ValueError as error:  # its words would quote the header or the URL
            raise _unsendable(method, shown, error) from None
        if len(content) > self.max_body_bytes:
            raise ExternalError(
                "%s %s answered more than %d bytes; not read further"
                % (method, shown, self.max_body_bytes),
                retryable=False,
            )
        return Response(status, found, content, shown)

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
            try:
                context = ssl.create_default_context(cafile=ca_file)
            except OSError as error:
                raise ConfigError("cannot read the CA file %r: %s" % (ca_file, error)) from error
            if not verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            self._contexts[key] = context
        return self._contexts[key]
