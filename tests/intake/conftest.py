"""What tests of the intake share: recorded triggers, and the store of `url` at the scene's time."""

import pytest

from selfheal.store import open_store
from tests import alert_scene
from tests.intake.log_scene import Machine


@pytest.fixture
def triggers():
    return alert_scene.Triggers()


@pytest.fixture
def store(url):
    return open_store(url, now=alert_scene.clock().now)


@pytest.fixture
def machine(tmp_path):
    made = Machine("sqlite:///%s" % (tmp_path / "selfheal.db"), tmp_path)
    yield made
    made.ctx.close()


@pytest.fixture
def server():
    """An API server of Kubernetes that answers as told."""
    from tests.stub_kubernetes import Stub

    with Stub() as running:
        yield running


@pytest.fixture
def man(tmp_path, server, monkeypatch):
    """A Kubernetes sensor on that server, at a time set by hand."""
    from tests import stores
    from tests.kubernetes_watchman import Watchman

    return Watchman(stores.sqlite_url(tmp_path), {"default": server}, monkeypatch)
