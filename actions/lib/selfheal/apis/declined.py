"""What a server says when it took nothing now and may later: too many requests, come back then.

Nothing was written, so the same request may be sent again without a look at what arrived.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Callable, Mapping, TypeVar

from selfheal.exceptions import ExternalError

if TYPE_CHECKING:
    from selfheal.http import Response

T = TypeVar("T")
_LONGEST_S = 86400.0


class Declined(ExternalError):
    """The request was answered and not taken. `retry_after_s` is for how long the server wants to
    be left alone, 0 when it does not say.
    """

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message, retryable=True)
        self.retry_after_s = retry_after_s


def unavailable(shown: str, headers: Mapping[str, str], now: float) -> ExternalError:
    """The error for a 5xx, after which nobody knows what was written, with the rest that it asks
    for.
    """
    error = ExternalError(shown)
    error.rest_s = retry_after_s(headers, now)
    return error


def is_page(answer: Response) -> bool:
    """Whether a page for people came: of a proxy, or of a log-in before the system that was meant.
    None of what we write to answers so, whatever its status says.
    """
    return answer.body[:200].decode("utf-8-sig", "replace").lstrip().startswith("<")


def after_a_write(look: Callable[[], T]) -> T:
    """What `look` answers, after something was written. When it is refused that must not say that
    nothing was: raises a plain ExternalError then.
    """
    try:
        return look()
    except ExternalError as error:
        plain = ExternalError(str(error))
        plain.rest_s = error.rest_s or float(getattr(error, "retry_after_s", 0.0))
        raise plain from error


def retry_after_s(headers: Mapping[str, str], now: float) -> float:
    """Seconds of the header Retry-After (a number, or an HTTP date), at most a day; 0 without it or
    when it cannot be read.
    """
    value = str(headers.get("retry-after") or "").strip()
    if not value:
        return 0.0
    try:
        wait = float(value)
    except ValueError:
        try:
            wait = parsedate_to_datetime(value).timestamp() - now
        except (TypeError, ValueError, IndexError, OverflowError):
            return 0.0
    return min(max(wait, 0.0), _LONGEST_S) if wait == wait else 0.0
