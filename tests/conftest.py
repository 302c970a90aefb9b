"""What every test needs: the import paths of the pack, and no way out to a network.

The order is StackStorm's (actions, actions/lib and sensors first); the stand-ins for its base
classes come last, so that the real ones win where StackStorm is installed.
"""

import functools
import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

for folder in ("sensors", "actions", "actions/lib", "."):
    path = str((ROOT / folder).resolve())
    if path in sys.path:
        sys.path.remove(path)
    sys.path.insert(0, path)

from selfheal import config
from selfheal.store import dialects
from standalone import stand_ins
from tests.examples import examples

pytest_plugins = ["tests.second_try"]

stand_ins.append_to_path()

# Where the real StackStorm is, what stands in for it has nothing to show.
if importlib.util.find_spec("st2common.persistence") is not None:
    collect_ignore = ["standalone", "demo", "e2e"]

# Tests speak to loopback only; a proxy of the machine must not get between.
for name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "*"

# Shared machines are slow at times: a property is wrong or right, never late.
settings.register_profile(
    "selfheal",
    deadline=None,
    max_examples=examples(50),
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("selfheal")


def without_the_disk(connect):
    """Stores that wait for no disk: what tests kill are processes, and never the machine."""

    @functools.wraps(connect)
    def quick(dialect):
        connection = connect(dialect)
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    return quick


dialects.Sqlite.connect = without_the_disk(dialects.Sqlite.connect)

# A database server, or who holds the lock, stands still for seconds on a shared machine.
dialects.CONNECT_TIMEOUT_S = 300
dialects.BUSY_TIMEOUT_S = 180.0


def read_once(load_schema):
    """The schema of the settings, whose YAML takes longer than most tests: a copy each time."""
    text = json.dumps(load_schema())
    assert json.loads(text) == load_schema()

    @functools.wraps(load_schema)
    def quick(path=config.SCHEMA_PATH):
        return json.loads(text) if path == config.SCHEMA_PATH else load_schema(path)

    return quick


config.load_schema = read_once(config.load_schema)

# Begun first, so that a run on several workers does not end with one of them at work on these.
LONGEST = (
    "test_elk_kill.py",
    "test_elk_road.py",
    "test_hostile_text.py",
    "test_kill.py",
    "test_kubernetes_many.py",
    "test_kubernetes_road.py",
    "test_kubernetes_watch.py",
    "test_tickets_crashes.py",
)


def pytest_collection_modifyitems(items):
    """Put the longest tests in front."""
    items.sort(key=lambda item: os.path.basename(str(item.fspath)) not in LONGEST)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A new store without a row: the test runs once on each database."""
    from tests import scene

    return scene.store_url(request.param, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """A store that nobody has opened yet: the test runs once on each database."""
    from tests import scene

    return scene.store_url(request.param, tmp_path, is_empty=True)


@pytest.fixture
def receiver():
    """A real HTTP server that takes messages."""
    from tests import scene

    with scene.Receiver() as server:
        yield server


@pytest.fixture
def api():
    """A real HTTP server in place of StackStorm's API."""
    from tests import scene

    with scene.Receiver() as server:
        yield server


@pytest.fixture(params=["cloud", "datacenter"])
def jira_stub(request):
    """What answers as Jira, once of each flavour; what it must never be asked fails the test."""
    from tests import stub_jira

    with stub_jira.Stub(request.param) as running:
        yield running
        assert running.violations == []


@pytest.fixture
def servicenow_stub():
    """What answers as an instance of ServiceNow, whose clock stands at scene.START."""
    from tests import scene, stub_servicenow

    with stub_servicenow.Stub(now=lambda: scene.START) as running:
        yield running
        assert running.violations == []


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory):
    """A real Kubernetes API, one for all processes of a run; a test takes a namespace() in it."""
    from tests import live_kubernetes

    return live_kubernetes.of_this_run(tmp_path_factory.getbasetemp())


@pytest.fixture
def namespace(kubernetes):
    """A namespace of the test's own in it."""
    return kubernetes.namespace()


@pytest.fixture
def kubelet(kubernetes, namespace):
    """Somebody who runs the pods of that namespace."""
    from tests import live_kubelet

    with live_kubelet.Kubelet(kubernetes, namespace) as running:
        yield running


@pytest.fixture(scope="module")
def stoppable_kubernetes(tmp_path_factory):
    """A real Kubernetes of one file's own: starting it takes longer than most of its tests."""
    from tests import live_kubernetes

    with live_kubernetes.Kubernetes(tmp_path_factory.mktemp("own") / "kubernetes") as cluster:
        yield cluster


@pytest.fixture
def own_kubernetes(stoppable_kubernetes):
    """A real Kubernetes whose servers the test may stop and start again; it finds them running."""
    return stoppable_kubernetes.start()
