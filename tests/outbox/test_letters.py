"""Letters as they lie in the store: posted with what they tell, given up, tried again."""

from __future__ import annotations

import threading
import time

import pytest

from selfheal.exceptions import Conflict, NotFound
from selfheal.outbox import claims, letters
from selfheal.store import open_store, opening
from tests import scene, stores


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path):
    ctx = scene.context(scene.store_url(request.param, tmp_path))
    ctx.store.clock = ctx.clock
    yield ctx.store
    ctx.close()


def post(store, key, queue="", channel="world", **more):
    more.update(channel=channel, queue=queue)
    return letters.post(store, "ticket_comment", None, key, {}, **more)


def end(store, outbox_id, status):
    store.execute("UPDATE outbox SET status = ? WHERE id = ?", (status, outbox_id))


def test_letter_goes_when_the_transaction_that_posted_it_does(store):
    with pytest.raises(RuntimeError), store.transaction("incidents"):
        post(store, "a", "q")
        raise RuntimeError
    assert letters.listing(store) == []
    with store.transaction("incidents"):
        outbox_id = post(store, "a", "q")
    assert [row["id"] for row in letters.listing(store)] == [outbox_id]


def test_the_same_key_is_the_same_letter_in_a_queue_too(store):
    first = post(store, "a", "q")
    assert post(store, "a", "q") == first
    assert len(letters.listing(store)) == 1


def test_discarding_what_others_build_on_discards_them(store):
    base = letters.post(store, "ticket_create", None, "c", {"is_base": True}, queue="q")
    behind, elsewhere = post(store, "a", "q"), post(store, "b", "r")
    assert letters.discard(store, base, "ann", "a test")
    statuses = [letters.status_of(store, one) for one in (base, behind, elsewhere)]
    assert statuses == ["discarded", "discarded", "pending"]
    assert letters.get(store, base)["note"] == "discarded by ann: a test"
    assert not letters.discard(store, base, "ann", "again")


def test_what_was_discarded_with_another_comes_back_with_it(store):
    base = letters.post(store, "ticket_create", None, "c", {"is_base": True}, queue="q")
    by_itself, behind = post(store, "a", "q"), post(store, "b", "q")
    assert letters.discard(store, by_itself, "ann", "said by phone")
    store.clock.at += 5
    assert letters.discard(store, base, "ann", "a mistake")
    store.clock.at += 5
    assert letters.retry(store, base, "ann") == [base]
    statuses = [letters.status_of(store, one) for one in (base, by_itself, behind)]
    assert statuses == ["pending", "discarded", "pending"]


@pytest.mark.parametrize("status", ["sent", "discarded"])
def test_what_is_over_is_not_discarded(store, status):
    outbox_id = post(store, "a")
    end(store, outbox_id, status)
    assert not letters.discard(store, outbox_id, "ann", "a test")
    assert letters.status_of(store, outbox_id) == status


def test_letter_under_way_is_left_to_its_carrier(store):
    outbox_id = post(store, "a")
    assert claims.take(store, outbox_id)[0] == claims.TAKEN
    assert claims.is_under_way(store, letters.get(store, outbox_id))
    assert not letters.discard(store, outbox_id, "ann", "a test")
    assert letters.retry(store, outbox_id, "ann") == []
    assert claims.take(store, outbox_id)[0] == claims.GONE
    store.clock.at += claims.LEASE_S
    assert not claims.is_under_way(store, letters.get(store, outbox_id))
    assert letters.discard(store, outbox_id, "ann", "its carrier is dead")


def test_letter_that_is_being_discarded_is_not_taken(store):
    """Its row is locked when somebody wants to take it: what it says afterwards counts."""
    outbox_id = post(store, "a")
    person = open_store(url_of(store), now=store.now)
    taken = []
    with person.transaction("incidents"):
        assert letters.discard(person, outbox_id, "ann", "a test")
        carrier = threading.Thread(target=lambda: taken.append(claims.take(store, outbox_id)[0]))
        carrier.start()
        wait_until_it_waits(person)
    carrier.join(300)
    person.close()
    assert taken == [claims.GONE]
    assert letters.status_of(store, outbox_id) == "discarded"


