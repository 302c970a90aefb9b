"""How long a server wants to be left alone, in each way that it may say so."""

from __future__ import annotations

import pytest

from selfheal.apis.declined import Declined, retry_after_s

NOW = 784111777.0 - 60  # a minute before the date below


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 60.0),
        ("-3", 0.0),
        ("Sun, 06 Nov 1970 08:49:37 GMT", 0.0),
        ("999999999", 86400.0),
        ("inf", 86400.0),
        ("nan", 0.0),
        ("soon", 0.0),
        ("", 0.0),
    ],
)
def test_retry_after_is_read(value, seconds):
    assert retry_after_s({"retry-after": value}, NOW) == pytest.approx(seconds)


def test_a_refusal_that_passes_may_be_tried_again():
    error = Declined("wait", 3.0)
    assert (str(error), error.retryable, error.retry_after_s) == ("wait", True, 3.0)
    assert retry_after_s({}, NOW) == 0.0
