"""Requests and limits from what a real Prometheus has seen, and no guess where it has seen too
little.
"""

from __future__ import annotations

import math
import re
import subprocess
import time

import pytest

from selfheal.diagnose.kubernetes import bundle
from selfheal.diagnose.kubernetes.recommend import (
    Use,
    k8s_recommend_resources,
    pods_of,
    recommend,
)
from selfheal.exceptions import ConfigError, InvalidInput, NotFound
from selfheal.incidents import registry
from selfheal.workloads.model import Ref
from tests import kubernetes_manifests as manifests
from tests import live_alertmanager, needs
from tests.live_kubelet import Kubelet
from tests.remedy import scenes

MIB = 1024.0**2
HOURS = 6


def history(namespace, pods, hours=HOURS):
    """What cAdvisor would have said each minute: memory swings from 100 to 200 MiB, a tenth of the
    time at the top; each pod uses a tenth of a core.
    """
    now = int(time.time()) // 60 * 60
    lines = {"memory": [], "cpu": []}
    for pod in pods:
        labels = '{namespace="%s",pod="%s",container="main",image="good:1"}' % (namespace, pod)
        for minute in range(hours * 60):
            at = now - hours * 3600 + minute * 60
            used = 200 * MIB if minute % 100 >= 90 else 100 * MIB
            lines["memory"].append(
                "container_memory_working_set_bytes%s %d %d" % (labels, used, at)
            )
            lines["cpu"].append(
                "container_cpu_usage_seconds_total%s %g %d" % (labels, minute * 6.0, at)
            )
    return "\n".join(
        ["# TYPE container_memory_working_set_bytes gauge", *lines["memory"],
         "# TYPE container_cpu_usage_seconds counter", *lines["cpu"], "# EOF", ""]
    )


@pytest.fixture
def prometheus(tmp_path):
    """Starts a real Prometheus that has seen a history."""
    promtool = needs.tool("promtool")
    started = []

    def start(text):
        directory = tmp_path / ("prometheus%d" % len(started))
        server = live_alertmanager.Prometheus(directory)
        (directory / "history.txt").write_text(text)
        subprocess.run(
            [promtool, "tsdb", "create-blocks-from", "openmetrics", "history.txt", "data"],
            cwd=str(directory), check=True, capture_output=True,
        )
        started.append(server.start())
        return server

    yield start
    for server in started:
        server.stop()


def context(tmp_path, kubernetes, namespace, server=None, **more):
    values = {"kubernetes": kubernetes.target(namespace, **more)}
    if server is not None:
        values["prometheus"] = {"url": server.url, "timeout_s": 600}
    return scenes.context_for(tmp_path, values=values)


PODS = ("web-7c9d8b6f5b-x7k2p", "web-7c9d8b6f5b-b4k9z")


def test_use_becomes_requests_and_limits(kubernetes, namespace, prometheus, tmp_path):
    server = prometheus(history(namespace, (*PODS, "web-front-7c9d8b6f5b-x7k2p")))
    kubernetes.create(
        manifests.deployment(namespace, "web", pod=manifests.memory("good:1", "256Mi", "64Mi"))
    )
    ctx = context(tmp_path, kubernetes, namespace, server)
    found = k8s_recommend_resources(ctx, namespace, "web", window_hours=HOURS, min_samples=100)
    (row,) = found["containers"]
    assert found["workload"] == "Deployment %s/web" % namespace
    # Two pods, one sample each five minutes; that of another workload is none of ours.
    assert 2 * HOURS * 12 - 4 <= row["samples"] <= 2 * HOURS * 12 + 2
    assert row["current"] == {"requests": {"memory": "64Mi"}, "limits": {"memory": "256Mi"}}
    assert row["recommended"]["limits"]["memory"] == "250Mi"
    assert row["recommended"]["requests"]["memory"] == "250Mi"  # 95 % of the time is not enough
    assert row["recommended"]["requests"]["cpu"] == "120m"
    assert row["recommended"]["limits"]["cpu"] == "120m"
    assert found["apply"][0].startswith(
        "st2 run selfheal.k8s_set_resources namespace=%s name=web container=main memory=250Mi"
        % namespace
    )
    found = k8s_recommend_resources(
        ctx, namespace, "web", window_hours=HOURS, min_samples=100, quantile=0.5
    )
    assert found["containers"][0]["recommended"]["requests"]["memory"] == "125Mi"
    found = k8s_recommend_resources(ctx, namespace, "web", window_hours=HOURS)
    assert found["containers"][0]["recommended"] is None
    assert "288 are needed" in found["containers"][0]["why"]
    ctx.close()


