"""The settings of a target, complete: from itself, from its section, from the schema."""

from __future__ import annotations

import pytest

from selfheal.apis.kubernetes import settings
from selfheal.apis.kubernetes.client import connect, target_name
from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import ConfigError


def targets(section):
    return settings.targets(Config({"kubernetes": section}))


def test_what_is_left_out_comes_from_the_section_then_from_the_schema():
    found = targets(
        {
            "max_restarts": 3,
            "url": "https://d",
            "edge": {"url": "https://e", "timeout_s": 30, "queries": {"cpu": "", "up": None}},
        }
    )
    assert (found["default"]["max_restarts"], found["edge"]["max_restarts"]) == (3, 3)
    assert (found["default"]["timeout_s"], found["edge"]["timeout_s"]) == (10, 30)
    assert found["edge"]["min_healthy"] == "50%" and found["edge"]["namespaces"] == []
    assert found["edge"]["memory_step"] == 1.5 and found["edge"]["watch"] is False
    assert found["edge"]["queries"]["cpu"] == ""
    assert found["edge"]["queries"]["up"] == found["default"]["queries"]["up"] != ""


def test_every_default_of_the_schema_is_filled_in():
    described = Config().schema["kubernetes"]["properties"]
    with_default = {name for name, one in described.items() if "default" in one}
    (found,) = targets({"url": "https://d"}).values()
    assert with_default - set(found) <= {"in_cluster", "verify_tls"}  # asked by `is`: no default


def test_whole_configuration_needs_no_schema(tmp_path):
    (complete,) = targets({"url": "https://d"}).values()
    config = Config({"kubernetes": complete}, schema_path=tmp_path / "none")
    assert settings.targets(config) == {"default": complete}


@pytest.mark.parametrize(
    ("key", "value"),
    [("timeout_s", 0), ("max_restarts", 1.5), ("memory_step", "x"), ("settle_s", True)],
)
def test_figure_that_is_none_names_its_key(key, value):
    with pytest.raises(ConfigError, match=r"kubernetes\.edge\.%s must be a" % key):
        targets({"edge": {"url": "https://e", key: value}})


def test_cluster_of_the_incident_chooses_the_target():
    section = {"prod": {"url": "https://p"}, "edge": {"url": "https://e"}}
    ctx = Context(Config({"kubernetes": section}))
    assert connect(ctx, "edge").url == "https://e:443"
    assert target_name(ctx, "prod") == "prod"
    with pytest.raises(ConfigError, match="no Kubernetes target is named 'other'; there are kube"):
        connect(ctx, "other")
    with pytest.raises(ConfigError, match="Kubernetes is off: set kubernetes.url"):
        connect(Context(Config()), None)
    only = Context(Config({"kubernetes": {"prod": {"url": "https://p"}}}))
    assert connect(only, "whatever").name == "prod"
