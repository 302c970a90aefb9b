"""Every road through the workflows ends where it should, nothing runs twice, no transition is left
untried.
"""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from standalone import orquesta_compat
from tests.workflows import hostile, plays
from tests.workflows.cases import CASES, FAILURES, PATHS, REMEDIATION, RESPONSE
from tests.workflows.plays import did, healed, play, said

# What each task may answer, by the key its conditions look at, and how many roads lead on from it.
WORDS = {
    "analyze": ("state", ["claimed", "taken", "cleared", "closed", "unknown"]),
    "decide": ("strategy", ["automated", "approve", "manual", "escalate", "ignore"]),
    "request_approval": ("approval_id", [plays.APPROVAL]),
    "settle_approval": ("verdict", ["approved", "rejected", "expired", "cleared"]),
    "ticket": ("status", ["ticketed"]),
    "observe": ("status", ["observed"]),
    "close": ("closed", [True, False]),
    "escalate": ("escalated", [True, False]),
    "remediate": ("outcome", ["done", "cleared", "refused", "planned", "failed"]),
    "verify": ("resolved", [True, False]),
    "undo": ("outcome", ["undone", "nothing", "partly"]),
}
HEALED = [
    "resolved",
    "cleared",
    "planned",
    "refused",
    "not_resolved",
    "remediation_failed",
    "undo_failed",
]
ODD = [None, "", "unheard-of", 7, ["done"], {"a": 1}]


@functools.lru_cache(maxsize=None)
def road(index):
    """The play of one case, with hostile text wherever the case leaves room for it."""
    case = CASES[index]
    return play(
        case.workflow, {task: hostile.stuffed(answer) for task, answer in case.answers.items()}
    )


EVERY_CASE = pytest.mark.parametrize("index", range(len(CASES)), ids=[case.name for case in CASES])


@pytest.mark.parametrize("name", plays.NAMES)
def test_orquesta_finds_nothing_wrong(name):
    assert orquesta_compat.inspect(plays.spec(name)) == {}


@pytest.mark.parametrize("name", plays.NAMES)
def test_engine_sees_every_transition_of_the_file(name):
    assert plays.drawn(name) == plays.transitions(name)


@EVERY_CASE
def test_road_ends_as_it_should(index):
    case, played = CASES[index], road(index)
    assert played.status == case.status
    assert played.output["outcome"] == case.outcome
    assert played.output.get("strategy", "none") == case.strategy
    assert played.tasks[-1] == case.last
    assert set(played.tasks) == set(case.answers)
    if case.reason is not None:
        assert played.input_of("escalate")["reason"] == case.reason
    if case.last == "close":
        wanted = "remediated" if case.outcome == "resolved" else "self_resolved"
        assert played.input_of("close")["resolution"] == wanted


@EVERY_CASE
def test_each_task_on_the_road_takes_exactly_one_transition(index):
    takers = Counter(task for task, _ in road(index).taken)
    assert takers == Counter(set(road(index).tasks))


@EVERY_CASE
def test_hostile_text_in_results_goes_nowhere(index):
    played = road(index)
    carried = [played.contexts, [given for _, given in played.ran], played.output]
    for leaf in hostile.leaves(carried):
        assert hostile.CANARY not in str(leaf)
        assert "6*7" not in str(leaf) and str(leaf) != "42"


@EVERY_CASE
def test_no_task_runs_twice(index):
    case, counts = CASES[index], Counter(road(index).tasks)
    tries = counts.pop("escalate", 0)
    assert set(counts.values()) <= {1}
    assert tries <= 3
    if tries > 1:
        assert isinstance(case.answers["escalate"], list) or case.status == "failed"


@pytest.mark.parametrize("name", plays.NAMES)
def test_every_transition_is_taken_by_some_road(name):
    taken = set()
    for index, case in enumerate(CASES):
        if case.workflow == name:
            taken |= road(index).taken
    assert sorted(plays.transitions(name) - taken) == []


@pytest.mark.parametrize("name", plays.NAMES)
def test_failure_of_every_task_is_among_the_roads(name):
    tasks = set(plays.document(name)["tasks"])
    assert tasks - set(FAILURES[name]) <= {"ask", "escalate"}
    for task in tasks:
        for status in ("failed", "timeout", "abandoned"):
            assert any(
                getattr(case.answers.get(task), "status", None) == status
                for case in CASES
                if case.workflow == name
            ), (task, status)


def answers_of(task):
    """Every answer that a task may give, and some that it should not."""
    if task == "ask":
        good = [said(answer) for answer in ({"approved": True}, {"approved": False})]
        odd = [
            said(answer)
            for answer in (None, {}, {"approved": None}, {"approved": "yes"}, {"other": 1})
        ]
    elif task == "heal":
        good = [healed(word) for word in HEALED]
        odd = [healed(word) for word in ODD]
    else:
        key, words = WORDS[task]
        good = [did(**{key: word}) for word in words]
        odd = [did(**{key: word}) for word in ODD] + [did()]
    return good + odd


@pytest.mark.parametrize(
    ("name", "task"),
    [(name, task) for name in plays.NAMES for task in PATHS[name]],
    ids=lambda value: value,
)
def test_whatever_a_task_answers_exactly_one_transition_is_taken(name, task):
    for answer in answers_of(task):
        played = play(
            name,
            dict(PATHS[name][task], **{task: answer}),
            until=task,
        )
        taken = [index for taker, index in played.taken if taker == task]
        assert len(taken) == 1, (answer, taken, played.errors)
        assert not [error for error in played.errors if "expression" in str(error).lower()]


@pytest.mark.parametrize(
    ("name", "task"), [(RESPONSE, "analyze"), (RESPONSE, "heal"), (REMEDIATION, "verify")]
)
def test_result_that_is_no_mapping_fails_the_workflow_so_that_the_net_sees_it(name, task):
    # StackStorm stores the word "None" for an action that ended well and wrote nothing.
    nothing = plays.Answer("succeeded", {"result": "None", "output": "None"})
    played = play(name, dict(PATHS[name][task], **{task: nothing}))
    assert played.status == "failed"
    assert played.output["outcome"] in ("failed", "remediation_failed")
