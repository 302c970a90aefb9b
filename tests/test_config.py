"""Reading settings: defaults from the schema, named targets, secrets."""

from __future__ import annotations

import pytest

from selfheal.config import Config, load_schema
from selfheal.exceptions import ConfigError


def test_missing_value_is_the_schemas_default():
    config = Config({"resolver": {"timeout": 60, "max_retries": None}})
    assert config.get("resolver.timeout") == 60
    assert config.get("resolver.max_retries") == 3
    assert config.get("resolver.safe_mode") is True
    assert Config().get("notify.webhook.url") is None
    assert Config(None).get("safety.autonomy") == "auto"


def test_false_and_zero_are_values():
    config = Config({"resolver": {"safe_mode": False, "healthy_hold": 0}})
    assert config.get("resolver.safe_mode") is False and config.get("resolver.healthy_hold") == 0


@pytest.mark.parametrize("key", ["resolver.timeoutt", "nothing", "resolver.timeout.deeper"])
def test_key_that_the_schema_does_not_know_is_our_defect(key):
    with pytest.raises(ConfigError, match="asked by the pack itself"):
        Config().get(key)


def test_section_of_the_wrong_kind_falls_back_to_the_default():
    assert Config({"resolver": "yes"}).get("resolver.timeout") == 300


@pytest.mark.parametrize(("value", "number"), [(5, 5.0), (0.5, 0.5), ("7", 7.0)])
def test_numbers_are_read(value, number):
    assert Config({"resolver": {"timeout": value}}).number("resolver.timeout") == number


@pytest.mark.parametrize("value", ["soon", True, [1], {}])
def test_what_is_no_number_names_the_key(value):
    with pytest.raises(ConfigError, match="resolver.timeout must be a number"):
        Config({"resolver": {"timeout": value}}).number("resolver.timeout")


def test_flat_section_is_the_default_target():
    config = Config({"alertmanager": {"url": "http://a", "token": "t", "timeout_s": 5}})
    assert config.targets("alertmanager") == {
        "default": {"url": "http://a", "token": "t", "timeout_s": 5}
    }


def test_named_targets_inherit_what_is_written_flat():
    config = Config(
        {
            "alertmanager": {
                "timeout_s": 5,
                "prod": {"url": "http://p"},
                "edge": {"url": "http://e", "timeout_s": 9},
            }
        }
    )
    assert config.targets("alertmanager") == {
        "prod": {"timeout_s": 5, "url": "http://p"},
        "edge": {"timeout_s": 9, "url": "http://e"},
    }


def test_section_without_url_is_off():
    assert Config().targets("alertmanager") == {}
    half = Config({"alertmanager": {"timeout_s": 10, "prod": {"token": "t"}}})
    assert half.targets("alertmanager") == {}


@pytest.mark.parametrize("value", ["http://a", ["http://a"], 5])
def test_section_that_is_no_map_names_itself(value):
    with pytest.raises(ConfigError, match="alertmanager must be a map"):
        Config({"alertmanager": value}).targets("alertmanager")


@pytest.mark.parametrize(
    ("cluster", "url"),
    [
        ("edge", "http://e"),
        ("prod", "http://p"),
        ("unknown", "http://d"),
        (None, "http://d"),
        ("", "http://d"),
    ],
)
def test_cluster_chooses_the_target(cluster, url):
    config = Config(
        {
            "prometheus": {
                "url": "http://d",
                "prod": {"url": "http://p"},
                "edge": {"url": "http://e"},
            }
        }
    )
    assert config.target_for("prometheus", cluster)["url"] == url


def test_only_target_serves_every_cluster_but_of_several_none_is_guessed():
    single = Config({"prometheus": {"prod": {"url": "http://p"}}})
    assert single.target_for("prometheus", "x") == {"url": "http://p"}
    several = Config({"prometheus": {"prod": {"url": "http://p"}, "edge": {"url": "http://e"}}})
    assert several.target_for("prometheus", "x") is None
    assert Config().target_for("prometheus", None) is None


def test_cluster_is_on_by_kubeconfig_or_in_a_pod_as_well():
    for place in ({"url": "https://k"}, {"kubeconfig": "/k"}, {"in_cluster": True}):
        config = Config({"kubernetes": {**place, "watch": True, "queries": {"up": ""}}})
        assert config.targets("kubernetes") == {
            "default": {**place, "watch": True, "queries": {"up": ""}}
        }
        named = Config({"kubernetes": {"watch": True, "prod": place}})
        assert named.targets("kubernetes") == {"prod": {"watch": True, **place}}
    for nowhere in ({"token": "t"}, {"in_cluster": False}, {"kubeconfig": ""}, {"prod": {}}):
        assert Config({"kubernetes": nowhere}).targets("kubernetes") == {}


