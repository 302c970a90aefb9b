"""The key-value datastore as one JSON file: what `st2kv`, actions and sensors read and write.

Values are strings (whatever is put in passes `str()`, as on StackStorm), a ttl is judged by the
clock at reading, writers take turns by a lock file and readers always see a whole file. An
encrypted value is kept from view by the file's mode only (0600): without `decrypt` a reader gets
a token in its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

__all__ = ["Datastore", "Entry", "KeyLookup", "st2kv"]


@dataclass(frozen=True)
class Entry:
    """One key. `value` is the token when the entry is encrypted and was read without `decrypt`."""

    name: str
    value: str
    encrypted: bool = False
    expires_at: Optional[float] = None


class Datastore:
    """Keys in the file at `path`, which comes into being at the first write."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._clock = clock

    def entry(self, name: str, decrypt: bool = False) -> Optional[Entry]:
        """The entry, or None when there is none or its ttl is over."""
        raw = self._read().get(name)
        return self._entry(name, raw, decrypt) if raw is not None and self._is_alive(raw) else None

    def get(self, name: str, decrypt: bool = False) -> Optional[str]:
        """The value, or None. An encrypted value needs `decrypt`; without it its token comes
        back."""
        entry = self.entry(name, decrypt)
        return entry.value if entry else None

    def set(
        self, name: str, value: Any, ttl: Optional[float] = None, encrypt: bool = False
    ) -> None:
        """Store `str(value)`; a ttl in seconds of None or 0 means for ever."""
        raw: Dict[str, Any] = {"value": str(value)}
        if ttl:
            raw["expires_at"] = self._clock() + float(ttl)
        if encrypt:
            raw["token"] = secrets.token_hex(32).upper()
        with self._writing() as keys:
            keys[name] = raw

    def delete(self, name: str) -> bool:
        """Remove the key; False when it was not there."""
        with self._writing() as keys:
            return self._is_alive(keys.pop(name, None))

    def list(self, prefix: str = "", decrypt: bool = False) -> List[Entry]:
        """All living entries whose name starts with the prefix, sorted by name."""
        return [
            self._entry(name, raw, decrypt)
            for name, raw in sorted(self._read().items())
            if name.startswith(prefix) and self._is_alive(raw)
        ]

    def decrypt(self, token: str) -> str:
        """The clear text behind a token; ValueError when no encrypted key has it."""
        for raw in self._read().values():
            if raw.get("token") == token and self._is_alive(raw):
                return str(raw["value"])
        raise ValueError(
            "The value is not encrypted by this datastore; store the key with encrypt (--encrypt)"
        )

    def _entry(self, name: str, raw: Dict[str, Any], decrypt: bool) -> Entry:
        token = raw.get("token")
        return Entry(
            name=name,
            value=token if token and not decrypt else raw["value"],
            encrypted=bool(token) and not decrypt,
            expires_at=raw.get("expires_at"),
        )

    def _is_alive(self, raw: Optional[Dict[str, Any]]) -> bool:
        if raw is None:
            return False
        expires_at = raw.get("expires_at")
        return expires_at is None or self._clock() < float(expires_at)

    def _read(self) -> Dict[str, Dict[str, Any]]:
        try:
            with open(str(self.path), encoding="utf-8") as stream:
                keys = json.load(stream)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise ValueError(
                "The datastore %s is not JSON (%s); mend or remove it" % (self.path, error)
            ) from None
        return dict(keys)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Dict[str, Dict[str, Any]]]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(str(self.path) + ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = self._read()
            yield keys
            self._replace({name: raw for name, raw in keys.items() if self._is_alive(raw)})
        finally:
            os.close(lock)

    def _replace(self, keys: Dict[str, Dict[str, Any]]) -> None:
        handle, temporary = tempfile.mkstemp(prefix=".keys-", dir=str(self.path.parent))
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(keys, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, str(self.path))
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


class KeyLookup:
    """What a template meets as `st2kv.system`: each further name makes the key longer, text ends
    it.

    A key that does not exist is the empty string, never an error, exactly as StackStorm has it.
    """

    def __init__(self, store: Optional[Datastore], scope: str = "system", key: str = "") -> None:
        self._store = store
        self._scope = scope
        self._key = key

    def __getitem__(self, name: Any) -> KeyLookup:
        key = "%s.%s" % (self._key, name) if self._key else str(name)
        return KeyLookup(self._store, self._scope, key)

    def __getattr__(self, name: str) -> KeyLookup:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __str__(self) -> str:
        if not self._key:
            raise KeyError("")
        if self._store is None or self._scope != "system":
            return ""
        return self._store.get(self._key) or ""

    def __int__(self) -> int:
        return int(float(self))

    def __float__(self) -> float:
        return float(str(self))


def key_of(lookup: KeyLookup) -> str:
    """The full name of the key that a lookup has reached, for messages."""
    return "st2kv.%s.%s" % (lookup._scope, lookup._key)


def st2kv(store: Optional[Datastore]) -> Dict[str, KeyLookup]:
    """The value of `st2kv` in a template context."""
    return {"system": KeyLookup(store), "user": KeyLookup(store, "user")}
