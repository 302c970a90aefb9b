"""Any chain that was written is whole, and none that was tampered with is."""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.incidents import audit
from selfheal.incidents.audit import Walk
from selfheal.store import chain, dump

few = settings(max_examples=40)
texts = st.text(max_size=8)
rows = st.fixed_dictionaries(
    {
        "id": st.uuids().map(str),
        "incident_id": st.just("inc-1"),
        "at": st.floats(allow_nan=False),
        "kind": st.sampled_from(["note", "opened"]),
        "message": texts,
        "data": st.none() | st.dictionaries(texts, texts, max_size=2).map(dump),
        "run_id": st.none() | texts,
        "dedupe_key": st.none() | texts,
    }
)
chains = st.lists(rows, min_size=1, max_size=12, unique_by=lambda row: row["id"])


def linked(entries):
    """The entries as a chain, and its head."""
    previous, done = chain.genesis(0, 0), []
    for link, row in enumerate(entries, 1):
        previous = chain.event_hash(previous, link, row)
        done.append(dict(row, link=link, hash=previous))
    head = {"links": len(done), "hash": previous, "sealed": -1}
    return done, dict(head, old_events=0, old_executions=0)


def walked(events, head, removal=None):
    walk = Walk(head, removal, sum(1 for row in events if row["link"] is None), (-1,))
    numbered = [row for row in events if row["link"] is not None]
    for row in sorted(numbered, key=lambda row: row["link"]):
        walk.see(row)
    walk.end(())
    return walk


@few
@given(entries=chains)
def test_what_was_written_is_whole(entries):
    events, head = linked(entries)
    assert walked(events, head).findings == []


@few
@given(entries=chains, data=st.data())
def test_one_changed_value_is_found_where_it_is(entries, data):
    events, head = linked(entries)
    place = data.draw(st.integers(0, len(events) - 1))
    column = data.draw(st.sampled_from(chain.HASHED))
    value = data.draw(st.one_of(texts, st.none(), st.integers(), st.binary(max_size=4)))
    if dump([repr(value)]) == dump([repr(events[place][column])]):
        return
    events[place][column] = value
    assert [(f.kind, f.link) for f in walked(events, head).findings] == [(audit.CHANGED, place + 1)]


@few
@given(entries=chains, data=st.data())
def test_missing_events_are_numbered(entries, data):
    events, head = linked(entries)
    gone = data.draw(st.sets(st.integers(1, len(events)), min_size=1))
    found = walked([row for row in events if row["link"] not in gone], head).findings
    assert {f.kind for f in found} == {audit.REMOVED}
    assert {f.link for f in found} == {n for n in gone if n - 1 not in gone}


@few
@given(entries=chains.filter(lambda entries: len(entries) > 1), data=st.data())
def test_any_other_order_is_found(entries, data):
    events, head = linked(entries)
    order = data.draw(st.permutations([row["link"] for row in events]))
    if order == [row["link"] for row in events]:
        return
    moved = [dict(row, link=link) for row, link in zip(events, order)]
    assert audit.REORDERED in {f.kind for f in walked(moved, head).findings}


@few
@given(entries=chains, extra=rows, data=st.data())
def test_forged_event_is_found(entries, extra, data):
    events, head = linked(entries)
    link = data.draw(st.integers(-1, len(events) + 2) | st.none())
    forged = dict(extra, link=link, hash=data.draw(texts))
    assert walked([*events, forged], head).findings


@few
@given(entries=chains, data=st.data())
def test_what_retention_has_begun_to_delete_may_have_gaps_but_not_after_it(entries, data):
    events, head = linked(entries)
    until = data.draw(st.integers(1, len(events)))
    removal = {"links": until, "head": events[until - 1]["hash"]}
    gone = data.draw(st.sets(st.integers(1, until)))
    kept = [row for row in events if row["link"] not in gone]
    assert walked(kept, head, removal).findings == []
    later = [row for row in kept if row["link"] > until]
    if later:
        changed = copy.deepcopy(kept)
        changed[-1]["message"] = changed[-1]["message"] + "x"
        assert walked(changed, head, removal).findings


@few
@given(
    events=st.lists(
        st.fixed_dictionaries(
            {
                name: st.none() | st.integers() | texts | st.binary(max_size=3)
                for name in (*chain.HASHED, "hash")
            },
        ).flatmap(
            lambda row: st.integers(-3, 9).map(lambda link: dict(row, link=link, kind="execution"))
        ),
        max_size=8,
    ),
    head=st.none() |
    st.fixed_dictionaries(
        {
            name: st.none() | st.integers(-3, 9) | texts | st.binary(max_size=3)
            for name in ("links", "hash", "sealed", "old_events", "old_executions")
        }
    ),
)
def test_garbage_is_found_and_never_an_error(events, head):
    walk = walked(events, head, {"links": "x", "head": None})
    assert walk.findings or not (events or head)
    assert len(walk.findings) <= audit.MOST <= max(walk.found, audit.MOST)
