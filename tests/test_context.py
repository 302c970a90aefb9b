"""The context opens what is touched and nothing else."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from selfheal.config import Config
from selfheal.context import Context, SystemClock
from selfheal.exceptions import StoreError
from selfheal.http import HttpClient
from selfheal.platform import ApiPlatform
from tests import scene

LIBRARY = Path(__file__).resolve().parents[1] / "actions" / "lib"


def test_store_is_opened_when_first_used_and_closed_at_the_end(tmp_path):
    url = scene.store_url("sqlite", tmp_path, is_empty=True)
    ctx = Context(Config({"database": {"url": url}}))
    assert not (tmp_path / "selfheal.db").exists()
    store = ctx.store
    assert ctx.store is store and (tmp_path / "selfheal.db").exists()
    ctx.close()
    with pytest.raises(StoreError):
        store.query("SELECT 1")
    assert ctx.store is not store  # opens again when asked again
    ctx.close()
    ctx.close()


def test_store_takes_the_time_from_the_contexts_clock(tmp_path):
    clock = scene.Clock()
    ctx = Context(Config({"database": {"url": scene.store_url("sqlite", tmp_path)}}), clock=clock)
    assert ctx.store.now() == scene.START
    clock.sleep(5)
    assert ctx.store.now() == scene.START + 5
    ctx.close()


def test_parts_are_the_real_ones_unless_given():
    ctx = Context()
    assert isinstance(ctx.http, HttpClient) and ctx.http is ctx.http
    assert isinstance(ctx.platform, ApiPlatform) and ctx.platform is ctx.platform
    assert isinstance(ctx.clock, SystemClock) and isinstance(ctx.log, logging.Logger)
    assert Context(platform="mine").platform == "mine"


def test_run_id_is_the_execution_that_we_are(monkeypatch):
    monkeypatch.delenv("ST2_ACTION_EXECUTION_ID", raising=False)
    assert Context().run_id is None
    monkeypatch.setenv("ST2_ACTION_EXECUTION_ID", "5f1")
    assert Context().run_id == "5f1"


def test_real_clock_runs_forward():
    clock = SystemClock()
    before = clock.monotonic()
    clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009
    earlier = time.time()
    now = clock.now()
    assert earlier <= now <= time.time()


HEAVY = ("yaml", "ssl", "urllib.request", "sqlite3", "psycopg2", "jinja2", "requests")
IMPORTER = """
import sys
sys.path.insert(0, sys.argv[1])
from selfheal.door import call
from selfheal.context import Context
Context().config
print(",".join(name for name in sys.argv[2:] if name in sys.modules))
"""


def test_door_and_context_import_nothing_heavy():
    answer = subprocess.run(
        [sys.executable, "-c", IMPORTER, str(LIBRARY), *HEAVY], check=True, stdout=subprocess.PIPE
    )
    assert answer.stdout.decode().strip() == ""