def test_place_of_a_section_is_not_that_of_its_named_targets():
    config = Config(
        {
            "kubernetes": {
                "in_cluster": True,
                "timeout_s": 5,
                "edge": {"url": "https://e"},
                "far": {"kubeconfig": "/f", "context": "far"},
                "broken": {"token": "t"},
            }
        }
    )
    assert config.targets("kubernetes") == {
        "default": {"in_cluster": True, "timeout_s": 5},
        "edge": {"url": "https://e", "timeout_s": 5},
        "far": {"kubeconfig": "/f", "context": "far", "timeout_s": 5},
    }


def test_targets_that_only_have_a_context_share_the_kubeconfig_of_their_section():
    section = {"kubeconfig": "/k", "prod": {"context": "p"}, "edge": {"context": "e"}}
    shared = {
        "prod": {"kubeconfig": "/k", "context": "p"},
        "edge": {"kubeconfig": "/k", "context": "e"},
    }
    assert Config({"kubernetes": section}).targets("kubernetes") == shared
    with_own = Config({"kubernetes": {**section, "context": "d"}}).targets("kubernetes")
    assert with_own == {**shared, "default": {"kubeconfig": "/k", "context": "d"}}


def test_target_of_a_cluster_has_a_name():
    config = Config({"kubernetes": {"url": "https://d", "prod": {"url": "https://p"}}})
    assert config.target_name("kubernetes", "prod") == "prod"
    assert config.target_name("kubernetes", "unknown") == "default"
    assert Config().target_name("kubernetes", "prod") is None


def test_secrets_are_found_by_name_at_any_depth_and_in_urls():
    config = Config(
        {
            "database": {"url": "postgresql://me:in-url@db/x", "password": "pw-1"},
            "alertmanager": {"prod": {"token": "tok-2", "url": "http://a"}},
            "notify": {"webhook": {"token": "tok-3", "headers": {"X": "public"}}},
        }
    )
    assert sorted(config.secrets()) == ["in-url", "pw-1", "tok-2", "tok-3"]


def test_secrets_are_found_as_they_go_over_the_wire():
    config = Config(
        {
            "database": {"url": "postgresql://me:p%40ss-1@db/x", "password": 12345678},
            "alertmanager": {"url": "http://a", "username": "me", "password": "pw-2"},
            "notify": {
                "webhook": {
                    "url": "https://hooks.example.net/in?team=sre&api_token=tok-3",
                    "headers": {"Authorization": "Token tok-4", "X-API-Key": "key-5"},
                }
            },
        }
    )
    assert {
        "p%40ss-1",
        "p@ss-1",
        "12345678",
        "pw-2",
        "bWU6cHctMg==",
        "tok-3",
        "Token tok-4",
        "tok-4",
        "key-5",
    } == set(config.secrets())


def test_every_secret_of_the_schema_would_be_found():
    def secret_paths(described, path=()):
        for name, item in described.items():
            if not isinstance(item, dict):
                continue
            if item.get("secret"):
                yield (*path, name)
            yield from secret_paths(item.get("properties") or {}, (*path, name))

    paths = list(secret_paths(load_schema()))
    assert len(paths) >= 5
    for path in paths:
        values = "a-secret-value"
        for name in reversed(path):
            values = {name: values}
        assert Config(values).secrets() == ["a-secret-value"], path


def test_unreadable_schema_says_which_file(tmp_path):
    (tmp_path / "config.schema.yaml").write_text("a: [")
    for path in (tmp_path / "config.schema.yaml", tmp_path / "none.yaml"):
        with pytest.raises(ConfigError, match=path.name):
            load_schema(path)


def test_address_that_is_a_secret_is_hidden_without_its_host_too():
    hook = "https://hooks.example/services/T0000/B0000/XXXXXXXXXXXXXXXX"
    found = Config({"notify": {"slack": {"webhook_url": hook}}}).secrets()
    assert found == [hook, "/services/T0000/B0000/XXXXXXXXXXXXXXXX", "XXXXXXXXXXXXXXXX"]
    assert Config({"notify": {"slack": {"webhook_url": "https://a.example/hook"}}}).secrets() == [
        "https://a.example/hook"
    ]
