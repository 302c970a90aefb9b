"""What every HTTP client of the pack stands on: an answer that is read until one moment and no
longer, TLS contexts, and words for what cannot be sent.

Only http.client and ssl are needed here: `http.py` speaks to any URL by urllib, the Kubernetes
client keeps connections of its own.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from typing import Any, Optional

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.text import one_line

MAX_BODY_BYTES = 64 * 1024 * 1024
LONGEST_TIMEOUT_S = 86400.0  # far longer ones do not fit the system call
USER_AGENT = "selfheal"
_MOST_PARTS = 100  # of a compressed body: each costs a copy of all that follow


class Until(io.RawIOBase):
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


class Answer(http.client.HTTPResponse):
    """An answer, its first line and headers included, that must be complete at `end`."""

    def __init__(self, sock: Any, *args: Any, end: float, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp = io.BufferedReader(Until(self.fp.detach(), sock, end), 65536)


def read_whole(answer: Any, limit: int) -> Optional[bytes]:
    """The body of `answer`; None when it is longer than `limit` bytes and was not read further.
    Raises OSError and HTTPException for one whose end is missing.
    """
    content: bytes = answer.read(limit + 1)
    if len(content) > limit:
        return None
    return content + bytes(answer.read())  # raises when the end is missing


def unpacked(content: bytes, encoding: str, limit: int) -> Optional[bytes]:
    """`content` without its compression, which some proxies add although nobody asked for it; None
    when it is longer than `limit` bytes then. What is only called compressed stays as it is. Raises
    HTTPException for what cannot be unpacked.
    """
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate") or not _is_packed(content):
        return content
    import zlib  # seldom needed

    whole, rest = b"", content
    try:
        for _ in range(_MOST_PARTS):
            reader = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
            whole += reader.decompress(rest, limit + 1 - len(whole))
            if len(whole) > limit:
                return None
            if not reader.eof:
                raise http.client.IncompleteRead(whole)
            rest = reader.unused_data
            if not _is_packed(rest):  # the end, or padding
                return whole
    except zlib.error as error:
        raise http.client.HTTPException("its compressed body is damaged (%s)" % error) from error
    raise http.client.HTTPException("its body was compressed in too many parts")


def _is_packed(content: bytes) -> bool:
    """Whether it begins as gzip does, or zlib; neither JSON nor a page does."""
    start = content[:2]
    return start == b"\x1f\x8b" or (
        len(start) == 2 and start[0] & 15 == 8 and int.from_bytes(start, "big") % 31 == 0
    )


def tls_context(
    verify: bool = True, ca_file: Optional[str] = None, ca_data: Optional[str] = None
) -> ssl.SSLContext:
    """A client's context that trusts the authorities of `ca_file` or `ca_data` (PEM), else the
    system's. Raises ConfigError for a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file, cadata=ca_data)
    except OSError as error:
        where = "file %r" % ca_file if ca_file else "data"
        raise ConfigError("cannot read the CA %s: %s" % (where, error)) from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def reason_of(error: BaseException) -> str:
    """What a failed connection says of itself, on one line; the kind of failure if nothing."""
    return one_line(str(error)) or type(error).__name__


def unsendable(method: str, shown: str, error: Exception) -> ExternalError:
    """The error for a request that http.client refuses to write: its own words would quote it."""
    return ExternalError(
        "%s %s failed: its address, port or a header cannot be sent (%s); look for a line break, a "
        "space or a letter that does not belong there" % (method, shown, type(error).__name__),
        retryable=False,
    )


def oversized(method: str, shown: str, limit: int) -> ExternalError:
    """The error for an answer that was not read to its end."""
    return ExternalError(
        "%s %s answered more than %d bytes; not read further" % (method, shown, limit),
        retryable=False,
    )
