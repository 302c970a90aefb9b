"""The settings of a ServiceNow target: where it is, who we are, defaults, and what is wrong."""

from __future__ import annotations

import pytest

from selfheal.apis.servicenow.instance import grant as grant_of
from selfheal.config import Config
from selfheal.exceptions import ConfigError, InvalidInput
from selfheal.tickets import servicenow_settings as settings
from selfheal.tickets.model import SEVERITIES


def completed(**more):
    section = {"instance": "acme", "username": "u", "password": "p", **more}
    return settings.named(Config({"servicenow": section}), "default")


@pytest.mark.parametrize(
    ("instance", "url"),
    [
        ("acme", "https://acme.service-now.com"),
        ("dev-12345", "https://dev-12345.service-now.com"),
        ("https://support.example.net/", "https://support.example.net"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_an_instance_is_a_name_or_a_url(instance, url):
    assert completed(instance=instance)["url"] == url


@pytest.mark.parametrize(
    "instance",
    ["acme.example/x y", "ftp://acme", "https://u:pw@acme.example", "https://a/?x=1", "a b"],
)
def test_what_is_neither_is_refused_without_showing_a_password(instance):
    with pytest.raises(ConfigError, match="instance must be") as caught:
        completed(instance=instance)
    assert "u:pw" not in str(caught.value)


def test_defaults_are_those_of_the_base_system():
    found = completed()
    assert found["fields"]["caller"] == "caller_id"
    assert found["states"]["resolved"] == "6"
    assert found["limits"]["short_description"] == 160
    assert {name: (one["urgency"], one["impact"]) for name, one in found["levels"].items()} == {
        "critical": ("1", "1"), "error": ("1", "2"), "warning": ("2", "2"), "info": ("3", "3"),
    }


def test_one_value_of_a_map_may_differ():
    found = completed(
        fields={"caller": "u_reporter", "fingerprint": ""},
        levels={"error": {"impact": "1"}},
        states={"resolved": "60"},
    )
    assert found["fields"]["caller"] == "u_reporter"
    assert found["fields"]["fingerprint"] == ""
    assert found["fields"]["state"] == "state"
    assert found["levels"]["error"] == {"urgency": "1", "impact": "1", "severity": "2"}
    assert found["states"]["resolved"] == "60"


def test_a_named_target_takes_the_rest_from_the_section():
    config = Config({"servicenow": {
        "username": "u", "password": "p", "table": "u_ticket", "values": {"u_site": "fra"},
        "edge": {"instance": "edge", "fields": {"caller": "u_who"}},
    }})
    found = settings.named(config, "edge")
    assert (found["url"], found["table"]) == ("https://edge.service-now.com", "u_ticket")
    assert found["values"] == {"u_site": "fra"}
    assert sorted(config.targets("servicenow")) == ["edge"]


def test_a_target_that_there_is_not_names_those_there_are():
    with pytest.raises(InvalidInput, match="such as default"):
        settings.named(Config({"servicenow": {"instance": "acme"}}), "edge")
    with pytest.raises(ConfigError, match=r"servicenow\.instance"):
        settings.named(Config({}), "default")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"fields": {"correlation_id": ""}}, "correlation_id must not be empty"),
        ({"fields": {"caller": "x^y"}}, "no name of a field"),
        ({"values": {"u site": "1"}}, "no name of a field"),
        ({"table": "incident?x"}, "no name of a field or table"),
        ({"limits": {"description": 3}}, "number of characters"),
        ({"routes": [{"assignment_group": "x"}]}, r"routes\[0\].match is missing"),
        ({"routes": [{"match": {"a": "b"}}]}, r"routes\[0\] says nothing"),
        ({"levels": [1]}, "levels must be a map"),
        ({"states": "x"}, "states must be a map"),
        ({"values": "x"}, "values must be a map"),
    ],
)
def test_what_is_wrong_is_named(more, words):
    with pytest.raises(ConfigError, match=words):
        completed(**more)


@pytest.mark.parametrize(
    ("more", "grant"),
    [
        ({"username": "u", "password": "p"}, "basic"),
        ({"client_id": "c", "client_secret": "s"}, "client_credentials"),
        ({"client_id": "c", "client_secret": "s", "username": "u", "password": "p"}, "password"),
        ({"client_id": "c", "client_secret": "s", "refresh_token": "r"}, "refresh_token"),
    ],
)
def test_what_is_set_says_how_we_show_who_we_are(more, grant):
    assert grant_of(more) == grant


@pytest.mark.parametrize("more", [{}, {"username": "u"}, {"client_id": "c"}])
def test_half_credentials_are_an_error(more):
    with pytest.raises(ConfigError, match="client_secret"):
        grant_of(more)


def test_a_configuration_is_told_all_that_is_wrong():
    assert settings.problems("servicenow.edge", {}) == [
        "servicenow.edge.instance is not set: it is never asked"
    ]
    assert settings.problems("servicenow", {}) == []
    found = settings.problems("servicenow", {"instance": "a b"})
    assert len(found) == 2


def test_every_name_of_a_map_is_one_of_the_schema():
    described = Config({}).schema["servicenow"]["properties"]
    for name in ("fields", "states", "limits"):
        assert sorted(described[name]["properties"]) == sorted(settings.NAMES[name])
    for level in SEVERITIES:
        inside = described["levels"]["properties"][level]["properties"]
        assert sorted(inside) == sorted(settings.NAMES["levels"])


def test_complete_settings_need_no_schema(tmp_path):
    """As StackStorm hands them over."""
    complete = {name: value for name, value in completed(routes=[]).items() if name != "url"}
    again = Config({"servicenow": complete}, schema_path=tmp_path / "none.yaml")
    assert settings.named(again, "default")["states"] == complete["states"]
