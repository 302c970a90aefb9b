"""The audit trail: whatever a hand does to it shows, and what nobody touched does not."""

from __future__ import annotations

import shutil

import pytest

from selfheal.incidents import audit, evidence, timeline
from selfheal.remedy import journal
from selfheal.store import open_store, opening, seals
from tests import audit_scene, scene

_filled = {}
EVENT, HEAD, EXECUTION, SEAL = audit.EVENT, audit.HEAD, audit.EXECUTION, audit.SEAL


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path_factory):
    """One filled store per database; each test takes back what it does to it."""
    if request.param not in _filled:
        url = scene.store_url(request.param, tmp_path_factory.mktemp("audit"))
        _filled[request.param] = audit_scene.fill(open_store(url, now=scene.Clock().now))
    with audit_scene.taken_back(_filled[request.param]) as opened:
        yield opened


def test_untouched_trail_is_whole(store):
    report = evidence.examine_all(store)
    assert report.is_ok and report.broken == {}
    assert (report.incidents, report.executions, report.seals) == (3, 2, 3)
    assert report.events == 3 * audit_scene.EVENTS + 5
    for name in audit_scene.INCIDENTS:
        assert evidence.examine_one(store, name).is_ok


TEXTS = ("x", "", None, "inc-2")
NUMBERS = (0, 1, -1, 12345, None)
TYPES = {
    "incident_events": {"at": NUMBERS, "link": NUMBERS},
    "audit_heads": dict.fromkeys(("links", "sealed", "old_events", "old_executions"), NUMBERS),
    "audit_seals": dict.fromkeys(("seq", "at", "links"), NUMBERS),
    "execution_history": dict.fromkeys(
        ("dry_run", "verified", "started_at", "finished_at"), NUMBERS
    ),
}
KEYS = {"audit_heads": "incident_id", "audit_seals": "seq"}


def set_value(store, table, key, row, column, value):
    """Set one column of one row; False where the database itself forbids it."""
    store.execute("SAVEPOINT hand")
    try:
        store.execute(
            "UPDATE %s SET %s = ? WHERE %s = ?" % (table, column, key), (value, row[key])
        )
        return True
    except Exception as error:
        assert type(error).__name__ in ("Conflict", "StoreError"), error
        store.execute("ROLLBACK TO SAVEPOINT hand")
        return False


