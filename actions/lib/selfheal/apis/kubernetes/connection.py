"""Requests to one API server over a connection that is kept.

Each request has one moment by which its answer must be complete, however slowly it drips. A kept
connection that the server has closed is opened anew; a change is never sent twice. TLS contexts are
made for each new connection, so that renewed certificates count from then on.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from functools import partial
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlsplit

from selfheal.apis.kubernetes.failures import Unsure
from selfheal.config import basic_credentials
from selfheal.exceptions import ConfigError, ExternalError, SelfhealError
from selfheal.wire import (
    MAX_BODY_BYTES,
    USER_AGENT,
    Answer,
    oversized,
    read_whole,
    reason_of,
    tls_context,
    unsendable,
)

Headers = Tuple[Tuple[str, str], ...]
_READ_AT_ONCE = 65536
_ASKED_AGAIN = ("GET", "HEAD")  # these change nothing, so a second time does no harm


class Server(NamedTuple):
    """Where an API server is and whom we trust there. `key` is the name of its settings for
    messages, such as kubernetes.prod; `prefix` a path before all paths, "" for none.
    """

    key: str
    host: str
    port: int
    prefix: str = ""
    is_tls: bool = True
    verify: bool = True
    ca_file: Optional[str] = None
    ca_data: Optional[str] = None
    tls_name: str = ""  # the certificate's name where it is not the host
    proxy: str = ""


class Identity(NamedTuple):
    """Who we are: headers to send, and a client certificate, as files or as PEM text."""

    headers: Headers = ()
    certificate_file: str = ""
    key_file: str = ""
    certificate: str = ""
    certificate_key: str = ""


class Raw(NamedTuple):
    """An answer as it came: status, headers with names in lower case, body."""

    status: int
    headers: Dict[str, str]
    body: bytes


class Lost(Exception):
    """The connection failed; `was_sent` is False when the server cannot have seen the request."""

    def __init__(self, error: BaseException, was_sent: bool) -> None:
        super().__init__(str(error))
        self.error, self.was_sent = error, was_sent


class _Connection(http.client.HTTPConnection):
    """A TCP connection, through a proxy where there is one, with TLS where it is wanted."""

    def __init__(self, server: Server, identity: Identity) -> None:
        self._server, self._identity = server, identity
        if server.proxy:
            at = urlsplit(server.proxy)
            super().__init__(str(at.hostname), at.port or 8080)
            self.set_tunnel(server.host, server.port, headers=_proxy_headers(at))
        else:
            super().__init__(server.host, server.port)
        self.end = 0.0

    def connect(self) -> None:
        # Anything that the certificates lack is said before a connection is made in vain.
        context = _context(self._server, self._identity) if self._server.is_tls else None
        self.timeout = _left(self.end)
        super().connect()
        if context is not None:
            self.sock.settimeout(_left(self.end))
            name = self._server.tls_name or self._server.host
            self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def is_stale(self) -> bool:
        """Whether the other side has closed it, or sent what nobody asked for."""
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))


class Wire:
    """The connection to `server`. `max_body_bytes` bounds what one answer may hold."""

    def __init__(self, server: Server, max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self.server = server
        self.max_body_bytes = max_body_bytes
        self._kept: Optional[_Connection] = None
        self._kept_for: Optional[Identity] = None

    def ask(
        self,
        method: str,
        path: str,
        identity: Identity,
        end: float,
        body: Optional[bytes] = None,
        headers: Headers = (),
    ) -> Raw:
        """The whole answer to one request, whatever its status, by the monotonic time `end`.

        Raises ConfigError (certificates), ExternalError (no whole answer), Unsure (a change was
        sent and no whole answer came).
        """
        began = time.monotonic()
        while True:
            connection, is_kept = self._connection(identity)
            connection.end = end
            try:
                answer = self._send(connection, method, path, identity, body, headers, end)
                content = read_whole(answer, self.max_body_bytes)
            except Lost as lost:
                self.close()
                if is_kept and method in _ASKED_AGAIN and not _is_timeout(lost.error):
                    continue  # it had been closed meanwhile: once more, on a new one
                raise self._failed(lost, method, path, end - began) from lost.error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise self._failed(Lost(error, True), method, path, end - began) from error
            except BaseException:  # whatever else stopped us left half an answer on it
                self.close()
                raise
            if content is None:
                self.close()
                raise oversized(method, self.shown(path), self.max_body_bytes)
            if answer.will_close:
                self.close()
            return Raw(int(answer.status), _headers(answer), content)

    def stream(
        self, path: str, identity: Identity, end: float, headers: Headers = ()
    ) -> Tuple[Raw, Iterator[bytes]]:
        """The head of an answer and its body piece by piece as it comes, on a connection of its own
        that is closed with the iterator. The head of any but 200 comes with its whole body.
        """
        began = time.monotonic()
        connection = _Connection(self.server, identity)
        connection.end = end
        try:
            answer = self._send(connection, "GET", path, identity, None, headers, end)
            if int(answer.status) != 200:
                content = read_whole(answer, self.max_body_bytes) or b""
                connection.close()
                return Raw(int(answer.status), _headers(answer), content), iter(())
        except (Lost, OSError, http.client.HTTPException) as error:
            connection.close()
            lost = error if isinstance(error, Lost) else Lost(error, True)
            raise self._failed(lost, "GET", path, end - began) from lost.error
        except BaseException:
            connection.close()
            raise
        return Raw(200, _headers(answer), b""), _pieces(connection, answer)

    def close(self) -> None:
        """Close the kept connection; the next request opens another."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def shown(self, path: str) -> str:
        """The URL of `path` as messages name it: without the query."""
        host = "[%s]" % self.server.host if ":" in self.server.host else self.server.host
        return "%s://%s:%d%s%s" % (
            "https" if self.server.is_tls else "http",
            host,
            self.server.port,
            self.server.prefix,
            path.partition("?")[0],
        )

    def _connection(self, identity: Identity) -> Tuple[_Connection, bool]:
        """The connection to use, and whether it has served before."""
        kept = self._kept
        is_other = self._kept_for is not None and self._kept_for[1:] != identity[1:]
        if kept is not None and (kept.sock is None or is_other or kept.is_stale()):
            self.close()
            kept = None
        if kept is not None:
            return kept, True
        self._kept, self._kept_for = _Connection(self.server, identity), identity
        return self._kept, False

    def _send(
        self,
        connection: _Connection,
        method: str,
        path: str,
        identity: Identity,
        body: Optional[bytes],
        headers: Headers,
        end: float,
    ) -> Any:
        """The answer of which the head has been read. Raises Lost."""
        connection.response_class = partial(Answer, end=end)  # type: ignore[assignment]
        was_sent = False
        try:
            if connection.sock is None:
                connection.connect()
            connection.sock.settimeout(_left(end))
            connection.putrequest(method, self.server.prefix + path)
            for name, value in (("User-Agent", USER_AGENT), *identity.headers, *headers):
                connection.putheader(name, value)
            if body is not None or method in ("POST", "PUT", "PATCH"):
                connection.putheader("Content-Length", str(len(body or b"")))
            was_sent = True
            connection.endheaders(body)
            return connection.getresponse()
        except (http.client.InvalidURL, http.client.CannotSendHeader) as error:
            raise unsendable(method, self.shown(path), error) from None
        except (OSError, http.client.HTTPException) as error:
            raise Lost(error, was_sent) from error
        except ValueError as error:  # a header with a line break: its words would quote it
            raise unsendable(method, self.shown(path), error) from None

    def _failed(self, lost: Lost, method: str, path: str, timeout_s: float) -> SelfhealError:
        error = lost.error
        asked = "%s %s failed: " % (method, self.shown(path))
        key = self.server.key
        if isinstance(error, ssl.SSLCertVerificationError):
            return ConfigError(
                "%sthe server's certificate is not trusted (%s); set %s.ca_file to the authority "
                "that signed it, or correct the host name" % (asked, _tls_words(error), key)
            )
        if _is_misunderstanding(error) and not lost.was_sent:
            return ConfigError(
                "%sno TLS connection (%s); is %s.url meant to be http://, or does the server ask "
                "for a client certificate (client_cert_file)?" % (asked, _tls_words(error), key)
            )
        doubt = ""
        if lost.was_sent and method not in _ASKED_AGAIN:
            doubt = "; whether the change was made is not known"
        if _is_timeout(error):
            text = "%sno whole answer within %.3g s (%s.timeout_s)" % (asked, timeout_s, key)
        else:
            text = "%s%s; check that the API server runs and that this host may reach it" % (
                asked,
                reason_of(error),
            )
        return Unsure(text + doubt) if doubt else ExternalError(text)


