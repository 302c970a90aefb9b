"""Which numbers say what happened, found as fast as they may be without one being missed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors import codes
from tests.examples import examples

_LOOKED_FOR_FIRST = r"(?=(?-i:[cefhrsCEFHRS(\u017f]))"
# The same without the look at the first letter that spares most of a line.
_EVERYWHERE = re.compile(codes._CODES.pattern.replace(_LOOKED_FOR_FIRST, ""))
pieces = st.sampled_from(
    "exit status code errno exited signal sig rc retval ret sqlstate hresult err error errno "
    "return returned response responded with HTTP HTTP/1.1 failed result is was of from pid ( [ : "
    "= # 1 5, -110 500 42P01 0x80070005 (111: (111)Connection refused Connection \u017ftatus "
    "STATU\u017f my- x_ ]".split()
)


def test_the_first_letter_is_part_of_the_pattern():
    assert _EVERYWHERE.pattern != codes._CODES.pattern


@settings(max_examples=examples(150))
@given(st.lists(st.tuples(pieces, st.sampled_from(["", " ", "  "])), max_size=8), st.booleans())
def test_looking_at_first_letters_misses_no_code(parts, is_upper):
    text = "".join(word + blank for word, blank in parts)
    text = text.upper() if is_upper else text
    assert codes.protect(text) == _EVERYWHERE.sub(codes._spelled, text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("killed with exit code 137 after 5 ms", ["exit code 137"]),
        ("Errno: 111", ["Errno: 111"]),
        ("SIGNAL 9 for process 12", ["SIGNAL 9"]),
        ("connect() failed (111: Connection refused)", ["failed (111"]),
        ("answered HTTP/1.1 503 in 20 ms", ["HTTP/1.1 503"]),
        ("ORA says sqlstate 42P01", ["sqlstate 42P01"]),
        ("retval 38 of 20 rows", []),
        ("read 20480 bytes", []),
    ],
)
def test_codes_are_told_from_other_numbers(text, code):
    assert codes.found(text) == code
