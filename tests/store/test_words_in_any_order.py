"""What is found by the beginning of its name is found in a database that sorts as people do: where
"en_US.UTF-8" is PostgreSQL's default, ";" comes before ":" and "/" before ".".
"""

from __future__ import annotations

import sqlite3

import pytest

from selfheal.incidents import flapping, registry
from selfheal.outbox import letters
from selfheal.respond import calls, waiting
from selfheal.store import checkpoints
from selfheal.tickets import links
from tests import letter_world, scene

ORDER = "_-,;:!?/.`^~'\"()[]{}@$*\\&#%+<=>|0123456789"


def as_people_sort(one, other):
    left, right = (
        [(ORDER.find(sign), sign.lower(), sign) for sign in word.replace(" ", "")]
        for word in (one, other)
    )
    left, right = ([(n < 0, n, low, sign) for n, low, sign in word] for word in (left, right))
    return (left > right) - (left < right)


@pytest.fixture
def ctx(tmp_path):
    url = scene.store_url("sqlite", tmp_path)
    connection = sqlite3.connect(url.partition("///")[2])
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_master SET sql = replace(sql, ' TEXT', ' TEXT COLLATE people')"
    )
    connection.commit()
    connection.close()
    made = scene.context(url)
    made.store._connection.create_collation("people", as_people_sort)
    assert made.store.value("SELECT 1 FROM checkpoints WHERE name = 'x'") is None
    yield made
    made.close()


def test_the_order_is_that_of_people(ctx):
    ctx.store.execute_many(
        "INSERT INTO checkpoints (name, value, updated_at) VALUES (?, '1', 0)",
        [(name,) for name in ("told:abc", "told;", "told:")],
    )
    rows = ctx.store.query("SELECT name FROM checkpoints ORDER BY name")
    assert [row["name"] for row in rows] == ["told;", "told:", "told:abc"]


def test_causes_that_people_were_told_of_are_found(ctx):
    scene.incident(ctx.store, "inc-1", group_key="cause")
    flapping.tell(ctx.store, registry.get(ctx.store, "inc-1"), "msg-1")
    assert [told.outbox_id for told in flapping.remembered(ctx.store)] == ["msg-1"]


def test_threads_that_are_followed_are_found(ctx):
    calls.note_returns(ctx.store, "msg-1", 4)
    checkpoints.write(ctx.store, "returned", 1)
    assert calls.returning(ctx.store) == ["msg-1"]


def test_what_waited_for_its_turn_is_taken_up_and_forgotten(ctx):
    waiting.until(ctx.store, "inc-none", scene.START - 1)
    waiting.take_up(ctx)
    assert checkpoints.read(ctx.store, "again:inc-none") is None


def test_letters_of_all_targets_are_listed(ctx):
    one = letter_world.post(ctx, "a", channel="world:Alpha")
    letter_world.post(ctx, "b", channel="worlds:beta")
    assert [row["id"] for row in letters.listing(ctx.store, channel="world")] == [one]


def test_tickets_of_all_targets_are_listed(ctx):
    scene.incident(ctx.store, "inc-1")
    for number, tracker in enumerate(("jira.Alpha", "jira", "jirax.beta")):
        links.add(ctx.store, links.Link(
            "lnk-%d" % number, "inc-1", number, tracker, "cor-%d" % number, "error", 0, 0.0, 0.0
        ))
    found = links.listing(ctx.store, tracker="jira")
    assert sorted(link.tracker for link in found) == ["jira", "jira.Alpha"]
