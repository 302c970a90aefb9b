"""The Kubernetes sensor lives through everything, asks what fails less often while the others go
on, and tells what it could not see.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubernetes_health_sensor import KubernetesHealthSensor
from selfheal.intake.kubernetes import listing
from selfheal.operate.system_status import system_status
from tests import alert_scene, scene, stores
from tests.kubernetes_watchman import NOW, Watchman, pod
from tests.sensor_service import Service
from tests.stub_kubernetes import Stub, status

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN = (
    403,
    status(403, "Forbidden", 'statefulsets.apps is forbidden: User "x" cannot list resource'),
)


@pytest.fixture
def url(tmp_path):
    return stores.sqlite_url(tmp_path)


def test_off_until_something_is_configured_and_touches_nothing(tmp_path):
    service = Service()
    for config in (None, {}, {"kubernetes": {}}, {"kubernetes": None},
                   {"kubernetes": {"watch": True, "in_cluster": False}}):
        made = KubernetesHealthSensor(service, config=config)
        made.setup()
        made.poll()
        made.cleanup()
    assert service.dispatched == [] and list(tmp_path.iterdir()) == []


def test_sick_pods_become_one_incident_and_the_state_says_what_was_found(man, server):
    server.objects["pods"] = [pod("cart-%d" % number) for number in range(5)]
    man.poll()
    (told,) = man.service.of("selfheal.pod_unhealthy")
    assert told["alert_type"] == "PodCrashLooping" and told["workload"] == "cart"
    assert (told["namespace"], told["workload_kind"]) == ("shop", "Deployment")
    assert told["exit_code"] == 1 and told["restarts"] == 45 and told["cluster"] == ""
    state, detail = man.state()
    assert state == "ok" and (detail["pods"], detail["owners"], detail["opened"]) == (5, 1, 1)


def test_text_from_outside_is_bounded_and_no_expression(man, server):
    hostile = "{{ config_context.jira_password }}<% 6*7 %>\x1b[2J" + "x" * 5000
    one = pod("cart-1")
    one["spec"]["nodeName"] = hostile
    one["status"]["containerStatuses"][0].update(name=hostile)
    one["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] = hostile
    server.objects["pods"] = [one]
    man.poll()
    (told,) = man.service.of("selfheal.pod_unhealthy")
    for value in told.values():
        shown = str(value)
        assert len(shown) <= 300 and "{{" not in shown and "<%" not in shown and "\x1b" not in shown


@pytest.mark.parametrize("kind", scene.BOTH)
def test_sign_that_no_database_takes_blinds_nobody(kind, tmp_path, server, monkeypatch):
    man = Watchman(scene.store_url(kind, tmp_path), {"default": server}, monkeypatch)
    one, two = pod("cart-1"), pod("x\x00y\ud800", uid="u\x00\ud800")
    one["status"]["containerStatuses"][0]["name"] = "a\x00b\ud800"
    two["metadata"]["ownerReferences"][0]["name"] = "q\x00\ud800-abc12"
    server.objects["pods"] = [one, two]
    man.poll()
    assert man.state()[0] == "ok" and len(man.incidents()) == 2


def test_restarts_are_counted_over_the_window_and_survive_the_sensor(url, server, monkeypatch):
    server.objects["pods"] = [pod("cart-1", "", restarts=700)]
    man = Watchman(url, {"default": server}, monkeypatch)
    man.poll()
    server.objects["pods"] = [pod("cart-1", "", restarts=704)]
    man.poll()
    assert man.incidents() == []  # four, and five are allowed
    again = Watchman(url, {"default": server}, monkeypatch)
    again.clock.at = man.clock.at
    server.objects["pods"] = [pod("cart-1", "", restarts=706)]
    again.poll()
    (incident,) = again.incidents()
    assert incident["alert_type"] == "PodRestartingOften"
    again.poll(times=14)
    assert again.incidents()[0]["cleared_at"] is not None


def test_cluster_that_is_down_is_asked_less_often_and_ends_nothing(man, server):
    server.objects["pods"] = [pod("cart-1")]
    man.poll()
    for plural in server.objects:
        server.fails[plural] = (503, status(503, "ServiceUnavailable"))
    asked = []
    for _ in range(12):
        before = len(server.asked)
        man.poll()
        asked.append(len(server.asked) > before)
    assert [turn for turn, was_asked in enumerate(asked) if was_asked] == [0, 1, 3, 7, 11]
    assert man.state()[0] == "blind" and man.firing() >= 2
    kinds = {row["alert_type"]: row for row in man.incidents()}
    assert set(kinds) == {"PodCrashLooping", "BlindSpot"}
    assert "kubernetes:default" in kinds["BlindSpot"]["title"]
    server.fails.clear()
    man.poll(times=4)
    kinds = {row["alert_type"]: row for row in man.incidents()}
    assert man.state()[0] == "ok" and kinds["BlindSpot"]["cleared_at"] is not None
    assert kinds["PodCrashLooping"]["cleared_at"] is None


def test_one_cluster_that_is_down_does_not_keep_the_other_from_being_looked_at(
    url, server, monkeypatch
):
    with Stub() as good:
        man = Watchman(url, {"bad": server, "good": good}, monkeypatch)
        for plural in server.objects:
            server.fails[plural] = (500, status(500, "InternalError"))
        good.objects["pods"] = [pod("cart-1")]
        man.poll(times=8)
        assert man.state("bad")[0] in ("failing", "blind") and man.state("good")[0] == "ok"
        assert {one["cluster"] for one in man.service.of("selfheal.pod_unhealthy")} == {"good"}
        assert server.times("namespaces") == 4 and good.times("namespaces") == 8


@pytest.mark.parametrize(
    ("plural", "answer", "words"),
    [
        ("statefulsets", FORBIDDEN, "we may not list statefulsets.apps in the whole cluster"),
        ("services", (500, status(500, "InternalError", "etcd is gone")), "etcd is gone"),
        ("nodes", (200, ["nonsense"]), "nodes"),
        ("jobs", (200, {"items": 7}), ""),
    ],
)
def test_kind_that_cannot_be_read_is_told_and_the_rest_goes_on(man, server, plural, answer, words):
    server.objects["pods"] = [pod("cart-1")]
    server.fails[plural] = answer
    man.poll()
    state, detail = man.state()
    assert len(man.incidents()) == 1 and detail["pods"] == 1
    assert state == ("degraded" if words else "ok")
    assert words in "\n".join(detail["because"])


def test_server_that_answers_nothing_is_not_asked_for_everything(man, server):
    for plural in server.objects:
        server.fails[plural] = (503, status(503, "ServiceUnavailable"))
    man.poll()
    assert man.state()[0] == "failing" and len(server.asked) == listing._MOST_FAILURES


@pytest.mark.parametrize("plural", ["namespaces", "deployments"])
def test_what_was_annotated_out_stays_so_while_that_cannot_be_read(man, server, plural):
    marked = {"name": "shop", "annotations": {"selfheal/ignore": "true"}}
    if plural == "deployments":
        marked.update(name="cart", namespace="shop")
    server.objects[plural] = [{"metadata": marked, "spec": {}, "status": {}}]
    server.objects["pods"] = [pod("cart-1")]
    man.poll()
    server.fails[plural] = (500, status(500, "InternalError"))
    man.poll(times=3)
    assert man.incidents() == [] and man.state()[0] == "degraded"


def test_server_that_fails_again_and_again_is_not_asked_for_every_kind(man, server):
    for plural in ("nodes", "jobs", "pods", "deployments", "services"):
        server.fails[plural] = (500, status(500, "InternalError"))
    man.poll()
    state, detail = man.state()
    assert state == "degraded" and "not asked for" in "\n".join(detail["because"])
    assert server.times("pods") == 0


def test_stackstorm_that_is_down_is_told_later(man, server):
    server.objects["pods"] = [pod("cart-1")]
    man.service.down = True
    man.poll()
    state, detail = man.state()
    assert state == "degraded" and "StackStorm" in detail["because"][0]
    man.service.down = False
    man.poll()
    assert len(man.service.of("selfheal.pod_unhealthy")) == 1


@pytest.mark.parametrize(
    "where", ["ledger.settle", "dispatch", "clusters.save", "checkpoints.write"]
)
def test_sensor_that_dies_within_a_look_leaves_the_rest_to_the_next(
    url, server, monkeypatch, where
):
    def die(*_arguments, **_more):
        raise KeyboardInterrupt  # past every handler, as a kill goes

    server.objects["pods"] = [pod("cart-1"), pod("shop-1", "", 700, app="shop")]
    man = Watchman(url, {"default": server}, monkeypatch)
    with monkeypatch.context() as dying:
        dying.setattr("selfheal.intake.kubernetes.look." + where, die)
        with pytest.raises(KeyboardInterrupt):
            man.poll()
    again = Watchman(url, {"default": server}, monkeypatch)
    again.clock.at = man.clock.at
    again.poll(after_s=150)
    told = again.service.of("selfheal.pod_unhealthy")
    assert [one["workload"] for one in told] == ["cart"] and len(again.incidents()) == 1
    server.objects["pods"] = []
    again.poll(times=3)
    assert again.incidents()[0]["cleared_at"] is not None


def test_database_that_is_down_for_a_moment_loses_nothing(man, server):
    man.poll()
    server.objects["pods"] = [pod("cart-1")]
    man.sensor.config["database"]["url"] = "sqlite:////proc/none/selfheal.db"
    man.sensor._polling.forget_store()
    man.poll()
    man.sensor.config["database"]["url"] = man.url
    man.poll(times=3)
    assert [row["alert_type"] for row in man.incidents()] == ["PodCrashLooping"]


def test_secrets_stay_out_of_log_and_state(man, server, caplog):
    server.fails["namespaces"] = (401, status(401, "Unauthorized", "token s3cret-token is no more"))
    man.poll()
    assert man.state()[0] == "failing"
    assert "s3cret-token" not in str(man.state()) + caplog.text


def test_state_shows_in_system_status_and_goes_with_its_setting(man, server, url):
    def shown(clusters):
        ctx = alert_scene.context(url, man.clock, kubernetes=clusters)
        return {one["component"]: one["status"] for one in system_status(ctx)["components"]}

    targets = man.config["kubernetes"]
    assert shown(targets)["kubernetes:default"] == "never"
    man.poll()
    assert shown(targets)["kubernetes:default"] == "ok"
    assert "kubernetes:default" not in shown({})


def test_blindness_of_log_sources_is_not_ended_by_this_sensor(man, url):
    from selfheal.intake import blindness

    ctx = alert_scene.context(url, man.clock)
    blindness.raise_incident(ctx, "elk:default", NOW - 3600, "down")
    man.sensor.config["elasticsearch"] = {"url": "http://127.0.0.1:1"}
    man.poll()
    assert man.firing() == 1
    del man.sensor.config["elasticsearch"]
    man.sensor._has_ended_removed = False
    man.poll()
    assert man.firing() == 0


@pytest.mark.parametrize("value", [5, "x", ["a"], {"url": 5}, {"url": "x"}, {"namespaces": 3},
                                   {"url": "http://127.0.0.1:1", "namespaces": ["Kube-System"]},
                                   {"url": "http://127.0.0.1:1", "max_restarts": "many"},
                                   {"kubeconfig": "/nowhere"}, {"in_cluster": True}])
def test_unusable_configuration_ends_nothing(url, value):
    config = {"database": {"url": url}, "kubernetes": value}
    made = KubernetesHealthSensor(Service(), config=config)
    made.setup()
    made.poll()
    made.poll()
    made.cleanup()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_malformed_objects_are_judged_as_far_as_they_go(man, server, data):
    """Any part of a pod or a Deployment may be anything."""
    one = json.loads(json.dumps(pod("cart-1")))
    for _ in range(data.draw(st.integers(1, 3))):
        part = one
        while True:
            key = data.draw(st.sampled_from(sorted(part)))
            if not isinstance(part[key], dict) or not part[key] or data.draw(st.booleans()):
                part[key] = data.draw(_JSON)
                break
            part = part[key]
    for plural in ("pods", "deployments", "jobs", "services", "endpoints", "nodes", "namespaces",
                   "persistentvolumeclaims", "horizontalpodautoscalers"):
        server.objects[plural] = [one]
    server._page = lambda plural, query, parts: (
        200, {"metadata": {"resourceVersion": "1"}, "items": server.objects[plural]}
    )
    man.sensor._backoff.succeeded("kubernetes:default")
    man.poll()
    assert man.state()[0] in ("ok", "degraded"), man.state()


def test_loads_with_the_path_that_stackstorm_gives_a_sensor():
    script = (
        "import sys; sys.path[:0] = [%r]; sys.path.append(%r); import kubernetes_health_sensor; "
        "import selfheal.intake.kubernetes.clusters"
        % (str(ROOT / "sensors"), str(ROOT / "standalone" / "stand_ins"))
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd="/", timeout=300)


def test_its_yaml_is_what_stackstorm_takes():
    described = yaml.safe_load((ROOT / "sensors" / "kubernetes_health_sensor.yaml").read_text())
    assert described["class_name"] == KubernetesHealthSensor.__name__
    assert described["entry_point"] == "kubernetes_health_sensor.py"
    assert isinstance(described["poll_interval"], int) and described["trigger_types"] == []