def _pieces(connection: _Connection, answer: Any) -> Iterator[bytes]:
    """The body as it comes. Raises OSError and HTTPException when it breaks off."""
    try:
        while True:
            piece = answer.read1(_READ_AT_ONCE)
            if not piece:
                return
            yield piece
    finally:
        connection.close()
        answer.close()


def _context(server: Server, identity: Identity) -> ssl.SSLContext:
    context = tls_context(server.verify, server.ca_file, server.ca_data)
    if identity.certificate:
        _load_text(context, identity, server.key)
    elif identity.certificate_file:
        try:
            context.load_cert_chain(identity.certificate_file, identity.key_file or None, str)
        except (OSError, ValueError) as error:
            raise ConfigError(
                "the client certificate %r with key %r cannot be used (%s): check "
                "%s.client_cert_file and client_key_file"
                % (identity.certificate_file, identity.key_file, _tls_words(error), server.key)
            ) from error
    return context


def _load_text(context: ssl.SSLContext, identity: Identity, key: str) -> None:
    """Give a certificate and key to `context`, which takes files only: they exist for a moment,
    readable by us alone.
    """
    import tempfile  # only for certificates that are written into a kubeconfig

    with tempfile.NamedTemporaryFile("w", prefix="selfheal-", suffix=".pem") as file:
        file.write(identity.certificate + "\n" + identity.certificate_key)
        file.flush()
        try:
            context.load_cert_chain(file.name, None, str)
        except (OSError, ValueError) as error:
            raise ConfigError(
                "the client certificate of %s cannot be used (%s)" % (key, _tls_words(error))
            ) from None


def _proxy_headers(at: Any) -> Dict[str, str]:
    if not at.username:
        return {}
    pair = basic_credentials(unquote(at.username), unquote(at.password or ""))
    return {"Proxy-Authorization": "Basic %s" % pair}


def _headers(answer: Any) -> Dict[str, str]:
    return {key.lower(): value for key, value in answer.headers.items()}


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise socket.timeout("timed out")
    return left


def _is_timeout(error: BaseException) -> bool:
    return isinstance(error, socket.timeout) or "timed out" in str(error)


def _is_misunderstanding(error: BaseException) -> bool:
    """Whether the two sides cannot speak TLS with each other; a connection that broke meanwhile
    says nothing of that.
    """
    broke = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
    is_tls = isinstance(error, ssl.SSLError) and not isinstance(error, broke)
    return is_tls and not _is_timeout(error)


def _tls_words(error: BaseException) -> str:
    return str(getattr(error, "verify_message", "") or "") or reason_of(error)
