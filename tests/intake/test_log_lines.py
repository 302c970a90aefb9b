"""Lines to events: traces stay with their line, nothing is lost, any bytes, bounded memory."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.intake.files.lines import events, lines

LIMIT = 65536

JAVA = """2026-11-22 01:02:03,123 ERROR [http-1] c.a.Shop - order failed
java.lang.IllegalStateException: no price
\tat com.acme.Shop.price(Shop.java:12)
\tat com.acme.Shop.order(Shop.java:40)
Caused by: java.io.IOException: closed
\tat com.acme.Db.read(Db.java:7)
\t... 12 more"""
PYTHON = """ERROR:root:order failed
Traceback (most recent call last):
  File "/app/shop.py", line 3, in order
    price(item)
KeyError: 'tea'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/shop.py", line 5, in order
    raise ShopError("no price")
shop.errors.ShopError: no price"""
UNCAUGHT = """Traceback (most recent call last):
  File "/app/shop.py", line 3, in <module>
    main()
ZeroDivisionError: division by zero"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Shop).price(0xc000, {0x1, 0x2})
\t/app/main.go:12 +0x1d
main.main()
\t/app/main.go:30 +0x25
exit status 2"""
NODE = """Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1494:16)
    at Shop.order (/app/shop.js:3:9)"""
PLAIN = "Nov 22 01:02:04 web-1 sshd[7]: error: maximum authentication attempts exceeded"


def texts(content, limit=LIMIT):
    if isinstance(content, str):
        content = content.encode("utf-8")
    return [event.text for event in events(io.BytesIO(content), 0, limit) if event.text]


@pytest.mark.parametrize("trace", [JAVA, PYTHON, UNCAUGHT, GO, NODE])
def test_a_stack_trace_is_one_event(trace):
    assert texts(trace + "\n") == [trace]


def test_events_after_each_other_are_parted():
    every = [PLAIN, JAVA, PLAIN, PYTHON, PLAIN, GO, PLAIN, NODE, PLAIN]
    assert texts("\n".join(every) + "\n") == every


def test_an_uncaught_traceback_does_not_join_a_line_that_has_nothing_to_do_with_it():
    assert texts("listening on port 80\n" + UNCAUGHT + "\n") == ["listening on port 80", UNCAUGHT]


def test_indented_lines_with_a_time_of_their_own_are_events():
    content = "  2026-11-22 01:02:03 one error\n  2026-11-22 01:02:04 another error\n"
    assert len(texts(content)) == 2


def test_places_are_bytes_of_the_file():
    content = "ä error\n\nsecond\n".encode()
    found = list(events(io.BytesIO(content), 0, LIMIT))
    assert [(event.start, event.end) for event in found if event.text] == [(0, 9), (10, 17)]
    assert [content[event.start:event.end].strip() for event in found] == [
        "ä error".encode(),
        b"",
        b"second",
    ]


def test_the_last_event_says_so_and_whether_its_newline_is_there():
    assert [(e.is_last, e.is_whole) for e in events(io.BytesIO(b"a\nb\n"), 0, LIMIT)] == [
        (False, True),
        (True, True),
    ]
    assert [(e.is_last, e.is_whole) for e in events(io.BytesIO(b"a\nb"), 0, LIMIT)] == [
        (False, True),
        (True, False),
    ]


def test_reading_begins_where_it_is_told():
    assert texts(b"") == []
    found = list(events(io.BytesIO(b"one\ntwo\nthree\n"), 4, LIMIT))
    assert [(event.start, event.text) for event in found] == [(4, "two"), (8, "three")]


def test_any_bytes_become_text_and_holes_are_skipped():
    content = b"\x00" * 700_000 + b"\xff\xfe error \x80\r\n" + b"\0\0second error\n"
    assert texts(content) == ["\ufffd\ufffd error \ufffd", "second error"]


def test_a_very_long_line_is_cut_and_says_so():
    content = b"error " + b"x" * 3_000_000 + b"\nnext\n"
    first, second = texts(content, 4096)
    assert first.startswith("error xxx") and first.endswith("… [+2995910 bytes]")
    assert len(first) < 4200 and second == "next"


def test_an_endless_trace_is_cut_and_still_one_place():
    content = b"error: deep\n" + b"\tat a.b.C.d(E.java:1)\n" * 400 + b"next\n"
    found = list(events(io.BytesIO(content), 0, 2048))
    assert [event.start for event in found] == [0, content.index(b"next")]
    assert len(found[0].text) < 4300


@pytest.mark.parametrize(
    "content",
    [
        b"a." * 500_000 + b"\n",
        b"(" * 500_000 + b")\n" * 5,
        b"goroutine 1 [running]:\n" + (b"a(" * 20_000 + b")\n") * 20,
        b" \n" * 200_000,
        b"\n" * 500_000,
        b"Traceback (most recent call last)\n" * 20_000,
    ],
    ids=["dots", "brackets", "calls", "blank", "empty", "tracebacks"],
)
def test_awkward_content_takes_no_longer_than_other(content):
    began = time.process_time()
    total = sum(len(event.text) for event in events(io.BytesIO(content), 0, LIMIT))
    assert total <= len(content)
    assert time.process_time() - began < 5


@given(st.binary(max_size=2000), st.integers(0, 50))
def test_events_cover_the_file_without_gaps(content, start):
    start = min(start, len(content))
    position = start
    for event in events(io.BytesIO(content), start, 100):
        assert event.start == position and event.end > event.start
        position = event.end
    assert position == len(content)


@given(st.lists(st.text(max_size=30), max_size=30))
def test_lines_are_those_that_were_written(written):
    written = [
        line.translate({10: " ", 0: "0"}).encode("utf-8", "replace").decode().rstrip("\r")
        for line in written
    ]
    content = "".join(line + "\n" for line in written).encode()
    assert [line.text for line in lines(io.BytesIO(content), 0, LIMIT)] == written
