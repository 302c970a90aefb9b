"""What a function of the library is given: configuration, store, clock, logger, HTTP, the platform.

One `Context` lives as long as one call. The store and the HTTP client open when first used, so an
action pays only for what it touches. Tests pass their own parts.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Optional

from selfheal.config import Config

if TYPE_CHECKING:
    from selfheal.http import HttpClient
    from selfheal.store import Store


class SystemClock:
    """Real time. `now` is seconds since the epoch (UTC); `monotonic` never steps."""

    @staticmethod
    def now() -> float:
        return time.time()

    @staticmethod
    def monotonic() -> float:
        return time.monotonic()

    @staticmethod
    def sleep(seconds: float) -> None:
        time.sleep(seconds)


class Context:
    """The parts that effects go through. `run_id` names the execution that we are, where there is
    one.
    """

    def __init__(
        self,
        config: Optional[Config] = None,
        *,
        log: Optional[logging.Logger] = None,
        clock: Any = None,
        store: Optional[Store] = None,
        http: Optional[HttpClient] = None,
        platform: Any = None,
    ) -> None:
        self.config = config or Config()
        self.log = log or logging.getLogger("selfheal")
        self.clock = clock or SystemClock()
        self._store = store
        self._http = http
        self._platform = platform

    @property
    def store(self) -> Store:
        """The database of `database.url`, opened and migrated at first use. Raises StoreError,
        ConfigError.
        """
        if self._store is None:
            from selfheal.store import open_store

            self._store = open_store(
                str(self.config.get("database.url")),
                str(self.config.optional("database.password") or ""),
                now=self.clock.now,
            )
        return self._store

    @property
    def http(self) -> HttpClient:
        if self._http is None:
            from selfheal.http import HttpClient

            self._http = HttpClient()
        return self._http

    @property
    def platform(self) -> Any:
        if self._platform is None:
            from selfheal.platform import ApiPlatform

            self._platform = ApiPlatform(lambda: self.http)
        return self._platform

    @property
    def run_id(self) -> Optional[str]:
        return self.platform.execution_id  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close what was opened. Safe to call twice."""
        if self._store is not None:
            self._store.close()
            self._store = None
