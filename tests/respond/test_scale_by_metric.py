"""Scaling by a metric: a band in which nothing is done, several looks before a step, and a time to
cool down after it, kept across processes.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import ConfigError, Conflict, ExternalError, InvalidInput, Refused
from selfheal.guard import locks
from selfheal.respond.scaling import IN, OUT, Band, Memory, decided, k8s_scale_by_metric
from tests import kubernetes_manifests as manifests
from tests import live_alertmanager
from tests.live_kubelet import Kubelet
from tests.remedy import scenes

NOW = 1_700_000_000.0
BAND = Band(10.0, 30.0, 1, 1, 5, 2, 180.0, 600.0)


def after(direction, looks=1, ago=30.0, changed_ago=None):
    changed_at = 0.0 if changed_ago is None else NOW - changed_ago
    return Memory(direction, looks, NOW - ago, changed_at)


@pytest.mark.parametrize(
    "value, replicas, before, wanted",
    [
        (20, 3, Memory(), 3),  # within the band
        (30, 3, after(OUT, 9), 3),  # its edges belong to it
        (10, 3, after(IN, 9), 3),
        (40, 3, Memory(), 3),  # the first look
        (40, 3, after(OUT), 4),
        (40, 3, after(IN), 3),  # the row was of the other direction
        (40, 3, after(OUT, ago=7200), 3),  # too long ago for a row
        (40, 5, after(OUT), 5),  # as many as there may be
        (40, 9, after(OUT), 9),  # who has more is not pulled back
        (40, 0, after(OUT), 0),  # scaled to zero on purpose
        (40, 3, after(OUT, 9, changed_ago=100), 3),  # too fresh
        (40, 3, after(OUT, 9, changed_ago=200), 4),
        (5, 3, after(IN), 2),
        (5, 1, after(IN), 1),
        (5, 3, after(IN, 9, changed_ago=200), 3),  # scaling in waits for longer
        (5, 3, after(IN, 9, changed_ago=700), 2),
        (40, 3, after(OUT, ago=-500.0), 3),  # the clock was set back: no row
    ],
)
def test_one_step_when_it_is_due(value, replicas, before, wanted):
    found, reason, kept = decided(value, replicas, BAND, before, NOW)
    assert (found, bool(reason)) == (wanted, True)
    assert kept.changed_at == (NOW if wanted != replicas else before.changed_at)


def test_nothing_is_changed_while_the_last_change_is_under_way():
    found, reason, kept = decided(40, 3, BAND, after(OUT, 9), NOW, "it is not settled: 2 of 3")
    assert found == 3 and reason.endswith("but it is not settled: 2 of 3")
    assert kept.looks == 10


@given(
    values=st.lists(st.floats(0, 60), max_size=40),
    replicas=st.integers(1, 8),
    looks=st.integers(1, 4),
)
def test_it_never_leaves_its_bounds_nor_changes_twice_within_a_cool_down(values, replicas, looks):
    band = Band(10.0, 30.0, 2, 2, 6, looks, 180.0, 600.0)
    kept, now, changes = Memory(), NOW, []
    for value in values:
        now += 60.0
        wanted, _, kept = decided(value, replicas, band, kept, now)
        if wanted != replicas:
            assert band.least <= wanted <= band.most
            assert (wanted > replicas) == (value > band.high)
            changes.append((now, wanted > replicas))
        replicas = wanted
    for (first, _), (second, is_out) in zip(changes, changes[1:]):
        assert second - first >= (180.0 if is_out else 600.0)


@pytest.mark.parametrize(
    "wrong",
    [{"low": 30, "high": 30}, {"low": 31, "high": 30}, {"step": 0}, {"least": 0}, {"looks": 0},
     {"most": 1, "least": 2}, {"high": float("nan")}, {"high": True}, {"out_cool_minutes": -1},
     {"kind": "node"}, {"name": "*"}, {"namespace": ""}, {"query": 'up{a="${nobody}"}'},
     {"query": "up + ${namespace}"}, {"query": " "}],
)
def test_what_makes_no_sense_is_refused(tmp_path, wrong):
    ctx = scenes.context_for(tmp_path, values={"prometheus": {"url": "http://127.0.0.1:9"}})
    asked = {"namespace": "shop", "name": "web", "query": "up", "high": 30, "low": 10, **wrong}
    with pytest.raises(InvalidInput):
        k8s_scale_by_metric(ctx, **asked)
    ctx.close()


def test_without_prometheus_it_says_so(tmp_path):
    ctx = scenes.context_for(tmp_path)
    with pytest.raises(ConfigError, match=r"prometheus\.url"):
        k8s_scale_by_metric(ctx, "shop", "web", "up", 30, 10)
    ctx.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    with live_alertmanager.Prometheus(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


@pytest.fixture
def ctx(tmp_path, kubernetes, namespace, prometheus):
    context = scenes.context_for(
        tmp_path,
        values={
            "kubernetes": kubernetes.target(namespace, settle_s=0, max_replicas=3),
            "prometheus": {"url": prometheus.url, "timeout_s": 60},
            "resolver": {"safe_mode": False},
            **scenes.UNBOUNDED,
        },
    )
    yield context
    context.close()


def replicas_of(kubernetes, namespace):
    return kubernetes.get("Deployment", "web", namespace)["spec"]["replicas"]


def ready(kubernetes, namespace, many):
    kubernetes.until(
        lambda: kubernetes.get("Deployment", "web", namespace)["status"].get(
            "readyReplicas", 0
        ) == many
    )


def test_a_metric_above_its_band_scales_out_a_step_at_a_time(kubernetes, namespace, ctx):
    def look(value, **more):
        return k8s_scale_by_metric(
            ctx, namespace, "web", "vector(%d)" % value, 30, 10, out_cool_minutes=0, **more
        )

    with Kubelet(kubernetes, namespace):
        kubernetes.create(manifests.deployment(namespace, "web", "good:1", 2))
        ready(kubernetes, namespace, 2)
        assert look(20)["outcome"] == "steady"
        assert look(40)["outcome"] == "waiting"
        assert look(40, dry_run=True)["outcome"] == "planned"
        assert replicas_of(kubernetes, namespace) == 2
        done = look(40)
        assert (done["outcome"], done["wanted"]) == ("done", 3)
        assert replicas_of(kubernetes, namespace) == 3
        assert done["incident_id"]
        ready(kubernetes, namespace, 3)
        look(40)
        full = look(40)  # kubernetes.max_replicas
        assert (full["outcome"], full["wanted"], full["incident_id"]) == ("waiting", 3, "")
        look(5)
        cool = look(5)
        assert cool["outcome"] == "waiting" and "too fresh" in cool["reason"]
    assert replicas_of(kubernetes, namespace) == 3


def test_what_an_autoscaler_steers_is_left_to_it(kubernetes, namespace, ctx):
    kubernetes.create(manifests.deployment(namespace, "web", "good:1", 2))
    kubernetes.create(
        {
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": namespace},
            "spec": {
                "maxReplicas": 5,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            },
        }
    )
    with pytest.raises(Refused, match="the autoscaler web decides"):
        k8s_scale_by_metric(ctx, namespace, "web", "vector(40)", 30, 10)
    assert ctx.store.value("SELECT COUNT(*) FROM incidents") == 0


@pytest.mark.parametrize(
    "query, error", [("vector(NaN)", ExternalError), ("vector(1) < 0", ExternalError),
                     ('label_replace(vector(1),"a","x","","") or vector(2)', InvalidInput)],
)
def test_a_metric_that_is_not_one_value_scales_nothing(ctx, namespace, query, error):
    with pytest.raises(error):
        k8s_scale_by_metric(ctx, namespace, "web", query, 30, 10)


def test_two_looks_at_once_are_one(kubernetes, namespace, ctx):
    kubernetes.create(manifests.deployment(namespace, "web", "good:1", 1))
    key = "scale_by_metric:/Deployment %s/web" % namespace
    assert locks.acquire(ctx.store, key, "another", 3600)
    with pytest.raises(Conflict):
        k8s_scale_by_metric(ctx, namespace, "web", "vector(40)", 30, 10)
