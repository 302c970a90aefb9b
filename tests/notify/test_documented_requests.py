"""What docs/integrations shows is what is sent; `python -m tests.notify.documented_requests` writes
it anew.
"""

from __future__ import annotations

import pytest

from tests.notify import documented_requests


@pytest.fixture(scope="module")
def sent():
    return documented_requests.sent()


@pytest.mark.parametrize("name", documented_requests.PAGES)
def test_page_shows_what_is_sent(sent, name):
    shown = documented_requests.shown(name)
    assert set(shown) == set(documented_requests.PAGES[name])
    for request, text in shown.items():
        assert text == sent[request], request
