"""Taking a change in Kubernetes back: exactly, once, and never over what somebody did since."""

from __future__ import annotations

import pytest

from selfheal.remedy import steps
from selfheal.remedy.kubernetes import undoing
from tests import kubernetes_manifests as manifests
from tests.remedy.kubernetes_scene import scene_for


@pytest.fixture
def scene(tmp_path, kubernetes, namespace):
    return scene_for(tmp_path, kubernetes, namespace)


def web(scene):
    scene.cluster.create(manifests.deployment(scene.namespace, "web", replicas=2))
    scene.ready(2)


def around(scene):
    """What an undo works with."""
    end = scene.ctx.clock.monotonic() + 180
    return steps.Surroundings(scene.ctx, {}, None, end, lambda: "", lambda: "")


def test_undo_never_overwrites_what_somebody_did_since(scene, kubelet):
    web(scene)
    about = scene.incident()
    assert scene.do("scale_workload", about, by=1).outcome == "done"
    scene.cluster.patch("Deployment", "web", scene.namespace, {"spec": {"replicas": 7}})
    assert scene.undo(about).outcome == "partly"
    assert "somebody has changed spec.replicas since" in scene.told()
    assert scene.get()["spec"]["replicas"] == 7


def test_undo_leaves_other_parts_as_others_made_them(scene, kubelet):
    web(scene)
    about = scene.incident()
    assert scene.do("restart_workload", about).outcome == "done"
    scene.cluster.patch("Deployment", "web", scene.namespace, {"spec": {"replicas": 3}})
    assert scene.undo(about).outcome == "undone", scene.told()
    assert scene.get()["spec"]["replicas"] == 3


@pytest.mark.parametrize("is_made_again", [False, True])
def test_undo_of_what_was_deleted_since_is_done(scene, kubelet, is_made_again):
    web(scene)
    about = scene.incident()
    assert scene.do("scale_workload", about, by=1).outcome == "done"
    scene.cluster.delete("Deployment", "web", scene.namespace)
    if is_made_again:
        scene.cluster.create(manifests.deployment(scene.namespace, "web", replicas=3))
    assert scene.undo(about).outcome == "undone", scene.told()
    if is_made_again:
        assert scene.get()["spec"]["replicas"] == 3


def test_undo_twice_changes_nothing_more(scene, kubelet):
    web(scene)
    before = scene.plain()
    about = scene.incident()
    assert scene.do("restart_workload", about).outcome == "done"
    [(_, action)] = scene.owed(about)
    for words in ("before again", "as it was before"):
        ending = undoing.undo(action, around(scene))
        assert (ending.status, words in ending.detail) == ("done", True), ending
        assert scene.plain() == before


@pytest.mark.parametrize("damage", [
    {"kind": "Secret"}, {"kind": "Pod/../../secrets"}, {"name": "web/status"}, {"edits": []},
    {"edits": [{"path": ["spec", "replicas"]}]}, {"uid": None}, {"version": "../../v1"},
    {"namespace": "kube-system"}, {"namespace": "../kube-system"}, {"namespace": "Kube-System"},
    {"namespace": ""}, {"namespace": None}, {"name": 7}, {"edits": "all"}, {"is_made": True},
    {"edits": [{"path": ["spec", "paused"], "before": [True], "after": []}]},
    {"edits": [{"path": ["spec", "template"], "before": [{}], "after": []}]},
    {"edits": [{"path": ["metadata", "name"], "before": [], "after": ["web"]}], "is_made": True},
    {"kind": "Namespace", "namespace": "", "name": "default", "uid": "", "is_made": True},
])
def test_undo_record_that_was_tampered_with_touches_nothing(scene, kubelet, damage):
    web(scene)
    about = scene.incident()
    assert scene.do("scale_workload", about, by=1).outcome == "done"
    [(_, action)] = scene.owed(about)
    action["changes"][0].update(damage)
    ending = undoing.undo(action, around(scene))
    assert ending.status == "failed", ending
    assert scene.get()["spec"]["replicas"] == 3


@pytest.mark.parametrize("changes", [None, "all", [], [{}], [None]])
def test_undo_record_that_cannot_be_read_says_so(scene, changes):
    ending = undoing.undo({"changes": changes, "cluster": ""}, around(scene))
    assert (ending.status, "undo it by hand" in ending.detail) == ("failed", True), ending


def test_undo_of_a_cluster_that_is_no_more_configured_says_so(scene, kubelet):
    web(scene)
    about = scene.incident()
    assert scene.do("scale_workload", about, by=1).outcome == "done"
    settings = scene.ctx.config.values
    target, settings["kubernetes"] = settings["kubernetes"], {}
    assert scene.undo(about).outcome == "partly"
    settings["kubernetes"] = target
    assert scene.undo(about).outcome == "undone"
    assert scene.get()["spec"]["replicas"] == 2


def test_undo_in_another_cluster_than_the_one_that_was_changed_is_none(scene, kubelet):
    web(scene)
    about = scene.incident()
    assert scene.do("scale_workload", about, by=1).outcome == "done"
    settings = scene.ctx.config.values
    settings["kubernetes"] = {"other": settings["kubernetes"]}
    assert scene.undo(about).outcome == "partly"
    assert "'default' is not configured any more" in scene.told()
    assert scene.get()["spec"]["replicas"] == 3


def test_what_stood_in_a_template_is_kept_and_not_shown(scene, kubelet):
    from selfheal.incidents import queries

    manifest = manifests.deployment(scene.namespace, "web", replicas=1)
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": "DB_PASSWORD", "value": "tr0ub4dor-and-3"}]
    scene.cluster.create(manifest)
    scene.ready(1)
    about = scene.incident()
    assert scene.do("restart_workload", about).outcome == "done"
    assert "tr0ub4dor-and-3" in str(scene.owed(about))
    shown = queries.incident_get(scene.ctx, about.id)
    assert "put back what restart workload changed" in str(shown)
    assert "tr0ub4dor-and-3" not in str(shown)
    assert "tr0ub4dor-and-3" not in str(scene.notes)