def test_a_diagnosis_tells_use_against_limits(kubernetes, namespace, prometheus, tmp_path):
    with Kubelet(kubernetes, namespace):
        kubernetes.create(
            manifests.deployment(namespace, "web", pod=manifests.memory("good:1", "250Mi"))
        )
        kubernetes.until(lambda: kubernetes.find("Pod", namespace))
        name = kubernetes.find("Pod", namespace)[0]["metadata"]["name"]
        kubernetes.until(
            lambda: kubernetes.get("Pod", name, namespace)["status"].get("containerStatuses")
        )
        ctx = context(tmp_path, kubernetes, namespace, prometheus(history(namespace, [name], 1)))
        incident_id = scenes.add_incident(ctx.store, alerts=(), namespace=namespace, workload="web")
        found = bundle.collect(ctx, registry.get(ctx.store, incident_id))
    said = [one["found"] for one in found.notes.facts if one["what"].startswith("use of")]
    assert len(said) == 1
    words = r"memory [12]00 MiB of 250 MiB \([48]0 %\); cpu 0[.][01][0-9]* cores, no limit"
    assert re.match(words, said[0])
    ctx.close()


def test_without_prometheus_or_the_workload_it_says_which(kubernetes, namespace, tmp_path):
    ctx = context(tmp_path, kubernetes, namespace)
    with pytest.raises(ConfigError, match=r"prometheus\.url"):
        k8s_recommend_resources(ctx, namespace, "web")
    ctx.config.values["prometheus"] = {"url": "http://127.0.0.1:9"}
    with pytest.raises(NotFound):
        k8s_recommend_resources(ctx, namespace, "web")
    ctx.close()


@pytest.mark.parametrize(
    "wrong",
    [{"window_hours": 0}, {"quantile": 2}, {"memory_headroom": 0.5}, {"min_samples": 0},
     {"kind": "node"}, {"kind": "gate"}, {"name": "*"}, {"namespace": ""}],
)
def test_what_makes_no_sense_is_refused(tmp_path, wrong):
    ctx = scenes.context_for(tmp_path)
    asked = {"namespace": "shop", "name": "web", **wrong}
    with pytest.raises(InvalidInput):
        k8s_recommend_resources(ctx, **asked)
    ctx.close()


ENOUGH = Use(1000, 100 * MIB, 200 * MIB, 0.1, 0.5)


def row_of(use=ENOUGH, limits=None, **settings):
    current = {"requests": {}, "limits": dict(limits or {})}
    return recommend("main", use, current, (1.25, 1.2), 288, {"max_memory": "8Gi", **settings})


def test_what_was_at_its_limit_is_told():
    row = row_of(limits={"memory": "200Mi", "cpu": "2"})
    assert row["notes"] == [
        "it used 100 % of its memory limit, so it may need more than could be seen"
    ]
    assert row_of(limits={"memory": "1Gi"})["notes"] == []


def test_what_the_guards_would_refuse_is_told():
    row = row_of(Use(1000, 9000 * MIB, 9000 * MIB, 0.1, 0.1))
    assert row["notes"] == ["the memory limit is beyond kubernetes.max_memory, which refuses it"]


def test_there_is_a_floor_and_figures_are_rounded_up():
    row = row_of(Use(1000, 1.0, 2.0, 0.0001, 0.0101))
    assert row["recommended"] == {
        "requests": {"memory": "16Mi", "cpu": "10m"}, "limits": {"memory": "16Mi", "cpu": "15m"},
    }


@pytest.mark.parametrize("missing", range(1, 5))
def test_a_figure_that_is_not_known_makes_no_recommendation(missing):
    figures = [1000, 1.0, 1.0, 1.0, 1.0]
    figures[missing] = math.nan
    row = row_of(Use(*figures))
    assert row["recommended"] is None and "not of all that it used" in row["why"]


@pytest.mark.parametrize(
    "kind, mine, others",
    [
        (
            "Deployment",
            "web-7c9d8b6f5b-x7k2p",
            ["web-front-x7k2p", "web-1", "xweb-7c9d8b6f5b-x7k2p", "web-front-7c9d8b6f5b-x7k2p"],
        ),
        ("StatefulSet", "web-12", ["web-12-1", "web-a", "web-7c9d8b6f5b-x7k2p"]),
        ("DaemonSet", "web-x7k2p", ["web-front", "web-12", "web-x7k2p-x7k2p"]),
        ("CronJob", "web-28000000-x7k2p", ["web-x7k2p", "web-2-front"]),
        ("Pod", "web", ["web-1", "webx"]),
    ],
)
def test_pods_of_others_are_none_of_its_own(kind, mine, others):
    pattern = re.compile(pods_of(Ref(kind, "shop", "web")) + r"\Z")
    assert pattern.match(mine)
    assert [one for one in others if pattern.match(one)] == []


def test_a_point_in_a_name_is_a_point():
    pattern = re.compile(pods_of(Ref("StatefulSet", "shop", "a.b")).replace("\\\\", "\\") + r"\Z")
    assert pattern.match("a.b-1") and not pattern.match("axb-1")
