"""Pauses: what each holds, in which words it is asked for, and that it holds at once for all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import InvalidInput
from selfheal.guard import pause
from selfheal.store import open_store
from tests import scene
from tests.guard.permits import deed

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clock():
    return scene.Clock()


@pytest.fixture
def ctx(url, clock):
    return scene.context(url, clock)


def begin(ctx, words, minutes=0.0, who="ada", reason="", stops=False):
    until = ctx.clock.now() + 60 * minutes if minutes else None
    return pause.begin(ctx.store, pause.scope_of(words), who, reason, until, stops)


# What a scope holds.


@pytest.mark.parametrize(
    ("words", "changes", "holds"),
    [
        ("global", {}, True),
        ("GLOBAL", {"cluster": "", "namespace": ""}, True),
        ("namespace=shop", {}, True),
        ("namespace=shop", {"cluster": "other"}, True),
        ("namespace=shop", {"namespace": "shop2"}, False),
        ("namespace=shop", {"namespace": ""}, False),
        ("namespace=Shop", {}, True),
        ("namespace shop", {}, True),
        ("namespace=prod/shop", {}, True),
        ("namespace=prod/shop", {"cluster": "test"}, False),
        ("namespace=prod/shop", {"cluster": ""}, True),  # it may be that cluster
        ("namespace=prod/shop", {"cluster": "prod/shop", "namespace": ""}, False),
        ("cluster=prod", {}, True),
        ("cluster=prod", {"cluster": ""}, True),
        ("cluster=prod", {"cluster": "test"}, False),
        ("remedy=restart", {}, True),
        ("remedy=runbook:restart", {}, True),
        ("remedy=rest", {}, False),
        ("incident=inc-1", {}, True),
        ("incident=inc-2", {}, False),
    ],
)
def test_scope_holds_what_it_says(words, changes, holds):
    one = deed(**changes)
    where = (one.cluster, one.namespace, one.remedy, one.incident_id)
    assert pause.holds(pause.scope_of(words), *where) is holds


def test_pause_holds_in_its_scope(ctx):
    begin(ctx, "namespace=prod/Shop")
    assert pause.objection(ctx, deed()).rule == "pause"
    assert pause.objection(ctx, deed(namespace="bar")) is None
    assert pause.objection(ctx, deed(cluster="test")) is None


def test_pause_holds_hands_approved_plans_and_what_only_reads(ctx):
    begin(ctx, "global")
    for changes in ({"is_by_hand": True}, {"is_approved": True}, {"risk": "read-only"}):
        assert pause.objection(ctx, deed(**changes)) is not None


def test_objection_names_who_why_until_when_and_how_to_end_it(ctx):
    assert pause.objection(ctx, deed()) is None
    begin(ctx, "namespace=shop", 30, "ada", "moving\nhouse")
    found = pause.objection(ctx, deed())
    assert found.reason == (
        "namespace=shop is paused by ada since 2023-11-14T22:13:20.000Z, until "
        "2023-11-14T22:43:20.000Z: moving house"
    )
    assert found.advice == 'resume with `st2 run selfheal.resume scope="namespace=shop"`'
    assert found.until == scene.START + 1800
    begin(ctx, "global", who="bob")
    found = pause.objection(ctx, deed())
    assert found.until is None and found.data["paused_by"] == "bob"
    assert "scope=\"global\"" in found.advice and "namespace=shop" in found.advice


def test_pause_ends_by_time_or_by_resuming(ctx, clock):
    begin(ctx, "global", 10)
    clock.at += 599.9
    assert pause.objection(ctx, deed()) is not None
    clock.at += 0.1
    assert pause.objection(ctx, deed()) is None
    assert pause.end(ctx.store, pause.scope_of("global"), "bob") is None
    begin(ctx, "global")
    clock.at += 1e8
    assert pause.objection(ctx, deed()) is not None
    was = pause.end(ctx.store, pause.scope_of("Global"), "bob")
    assert was.who == "ada"
    assert pause.objection(ctx, deed()) is None


def test_second_pause_prolongs_and_never_shortens(ctx, clock):
    begin(ctx, "global", 60, "ada", "first", stops=True)
    made, before = begin(ctx, "global", 10, "bob")
    assert before.who == "ada"
    assert (made.until, made.stops_running, made.reason) == (scene.START + 3600, True, "first")
    assert begin(ctx, "global", 90)[0].until == scene.START + 5400
    assert begin(ctx, "global")[0].until is None
    assert begin(ctx, "global", 5)[0].until is None
    assert len(pause.live(ctx.store)) == 1
    changes = [row["change"] for row in pause.changes(ctx.store)]
    assert changes == ["prolonged"] * 4 + ["paused"]


def test_pause_that_ran_out_does_not_prolong_the_next(ctx, clock):
    begin(ctx, "global", 10, stops=True)
    clock.at += 601
    made, before = begin(ctx, "global", 5)
    assert before is None and made.until == clock.at + 300 and not made.stops_running


def test_resuming_ends_just_that_scope(ctx):
    begin(ctx, "namespace=shop")
    begin(ctx, "namespace=prod/shop")
    begin(ctx, "global")
    assert pause.end(ctx.store, pause.scope_of("namespace=shop"), "bob") is not None
    assert [one.words for one in pause.live(ctx.store)] == ["global", "namespace=prod/shop"]
    assert pause.end(ctx.store, pause.scope_of("namespace=shop"), "bob") is None


def test_running_remedy_stops_only_where_that_was_said(ctx):
    assert pause.stops_running(ctx.store, deed()) == ""
    begin(ctx, "global")
    assert pause.stops_running(ctx.store, deed()) == ""
    begin(ctx, "namespace=other", stops=True)
    assert pause.stops_running(ctx.store, deed()) == ""
    begin(ctx, "namespace=shop", stops=True, who="eve")
    assert "paused by eve" in pause.stops_running(ctx.store, deed())


# In which words it is asked for.


@pytest.mark.parametrize(
    "words",
    [
        "", " ", None, "*", "all", "everything", "shop", "globally", "global=yes", "global *",
        "namespace", "namespace=", "namespace= ", "namespace=*", "namespace=shop*", "namespace=all",
        "namespace=ALL", "namespace=shop,bar", "namespace={{ x }}", "namespace=/shop",
        "namespace=*/shop", "namespace=prod/", "namespace=prod/*", "namespace=[s]hop",
        "namespace=sh\u200bop", "namespace=a\x00b", "namespace=a\nb", "namespace=" + "x" * 254,
        "namespace=\ud800", "cluster=", "cluster=*", "remedy=", "remedy=.*", "remedy=%",
        "incident=", "incident=?", "host=web-1", "ns=shop", "clock", "true", "None", 5, [], {},
    ],
)
def test_empty_wildcard_or_unknown_scope_is_refused_with_advice(words):
    with pytest.raises(InvalidInput, match="say global for everything, or one of namespace=NAME"):
        pause.scope_of(words)


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(pause.KINDS))
def test_two_scopes_share_a_key_only_when_they_hold_the_same(one, other, kind):
    try:
        first, second = pause.scope_of("%s=%s" % (kind, one)), pause.scope_of("namespace=" + other)
    except InvalidInput:
        return
    same = (first.kind, first.cluster.casefold(), first.name.casefold()) == (
        second.kind,
        second.cluster.casefold(),
        second.name.casefold(),
    )
    assert (first.key == second.key) is same
    assert pause.scope_of(str(first)) == first


@pytest.fixture(scope="module")
def memory():
    """A context on a store that stays for all examples of a property."""
    store = open_store("sqlite:///:memory:", now=lambda: scene.START)
    yield scene.Context(store=store, clock=scene.Clock())
    store.close()


@given(st.text(), st.text(), st.text())
def test_hostile_deed_breaks_nothing_and_is_held_by_global(memory, cluster, namespace, remedy):
    one = deed(cluster=cluster, namespace=namespace, remedy=remedy)
    begin(memory, "namespace=shop")
    held = pause.objection(memory, one) is not None
    assert held is (namespace.casefold() == "shop")
    begin(memory, "global")
    assert pause.objection(memory, one) is not None
    pause.end(memory.store, pause.scope_of("global"), "ada")


def test_text_of_people_is_cut_and_printable(ctx):
    made, _ = begin(ctx, "global", who="a\x00d\x1ba\u202e" + "x" * 5000, reason="w\x00hy " * 500)
    assert len(made.who) <= 100 and len(made.reason) <= 300
    assert (made.who + made.reason).isprintable()
    assert begin(ctx, "cluster=x", who="")[0].who == "somebody unknown"
    assert len(pause.live(ctx.store)) == 2


def test_not_more_pauses_than_a_decision_can_read(ctx, monkeypatch):
    monkeypatch.setattr(pause, "MAX_PAUSES", 3)
    for number in range(3):
        begin(ctx, "namespace=n%d" % number)
    with pytest.raises(InvalidInput, match="3 pauses hold already"):
        begin(ctx, "namespace=n3")
    begin(ctx, "namespace=n1", 5)
    begin(ctx, "global")


# What cannot be read.


def test_unreadable_row_pauses_everything_until_global_is_resumed(ctx):
    for key in ("", "x", "[]", '["global"]', '["host","","x"]', "5", "null", '"abc"', "[" * 9999):
        begin(ctx, "namespace=elsewhere")
        ctx.store.execute("UPDATE pauses SET scope = ?", (key,))
        found = pause.objection(ctx, deed())
        assert found is not None and "cannot be read" in found.reason, key
        assert pause.end(ctx.store, pause.scope_of("global"), "bob") is None
        assert len(pause.end_unreadable(ctx.store, "bob")) == 1
        assert pause.objection(ctx, deed()) is None


def test_time_that_makes_no_sense_holds(tmp_path):
    ctx = scene.context(scene.store_url("sqlite", tmp_path))  # PostgreSQL refuses text in a number
    begin(ctx, "global", 5)
    ctx.store.execute("UPDATE pauses SET until = 'soon', since = 'now'")
    assert pause.objection(ctx, deed()).until is None
    ctx.store.execute("UPDATE pauses SET until = 9e300")
    assert pause.objection(ctx, deed()).until is None


def test_store_that_cannot_be_asked_objects_and_stops(ctx):
    ctx.store.execute("DROP TABLE pauses")
    assert pause.objection(ctx, deed()).rule == "store"
    assert "cannot be read" in pause.stops_running(ctx.store, deed())


# At once, for every process.


WATCHER = """
import sys
sys.path.insert(0, "actions/lib"); sys.path.insert(0, ".")
from selfheal.config import Config
from selfheal.context import Context
from selfheal.guard import pause
from tests.guard.permits import deed
ctx = Context(Config({"database": {"url": sys.argv[1]}}))
for _ in sys.stdin:
    print("free" if pause.objection(ctx, deed()) is None else "held", flush=True)
"""


def test_pause_holds_in_another_process_from_the_moment_it_is_written(url):
    ctx = scene.Context(scene.Config({"database": {"url": url}}))
    pause.live(ctx.store)
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=str(ROOT),
        universal_newlines=True,
        bufsize=1,
    )

    def asked():
        watcher.stdin.write("?\n")
        return watcher.stdout.readline().strip()

    try:
        for _ in range(10):
            assert asked() == "free"
            begin(ctx, "namespace=shop")
            assert asked() == "held"
            pause.end(ctx.store, pause.scope_of("namespace=shop"), "ada")
    finally:
        watcher.stdin.close()
        watcher.wait(180)
        watcher.stdout.close()
        ctx.close()
