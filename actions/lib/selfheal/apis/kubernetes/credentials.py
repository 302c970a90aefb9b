"""Who we are to an API server: a fixed identity, a token in a file, or what a plugin hands out.

A token file is read again when it changes; after a 401 whatever can be renewed is renewed once.
Every token that is learned is reported to `hide`, so that it is scrubbed from what people see.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Optional, Tuple

from selfheal.apis.kubernetes.connection import Identity
from selfheal.exceptions import ConfigError

Hide = Callable[[str], None]
_LONGEST_TOKEN = 65536


def bearer(token: str, where: str) -> Tuple[str, str]:
    """The header for `token`, which `where` names. Raises ConfigError for what cannot be sent."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            "%s holds %s"
            % (where, "a space or a letter that no token has" if token else "no token")
        )
    return "Authorization", "Bearer " + token


class Credentials:
    """An identity that never changes."""

    def __init__(self, identity: Identity, hide: Optional[Hide] = None) -> None:
        self._identity = identity
        self._hide = hide or (lambda secret: None)

    def current(self, longest_s: Optional[float] = None) -> Identity:
        """Who we are now, found out in `longest_s` seconds. Raises ConfigError, ExternalError."""
        return self._identity

    def renew(self, longest_s: Optional[float] = None) -> bool:
        """After the server did not know us: whether there is something new to try."""
        return False


class TokenFile(Credentials):
    """A token in a file that somebody else renews, as the kubelet does in a pod."""

    def __init__(self, path: str, identity: Identity, hide: Optional[Hide] = None) -> None:
        super().__init__(identity, hide)
        self._path = path
        self._seen: Any = None
        self._token = ""

    def current(self, longest_s: Optional[float] = None) -> Identity:
        try:
            found = os.stat(self._path)
            seen = (found.st_mtime_ns, found.st_size, found.st_ino)
            if seen != self._seen:
                self._read()
                self._seen = seen
        except (OSError, ValueError) as error:
            raise ConfigError(
                "the token file %r cannot be read: %s" % (self._path, error)
            ) from error
        header = bearer(self._token, "the token file %r" % self._path)
        return self._identity._replace(headers=(header, *self._identity.headers))

    def renew(self, longest_s: Optional[float] = None) -> bool:
        before, self._seen = self._token, None
        self.current()
        return self._token != before

    def _read(self) -> None:
        with open(self._path, encoding="utf-8", errors="replace") as file:
            self._token = file.read(_LONGEST_TOKEN).strip()
        self._hide(self._token)
