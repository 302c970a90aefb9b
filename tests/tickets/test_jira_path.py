"""The way through workflows that only show the next doors."""

from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.tickets.jira_path import (
    DONE,
    MOST_STEPS,
    Status,
    Step,
    goal_of,
    next_step,
    steps_of,
)

CATEGORIES = ("new", "indeterminate", "done")


def status(name, category="indeterminate"):
    return Status(name, name, category)


def step(to, category="indeterminate"):
    return Step("t-" + to, "to " + to, status(to, category))


def test_the_goal_is_taken_when_it_is_offered():
    known = {"a": (step("b"), step("done", DONE))}
    assert next_step(known, "a", goal_of((), DONE)).to.name == "done"


def test_an_end_that_gives_up_is_no_goal_and_no_way():
    known = {"a": (step("Won't do", DONE), step("Cancelled", DONE), step("b"))}
    assert next_step(known, "a", goal_of((), DONE)).to.name == "b"
    known["b"] = ()
    assert next_step(known, "a", goal_of((), DONE)) is None
    assert next_step(known, "a", goal_of(("cancelled",), DONE)).to.name == "Cancelled"


def test_work_in_progress_is_looked_at_before_a_way_back():
    known = {"b": (step("a", "new"), step("c"))}
    assert next_step(known, "b", goal_of((), DONE)).to.name == "c"


def test_what_was_seen_is_kept_in_mind():
    known = {"a": (step("b"), step("c")), "b": (step("a"),)}
    assert next_step(known, "b", goal_of((), DONE)).to.name == "a"  # back, to try c
    known["c"] = (step("done", DONE),)
    assert next_step(known, "b", goal_of((), DONE)).to.name == "a"


def test_broken_answers_make_no_steps():
    assert steps_of([{}, {"id": "", "name": "x"}, {"id": "5", "to": None, "fields": {"x": 1}}]) == (
        Step("5", "", Status("", "", ""), {}),)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(
    st.sampled_from("abcdefg"),
    st.lists(st.sampled_from("abcdefg"), max_size=4), min_size=1),
    st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from(CATEGORIES)),
    st.sampled_from("abcdefg"))
def test_a_walk_ends_and_finds_what_can_be_found(doors, categories, start):
    """Against a search that sees the whole workflow: who can get there, does, in few steps."""
    categories = {name: categories.get(name, "indeterminate") for name in "abcdefg"}
    is_goal = goal_of((), DONE)

    def offered(name):
        return tuple(
            Step("%s-%s" % (name, to), to, status(to, categories[to])) for to in doors.get(name, [])
        )

    at, known, taken = start, {}, 0
    while not is_goal(status(at, categories[at])):
        known[at] = offered(at)
        chosen = next_step(known, at, is_goal)
        if chosen is None:
            break
        assert chosen in known[at]
        at, taken = chosen.to.name, taken + 1
        assert taken <= 7 * 7
    if categories[at] != DONE:  # then there was no way from where it got stuck
        seen, left = {at}, [at]
        while left:
            for one in offered(left.pop()):
                assert categories[one.to.name] != DONE
                if one.to.name not in seen:
                    seen.add(one.to.name)
                    left.append(one.to.name)
    assert MOST_STEPS == 12
