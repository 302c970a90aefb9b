"""The pack's dataclasses do what the standard library's do, or say that they cannot."""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import subprocess
import sys
from dataclasses import field
from pathlib import Path

import pytest

from selfheal import records

ROOT = Path(__file__).resolve().parent.parent


def shapes(dataclass):
    """Classes as the pack writes them, made by `dataclass`."""

    @dataclass(frozen=True, order=True)
    class Frozen:
        """Travels."""

        name: str
        count: int = 0
        labels: dict = field(default_factory=dict)
        secret: str = field(default="", repr=False)

    @dataclass
    class Growing:
        found: list = field(default_factory=list)
        last: str = ""

    @dataclass(frozen=True)
    class Telling:
        one: int

        def __str__(self):
            return "one is %d" % self.one

        def __repr__(self):
            return "Telling!"

    @dataclass(frozen=True)
    class Nothing:
        """No field at all."""

    return Frozen, Growing, Telling, Nothing


OURS, THEIRS = shapes(records.dataclass), shapes(dataclasses.dataclass)
FROZEN, GROWING, TELLING, NOTHING = range(4)


def outcome(call):
    """What `call()` gives, or the type of what it raises."""
    try:
        return call()
    except Exception as error:
        return type(error)


def same(look):
    """What both decorators answer alike to `look(classes)`."""
    ours, theirs = outcome(lambda: look(OURS)), outcome(lambda: look(THEIRS))
    assert ours == theirs
    return ours


CALLS = [
    ((), {}),
    (("a",), {}),
    (("a", 1), {}),
    (("a", 1, {"k": "v"}, "s"), {}),
    (("a", 1, {}, "s", "more"), {}),
    ((), {"name": "a"}),
    ((), {"count": 1}),
    (("a",), {"name": "b"}),
    (("a",), {"unknown": 1}),
    ((), {"unknown": 1, "count": 2}),
    (("a",), {"labels": {"k": "v"}, "secret": "hidden"}),
    ((), {"secret": "hidden", "name": "a", "count": 3}),
]


@pytest.mark.parametrize("args, given", CALLS)
def test_a_call_makes_the_same_or_is_refused_alike(args, given):
    shown = same(lambda classes: repr(classes[FROZEN](*args, **given)))
    assert shown is TypeError or "hidden" not in shown
    same(lambda classes: dataclasses.asdict(classes[FROZEN](*args, **given)))


@pytest.mark.parametrize("number", [GROWING, TELLING, NOTHING])
@pytest.mark.parametrize("args", [(), (1,), (1, 2), (1, 2, 3)])
def test_other_shapes_too(number, args):
    same(lambda classes: repr(classes[number](*args)))
    same(lambda classes: dataclasses.astuple(classes[number](*args)))
    same(lambda classes: classes[number](*args) == classes[number](*args))


@pytest.mark.parametrize(
    "args, given, told",
    [
        ((), {}, "Frozen lacks name"),
        ((), {"name": "a", "nome": 1}, "Frozen does not know nome"),
        (("a",), {"name": "b"}, "Frozen was given twice name"),
        ((1, 2, {}, "", 5), {}, "Frozen takes 4 values, was given 5"),
        ((), {"nome": 1}, "Frozen lacks name; Frozen does not know nome"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(args, given, told):
    with pytest.raises(TypeError) as caught:
        OURS[FROZEN](*args, **given)
    assert str(caught.value) == told


def test_equal_ordered_and_hashed_by_their_values():
    for classes in (OURS, THEIRS):
        frozen, growing, telling = classes[:3]
        assert frozen("a", 1) == frozen("a", 1) != frozen("a", 2)
        assert sorted([frozen("b"), frozen("a", 2), frozen("a", 1)]) == [
            frozen("a", 1), frozen("a", 2), frozen("b"),
        ]
        assert frozen("a") <= frozen("a") < frozen("b") and frozen("b") >= frozen("a", 9)
        assert telling(1) != growing(1) and telling(1) != 1
        assert len({telling(1), telling(1), telling(2)}) == 2
        for unhashable in (growing(), frozen("a")):  # a dict within
            with pytest.raises(TypeError):
                hash(unhashable)
        with pytest.raises(TypeError):
            assert frozen("a") < telling(1)


def test_what_is_made_by_default_is_nobody_elses():
    one, other = OURS[GROWING](), OURS[GROWING]()
    one.found.append(1)
    assert (one.found, other.found) == ([1], [])
    one.last = "set"
    assert one == OURS[GROWING]([1], "set")


def test_a_frozen_one_is_frozen():
    made = OURS[FROZEN]("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.unknown = "b"
    with pytest.raises(dataclasses.FrozenInstanceError):
        del made.name
    assert made.name == "a"


def test_the_standard_functions_know_them():
    made = OURS[FROZEN]("a", labels={"k": ["v"]})
    assert dataclasses.is_dataclass(made)
    assert [one.name for one in dataclasses.fields(made)] == ["name", "count", "labels", "secret"]
    assert dataclasses.replace(made, count=2) == OURS[FROZEN]("a", 2, {"k": ["v"]})
    assert json.dumps(dataclasses.asdict(made))
    deep = copy.deepcopy(made)
    assert deep == made and deep.labels["k"] is not made.labels["k"]
    assert str(OURS[TELLING](1)) == "one is 1" and repr(OURS[TELLING](1)) == "Telling!"


class Base:
    """What a class may not stand on here."""


def test_what_they_cannot_do_is_refused_by_name():
    def refused(cls):
        with pytest.raises(TypeError, match=r"needs dataclasses\.dataclass: ") as caught:
            records.dataclass(cls)
        return str(caught.value).partition("dataclasses.dataclass: ")[2]

    after = {"__annotations__": {"a": int}, "__post_init__": lambda self: None}
    assert refused(type("One", (), after)) == "__post_init__"
    assert refused(type("One", (Base,), {"__annotations__": {"a": int}})) == "a base class"
    hidden = {"__annotations__": {"a": int}, "a": field(default=0, init=False, compare=False)}
    assert refused(type("One", (), hidden)) == "init of the field a, compare of the field a"
    slots = {"__annotations__": {"a": int}, "__slots__": ("a",)}
    assert refused(type("One", (), slots)) == "__slots__"


def test_the_library_defines_its_dataclasses_this_way():
    for path in sorted((ROOT / "actions" / "lib" / "selfheal").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        dear = [
            one.lineno
            for one in ast.walk(tree)
            if isinstance(one, ast.ImportFrom) and one.module == "dataclasses" and
            any(name.name == "dataclass" for name in one.names)
        ]
        assert not dear or path.name == "records.py", "%s:%s" % (path, dear)


def test_defining_one_costs_a_fraction_of_what_the_standard_one_does():
    bench = [str(ROOT / "bench" / "records.py"), "--classes", "60", "--rounds", "3"]
    done = subprocess.run([sys.executable, *bench], stdout=subprocess.PIPE, check=True, timeout=300)
    found = json.loads(done.stdout)
    assert found["define"] > 2  # six to fifteen, measured
