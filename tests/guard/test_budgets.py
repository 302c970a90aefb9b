"""Blast-radius budgets: exact sliding windows, each scope by itself, and no when in doubt."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import StoreError
from selfheal.guard import budgets
from selfheal.store import open_store
from selfheal.text import iso, printable
from tests import scene
from tests.guard.permits import begin, context, deed

PLENTY = {
    "%s_%s" % (kind, window): 1000
    for kind in ("target", "namespace", "cluster", "remedy", "global")
    for window in ("hour", "day")
}


@pytest.fixture
def clock():
    return scene.Clock()


def limited(**limits):
    return {"budgets": {**PLENTY, **limits}}


def test_hour_slides_exactly(url, clock):
    ctx = context(url, clock, **limited(target_hour=2))
    assert begin(ctx, deed("exe-1")) is None
    clock.at += 600
    assert begin(ctx, deed("exe-2")) is None
    refused = begin(ctx, deed("exe-3"))
    assert refused.rule == "budget" and refused.until == scene.START + 3600
    assert "2 of 2 remedies within an hour" in refused.reason
    assert "safety.budgets.target_hour" in refused.advice and iso(refused.until) in refused.advice
    clock.at = refused.until - 0.001
    assert begin(ctx, deed("exe-3")) is not None
    clock.at = refused.until
    assert begin(ctx, deed("exe-3")) is None
    assert begin(ctx, deed("exe-4")).until == scene.START + 4200


def test_day_is_counted_beside_the_hour(url, clock):
    ctx = context(url, clock, **limited(target_hour=5, target_day=3))
    for number in range(3):
        assert begin(ctx, deed("exe-%d" % number)) is None
        clock.at += 7200
    refused = begin(ctx, deed("exe-3"))
    assert "3 of 3 remedies within a day" in refused.reason
    assert refused.until == scene.START + 86400
    clock.at = refused.until
    assert begin(ctx, deed("exe-3")) is None


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("target", {"scope": "prod/shop/db"}),
        ("namespace", {"scope": "prod/pay/web", "namespace": "pay"}),
        ("namespace", {"scope": "edge/shop/web", "cluster": "edge"}),
        ("cluster", {"scope": "edge/shop/web", "cluster": "edge"}),
        ("remedy", {"remedy": "runbook:scale"}),
    ],
)
def test_each_scope_has_its_own(url, kind, other):
    ctx = context(url, **limited(**{kind + "_hour": 1}))
    assert begin(ctx, deed("exe-1")) is None
    refused = begin(ctx, deed("exe-2"))
    assert [one["kind"] for one in refused.data["budgets"]] == [kind]
    assert "safety.budgets.%s_hour" % kind in refused.advice
    assert begin(ctx, deed("exe-3", **other)) is None


def test_the_case_of_letters_makes_no_second_target():
    """Names of hosts mean the same in any case, and a label chooses it."""
    ctx = context("sqlite:///:memory:", **limited(target_hour=1))
    assert begin(ctx, deed("exe-1", scope="prod/web-1")) is None
    assert begin(ctx, deed("exe-2", scope="PROD/Web-1")).rule == "budget"
    ctx = context("sqlite:///:memory:", **limited(namespace_hour=1))
    assert begin(ctx, deed("exe-1", namespace="shop", cluster="prod", scope="a")) is None
    assert begin(ctx, deed("exe-2", namespace="Shop", cluster="Prod", scope="b")).rule == "budget"
    ctx = context("sqlite:///:memory:", **limited(cluster_hour=1))
    assert begin(ctx, deed("exe-1", cluster="prod", scope="a")) is None
    assert begin(ctx, deed("exe-2", cluster="PROD", scope="b")).rule == "budget"


def test_all_remedies_share_one():
    ctx = context("sqlite:///:memory:", **limited(global_hour=1))
    elsewhere = {"scope": "x", "cluster": "y", "namespace": "z", "remedy": "runbook:other"}
    assert begin(ctx, deed("exe-1")) is None
    assert "all remedies together" in begin(ctx, deed("exe-2", **elsewhere)).reason


def test_who_has_no_cluster_is_in_the_nameless_one():
    ctx = context("sqlite:///:memory:", **limited(cluster_hour=1, namespace_hour=1))
    bare = {"cluster": "", "namespace": ""}
    assert begin(ctx, deed("exe-1", scope="a", **bare)) is None
    refused = begin(ctx, deed("exe-2", scope="b", **bare))
    assert [one["kind"] for one in refused.data["budgets"]] == ["cluster"]
    assert "(without a name)" in refused.reason


def test_zero_is_none_at_all_and_never_frees():
    refused = begin(context("sqlite:///:memory:", **limited(target_day=0)), deed())
    assert refused.until is None and "0 of 0" in refused.reason and "wait" not in refused.advice


def test_defaults_are_the_schemas(url, clock):
    ctx = context(url, clock)
    assert [begin(ctx, deed("exe-%d" % number)) is None for number in range(4)] == [True] * 3 + [
        False
    ]


def test_a_second_charge_of_one_execution_changes_nothing(url, clock):
    ctx = context(url, clock, **limited(target_hour=1))
    assert begin(ctx, deed()) is None
    before = ctx.store.query("SELECT * FROM budgets ORDER BY name")
    clock.at += 60
    assert begin(ctx, deed()) is None, "what it was charged itself does not count"
    assert ctx.store.query("SELECT * FROM budgets ORDER BY name") == before


def test_what_only_reads_costs_nothing_and_is_never_refused():
    ctx = context("sqlite:///:memory:", **limited(target_hour=0))
    assert begin(ctx, deed(risk="read-only", scope="")) is None
    assert ctx.store.value("SELECT COUNT(*) FROM budgets") == 0


def test_a_clock_that_was_set_back_frees_nothing(url, clock):
    ctx = context(url, clock, **limited(target_hour=1))
    assert begin(ctx, deed("exe-1")) is None
    clock.at -= 7 * 86400
    refused = begin(ctx, deed("exe-2"))
    assert refused.until == scene.START + 3600


def test_what_is_left_is_shown(url):
    ctx = context(url, **limited(target_hour=3))
    begin(ctx, deed("exe-1"))
    shown = budgets.left(ctx, deed("exe-2"))
    assert shown["target"]["hour"] == {"used": 1, "limit": 3, "left": 2}
    assert sorted(shown) == ["cluster", "global", "namespace", "remedy", "target"]


@pytest.mark.parametrize("missing", ["scope", "remedy", "execution_id"])
def test_a_deed_without_a_name_is_refused(missing):
    fields = {"execution_id": "exe-1", missing: "  "}
    refused = begin(context("sqlite:///:memory:"), deed(**fields))
    assert refused.rule == "budget" and missing in refused.reason


HOSTILE = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\x00", "%", "'; DROP TABLE budgets; --", "\ud800", "a" * 100_000, "?", "\u202e"]
)


@given(st.lists(HOSTILE, max_size=4), st.lists(HOSTILE, max_size=4))
def test_different_scopes_never_share_a_name(one, other):
    assert (budgets.key("target", *one) == budgets.key("target", *other)) == (one == other)
    assert budgets.key("target", *one).isascii() and len(budgets.key("target", *one)) < 60
    assert budgets.key("target", *one) != budgets.key("cluster", *one)


def test_scopes_of_the_same_letters_differ():
    assert budgets.key("namespace", "a/b", "c") != budgets.key("namespace", "a", "b/c")


@pytest.fixture(scope="module", params=scene.BOTH)
def shared(request, tmp_path_factory):
    return context(scene.store_url(request.param, tmp_path_factory.mktemp("hostile")))


_numbers = itertools.count(1)


@given(scope=HOSTILE, namespace=HOSTILE, remedy=HOSTILE)
def test_any_text_is_charged_and_refused_in_words(shared, scope, namespace, remedy):
    shared.config.values["safety"] = limited(target_hour=0)
    with shared.store.transaction():
        mark = "exe-%d" % next(_numbers)
        one = deed(mark, scope=scope + "x", namespace=namespace, remedy=remedy + "x")
        refused = budgets.objection(shared, one)
        assert refused.rule == "budget" and len(str(refused)) < 1000
        assert printable(str(refused)) == str(refused)
        budgets.charge(shared, one)
    count = shared.store.value("SELECT COUNT(*) FROM budgets WHERE execution_id = ?", (mark,))
    assert count == (6 if namespace else 5)


STEPS = st.lists(st.integers(0, 2500), max_size=25)


@given(STEPS, st.integers(1, 4), st.integers(1, 6))
def test_no_hour_and_no_day_ever_holds_more_than_its_limit(steps, per_hour, per_day):
    """Against the plainest model: all times, counted anew each time."""
    clock = scene.Clock()
    ctx = context(
        "sqlite:///:memory:", clock, **limited(target_hour=per_hour, target_day=per_day)
    )
    begun = []
    for number, wait in enumerate(steps):
        clock.at += wait
        within = [sum(1 for at in begun if clock.at - at < span) for span in (3600, 86400)]
        may = within[0] < per_hour and within[1] < per_day
        assert (begin(ctx, deed("exe-%d" % number)) is None) is may
        if may:
            begun.append(clock.at)
    ctx.close()


@pytest.mark.parametrize("limit", ["many", "nan", -1, None, [3]])
def test_a_limit_that_is_none_is_a_no(limit):
    ctx = context("sqlite:///:memory:", budgets={**PLENTY, "target_hour": limit})
    refused = begin(ctx, deed())
    if limit is None:
        assert refused is None, "an empty setting is the default"
    else:
        assert refused.rule == "budget" and "safety.budgets.target_hour" in refused.reason


def test_a_database_that_is_gone_is_a_no(url):
    ctx = context(url)
    ctx.store.close()
    refused = budgets.objection(ctx, deed())
    assert refused.rule == "store" and "database.url" in refused.advice
    with pytest.raises(StoreError):
        budgets.charge(ctx, deed())


def test_a_missing_table_is_a_no(url):
    ctx = context(url)
    ctx.store.execute("DROP TABLE budgets")
    assert budgets.objection(ctx, deed()).rule == "store"


def test_a_time_that_is_none_is_a_no(tmp_path):
    ctx = context(scene.store_url("sqlite", tmp_path))
    begin(ctx, deed("exe-1"))
    for garbage in ("yesterday", b"\x00", 9e999):
        ctx.store.execute("UPDATE budgets SET at = ?", (garbage,))
        refused = budgets.objection(ctx, deed("exe-2"))
        assert refused.rule == "store" and "table budgets" in refused.reason


def test_a_number_that_is_none_is_a_no_on_postgresql_too(tmp_path):
    ctx = context(scene.store_url("postgresql", tmp_path))
    begin(ctx, deed("exe-1"))
    for garbage in ("NaN", "Infinity"):
        ctx.store.execute("UPDATE budgets SET at = '%s'" % garbage)
        assert budgets.objection(ctx, deed("exe-2")).rule == "store"


def test_a_full_disk_charges_nothing(tmp_path):
    ctx = context(scene.store_url("sqlite", tmp_path), **limited())
    begin(ctx, deed("exe-0"))
    count = ctx.store.value("SELECT COUNT(*) FROM budgets")
    ctx.store.query("PRAGMA max_page_count = %d" % ctx.store.value("PRAGMA page_count"))
    with pytest.raises(StoreError, match="full"):
        for number in range(1, 500):
            begin(ctx, deed("exe-%d" % number, scope="s%d" % number))
            count += 6
    assert ctx.store.value("SELECT COUNT(*) FROM budgets") == count, "all six rows or none"
    assert budgets.objection(ctx, deed("exe-x")) is None, "reading needs no space"


def test_no_decision_reads_what_is_old(tmp_path):
    store = open_store(scene.store_url("sqlite", tmp_path))
    plan = store.query(
        "EXPLAIN QUERY PLAN " + budgets._COUNTED % "?, ?", (0.0, "a", "b", 0.0, "exe-1")
    )
    assert any("budgets_by_time (name=? AND at>?)" in row["detail"] for row in plan)
