"""Results as JSON: what orjson takes is taken alike, what it refuses is refused."""

import dataclasses
import datetime
import decimal
import enum
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone import wrapper
from tests import needs

# --- JSON by orjson's rules


class Colour(enum.Enum):
    """For the test below."""

    RED = "red"


@dataclasses.dataclass
class Point:
    """For the test below."""

    x: int
    _hidden: int = 0


SAMPLES = [
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001
    datetime.date(2026, 1, 2),
    datetime.time(1, 2, 3),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    uuid.UUID(int=5),
    Colour.RED,
    Point(1),
    {"a": Point(2)},
    decimal.Decimal("1.5"),
    {1, 2},
    b"x",
    {1: 2},
    {None: 1},
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    float("inf"),
    float("nan"),
    1e300,
    "\ud800",
    {"\ud800": 1},
    (1, 2),
    True,
    None,
    object(),
    [[[]]],
    type("Text", (str,), {})("t"),
    type("Whole", (int,), {})(5),
    type("Many", (list,), {})([1]),
    type("Map", (dict,), {})(a=1),
    complex(1, 2),
    range(3),
    Point,
    len,
]


@pytest.mark.parametrize("value", SAMPLES, ids=range(len(SAMPLES)))
def test_a_value_is_serialised_or_refused_as_by_orjson(value):
    orjson = needs.module("orjson")
    try:
        wanted = json.loads(orjson.dumps(value).decode())
    except TypeError:
        with pytest.raises(TypeError):
            wrapper.to_json(value)
    else:
        assert json.loads(wrapper.to_json(value)) == wanted


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_any_plain_value_is_serialised_or_refused_as_by_orjson(value):
    orjson = needs.module("orjson")
    try:
        wanted = json.loads(orjson.dumps(value).decode())
    except TypeError:
        with pytest.raises(TypeError):
            wrapper.to_json(value)
    else:
        assert json.loads(wrapper.to_json(value)) == wanted
