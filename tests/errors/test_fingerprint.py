"""A fingerprint depends on its message, and on nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from selfheal.errors import fingerprint
from selfheal.errors.fingerprint import HEAD, Fingerprinter
from tests import event_table

LIBRARY = Path(fingerprint.__file__).resolve().parents[2]
TEXT = st.text(st.characters(), max_size=300) | st.text(
    "ab 01=:'\"{}[]()<>/\\.,-_@#%\n\t", max_size=200
)


def names(messages):
    of = Fingerprinter().of
    return [of(message)[0] for message in messages]


def test_looks_as_it_is_stored():
    assert re.fullmatch(r"v1:[0-9a-f]{20}", Fingerprinter().of("x")[0])


def test_known_fingerprints_stay_as_they_are_for_ever():
    # Stored patterns and merges name these. Other rules need another VERSION, not other values.
    of = Fingerprinter().of
    assert of("disk full")[0] == "v1:85981d284914aef9175a"
    assert of("user alice from 10.0.0.1 got status 503")[0] == "v1:6c59e4f0d08b869f51f3"
    trace = "ValueError: x\n    at run (/app/src/a.js:1:2)"
    assert of("boom", trace)[0] == "v1:855423e7f530319b472e"


def test_the_order_of_messages_changes_nothing():
    messages = event_table.messages()
    first = dict(zip(messages, names(messages)))
    shuffled = random.Random(7).sample(messages, len(messages))
    assert dict(zip(shuffled, names(shuffled))) == first


def test_another_process_agrees():
    script = (
        "import json, sys; sys.path.insert(0, sys.argv[1])\n"
        "from selfheal.errors.fingerprint import Fingerprinter\n"
        "of = Fingerprinter().of\n"
        "print(json.dumps([of(m)[0] for m in json.load(sys.stdin)]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(LIBRARY)],
        input=json.dumps(event_table.messages()).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    assert json.loads(answer.stdout) == names(event_table.messages())


def test_full_caches_change_nothing_and_stay_bounded(monkeypatch):
    messages = event_table.messages()
    expected = [Fingerprinter().of(message) for message in messages]
    monkeypatch.setattr(fingerprint, "_CACHED_WORDS", 7)
    monkeypatch.setattr(fingerprint, "_CACHED_LINES", 3)
    small = Fingerprinter()
    assert [small.of(message) for message in messages * 2] == expected * 2
    assert len(small._words) <= 7 and len(small._lines) <= 3


@given(TEXT, TEXT, TEXT)
def test_any_text_has_one_fingerprint(message, stack, error_class):
    result = Fingerprinter().of(message, stack, error_class)
    assert re.fullmatch(r"v1:[0-9a-f]{20}", result[0])
    busy = Fingerprinter()
    for each in (error_class, stack, message):
        busy.of(each)
        busy.of(message, each)
    assert busy.of(message, stack, error_class) == result


@given(TEXT)
def test_templates_can_be_stored_and_printed(message):
    _, template = Fingerprinter().of(message, message)
    assert template.isprintable() or template.encode("utf-8")
    assert "\x00" not in template and "\n" not in template


def test_only_the_head_of_a_long_message_counts():
    of = Fingerprinter().of
    head = "backup failed " + "because the target is gone " * 100
    assert len(head) > HEAD
    assert of(head + "tail")[0] == of(head + "another end " * 9)[0]


def test_lines_after_the_first_that_says_something_do_not_count():
    of = Fingerprinter().of
    first = of("ERROR: could not insert the row\nDETAIL: Key (id)=(5) is taken")
    assert first[0] == of("ERROR: could not insert the row\nDETAIL: nothing known")[0]
    assert of("Error:\ndisk full on it")[0] != of("Error:\nnetwork down for it")[0]


def test_attributes_behind_a_sentence_are_shown_and_do_not_count():
    of = Fingerprinter().of
    said = "no free slot is left, client: 10.0.0.1, server: a.example.com"
    first, more = of(said), of(said + ', host: "b.example.com"')
    assert first[0] == more[0]
    assert first[1] != more[1] and more[1].endswith('host: "<str>"')
    # Behind less than a sentence they are what tells events apart.
    assert of("pool, size: 1, spare: 2")[0] != of("pool, used: 1, lost: 2")[0]


def test_blanks_and_control_characters_do_not_count():
    of = Fingerprinter().of
    first = of("disk full on it")
    assert first == of("disk  full\ton it ") == of("disk\x00full on\x07 it")


AWKWARD = (
    "a 0 = a= a=b ' \" \\ 'a { [ ( {a= [a, (a, < <num> 1, - _ . a. / /a : a: @ a@ #012 \\n {{ <%"
    " ((< a{b= C:\\ http:// ? /? 0x -[ status error1 \\\" ,/?a ,C:\\a 1:"
).split() + [
    " ", "\t", "\n", "\n at ", "\n\tat a.b(", "\nCaused by: a", '\n  File "a", line 1',
    "for user a ",
    "Mon ", "\n#0 a", "= ", "goroutine 1 [\n", "\x01", "\x02", "\ud800", "'\\",
]


def cost(size):
    began = time.process_time()
    for part in AWKWARD:
        text = part * (size // len(part)) + "!"
        of = Fingerprinter().of
        of(text)
        of("boom\n" + text)
        of("boom", text)
    return time.process_time() - began


def test_a_megabyte_of_awkward_text_costs_no_more_than_its_length_says():
    cost(1000)
    small, large = cost(100_000), cost(1_000_000)
    assert large < 30 * small
