"""What Prometheus says of pods: one question for all of them, names quoted, and its own failures
end nothing.
"""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.config import Config
from selfheal.exceptions import ConfigError, SelfhealError
from selfheal.intake.kubernetes import usage
from tests import scene, stores
from tests.kubernetes_watchman import Watchman, pod
from tests.stub_kubernetes import Stub

ALL = '{namespace=~"${namespace}"}'


class Prometheus:
    """Answers each query by the first word of `samples` that is in it."""

    def __init__(self, receiver):
        self.receiver = receiver
        self.samples = {}
        self.status = 200
        receiver.on_request = self.take
        self.asked = []

    def take(self, request):
        query = parse_qs(urlsplit(request["path"]).query)["query"][0]
        self.asked.append(query)
        found = next((rows for word, rows in self.samples.items() if word in query), [])
        result = [{"metric": labels, "value": [0, str(value)]} for labels, value in found]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        self.receiver.answers[:] = [
            (self.status, {"Content-Type": "application/json"}, json.dumps(body).encode())
        ]


@pytest.fixture
def prometheus():
    with scene.Receiver() as receiver:
        yield Prometheus(receiver)


@pytest.fixture
def man(tmp_path, prometheus, monkeypatch):
    with Stub() as server:
        server.objects["pods"] = [pod("cart-%d" % number, "", 0) for number in range(20)]
        made = Watchman(
            stores.sqlite_url(tmp_path),
            {"default": server},
            monkeypatch,
            prometheus={"url": prometheus.receiver.url},
        )
        made.server = server
        yield made


def sample(number, value, **more):
    return {"namespace": "shop", "pod": "cart-%d" % number, **more}, value


def test_pods_close_to_their_limits_are_one_incident_of_their_owner(man, prometheus):
    prometheus.samples = {
        "cpu": [sample(1, 0.93), sample(2, 0.85)],
        "memory": [sample(3, 0.97)],
        "up": [sample(4, 0)],
    }
    man.poll()
    assert len(prometheus.asked) == 3  # and not one for each of twenty pods
    (incident,) = man.incidents()
    assert incident["alert_type"] == "PodDown" and incident["alert_count"] == 3
    prometheus.samples = {}
    man.poll(times=3)
    assert man.incidents()[0]["cleared_at"] is not None


def test_prometheus_that_fails_is_told_and_ends_nothing(man, prometheus):
    prometheus.samples = {"memory": [sample(3, 0.97)]}
    man.poll()
    prometheus.status = 503
    man.poll(times=4)
    state, detail = man.state()
    assert state == "degraded" and "queries.cpu" in "\n".join(detail["because"])
    assert man.incidents()[0]["cleared_at"] is None
    before = len(prometheus.asked)
    man.poll()
    assert len(prometheus.asked) == before + 1  # and not waited for three times


def test_prometheus_that_is_switched_off_ends_what_it_said(man, prometheus):
    prometheus.samples = {"memory": [sample(3, 0.97)]}
    man.poll()
    del man.sensor.config["prometheus"]
    man.sensor._polling.forget_store()
    man.poll(times=3)
    assert man.incidents()[0]["cleared_at"] is not None


def test_pods_that_are_not_looked_at_count_for_nothing(man, prometheus):
    prometheus.samples = {
        "memory": [
            ({"namespace": "other", "pod": "cart-1"}, 0.99),
            ({"namespace": "shop", "pod": "gone-1"}, 0.99),
            ({"pod": "cart-1"}, 0.99),
            ({}, 0.99),
        ]
    }
    man.poll()
    assert man.incidents() == []


def test_queries_are_settings_and_an_empty_one_is_not_asked(man, prometheus):
    queries = {"cpu": "", "memory": 'custom{x="y", namespace="shop"} > 1', "up": "z${pod}"}
    man.sensor.config["kubernetes"]["default"]["queries"] = queries
    prometheus.samples = {"custom": [sample(1, 2.0)]}
    man.poll()
    assert prometheus.asked == ['custom{x="y", namespace="shop"} > 1']
    assert man.incidents()[0]["alert_type"] == "PodMemoryHigh"


def test_namespaces_stand_in_the_query_as_one_pattern():
    assert usage.filled("up" + ALL, ["shop", "web-2"]) == 'up{namespace=~"shop|web-2"}'
    assert usage.filled("up" + ALL, []) == 'up{namespace=~".+"}'
    assert usage.filled('up{namespace="${namespace}"}', ["shop"]) == 'up{namespace="shop"}'
    many = ["team-%d" % number for number in range(5000)]
    assert usage.filled("up" + ALL, many) == 'up{namespace=~".+"}'


@pytest.mark.parametrize(
    ("template", "namespaces"),
    [
        ('up{namespace="${namespace}"}', ["a", "b"]),
        ('up{namespace="${namespace}"}', []),
        ("up${namespace}", ["a"]),
        ("up{namespace=~`${namespace}`}", ["a"]),
        ('up{namespace=~"${}"}', ["a"]),
        ('up{namespace=~"${namespace}", x="${team}"}', ["a"]),
        (ALL + " # ${namespace}", ["a"]),
    ],
)
def test_query_that_cannot_be_filled_is_refused(template, namespaces):
    with pytest.raises(ConfigError, match=r"kubernetes\.queries\.cpu"):
        usage.filled(template, namespaces)


@given(st.text(max_size=30))
def test_no_name_gets_out_of_its_quotes(name):
    try:
        found = usage.filled("up" + ALL, [name])
    except SelfhealError:
        return
    inside = found[len('up{namespace=~"'):-len('"}')]
    assert inside == name and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_default_queries_are_for_all_pods():
    for name in usage.STATE_OF:
        template = Config().get("kubernetes.queries.%s" % name)
        assert "${pod}" not in template and "${namespace}" in template
        assert "shop|web" in usage.filled(template, ["shop", "web"])
