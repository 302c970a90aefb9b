"""Parts of objects before and after: what an undo compares and restores must be exact."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.remedy.kubernetes import edits
from selfheal.remedy.kubernetes.edits import ABSENT, AFTER, BEFORE, OTHER, edit

KEYS = st.sampled_from(["a", "b/c", "d~e", "f.g"])
LEAVES = st.one_of(st.booleans(), st.integers(0, 3), st.text(max_size=3), st.just([1, {"a": 2}]))
TREES = st.recursive(LEAVES, lambda inner: st.dictionaries(KEYS, inner, min_size=1, max_size=3))
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)


def apply(document, steps):
    """A JSON patch carried out as RFC 6902 says."""
    found = copy.deepcopy(document)
    for step in steps:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]]
        parent = found
        for part in parts[:-1]:
            parent = parent[part]
        if step["op"] == "remove":
            del parent[parts[-1]]
        else:
            if step["op"] == "replace":
                assert parts[-1] in parent, step
            parent[parts[-1]] = copy.deepcopy(step["value"])
    return found


def thing(spec):
    return {"metadata": {"resourceVersion": "7"}, "spec": spec}


@given(st.dictionaries(KEYS, TREES, max_size=3), PATHS, st.one_of(TREES, st.just(ABSENT)))
def test_patch_and_its_reverse_restore_the_object(spec, path, value):
    live = thing(spec)
    change = edit(live, ("spec", *path), value)
    changed = apply(live, edits.patch(live, [change]))
    assert edits.stand(changed, [change]) == AFTER
    back = edits.Edit(change.path, change.after, change.before)
    restored = apply(changed, edits.patch(changed, [back]))
    assert edits.stand(restored, [change]) in (BEFORE, AFTER)
    assert edits.is_same(edits.at(restored, change.path), change.before)


@given(PATHS, st.one_of(TREES, st.just(ABSENT)), st.one_of(TREES, st.just(ABSENT)))
def test_record_of_an_edit_reads_back_as_it_was(path, before, after):
    import json

    change = edits.Edit(path, before, after)
    assert edits.from_dict(json.loads(json.dumps(change.as_dict()))) == change


def test_patch_holds_the_version_that_was_read():
    steps = edits.patch(thing({"replicas": 1}), [edits.Edit(("spec", "replicas"), 1, 2)])
    assert steps[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}


def test_change_of_others_is_neither_before_nor_after():
    change = [edits.Edit(("spec", "replicas"), 1, 2)]
    assert edits.stand(thing({"replicas": 1}), change) == BEFORE
    assert edits.stand(thing({"replicas": 2}), change) == AFTER
    assert edits.stand(thing({"replicas": 3}), change) == OTHER
    assert edits.differing(thing({"replicas": 3}), change) == ["spec.replicas"]


def test_half_of_two_edits_is_neither_before_nor_after():
    both = [edits.Edit(("spec", "a"), 1, 2), edits.Edit(("spec", "b"), ABSENT, "x")]
    assert edits.stand(thing({"a": 2}), both) == OTHER


@pytest.mark.parametrize(
    "one, other", [(True, 1), (False, 0), ([1], [True]), ({"a": 1}, {"a": True})]
)
def test_true_is_not_one(one, other):
    assert not edits.is_same(one, other)


def test_null_counts_as_not_there_and_empty_does_not():
    assert edits.is_same({"creationTimestamp": None, "a": 1}, {"a": 1})
    assert not edits.is_same({"emptyDir": {}}, {})


@pytest.mark.parametrize(
    "record",
    [{}, {"path": [], "before": [], "after": []}, {"path": ["a"], "before": 1, "after": []},
     {"path": ["a"], "before": [1, 2], "after": []}, {"path": [1], "before": [], "after": []}],
)
def test_record_that_is_none_is_an_error(record):
    with pytest.raises((LookupError, TypeError)):
        edits.from_dict(record)
