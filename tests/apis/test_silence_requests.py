"""The requests that silences take are the ones that the documentation shows. SELFHEAL_RECORD=1
records them anew.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from selfheal.respond import silences_by_hand
from tests import scene
from tests.alertmanager_proxy import Proxy
from tests.live_alertmanager import Alertmanager

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "alertmanager"
MATCHERS = 'alertname="DiskFull",instance=~"web[0-9]+"'


@pytest.fixture
def recorded(tmp_path):
    """{name: the exchanges of one action}, in order, with a new Alertmanager."""
    found = {}
    with Alertmanager(tmp_path / "am") as server, Proxy(server) as proxy:
        ctx = scene.context(
            scene.store_url("sqlite", tmp_path),
            scene.Clock(time.time()),
            alertmanager={"url": proxy.url},
        )
        made = silences_by_hand.silence_create(ctx, MATCHERS, 30, "new disks", who="jane")
        found["silence_create"] = proxy.exchanges[:]
        silences_by_hand.silence_create(ctx, MATCHERS, 90, who="jane")
        found["silence_create_made_longer"] = proxy.exchanges[len(found["silence_create"]):]
        before = len(proxy.exchanges)
        silences_by_hand.silence_list(ctx)
        found["silence_list"] = proxy.exchanges[before:]
        before = len(proxy.exchanges)
        silences_by_hand.silence_expire(ctx, made["id"])
        found["silence_expire"] = proxy.exchanges[before:]
        ctx.close()
    return found


def test_each_actions_requests_are_the_recorded_ones(recorded):
    for name, exchanges in recorded.items():
        path = FIXTURES / ("%s.json" % name)
        if os.environ.get("SELFHEAL_RECORD"):
            path.write_text(json.dumps(exchanges, indent=2, sort_keys=True) + "\n")
        assert exchanges == json.loads(path.read_text()), name
