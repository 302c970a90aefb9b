"""A sick workload on a real Kubernetes API, from the sensor's look to the closed incident, through
the real pack: trigger, rule, workflow, remedy, verification. And what cannot be healed, or not
without a person, reaches one.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests import kubernetes_manifests as manifests
from tests.e2e.effects import Effects
from tests.e2e.kubernetes_cases import Place
from tests.e2e.world import World, alert
from tests.respond.hand_scene import everything, ready, sick

SENSOR = "KubernetesHealthSensor"
# Everything counts at once, so the scene has to be as it is meant before anybody looks.
AT_ONCE = {
    "settle_s": 0,
    "pending_minutes": 0,
    "unready_minutes": 0,
    "short_minutes": 0,
    "rollout_timeout_s": 180,
}


@pytest.fixture
def world(tmp_path, kubernetes, namespace, kubelet):
    with World(tmp_path) as made:
        configure(made, kubernetes, namespace)
        yield made


@pytest.fixture
def cart(kubernetes, namespace, kubelet):
    """What is done to the Deployment "cart" there, and waited for."""
    return Place(kubernetes, namespace, kubelet, "cart")


def configure(world, kubernetes, namespace, verify_timeout=180, **settings):
    world.configure({
        "kubernetes": kubernetes.target(namespace, **{**AT_ONCE, **settings}),
        "resolver": {"verify_timeout": verify_timeout, "healthy_hold": 0},
    })


def look(world):
    """One look of the sensor, in a process of its own, and all that follows from it."""
    assert world.engine.run_sensor_once(SENSOR) == 0
    world.settle()


def found(world, *, of):
    """Look until there is an incident of the workload; that incident when all has settled."""

    def mine():
        look(world)
        return [one for one in world.incidents() if one.workload == of]

    incidents = world.wait_for(mine)
    assert len(incidents) == 1, "one incident per owner"
    return incidents[0]


def names(kubernetes, namespace):
    return {pod["metadata"]["name"] for pod in kubernetes.find("Pod", namespace)}


def test_a_sick_pod_is_found_deleted_proven_well_and_closed(world, kubernetes, namespace, cart):
    cart.deploy_until("sick:once", 3, show={"CrashLoopBackOff": 1, "ready": 2})
    [bad] = sick(kubernetes, namespace, name="cart")
    before = names(kubernetes, namespace)
    incident = found(world, of="cart")
    kinds = world.kinds(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "remediated"), kinds
    assert (incident.source, incident.strategy) == ("kubernetes", "automated")
    assert kinds.index("analyzed") < kinds.index("decided") < kinds.index("guard_allowed")
    assert kinds.index("remediation_started") < kinds.index("verified") < kinds.index("resolved")
    cart.shows(ready=3)  # a deleted pod goes when its kubelet says so
    after = names(kubernetes, namespace)
    assert bad not in after and len(after) == 3 and before - {bad} <= after
    [row] = world.rows("SELECT * FROM execution_history")
    assert (row["remedy"], row["status"]) == ("runbook:kubernetes_delete_sick_pods", "done")
    assert row["verified"] == 1
    assert world.outside.messages == []
    look(world)
    assert [one.status for one in world.incidents()] == ["resolved"], "nothing is left of it"


def test_an_alert_of_prometheus_about_the_same_is_healed_as_well(
    world, kubernetes, namespace, cart
):
    cart.deploy_until("sick:once", 2, show={"CrashLoopBackOff": 1, "ready": 1})
    [bad] = sick(kubernetes, namespace, name="cart")
    told = alert("KubePodCrashLooping", severity="warning", namespace=namespace, pod=bad)
    told["labels"].update(job="kube-state-metrics", container="main", instance="10.0.0.1:8080")
    incident = world.respond_to(told)
    assert (incident.status, incident.resolution) == ("resolved", "remediated")
    cart.shows(ready=2)
    assert incident.workload == "cart" and bad not in names(kubernetes, namespace)


def test_what_stays_sick_is_escalated_with_what_was_tried(world, kubernetes, namespace, cart):
    configure(world, kubernetes, namespace, verify_timeout=2, rollout_timeout_s=10)
    cart.deploy_until("bad:crash", 1, show={"CrashLoopBackOff": 1})
    incident = found(world, of="cart")
    assert (incident.status, incident.strategy) == ("escalated", "automated")
    [message] = world.told("escalation")
    assert message["reason"] in ("not_resolved", "remediation_failed")
    assert "kubernetes_delete_sick_pods" in message["text"]


def test_what_a_restart_cannot_mend_is_left_to_people_with_the_cause(
    world, kubernetes, namespace, cart
):
    cart.deploy_until("bad:missing", 1, show={"ImagePullBackOff": 1})
    before = everything(kubernetes, namespace)
    incident = found(world, of="cart")
    assert incident.alert_type == "PodImagePullFailed"
    assert incident.status in ("escalated", "ticketed") and incident.plan is None
    [message] = world.outside.messages
    assert "ImagePull" in message["text"] or "image" in message["text"]
    assert world.runs("remediate") == []
    assert everything(kubernetes, namespace) == before


def test_a_rollout_that_broke_it_is_rolled_back_after_a_yes(world, kubernetes, namespace, cart):
    cart.break_rollout()

    def is_found():
        assert world.engine.run_sensor_once(SENSOR) == 0
        return world.incidents()

    world.wait_for(is_found)
    inquiry = world.wait_for(lambda: world.engine.pending_inquiries())[0]
    world.settle()
    [incident] = world.incidents()
    assert (incident.alert_type, incident.status) == ("RolloutBroken", "awaiting_approval")
    [asked] = world.told("approval")
    assert "rollback workload" in asked["text"] and "now: " in asked["text"]
    world.engine.answer_inquiry(inquiry.id, {"approved": True})
    world.settle()
    incident = world.incident(incident.id)
    assert (incident.status, incident.resolution) == ("resolved", "remediated"), world.kinds(
        incident.id
    )
    image = kubernetes.get("Deployment", "cart", namespace)["spec"]["template"]["spec"]
    assert image["containers"][0]["image"] == "good:1"


def test_a_hand_through_the_platform(world, kubernetes, namespace):
    kubernetes.create(manifests.deployment(namespace, "cart", replicas=2))
    ready(kubernetes, namespace, 2, "cart")
    answer = world.act("k8s_restart_workload", namespace=namespace, name="cart")
    assert answer["outcome"] == "done", answer
    [incident] = world.incidents()
    assert (incident.status, incident.resolution) == ("resolved", "manual")
    assert world.runs("incident_response") == [], "no response is started for it"
    taken = world.act("undo_remediation", incident_id=incident.id)
    assert taken["outcome"] == "undone"
    world.housekeeping()
    assert world.runs("incident_response") == []


def test_a_dry_run_of_every_operation_touches_nothing(
    tmp_path, kubernetes, namespace, kubelet, cart, monkeypatch
):
    effects = Effects(tmp_path, monkeypatch)
    with World(tmp_path) as world:
        configure(world, kubernetes, namespace)
        cart.deploy_until("sick:once", 3, show={"CrashLoopBackOff": 1, "ready": 2})
        [bad] = sick(kubernetes, namespace, name="cart")
        before = everything(kubernetes, namespace)
        world.open_store().close()
        effects.forget()
        given = {"namespace": namespace, "name": "cart", "dry_run": True}
        for action, options in (
            ("delete_pod", {"most": 3}),
            ("evict_pod", {}),
            ("reschedule_pod", {"avoid_node": True}),
            ("restart_workload", {}),
            ("scale_workload", {"to": 0}),
            ("set_resources", {"memory": "300Mi"}),
            ("apply_hpa", {"max_replicas": 5}),
            ("rollback_workload", {}),
        ):
            answer = world.act("k8s_" + action, **given, **options)
            assert answer["outcome"] == "planned" and "dry run" in answer["summary"], answer
        node = kubelet.name_of("node-a")
        for action in ("k8s_cordon_node", "k8s_uncordon_node"):
            assert world.act(action, name=node, dry_run=True)["outcome"] == "planned"
        assert effects.processes() == 10
        # They asked the API, which was only to rehearse, and did nothing else anywhere.
        api = str(("127.0.0.1", urlsplit(kubernetes.url).port))
        heard = effects.beyond(world.database, urlsplit(world.engine.api_url).port)
        assert [one for one in heard if one[1][-1] != api] == []
        assert everything(kubernetes, namespace) == before
        assert kubernetes.find("HorizontalPodAutoscaler", namespace) == []
        assert world.rows("SELECT * FROM undo_log") == []
        assert world.outside.messages == []
        # The control: the same for real.
        del given["dry_run"]
        assert world.act("k8s_delete_pod", **given)["outcome"] == "done"
        cart.shows(ready=3)
        assert bad not in names(kubernetes, namespace)
