"""What tests of the intake share: recorded triggers, and the store of `url` at the scene's time."""

import pytest

from selfheal.store import open_store
from tests import alert_scene


@pytest.fixture
def triggers():
    return alert_scene.Triggers()


@pytest.fixture
def store(url):
    return open_store(url, now=alert_scene.clock().now)
