"""What every test needs: the import paths of the pack, and no way out to a network.

The order is StackStorm's (actions, actions/lib and sensors first); the stand-ins for its base
classes come last, so that the real ones win where StackStorm is installed.
"""

import importlib.util
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

from standalone import stand_ins

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
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get("CI") == "true",
)
settings.load_profile("selfheal")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A new, empty store: the test runs once on each database."""
    from tests import scene

    return scene.store_url(request.param, tmp_path)


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
