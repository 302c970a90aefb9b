"""What a close look found, as messages carry it: enough to begin with, and never too much."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from selfheal.notify import looks

DIAGNOSIS = {
    "diagnosis_id": "dia-1",
    "at": 1_700_000_000.0,
    "facts": [{"what": "state", "found": "0 of 2"}],
    "missing": [{"part": "logs", "why": "403"}],
    "changed": {"from_revision": 1, "to_revision": 2, "what": ["image of main: a -> b"]},
    "logs": [
        {"pod": "web-1", "container": "main", "previous": True,
         "lines": ["line %d" % number for number in range(100)] + ["{{ x }}\x1b[31m"]}
    ],
    "events": [
        {"at": "08:00", "reason": "BackOff", "object": "Pod web-1", "count": 3, "message": "no"}
    ],
}


def test_a_message_tells_what_changed_the_end_of_the_log_and_the_events():
    found = dict(looks.sections(DIAGNOSIS))
    assert found["Changed by revision 2 (before: 1):"] == ["image of main: a -> b"]
    log = found["Log of container main of pod web-1, the run before, the end:"]
    assert len(log) == 20 and log[-2] == "line 99" and "\x1b" not in log[-1]
    assert found["Events:"] == ["08:00 BackOff on Pod web-1, 3 times: no"]
    assert found["Could not be found out:"] == ["logs: 403"]


def test_the_payload_says_when_and_holds_the_end_of_the_log():
    found = looks.payload(DIAGNOSIS)
    assert found["at"] == "2023-11-14T22:13:20.000Z"
    assert found["logs"][0]["lines"][-2] == "line 99"


def test_without_a_look_there_is_nothing():
    assert looks.sections({}) == [] and looks.payload({}) == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*DIAGNOSIS, "pod", "lines", "what", "part", "why", "message"]),
        inner, max_size=4,
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(list(DIAGNOSIS)), JSON, max_size=7))
def test_a_diagnosis_of_any_shape_is_no_error(diagnosis):
    for heading, lines in looks.sections(diagnosis):
        assert "\n" not in heading and all("\n" not in line for line in lines)
    json.dumps(looks.payload(diagnosis))


def test_a_huge_one_is_cut():
    huge = dict(
        DIAGNOSIS,
        facts=[{"what": "x" * 10000, "found": "y" * 10000}] * 1000,
        logs=[dict(DIAGNOSIS["logs"][0], lines=["z" * 100000] * 1000)] * 50,
        events=[dict(DIAGNOSIS["events"][0], message="m" * 100000)] * 500,
    )
    assert len(json.dumps(looks.payload(huge))) < 400_000
    assert sum(len(line) for _, lines in looks.sections(huge) for line in lines) < 30_000
