"""What is wrong with a configuration: the key, what stands there, what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from selfheal.config import load_schema
from selfheal.operate import configuration
from selfheal.operate.configuration import problems

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = load_schema()


def found(values):
    return problems(values, SCHEMA)


def test_nothing_configured_is_fine():
    assert found({}) == []


def test_shipped_example_is_fine():
    text = (ROOT / "selfheal.yaml.example").read_text()
    assert found(yaml.safe_load(text)) == []


def test_shipped_example_is_fine_with_all_that_it_proposes():
    text = (ROOT / "selfheal.yaml.example").read_text()
    proposed = re.sub(r"(?m)^( *)# ( *(?:- )?[a-z_]+:.*)$", r"\1\2", text)
    shown = yaml.safe_load(re.sub(r"{{.*?}}", "rendered", proposed))
    assert set(SCHEMA) - {"log_files", "routing", "incidents", "monitoring"} == set(shown)
    assert found(shown) == []


def defaults(described):
    if "default" in described:
        return described["default"]
    return {
        name: defaults(item) for name, item in (described.get("properties") or {}).items()
    } or None


def test_every_default_of_the_schema_is_fine():
    assert found({name: defaults(item) for name, item in SCHEMA.items()}) == []


def figures(described, path):
    """Each number that `described` and what lies under it let a user set: (key, its default)."""
    if described.get("type") in ("integer", "number"):
        yield path, described["default"]
    for name, item in (described.get("properties") or {}).items():
        yield from figures(item, "%s.%s" % (path, name))


def test_every_figure_of_the_schema_has_a_range_and_its_default_lies_inside():
    defaults = dict(
        figure for section, described in SCHEMA.items() for figure in figures(described, section)
    )
    assert set(configuration.RANGES) == {
        key for key in defaults if not key.endswith(".timeout_s") or key in configuration.RANGES
    }
    for key, (least, most) in configuration.RANGES.items():
        assert least <= defaults[key] <= most


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"resolvr": {}}, "resolvr is not a setting; did you mean resolver?"),
        ({"resolver": {"timeot": 5}}, "resolver.timeot is not a setting; did you mean timeout?"),
        (
            {"webhook": {"url": "http://x"}},
            "webhook is not a setting; did you mean notify.webhook?",
        ),
        ({"notify": {"url": "http://x"}}, "notify.url is not a setting; did you mean"),
        (
            {"notify": {"webhook": {"headrs": {}}}},
            "notify.webhook.headrs is not a setting; did you mean headers?",
        ),
        (
            {"safety": {"zzz": 1}},
            "safety.zzz is not a setting; those there are: approval_minutes, approvers, autonomy",
        ),
        (
            {"alertmanager": {"ulr": "http://a"}},
            "alertmanager.ulr is not a setting; did you mean url?",
        ),
        (
            {"alertmanager": {"prod": {"ulr": "http://a"}}},
            "alertmanager.prod.ulr is not a setting; did you mean url?",
        ),
        (
            {"alertmanager": {"prod": {"deeper": {"url": "x"}}}},
            "alertmanager.prod.deeper is not a setting",
        ),
        ({"alertmanager": "http://a"}, "alertmanager must be a map, not 'http://a'"),
        (
            {"resolver": {"timeout": "300"}},
            "resolver.timeout must be a whole number, not '300'; write it without quotes",
        ),
        ({"resolver": {"timeout": 1.5}}, "resolver.timeout must be a whole number, not 1.5"),
        ({"resolver": {"timeout": True}}, "resolver.timeout must be a whole number, not True"),
        ({"resolver": {"timeout": 0}}, "resolver.timeout must be from 1 to 86400, not 0"),
        ({"elasticsearch": {"prod": {"index": "x"}}}, "elasticsearch.prod.url is not set"),
        ({"log_files": {"max_line_bytes": 0}}, "must be from 1024 to 8388608, not 0"),
        (
            {"resolver": {"min_confidence": 70}},
            "resolver.min_confidence must be from 0 to 1, not 70",
        ),
        (
            {"resolver": {"min_confidence": float("nan")}},
            "resolver.min_confidence must be from 0 to 1, not nan",
        ),
        ({"resolver": {"safe_mode": "yes"}}, "resolver.safe_mode must be true or false, not 'yes'"),
        (
            {"resolver": {"runbook_paths": "/etc"}},
            "resolver.runbook_paths must be a list, not '/etc'; write [/etc]",
        ),
        (
            {"resolver": {"runbook_paths": ["/a", 5]}},
            "resolver.runbook_paths[1] must be text, not 5",
        ),
        (
            {"resolver": {"healthy_hold": 300, "verify_timeout": 300}},
            "resolver.healthy_hold (300) must be less than",
        ),
        (
            {"safety": {"autonomy": "Auto"}},
            (
                "safety.autonomy must be one of observe, suggest, approve, auto, not 'Auto'; "
                "did you mean auto?"
            ),
        ),
        (
            {"safety": {"autonomy_by_type": {"X": "full"}}},
            "safety.autonomy_by_type.X must be one of observe",
        ),
        (
            {"notify": {"webhook": {"headers": {"X": 5}}}},
            "notify.webhook.headers.X must be text, not 5",
        ),
        (
            {"notify": {"webhook": {"timeout_s": 0}}},
            "notify.webhook.timeout_s must be from 1 to 600",
        ),
        (
            {"prometheus": {"edge": {"timeout_s": 9999}}},
            "prometheus.edge.timeout_s must be from 1 to 600",
        ),
        (
            {"prometheus": {"url": "prometheus:9090"}},
            "prometheus.url 'prometheus:9090': it must begin with http",
        ),
        ({"prometheus": {"url": "http://"}}, "prometheus.url 'http://': it names no host"),
        (
            {"prometheus": {"url": "http://a:port"}},
            "prometheus.url 'http://a:port': it cannot be read",
        ),
        ({"prometheus": {"url": "http://a b"}}, "white space"),
        (
            {"prometheus": {"edge": {"url": "ftp://x"}}},
            "prometheus.edge.url 'ftp://x': it must begin with http",
        ),
        (
            {"prometheus": {"password": "x"}},
            "prometheus.password is set, but prometheus.username is not",
        ),
        (
            {"prometheus": {"edge": {"username": "x", "token": "y"}}},
            "prometheus.edge has both token and username",
        ),
        ({"database": {"url": "mysql://x"}}, "database.url 'mysql://x' is neither"),
        (
            {"database": {"url": "sqlite:///x.db"}},
            "database.url 'sqlite:///x.db' is a relative path",
        ),
        (
            {"notify": {"webhook": {"token": "{{ st2kv.system.x }}"}}},
            "notify.webhook.token still holds a template",
        ),
        ([], "the configuration must be a map of settings, not []"),
    ],
)
def test_each_mistake_is_named(values, expected):
    (problem,) = found(values)
    assert expected in problem


def test_every_mistake_is_found_at_once():
    values = {
        "resolver": {"timeout": "x", "max_retries": 0},
        "safety": {"autonomy": 5},
        "nonsense": 1,
    }
    assert len(found(values)) == 4


def test_named_target_may_complete_what_is_written_flat():
    edge = {"url": "http://e", "password": "p"}
    assert found({"prometheus": {"username": "me", "edge": edge}}) == []
    (problem,) = found({"prometheus": {"password": "p", "edge": {"url": "http://e"}}})
    assert problem.startswith("prometheus.edge.password is set")


def test_named_and_flat_targets_are_both_fine():
    assert (
        found(
            {
                "alertmanager": {
                    "url": "http://a:9093/prefix",
                    "verify_tls": False,
                    "edge-1": {
                        "url": "https://e",
                        "username": "u",
                        "password": "p",
                        "timeout_s": 5,
                    },
                },
                "prometheus": None,
            }
        ) ==
        []
    )


@pytest.mark.parametrize(
    "values",
    [
        {"database": {"password": ["s3cret"]}},
        {"alertmanager": {"url": "http://me:s3cret@host"}},
        {"alertmanager": {"token": {"a": "s3cret"}}},
        {"database": {"url": "mysql://me:s3cret@db/x"}},
    ],
)
def test_no_secret_is_shown(values):
    assert found(values) and not any("s3cret" in problem for problem in found(values))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
SECTIONS = st.dictionaries(
    st.sampled_from(sorted(SCHEMA)),
    st.dictionaries(
        st.sampled_from(
            sorted({name for item in SCHEMA.values() for name in item.get("properties") or {}})
        ) |
        st.text(max_size=5),
        JSON,
        max_size=4,
    ),
)


@given(JSON | SECTIONS)
def test_any_configuration_gets_an_answer(values):
    answer = found(values)
    assert all(isinstance(problem, str) and problem and len(problem) < 1200 for problem in answer)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"url": "https://k", "kubeconfig": "/k"}, "kubernetes has url and kubeconfig: set one"),
        ({"url": "k"}, "kubernetes.url 'k': it must begin with http"),
        ({"url": "https://k", "token": "t", "token_file": "/t"}, "both token and token_file"),
        ({"url": "https://k", "context": "c"}, "kubernetes.context has no effect without"),
        ({"prod": {"token": "t"}}, "kubernetes.prod.url is not set, nor kubeconfig or in_cluster"),
        ({"in_cluster": True, "prod": {"timeout_s": 5}}, "kubernetes.prod.url is not set"),
        ({"prod": {"in_cluster": True, "url": "https://k"}}, "prod has url and in_cluster"),
        ({"url": "https://k", "max_replicas": 0}, "max_replicas must be from 1 to 1000, not 0"),
        ({"edge": {"url": "https://k", "memory_step": 9}}, "edge.memory_step must be from 1.05"),
        ({"url": "https://k", "min_healthy": "half"}, 'a number or a share such as "50%", not'),
        ({"url": "https://k", "min_ready_nodes": 3}, "min_ready_nodes must be text, not 3"),
        ({"url": "https://k", "max_memory": "8 Gi"}, "max_memory must be a quantity such as 8Gi"),
        ({"url": "https://k", "namespaces": ["Shop"]}, "namespaces names 'Shop', which is no"),
        ({"url": "https://k", "protected_namespaces": ["a b"]}, "names 'a b', which is no"),
        ({"url": "https://k", "queries": {"cpus": ""}}, "queries.cpus is not a setting; did you"),
        ({"url": "https://k", "watch": "yes"}, "kubernetes.watch must be true or false"),
        ({"url": "https://k", "verify_tls": False, "ca_file": "/c"}, "ca_file has no effect"),
    ],
)
def test_mistake_about_a_cluster_names_the_key(section, expected):
    problems = found({"kubernetes": section})
    assert any(expected in problem for problem in problems), problems
    assert len(problems) == 1


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"in_cluster": False, "queries": {"cpu": "", "up": "up == 0"}},
        {"in_cluster": True, "protected_namespaces": ["team-*"], "min_healthy": "2"},
        {"kubeconfig": "/k", "prod": {"context": "p"}, "edge": {"context": "e"}},
        {"in_cluster": True, "edge": {"url": "https://e", "token_file": "/t"}},
        {"url": "https://k", "max_memory": "1.5Gi", "namespaces": ["shop"]},
    ],
)
def test_usable_settings_of_clusters(section):
    assert found({"kubernetes": section}) == []


@pytest.mark.parametrize(
    "url",
    ["http://localhost", "https://a.b.c:8443/path?x=1", "http://[::1]:9090", "http://10.0.0.1:1"],
)
def test_usable_urls(url):
    assert configuration.url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        " http://x",
        "http://x ",
        "http://x\n",
        "x",
        "//x",
        "http:///path",
        "http://x:0",
        "http://x:70000",
        "http://u:p@x",
        "http://[::1",
        "file:///etc/passwd",
        "http://x\x00",
    ],
)
def test_unusable_urls(url):
    assert configuration.url_problem(url)
