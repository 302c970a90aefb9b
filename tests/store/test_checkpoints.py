"""What is kept by name is found, and forgotten, by how its name begins: letter by letter."""

from __future__ import annotations

import pytest

from selfheal.store import checkpoints
from tests import scene


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path):
    made = scene.context(scene.store_url(request.param, tmp_path))
    yield made.store
    made.close()


NAMES = ("seen:b", "seen:a", "Seen:c", "seen", "seenx", "se_n:d", "seen:%", "other:seen:")


def test_all_that_begin_so_come_by_name_without_the_beginning(store):
    for name in NAMES:
        checkpoints.write(store, name, {"is": name})
    found = [(row["name"], row["value"]["is"]) for row in checkpoints.under(store, "seen:")]
    assert sorted(found) == [
        ("%", "seen:%"), ("a", "seen:a"), ("b", "seen:b"),
    ]
    assert [row["name"] for row in checkpoints.under(store, "se_n:")] == ["d"]
    assert checkpoints.under(store, "nothing:") == []


def test_those_that_are_named_come_whatever_stands_in_them(store):
    checkpoints.write(store, "a", 1)
    checkpoints.write(store, "b", 2)
    store.execute("UPDATE checkpoints SET value = 'no json' WHERE name = 'b'")
    found = {row["name"]: row["value"] for row in checkpoints.of(store, ["a", "b", "c"])}
    assert found == {"a": 1, "b": None}
    assert checkpoints.of(store, []) == []


def test_only_the_old_of_that_beginning_are_forgotten(store):
    for name in NAMES:
        checkpoints.write(store, name, 1)
    store.execute("UPDATE checkpoints SET updated_at = 5 WHERE name <> 'seen:a'")
    checkpoints.forget_old(store, "seen:", 6)
    left = {row["name"] for row in checkpoints.of(store, NAMES)}
    assert left == set(NAMES) - {"seen:b", "seen:%"}
    checkpoints.forget(store, [])
    checkpoints.forget(store, ["seen", "nothing"])
    assert {row["name"] for row in checkpoints.of(store, NAMES)} == left - {"seen"}


def test_no_beginning_is_an_error_and_never_everything(store):
    for ask in (
        lambda: checkpoints.under(store, ""), lambda: checkpoints.forget_old(store, "", 1e12),
    ):
        with pytest.raises(ValueError, match="no beginning to look for"):
            ask()