@pytest.mark.parametrize(
    "table", ["incident_events", "audit_heads", "audit_seals", "execution_history"]
)
def test_no_column_of_any_row_changes_unseen(store, table):
    key = KEYS.get(table, "id")
    unseen, tried = [], 0
    rows = store.query("SELECT * FROM %s ORDER BY %s" % (table, key))
    for row in rows[:: max(1, len(rows) // 4)] + rows[-1:]:
        for column, was in row.items():
            for value in TYPES[table].get(column, TEXTS):
                if value == was or not set_value(store, table, key, row, column, value):
                    continue
                tried += 1
                if evidence.examine_all(store).is_ok:
                    unseen.append((row[key], column, value))
                store.execute("ROLLBACK TO SAVEPOINT hand")
    assert unseen == []
    assert tried > 40


@pytest.mark.parametrize("link", [1, 3, audit_scene.EVENTS])
def test_removed_event_is_missed(store, link):
    store.execute("DELETE FROM incident_events WHERE incident_id = 'inc-1' AND link = ?", (link,))
    report = evidence.examine_all(store)
    assert [(f.part, f.kind, f.link) for f in report.broken["inc-1"]][-1] == (
        EVENT,
        audit.REMOVED,
        link,
    )
    assert set(report.broken) == {"inc-1"}


def test_last_events_removed_together_with_their_place_in_the_head_are_missed(store):
    store.execute("DELETE FROM incident_events WHERE incident_id = 'inc-1' AND link > 4")
    row = store.one("SELECT * FROM incident_events WHERE incident_id = 'inc-1' AND link = 4")
    store.execute(
        "UPDATE audit_heads SET links = 4, sealed = 4, hash = ? WHERE incident_id = 'inc-1'",
        (row["hash"],),
    )
    assert (SEAL, audit.REMOVED) in audit_scene.kinds_found(store, "inc-1")


def test_moved_events_are_named(store):
    for was, link in ((2, -5), (5, 2), (-5, 5)):
        store.execute(
            "UPDATE incident_events SET link = ? WHERE incident_id = 'inc-1' AND link = ?",
            (link, was),
        )
    found = evidence.examine_all(store).broken["inc-1"]
    assert {f.link for f in found if f.kind == audit.REORDERED} == {2, 5}


def copy_of(store, number, **changes):
    row = store.one(
        "SELECT * FROM incident_events WHERE incident_id = 'inc-1' AND link = ?", (number,)
    )
    row.update({"id": "evt-forged", "dedupe_key": None}, **changes)
    store.insert("incident_events", row)


@pytest.mark.parametrize(
    "changes",
    [{}, {"message": "forged"}, {"link": None}, {"link": 0}, {"link": -1}, {"id": "evt-0"}],
    ids=str,
)
def test_inserted_event_is_found(store, changes):
    copy_of(store, 3, **changes)
    assert (EVENT, audit.INSERTED) in audit_scene.kinds_found(store, "inc-1")


@pytest.mark.parametrize("link", [audit_scene.EVENTS + 1, audit_scene.EVENTS + 5])
def test_event_appended_by_hand_is_found(store, link):
    copy_of(store, 3, link=link)
    assert audit_scene.kinds_found(store, "inc-1")


def test_event_of_another_incident_is_found_in_both(store):
    store.execute(
        "UPDATE incident_events SET incident_id = 'inc-2' WHERE incident_id = 'inc-1' AND link = 6"
    )
    assert set(evidence.examine_all(store).broken) == {"inc-1", "inc-2"}


def test_real_event_is_told_from_the_one_beside_it(store):
    copy_of(store, 3, id="aaa", message="forged")
    found = evidence.examine_all(store).broken["inc-1"]
    assert [(f.kind, f.link) for f in found] == [(audit.INSERTED, 3)]


def test_lost_head_is_found(store):
    store.execute("DELETE FROM audit_heads WHERE incident_id = 'inc-1'")
    assert audit_scene.kinds_found(store) == {(HEAD, audit.LOST)}


def test_chain_rewritten_from_the_middle_with_its_head_contradicts_the_seal(store):
    rows = store.query("SELECT * FROM incident_events WHERE incident_id = 'inc-1' ORDER BY link")
    from selfheal.store import chain

    previous = rows[1]["hash"]
    for row in rows[2:]:
        row["message"] = "it was never like that"
        previous = chain.event_hash(previous, row["link"], row)
        store.execute(
            "UPDATE incident_events SET message = ?, hash = ? WHERE id = ?",
            (row["message"], previous, row["id"]),
        )
    store.execute("UPDATE audit_heads SET hash = ? WHERE incident_id = 'inc-1'", (previous,))
    assert audit_scene.kinds_found(store) == {(SEAL, audit.REMOVED)}


@pytest.mark.parametrize("tables", [("incident_events", "audit_heads")], ids=str)
def test_whole_incident_that_disappears_is_missed(store, tables):
    for table in tables:
        store.execute("DELETE FROM %s WHERE incident_id = 'inc-1'" % table)
    report = evidence.examine_all(store)
    assert [(f.part, f.kind) for f in report.broken["inc-1"]] == [(SEAL, audit.REMOVED)]
    assert not evidence.examine_one(store, "inc-1").is_ok


@pytest.mark.parametrize("seq", [1, 2, 3])
def test_removed_seal_is_missed(store, seq):
    store.execute("DELETE FROM audit_seals WHERE seq = ?", (seq,))
    assert (SEAL, audit.MISSING) in audit_scene.kinds_found(store, "")


def test_all_seals_removed_with_their_note_are_missed(store):
    store.execute("DELETE FROM audit_seals")
    store.execute("DELETE FROM checkpoints")
    assert (HEAD, audit.CHANGED) in audit_scene.kinds_found(store)


def test_swapped_seals_are_found(store):
    for was, seq in ((1, 90), (2, 1), (90, 2)):
        store.execute("UPDATE audit_seals SET seq = ? WHERE seq = ?", (seq, was))
    assert (SEAL, audit.CHANGED) in audit_scene.kinds_found(store)


def test_inserted_seal_is_found(store):
    row = store.one("SELECT * FROM audit_seals WHERE seq = 2")
    store.insert("audit_seals", dict(row, seq=4))
    assert (SEAL, audit.CHANGED) in audit_scene.kinds_found(store)


def test_seal_appended_as_we_append_is_found_by_the_note_of_the_last(store):
    last = store.one("SELECT * FROM audit_seals WHERE seq = 3")
    row = dict(last, seq=4, previous=last["hash"])
    row["hash"] = seals.seal_hash(row)
    store.insert("audit_seals", row)
    assert (SEAL, audit.INSERTED) in audit_scene.kinds_found(store, "")


def test_removed_inserted_and_moved_executions_are_found(store):
    first, second = [
        row["id"] for row in store.query("SELECT id FROM execution_history ORDER BY id")
    ]
    store.execute("DELETE FROM execution_history WHERE id = ?", (first,))
    store.execute("UPDATE execution_history SET incident_id = 'inc-1' WHERE id = ?", (second,))
    assert audit_scene.kinds_found(store, "inc-2") == {(EXECUTION, audit.REMOVED)}
    assert audit_scene.kinds_found(store, "inc-1") == {(EXECUTION, audit.INSERTED)}


def test_execution_that_goes_on_as_ours_do_is_not_found(store):
    running = journal.begin(store, "inc-1", "run-2", audit_scene.PLAN)
    assert evidence.examine_all(store).is_ok
    journal.finish(store, running, journal.FAILED, {"outcome": "failed"})
    journal.set_verified(store, running, False)
    journal.set_verified(store, running, True)
    assert evidence.examine_all(store).is_ok
    store.execute("UPDATE execution_history SET verified = 0 WHERE id = ?", (running,))
    assert audit_scene.kinds_found(store) == {(EXECUTION, audit.CHANGED)}


def test_trail_goes_on_behind_a_head_that_makes_no_sense(store):
    store.execute("UPDATE audit_heads SET links = -3, hash = '' WHERE incident_id = 'inc-1'")
    assert timeline.record(store, "inc-1", "note", "life goes on")
    assert timeline.entries(store, "inc-1", 1)[0]["message"] == "life goes on"
    assert not evidence.examine_all(store).is_ok


def test_many_broken_incidents_are_counted_and_few_listed(store):
    for number in range(120):
        timeline.record(store, "inc-many-%d" % number, "note", "x")
    store.execute("UPDATE incident_events SET message = 'y' WHERE incident_id >= 'inc-many'")
    report = evidence.examine_all(store)
    assert (report.broken_incidents, report.findings) == (120, 120)
    assert len(report.broken) == evidence.MOST_INCIDENTS


def test_more_events_than_a_page_and_more_of_one_number_than_a_page(store, monkeypatch):
    monkeypatch.setattr(evidence, "ROWS", 4)
    monkeypatch.setattr(evidence, "INCIDENTS", 2)
    assert evidence.examine_all(store).is_ok
    for number in range(9):
        copy_of(store, 3, id="evt-%d" % number)
    report = evidence.examine_all(store)
    assert set(report.broken) == {"inc-1"}
    assert {f.kind for f in report.broken["inc-1"]} == {audit.INSERTED}


@pytest.fixture
def old(empty_url, tmp_path):
    """A store from before the chain, with two events and an execution of an incident, brought up
    to date.
    """
    folder = tmp_path / "old"
    folder.mkdir()
    for number, path in opening.available_migrations():
        if number < 8:
            shutil.copy(path, folder)
    before = open_store(empty_url, migrations=folder)
    for number in (1, 2):
        before.insert(
            "incident_events",
            {
                "id": "evt-%d" % number,
                "incident_id": "inc-1",
                "at": 1.0,
                "kind": "note",
                "message": "long ago",
                "dedupe_key": "key-%d" % number,
            },
        )
    scene.execution(before, status="running")
    scene.execution(before, "exe-2")
    before.close()
    return open_store(empty_url)


def test_events_from_before_the_chain_are_counted_not_broken(old):
    seals.seal_changed(old)
    report = evidence.examine_all(old)
    assert report.is_ok
    assert (report.before_chain, report.events, report.executions) == (2, 0, 2)


def test_chain_goes_on_from_what_was_before_it(old):
    seals.seal_changed(old)
    assert not timeline.record(old, "inc-1", "note", "again", once="key-1")
    assert timeline.record(old, "inc-1", "note", "first of the chain")
    journal.finish(old, "exe-1", journal.INTERRUPTED, {})
    seals.seal_changed(old)
    report = evidence.examine_all(old)
    assert report.is_ok and report.broken == {}
    assert (report.before_chain, report.events) == (2, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM incident_events WHERE id = 'evt-1'",
        "DELETE FROM execution_history WHERE id = 'exe-2'",
        "UPDATE audit_heads SET old_events = 1",
        "UPDATE audit_heads SET old_executions = 9",
        "UPDATE audit_heads SET old_events = 1, hash = 'before:1:2'",
    ],
)
@pytest.mark.parametrize("is_grown", [False, True])
def test_what_was_before_the_chain_is_still_counted(old, statement, is_grown):
    if is_grown:
        timeline.record(old, "inc-1", "note", "first of the chain")
    seals.seal_changed(old)
    old.execute(statement)
    assert not evidence.examine_all(old).is_ok


def test_unreadable_bytes_in_any_column_are_findings_not_errors(tmp_path):
    store = audit_scene.fill(open_store(scene.store_url("sqlite", tmp_path)))
    tables = ("incident_events", "audit_heads", "audit_seals", "execution_history")
    garbage = (b"\xff\xfe\x00", 1.5, 2**63 - 1, "\ufffd")
    for table in tables:
        for column in store.one("SELECT * FROM %s" % table):
            for value in ("CAST(? AS TEXT)", "?"):
                for one in garbage:
                    with audit_scene.taken_back(store):
                        try:
                            store.execute(
                                "UPDATE %s SET %s = %s WHERE rowid = "
                                "(SELECT MAX(rowid) FROM %s)" % (table, column, value, table),
                                (one,),
                            )
                        except Exception:
                            continue
                        report = evidence.examine_all(store)
                        assert not report.is_ok, (table, column, value, one)
    assert evidence.examine_all(store).is_ok
