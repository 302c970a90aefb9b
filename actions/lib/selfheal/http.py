"""One small HTTP client on the standard library (29 ms to import; `requests` costs 103 ms in every
action process).

The context imports this module only when an action first sends something.

Promises a timeout on every socket operation, a cap on what is read, TLS verification unless a
caller turns it off, and errors that name the URL without its credentials. Any status comes back as
a `Response`; judging it is the caller's.
"""

from __future__ import annotations

import http.client
import json as jsonlib
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.text import without_credentials

MAX_BODY_BYTES = 64 * 1024 * 1024


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
        except (UnicodeDecodeError, ValueError) as error:
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

        Raises ConfigError for a URL that is not http(s), ExternalError (retryable) when no answer
        comes in `timeout_s` seconds, the connection fails, or the answer is longer than
        `max_body_bytes`.
        """
        shown = without_credentials(url)
        if not re.match(r"https?://[^/\s]", url):
            raise ConfigError("%r is not an http:// or https:// URL" % shown)
        all_headers = {"User-Agent": "selfheal"}
        if json is not None:
            body = jsonlib.dumps(json).encode("ascii")
            all_headers["Content-Type"] = "application/json"
        all_headers.update(headers or {})
        handlers: List[urllib.request.BaseHandler] = [_NoRedirect()]
        if url.startswith("https"):
            handlers.append(urllib.request.HTTPSHandler(context=self._tls(verify_tls, ca_file)))
        try:
            message = urllib.request.Request(url, data=body, headers=all_headers, method=method)
            with self._open(urllib.request.build_opener(*handlers), message, timeout_s) as answer:
                content = answer.read(self.max_body_bytes + 1)
                if len(content) <= self.max_body_bytes:
                    content += answer.read()  # raises when the end is missing
                found = {key.lower(): value for key, value in answer.headers.items()}
                status = int(answer.status)
        except urllib.error.URLError as error:
            raise ExternalError("%s %s failed: %s" % (method, shown, error.reason)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ExternalError(
                "%s %s failed: %s" % (method, shown, error or type(error).__name__)
            ) from error
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
