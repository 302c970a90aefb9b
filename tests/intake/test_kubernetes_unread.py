"""A list that cannot be read, or not to its end, raises no alarm of what it did not show; and what
cannot be told in one look is not told of everything.
"""

from __future__ import annotations

import pytest

from selfheal.incidents.signal import time_text
from selfheal.intake.kubernetes import judging, listing, look
from tests.apis.kubernetes_scene import Ahead
from tests.kubernetes_watchman import MINUTE, NOW, pod
from tests.stub_kubernetes import KINDS, status

FAILS = (500, status(500, "InternalError"))
FORBIDDEN = (403, status(403, "Forbidden", 'endpoints is forbidden: User "x" cannot list'))


def service(name, app="cart"):
    return {
        "metadata": {"name": name, "namespace": "shop",
                     "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"selector": {"app": app}},
    }


def endpoints(name, *addresses):
    return {"metadata": {"name": name, "namespace": "shop"},
            "subsets": [{"addresses": [{"ip": one} for one in addresses]}] if addresses else []}


def deployment(name, replicas):
    template = {"metadata": {"labels": {"app": name}}}
    return {
        "metadata": {"name": name, "namespace": "shop",
                     "creationTimestamp": "2026-11-01T00:00:00Z"},
        "spec": {"replicas": replicas, "template": template,
                 "selector": {"matchLabels": {"app": name}}},
        "status": {"replicas": replicas, "readyReplicas": replicas,
                   "availableReplicas": replicas, "updatedReplicas": replicas},
    }


def cron_job(job):
    return {"metadata": {"name": job, "namespace": "shop",
                         "ownerReferences": [{"apiVersion": "batch/v1", "kind": "CronJob",
                                              "name": "backup", "uid": "c", "controller": True}]}}


def of_job(job):
    value = pod("backup-x", "ImagePullBackOff", ownerReferences=[
        {"apiVersion": "batch/v1", "kind": "Job", "name": job, "uid": "j", "controller": True}
    ])
    value["spec"]["restartPolicy"] = "Never"
    return value


def kinds(man):
    return sorted((row["alert_type"], row["workload"]) for row in man.incidents())


@pytest.mark.parametrize("answer", [FAILS, FORBIDDEN])
def test_services_are_not_called_empty_because_endpoints_cannot_be_read(man, server, answer):
    server.objects["services"] = [service("cart")]
    server.objects["endpoints"] = [endpoints("cart", "10.0.0.1")]
    server.objects["pods"] = [pod("cart-1", "", restarts=0)]
    server.fails["endpoints"] = answer
    man.poll(times=3)
    assert man.incidents() == [] and man.state()[0] == "degraded"


@pytest.mark.parametrize("plural", KINDS)
def test_missing_right_raises_no_alarm_of_what_is_well(man, server, plural):
    well = pod("cart-1", "", restarts=0)
    server.objects.update(
        pods=[well], deployments=[deployment("cart", 1)], services=[service("cart")],
        endpoints=[endpoints("cart", "10.0.0.1")], jobs=[cron_job("backup-1")],
        nodes=[{"metadata": {"name": "node-1"},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]}}],
        persistentvolumeclaims=[{"metadata": {"name": "data", "namespace": "shop"},
                                 "status": {"phase": "Bound"}}],
    )
    server.fails[plural] = FORBIDDEN
    man.poll(times=3)
    assert man.incidents() == []
    is_asked = plural not in ("replicasets", "controllerrevisions")  # of the sick alone
    assert man.state()[0] == ("degraded" if is_asked else "ok")


def test_services_on_a_page_that_did_not_come_are_not_called_empty(man, server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 1)
    server.objects["services"] = [service("a"), service("b")]
    server.objects["pods"] = [pod("cart-1", "", restarts=0)]
    server.objects["endpoints"] = [endpoints("a", "10.0.0.1"), endpoints("b", "10.0.0.2")]
    real = server._page
    server._page = lambda plural, query, parts: (
        FAILS if plural == "endpoints" and query.get("continue") else real(plural, query, parts)
    )
    man.poll(times=2)
    assert man.incidents() == []