def wait_until_it_waits(store):
    """On PostgreSQL until somebody waits for a lock; SQLite lets nobody begin before that."""
    end = time.monotonic() + 300
    while store.dialect.name == "postgresql" and time.monotonic() < end:
        if store.value(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
            "datname = current_database()"
        ):
            return


def url_of(store):
    """The URL by which `store` was opened."""
    return getattr(store.dialect, "_url", store.dialect.shown_url)


def test_trying_again_begins_anew_but_keeps_the_doubt(store):
    outbox_id = post(store, "a")
    store.execute(
        "UPDATE outbox SET status = 'dead', attempts = 9, in_doubt = 1, failing_since = 1, "
        "ended_at = 5, next_attempt_at = ? WHERE id = ?",
        (store.now() + 900, outbox_id),
    )
    assert letters.retry(store, outbox_id, "ann") == [outbox_id]
    row = letters.get(store, outbox_id)
    kept = {name: row[name] for name in ("status", "attempts", "in_doubt", "failing_since")}
    assert kept == {"status": "pending", "attempts": 0, "in_doubt": 1, "failing_since": None}
    assert row["next_attempt_at"] == store.now()


def test_channel_is_tried_again_where_letters_failed(store):
    dead, failed, fresh, other, gone = (post(store, key) for key in "abcde")
    end(store, dead, "dead")
    end(store, gone, "discarded")
    store.execute("UPDATE outbox SET attempts = 2 WHERE id = ?", (failed,))
    store.execute("UPDATE outbox SET channel = 'elsewhere', attempts = 2 WHERE id = ?", (other,))
    assert letters.retry(store, "world", "ann") == [dead, failed]
    assert letters.retry(store, gone, "ann") == [gone]
    assert letters.status_of(store, fresh) == "pending"


@pytest.mark.parametrize("target", ["", "msg-nobody", "worl", "%", "world:*"])
def test_what_names_no_letter_and_no_channel_tries_nothing(store, target):
    outbox_id = post(store, "a")
    end(store, outbox_id, "dead")
    with pytest.raises(NotFound):
        letters.retry(store, target, "ann")
    assert letters.is_dead(store, outbox_id)


def test_sent_letter_is_not_sent_twice(store):
    outbox_id = post(store, "a")
    end(store, outbox_id, "sent")
    with pytest.raises(Conflict):
        letters.retry(store, outbox_id, "ann")
    assert letters.retry(store, "world", "ann") == []


def test_list_is_narrowed_by_what_is_given(store):
    first = post(store, "a", channel="world:edge")
    second = letters.post(store, "escalation", "inc-1", "b", {}, channel="worldly")
    end(store, second, "dead")

    def listed(**more):
        return [row["id"] for row in letters.listing(store, **more)]

    assert set(listed()) == {first, second}
    assert listed(channel="world") == [first] == listed(statuses=["pending"])
    assert listed(incident_id="inc-1") == [second] == listed(limit=1)
    (dead, waiting) = sorted(letters.by_channel(store), key=lambda one: -one["dead"])
    assert (dead["channel"], dead["dead"], dead["pending"]) == ("worldly", 1, 0)
    assert (waiting["channel"], waiting["pending"]) == ("world:edge", 1)


@pytest.mark.parametrize("kind", scene.BOTH)
def test_letters_of_an_older_pack_keep_their_urgency(kind, tmp_path):
    old = tmp_path / "migrations"
    old.mkdir()
    for number, path in opening.available_migrations():
        if number <= 10:
            (old / path.name).write_bytes(path.read_bytes())
    url = stores.sqlite_url(tmp_path, is_empty=True)
    if kind == "postgresql":
        url = stores.postgresql_url(is_empty=True)
    before = open_store(url, migrations=old)
    for kind_of_letter in ("ticket", "escalation"):
        before.insert("outbox", {
            "id": kind_of_letter, "incident_id": None, "kind": kind_of_letter,
            "channel": "webhook", "dedupe_key": kind_of_letter, "payload": "{}",
            "status": "pending", "attempts": 2, "created_at": 1, "next_attempt_at": 2,
        })
    before.close()
    after = open_store(url)
    rows = after.query("SELECT id, urgent, in_doubt, queue FROM outbox ORDER BY id")
    after.close()
    assert [tuple(row.values()) for row in rows] == [
        ("escalation", 1, 0, None), ("ticket", 0, 0, None),
    ]
