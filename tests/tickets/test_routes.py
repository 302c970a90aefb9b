"""Routes: which incidents belong elsewhere, in every tracker by the same words."""

from __future__ import annotations

import pytest

from selfheal.config import Config
from selfheal.exceptions import ConfigError
from selfheal.operate import configuration
from selfheal.tickets import jira_settings, routes, servicenow_settings
from selfheal.tickets.model import Draft

HERE = {
    "servicenow": {"instance": "acme", "username": "u", "password": "p"},
    "jira": {"url": "https://jira.example", "token": "t", "project": "OPS"},
}
SETTINGS = {"servicenow": servicenow_settings.named, "jira": jira_settings.settings_of}


def draft(**more):
    given = {"severity": "error", "category": "KubePodCrashLooping", "component": "web", **more}
    return Draft(correlation="c", incident_id="i", title="t", body=(), **given)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"team": "shop"}, True),
        ({"team": "SH*"}, True),
        ({"team": "sho"}, False),
        ({"team": "shop", "severity": "critical"}, False),
        ({"severity": "error", "component": "w?b"}, True),
        ({"alert_type": "Kube*", "category": "kube*"}, True),
        ({"namespace": "*"}, False),
        ({"team": "*"}, True),
        ({"port": 80}, True),
    ],
)
def test_a_route_is_for_incidents_that_have_all_it_names(match, fits):
    mine = draft(labels={"team": "Shop", "port": "80", "severity": "critical"})
    assert routes.chosen([{"match": match, "project": "P"}], mine) == (
        {"match": match, "project": "P"} if fits else {}
    )


def test_the_first_that_fits_counts():
    several = [{"match": {"severity": one}, "project": one} for one in ("info", "err*", "error")]
    assert routes.chosen(several, draft())["project"] == "err*"


def test_what_is_not_understood_is_taken_from_the_label():
    mine = draft(component="", labels={"component": "db"})
    assert routes.chosen([{"match": {"component": "db"}}], mine)
    assert not routes.chosen([{"match": {"component": "*"}}], draft(component=""))


@pytest.mark.parametrize("section", sorted(routes.GIVES))
@pytest.mark.parametrize(
    ("route", "words"),
    [
        ({}, "match is missing"),
        ({"match": {}}, "match is missing"),
        ({"match": {"team": "x"}}, "says nothing"),
        ({"match": {"team": "x"}, "projects": "x"}, "projects"),
        ("x", "must be"),
    ],
)
def test_a_route_that_cannot_be_meant_is_an_error_and_told_once(section, route, words):
    given = {section: {**HERE[section], "routes": [route]}}
    with pytest.raises(ConfigError, match=r"routes\[0\].* ?%s" % words):
        SETTINGS[section](Config(given), "default")
    told = [one for one in configuration.problems(given, Config({}).schema) if words in one]
    assert len(told) == 1


@pytest.mark.parametrize("section", sorted(routes.GIVES))
def test_the_schema_describes_what_a_route_may_give(section):
    described = Config({}).schema[section]["properties"]["routes"]["items"]["properties"]
    assert set(described) == {routes.MATCH, *routes.GIVES[section]}