def test_pods_of_a_cron_job_stay_its_own_while_jobs_cannot_be_read(man, server):
    server.objects["jobs"] = [cron_job("backup-1")]
    server.objects["pods"] = [of_job("backup-1")]
    man.poll()
    assert kinds(man) == [("PodImagePullFailed", "backup")]
    server.fails["jobs"] = FAILS
    man.poll(times=3)
    assert kinds(man) == [("PodImagePullFailed", "backup")]


def test_node_stays_lost_while_nodes_cannot_be_read(man, server):
    unready = pod("cart-1", "", restarts=0)
    unready["status"]["conditions"][0]["status"] = "False"
    server.objects["pods"] = [unready]
    server.objects["nodes"] = [
        {"metadata": {"name": "node-1"},
         "status": {"conditions": [{"type": "Ready", "status": "Unknown",
                                    "lastTransitionTime": "2026-11-21T21:00:00Z"}]}}
    ]
    man.poll()
    assert [row["alert_type"] for row in man.incidents()] == ["NodeNotReady"]
    server.fails["nodes"] = FAILS
    man.poll(times=3)
    assert [row["alert_type"] for row in man.incidents()] == ["NodeNotReady"]


@pytest.mark.parametrize("namespace", ["", "Qâd"])
def test_objects_that_no_cluster_has_hide_no_other(man, server, namespace):
    alone = pod("alone-1", namespace=namespace, labels={"app": "alone"})  # of a bare ReplicaSet
    owner = dict(alone["metadata"]["ownerReferences"][0], name="no name")
    nameless = pod("nameless-1", labels={"app": "nameless"}, ownerReferences=[owner])
    lost = deployment("lost", 1)
    lost["metadata"]["namespace"] = namespace
    sick = pod("lost-1", namespace=namespace, app="lost")
    unserved = service("unserved", "lost")
    unserved["metadata"]["namespace"] = namespace
    server.objects.update(pods=[alone, nameless, sick, pod("cart-1")], deployments=[lost],
                          services=[unserved])
    for one in server.objects["pods"]:
        one["metadata"]["creationTimestamp"] = time_text(NOW - MINUTE)[:19] + "Z"
    man.poll()
    assert man.state()[0] == "degraded", man.state()
    assert ("PodCrashLooping", "cart") in kinds(man)


def test_many_services_of_what_is_scaled_to_zero_hide_no_other(man, server, monkeypatch):
    monkeypatch.setattr(judging, "MOST_ASKED", 3)
    idle = ["idle-%d" % number for number in range(9)]
    server.objects["deployments"] = [deployment(name, 0) for name in idle]
    server.objects["services"] = [service(name, name) for name in idle] + [service("zz", "cart")]
    server.objects["endpoints"] = [endpoints(name) for name in [*idle, "zz"]]
    sick = pod("cart-1")
    server.objects["pods"] = [sick]
    server.objects["deployments"].append(deployment("cart", 1))
    man.poll()
    assert man.state()[0] == "ok", man.state()
    assert man.firing() >= 2
    server.objects["pods"] = [pod("cart-1", "", restarts=9)]
    server.objects["endpoints"][-1] = endpoints("zz", "10.0.0.1")
    man.poll(after_s=MINUTE, times=3)
    assert man.firing() == 0


def test_server_that_answers_slowly_does_not_keep_the_sensor(man, server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 1)
    monkeypatch.setattr(look, "longest_s", lambda ctx: 300.0)
    clock = Ahead(monkeypatch)
    server.objects["pods"] = [pod("cart-%d" % number) for number in range(40)]
    real = server._page

    def page(plural, query, parts):
        if plural == "pods":
            clock.let_pass(20.0)
        return real(plural, query, parts)

    server._page = page
    man.poll()
    state, detail = man.state()
    asked = [query for kind, query in server.asked if kind == "pods"]
    assert state == "degraded" and "no time is left" in "\n".join(detail["because"])
    assert 1 <= detail["pods"] < 40 and len(asked) < 40
    assert [row["workload"] for row in man.incidents()] == ["cart"]
