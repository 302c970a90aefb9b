"""Which trackers get tickets, by the configuration."""

from __future__ import annotations

import pytest

from selfheal.config import Config, load_schema
from selfheal.context import Context
from selfheal.exceptions import ConfigError
from selfheal.operate.configuration import problems
from selfheal.tickets import trackers

BOTH = {
    "servicenow": {"instance": "acme"},
    "jira": {"cloud": {"url": "https://acme.example"}, "dc": {"url": "https://jira.example"}},
}


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([], ["servicenow.default", "jira.cloud", "jira.dc"]),
        (["servicenow"], ["servicenow.default"]),
        (["jira.dc", "servicenow.default"], ["servicenow.default", "jira.dc"]),
        (["jira"], []),
    ],
)
def test_settings_choose_among_those_that_are_configured(wanted, names):
    config = Config({**BOTH, "tickets": {"trackers": wanted}})
    assert list(trackers.names(config)) == names


@pytest.mark.parametrize(
    "values", [{}, {"jira": {"timeout_s": 5}}, {"servicenow": {"table": "incident"}}]
)
def test_settings_without_a_place_are_no_tracker(values):
    assert trackers.names(Config(values)) == ()


def test_tracker_that_is_not_there_is_named_with_those_that_are():
    config = {**BOTH, "tickets": {"trackers": ["jira.clod", "servicenow"]}}
    (problem,) = [one for one in problems(config, load_schema()) if "tickets" in one]
    assert "names jira.clod" in problem and "jira.cloud" in problem
    (problem,) = problems({"tickets": {"trackers": ["jira"]}}, load_schema())
    assert "none is configured" in problem
    assert problems({"tickets": {"trackers": [], "open_for": ["all"]}}, load_schema()) == []


def test_word_that_opens_nothing_is_a_problem():
    (problem,) = problems({"tickets": {"open_for": ["ticketd"]}}, load_schema())
    assert "tickets.open_for" in problem and "ticketed" in problem


@pytest.mark.parametrize("name", ["jira.gone", "nonsense.default", "", "selfheal.door"])
def test_unknown_name_opens_no_tracker(name):
    with pytest.raises(ConfigError, match="outbox_discard"):
        trackers.open_tracker(Context(Config(BOTH)), name)
