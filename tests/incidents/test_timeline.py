"""The timeline: in order, once, whatever the text."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.incidents import timeline
from selfheal.store import open_store
from tests import scene


@pytest.fixture
def store(url):
    return open_store(url, now=scene.Clock().now)


def test_entries_come_back_in_the_order_they_were_written(store):
    for number in range(30):
        timeline.record(store, "inc-1", "note", "entry %d" % number)  # all in the same instant
    timeline.record(store, "inc-2", "note", "of another incident")
    assert [entry["message"] for entry in timeline.entries(store, "inc-1")] == [
        "entry %d" % n for n in range(30)
    ]


def test_limit_keeps_the_newest(store):
    for number in range(5):
        timeline.record(store, "inc-1", "note", str(number))
    assert [entry["message"] for entry in timeline.entries(store, "inc-1", 2)] == ["3", "4"]


def test_keyed_entry_is_written_once_per_incident(store):
    assert timeline.record(store, "inc-1", "note", "a", once="key") is True
    assert timeline.record(store, "inc-1", "note", "b", once="key") is False
    assert timeline.record(store, "inc-2", "note", "c", once="key") is True
    assert timeline.record(store, "inc-1", "note", "d") and timeline.record(
        store, "inc-1", "note", "d"
    )
    assert [entry["message"] for entry in timeline.entries(store, "inc-1")] == ["a", "d", "d"]


def test_keyed_entry_is_written_once_by_racing_writers(url):
    results = []
    start = threading.Barrier(6)

    def write():
        mine = open_store(url)
        start.wait(180)
        results.append(timeline.record(mine, "inc-1", "note", "x", once="key"))
        mine.close()

    writers = [threading.Thread(target=write) for _ in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(180)
    assert sorted(results) == [False] * 5 + [True]


def test_long_message_is_cut(store):
    timeline.record(store, "inc-1", "note", "x" * 100_000)
    (entry,) = timeline.entries(store, "inc-1")
    assert len(entry["message"]) == 2000 and "characters]" in entry["message"]


@pytest.fixture(scope="module", params=scene.BOTH)
def shared_store(request, tmp_path_factory):
    return open_store(scene.store_url(request.param, tmp_path_factory.mktemp("timeline")))


@given(message=st.text(), data=st.dictionaries(st.text(), st.text()))
def test_any_text_can_be_recorded_and_data_comes_back_as_it_was(shared_store, message, data):
    timeline.record(shared_store, "inc-1", "note", message, data)
    assert timeline.entries(shared_store, "inc-1", 1)[0]["data"] == data


def test_awkward_characters_survive_in_data(store):
    data = {"\x00": "\ud800 {{ x }} <% y %> \U0001f4a5"}
    timeline.record(store, "inc-1", "note", "NUL \x00 and half a pair \udfff", data)
    (entry,) = timeline.entries(store, "inc-1")
    assert entry["data"] == data
    assert "\x00" not in entry["message"]
