"""Everything that can go wrong, as types a caller can act on.

A message says what was asked, what came back and what to do next. `retryable` says whether the same
call may succeed later without anybody changing anything.
"""

from __future__ import annotations

from typing import Optional


class SelfhealError(Exception):
    """Base of all failures that the pack foresees. `retryable` may be set per instance."""

    retryable = False

    def __init__(self, message: str, retryable: Optional[bool] = None) -> None:
        super().__init__(message)
        if retryable is not None:
            self.retryable = retryable


class ConfigError(SelfhealError):
    """A setting is missing, unknown or unusable; the message names the key."""


class InvalidInput(SelfhealError):
    """What the caller or an outside system sent cannot be used as it is."""


class NotFound(SelfhealError):
    """A named thing (incident, runbook, approval) does not exist."""


class Refused(SelfhealError):
    """Policy says no. The message names the rule and how to allow it if that is meant."""


class Conflict(SelfhealError):
    """Somebody else holds it, or it has changed since it was read."""

    retryable = True


class StoreError(SelfhealError):
    """The database cannot be reached, is full, locked, or of another version."""


class ExternalError(SelfhealError):
    """Another system (Alertmanager, Prometheus, a webhook, StackStorm's API) failed or answered
    badly. `concerns_all` says that whatever else is asked of it now would fail just as well: there
    is no connection, or no session. `rest_s` is for how many seconds it asked to be left alone.
    """

    retryable = True
    concerns_all = False
    rest_s = 0.0


class DeadlineExceeded(SelfhealError):
    """Something took longer than it was given; what it started was stopped."""
