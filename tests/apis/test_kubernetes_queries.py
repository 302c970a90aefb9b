"""The PromQL that finds sick pods, as it is by default: judged by Prometheus' own unit tests."""

from __future__ import annotations

import subprocess

import yaml

from selfheal.config import Config
from tests import needs

LIMIT = 'kube_pod_container_resource_limits{namespace="%s",pod="%s",container="main",resource="%s"}'
CPU = 'container_cpu_usage_seconds_total{namespace="%s",pod="%s",container="main"}'
MEMORY = 'container_memory_working_set_bytes{namespace="%s",pod="%s",container="main",id="%d"}'
UP = 'up{namespace="%s",pod="%s",job="x"}'


def series():
    """Two pods of shop, one of them busy, and a busy one in a namespace that is not watched."""
    for namespace, pod, seconds_per_minute, used in [
        ("shop", "busy", 54, 95),
        ("shop", "idle", 6, 50),
        ("other", "busy", 60, 99),
    ]:
        yield CPU % (namespace, pod), "0+%dx20" % seconds_per_minute
        yield MEMORY % (namespace, pod, 1), "%dx20" % used
        yield MEMORY % (namespace, pod, 2), "1x20"  # the container's run before
        yield LIMIT % (namespace, pod, "cpu"), "1x20"
        yield LIMIT % (namespace, pod, "memory"), "100x20"
        yield UP % (namespace, pod), "%dx20" % (pod == "idle")
    yield 'up{job="no-pod"}', "0x20"
    yield CPU % ("shop", "without-limit"), "0+60x20"


def test_default_queries_find_the_pods_that_they_are_about(tmp_path):
    described = Config().schema["kubernetes"]["properties"]["queries"]["properties"]
    busy = '{namespace="shop",pod="busy"}'
    expected = {"cpu": (busy, 0.9), "memory": (busy, 0.95), "up": (UP % ("shop", "busy"), 0)}
    assert set(expected) == set(described)
    checks = [
        {
            "expr": described[name]["default"].replace("${namespace}", "shop|team-.+"),
            "eval_time": "10m",
            "exp_samples": [{"labels": labels, "value": value}],
        }
        for name, (labels, value) in expected.items()
    ]
    content = {
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": one, "values": values} for one, values in series()],
                "promql_expr_test": checks,
            }
        ],
    }
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump(content))
    ended = subprocess.run(
        [needs.tool("promtool"), "test", "rules", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout
