"""Messages of many systems: what is one event has one fingerprint, what is not has not."""

from __future__ import annotations

import itertools

import pytest

from selfheal.errors.fingerprint import Fingerprinter
from tests import event_table

BLOCKS = event_table.blocks()
OF = Fingerprinter().of


def test_the_table_is_large_enough_to_mean_something():
    same = sum(len(block) * (len(block) - 1) // 2 for block in BLOCKS)
    assert same >= 150 and len(BLOCKS) >= 200


@pytest.mark.parametrize("block", [b for b in BLOCKS if len(b) > 1], ids=lambda b: b[0][:60])
def test_messages_of_one_event_have_one_fingerprint(block):
    templates = dict(map(OF, block))
    assert len(templates) == 1, sorted(templates.values())


def test_messages_of_two_events_never_share_a_fingerprint():
    first = [(OF(block[0])[0], block[0]) for block in BLOCKS]
    clashes = [(a[1], b[1]) for a, b in itertools.combinations(first, 2) if a[0] == b[0]]
    assert clashes == []


# A number that says what happened makes another event; one that does not makes none.
CODES = [
    ("upstream answered status 503", "503", "504"),
    ('"HTTP/1.1" 404 for the page', "404", "410"),
    ("command finished with exit code 137", "137", "1"),
    ("process exited with status 2", "2", "3"),
    ("child killed by signal 9", "9", "11"),
    ("write failed: errno 28", "28", "5"),
    ("connect() failed (111: Connection refused)", "111", "113"),
    ("[Errno 13] Permission denied", "13", "2"),
    ("query failed, SQLSTATE 42501", "42501", "42P01"),
    ("ORA-00942: table missing", "00942", "01017"),
    ("driver probe returned -110", "-110", "-19"),
    ("job ended rc=12", "12", "8"),
    ("open failed with error 5", "5", "32"),
    ("call failed with 0x80070005", "0x80070005", "0x80070002"),
    ("stopped: E1234 out of range", "E1234", "E1235"),
    ("SQL0911N rolled back", "SQL0911N", "SQL1224N"),
    ('{"event":"call failed","status":502}', "502", "503"),
    ("web: Main process exited, code=exited, status=1/FAILURE", "1/FAILURE", "2/INVALIDARGUMENT"),
]


@pytest.mark.parametrize(("message", "number", "other"), CODES)
def test_numbers_with_a_meaning_stay(message, number, other):
    fingerprint, template = OF(message)
    assert number in template
    assert fingerprint != OF(message.replace(number, other))[0]


VALUES = [
    ("took 12 ms", "took 4.2 s"),
    ("took 1200 ms", "took 4 s"),
    ("read 3 bytes", "read 12,345 bytes"),
    ("wrote 1 file in 3 s", "wrote 20 files in 1 s"),
    ("disk at 93%", "disk at 7 %"),
    ("peer 10.0.0.1 left", "peer db.example.com left"),
    ("peer 10.0.0.1 left", "peer 2001:db8::1 left"),
    ("peer 10.0.0.1 (db.example.com) left", "peer 10.0.0.1 left"),
    ("bound to [::1]:8080 now", "bound to 127.0.0.1:80 now"),
    ("freed block at 0x7f001122", "freed block at 0x12"),
    ("object 0f0e1d2c-aaaa-bbbb-cccc-0123456789ab gone", "object 1234 gone"),
    ("at 2026-11-22T01:02:03Z", "at Sun Nov 22 01:02:03 2026"),
    ("keep [1, 2, 3] of them", "keep [7] of them"),
    ("opened /a/b/c", "opened C:\\x\\y"),
    ("session opened for user alice", "session opened for user svc_17"),
    ("retries=3 left", "retries=many left"),
    ("rhost= user=alice", "rhost=10.0.0.1 user=bob"),
    ("status: a1b2c came", "status: x9y8z came"),
    ("returned 20480 rows to it", "returned 99999 rows to it"),
]


@pytest.mark.parametrize(("one", "other"), VALUES)
def test_values_do_not_make_another_event(one, other):
    assert OF(one)[0] == OF(other)[0], (OF(one)[1], OF(other)[1])


def test_templates_read_well():
    _, template = OF("Failed password for root from 10.0.0.7 port 51234 ssh2")
    assert template == "Failed password for <name> from <ip> port <num> ssh2"


def test_exception_classes_and_states_are_kept():
    for one, other in (
        ("java.io.IOException: closed", "java.io.EOFException: closed"),
        ("job moved from NEW to RUNNING", "job moved from NEW to FAILED"),
        ("state=FAILED for it", "state=LOST for it"),
    ):
        assert OF(one)[0] != OF(other)[0]
