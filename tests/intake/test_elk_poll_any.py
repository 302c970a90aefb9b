"""Whatever JSON a search answers with, a look makes a row of it or counts it; settings of targets
are complete or refused by name.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.config import Config
from selfheal.exceptions import ConfigError
from selfheal.intake.elk import settings as elk_settings
from tests import stores
from tests.elk_scene import Monitor, Shelf

ANY_TEXT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(["{{ 6*7 }}", "<% ctx() %>", "\x00", "\ud800", "x" * 100_000, "-1e999", ""]),
)
ANY_JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), ANY_TEXT, st.just(10**400)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(ANY_TEXT, inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["message", "@timestamp", "host", "log", "level", "kubernetes", "error", "event", "program"]
)
SOURCES = st.one_of(ANY_JSON, st.dictionaries(FIELDS, ANY_JSON, max_size=6))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_any_document_is_stored_once_or_counted(kind, tmp_path_factory):
    url = (
        stores.postgresql_url()
        if kind == "postgresql"
        else stores.sqlite_url(tmp_path_factory.mktemp("any"))
    )
    shelf = Shelf()
    monitor = Monitor(url, shelf)

    @settings(max_examples=60)
    @given(st.lists(SOURCES, min_size=1, max_size=8))
    def look(sources):
        for source in sources:
            shelf.documents["any%d" % len(shelf.documents)] = (monitor.clock.at, source)
        found = monitor.poll(1)
        assert found["new"] == len(sources)

    look()
    assert len(monitor.stored()) == len(shelf.documents) == monitor.total()


@pytest.mark.parametrize("hit", [None, 5, "text", [], {}, {"_id": "x"}, {"_source": {"a": 1}}])
def test_hit_that_is_no_hit_is_kept_as_unreadable(url, hit):
    shelf = Shelf()
    shelf.count = lambda start, end: 1
    shelf.pages = lambda start, end, page_size=None: iter([[hit]])
    monitor = Monitor(url, shelf)
    found = monitor.poll()
    assert found["new"] == 1 and found["rejected"] == 1
    assert monitor.poll(1)["new"] in (0, 1)  # without an id of its own it may be another


def test_settings_of_a_target_are_completed_from_the_schema():
    config = Config({"elasticsearch": {"a": {"url": "http://a", "page_size": 10}, "username": "u"}})
    found = elk_settings.targets(config)
    assert found["a"]["page_size"] == 10 and found["a"]["username"] == "u"
    assert found["a"]["query_delay_s"] == 120 and found["a"]["time_field"] == "@timestamp"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", 0),
        ("page_size", 10001),
        ("page_size", "many"),
        ("page_size", True),
        ("page_size", 1.5),
        ("query_delay_s", -1),
        ("late_minutes", 10**9),
        ("slice_minutes", 0),
        ("timeout_s", [5]),
    ],
)
def test_number_out_of_range_is_refused_by_name(name, value):
    config = Config({"elasticsearch": {"url": "http://a", name: value}})
    with pytest.raises(ConfigError, match=r"elasticsearch\.default\.%s" % name):
        elk_settings.targets(config)


@pytest.mark.parametrize("value", [500, 500.0, "500"])
def test_number_may_be_written_as_text(value):
    config = Config({"elasticsearch": {"url": "http://a", "page_size": value}})
    assert elk_settings.targets(config)["default"]["page_size"] == 500
