"""Operations as runbooks and hands name them, and the plans that hold them."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest

from selfheal.exceptions import InvalidInput, Refused
from selfheal.incidents import registry
from selfheal.remedy import parsing_steps, undo, values
from selfheal.remedy import plan as plans
from selfheal.remedy.kubernetes import operations, quantities
from selfheal.remedy.model import KubernetesAct, KubernetesUndo
from selfheal.remedy.words import step_in_words
from tests.remedy import scenes


def step_of(**kubernetes):
    return parsing_steps.parse_step({"name": "heal", "kubernetes": kubernetes}, {})


def incident(tmp_path, **fields):
    ctx = scenes.context_for(tmp_path)
    labels = fields.pop("labels", {"workload_kind": "Deployment"})
    place = {"namespace": "shop", "workload": "cart", "cluster": "prod", **fields}
    return registry.get(ctx.store, scenes.add_incident(ctx.store, labels=labels, **place))


def test_step_is_read_with_its_options():
    step = step_of(do="scale_workload", by=2)
    assert step.kind == "kubernetes"
    assert step.act == KubernetesAct("scale_workload", (("by", 2),))
    assert "by 2" in step_in_words(step)


@pytest.mark.parametrize("name", sorted(operations.OPERATIONS))
def test_no_operation_takes_a_place_or_a_name_of_an_object(name):
    for option in ("namespace", "workload", "name", "pod", "node", "cluster", "kind"):
        with pytest.raises(InvalidInput, match="no option %s" % option):
            step_of(do=name, **{option: "kube-system"})


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "`do`"),
        ({"do": "drain_node"}, "kubernetes.do"),
        ({"do": ["restart_workload"]}, "kubernetes.do"),
        ({"do": "scale_workload"}, "either by or to"),
        ({"do": "scale_workload", "by": 1, "to": 3}, "either by or to"),
        ({"do": "scale_workload", "by": 0}, "must not be 0"),
        ({"do": "scale_workload", "to": True}, "whole number"),
        ({"do": "scale_workload", "to": -1}, "whole number"),
        ({"do": "scale_workload", "to": "3"}, "whole number"),
        ({"do": "delete_pod", "which": "all"}, "one of sick"),
        ({"do": "delete_pod", "most": 0}, "from 1 to"),
        ({"do": "reschedule_pod", "avoid_node": "yes"}, "true or false"),
        ({"do": "set_resources"}, "needs one of"),
        ({"do": "set_resources", "container": "main"}, "needs one of"),
        ({"do": "set_resources", "memory": "lots"}, "quantity"),
        ({"do": "set_resources", "memory": "0"}, "quantity"),
        ({"do": "set_resources", "memory": "step", "container": "../x"}, "name of a container"),
        ({"do": "apply_hpa", "min_replicas": 5, "max_replicas": 2}, "must not be more"),
    ],
)
def test_wrong_step_is_refused_with_what_was_expected(options, words):
    with pytest.raises(InvalidInput, match=words):
        parsing_steps.parse_step({"name": "heal", "kubernetes": options}, {})


def test_undo_is_not_written_by_hand():
    undo_of = {"command": {"argv": ["true"]}}
    entry = {"name": "heal", "kubernetes": {"do": "restart_workload"}, "undo": undo_of}
    with pytest.raises(InvalidInput, match="undo"):
        parsing_steps.parse_step(entry, {})


@pytest.mark.parametrize(
    "do, options, risk, is_undoable",
    [
        ("restart_workload", {}, "reversible", True),
        ("scale_workload", {"by": -1}, "reversible", True),
        ("scale_workload", {"to": 0}, "disruptive", True),
        ("reschedule_pod", {}, "reversible", False),
        ("reschedule_pod", {"avoid_node": True}, "disruptive", True),
        ("delete_pod", {}, "reversible", False),
        ("set_resources", {"memory": "step"}, "disruptive", True),
    ],
)
def test_risk_and_what_is_owed_depend_on_the_options(do, options, risk, is_undoable):
    act = operations.act_of(do, options)
    assert operations.risk_of(act) == risk
    assert operations.is_undoable(act) is is_undoable


def test_typed_plan_is_read_back_as_a_runbook_of_one_step(tmp_path):
    act = operations.act_of("scale_workload", {"by": 1})
    plan = plans.build_typed(act, incident(tmp_path))
    runbook = plans.reload(plan)
    assert (plan["remedy"], plan["runbook"], plan["path"]) == ("kubernetes", "scale_workload", "")
    assert plan["operations"] == [
        {"step": "scale_workload", "do": "scale_workload", "options": {"by": 1}}
    ]
    assert plan["undoable"] == ["scale_workload"]
    assert plan["scope"] == "prod/shop/cart"
    assert [step.act for step in runbook.steps] == [act]
    assert runbook.verify and runbook.digest == plan["digest"]
    assert plans.operations_of(plan) == (act,)


def test_plan_with_other_options_is_another_plan(tmp_path):
    about = incident(tmp_path)
    hashes = {
        plans.hash_of(plans.build_typed(operations.act_of("scale_workload", options), about))
        for options in ({"by": 1}, {"by": 2}, {"to": 2})
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"operations": [{"step": "x", "do": "scale_workload", "options": {"to": 0}}]},
        {"operations": []},
        {"operations": [{"do": "scale_workload"}]},
        {"operations": "all"},
        {"operations": [{"do": "drain_node", "options": {}}]},
        {"runbook": "restart_workload"},
        {"digest": "0"},
        {"risk": "none"},
        {"remedy": "kubectl"},
    ],
)
def test_plan_that_was_written_otherwise_is_refused(tmp_path, change):
    plan = plans.build_typed(operations.act_of("scale_workload", {"by": 1}), incident(tmp_path))
    with pytest.raises(Refused):
        plans.reload({**plan, **change})


def test_plan_is_bound_to_the_workload_that_it_was_made_for(tmp_path):
    act = operations.act_of("restart_workload", {})
    kinds, names = ("Deployment", "StatefulSet"), ("cart", "till")
    seen = {
        plans.build_typed(
            act, incident(tmp_path, workload=name, labels={"workload_kind": kind})
        )["values"]
        for kind, name in itertools.product(kinds, names)
    }
    assert len(seen) == 4


def test_runbook_with_operations_shows_them_in_its_plan(tmp_path):
    from selfheal.remedy import catalogue

    scenes.config_for(tmp_path)
    path = tmp_path / "runbooks" / "heal.yaml"
    path.write_text(
        "name: heal\nmetadata: {alert_type: PodCrashLooping}\nrisk: reversible\nsteps:\n"
        "  - name: restart\n    kubernetes: {do: restart_workload}\n"
        "  - name: delete\n    kubernetes: {do: delete_pod, most: 3}\n"
    )
    plan = plans.build(catalogue.read(str(path)), incident(tmp_path), 0.5)
    assert [entry["do"] for entry in plan["operations"]] == ["restart_workload", "delete_pod"]
    assert plan["undoable"] == ["restart"]


def test_incident_of_a_node_is_about_the_node():
    about = SimpleNamespace(
        cluster="prod", namespace=None, workload=None, alert_type="NodeNotReady",
        labels={"workload_kind": "Node", "node": "a1"},
    )
    assert values.workload_of(about) == {
        "cluster": "prod", "kind": "Node", "namespace": "", "name": "a1",
    }


def test_undo_record_becomes_what_the_policy_can_judge():
    act = undo.act_of({"kind": "kubernetes", "do": "scale_workload", "changes": []})
    assert isinstance(act, KubernetesUndo)
    assert act.do == "scale_workload"


@pytest.mark.parametrize(
    "text, number",
    [("512Mi", 2**29), ("1.5Gi", 3 * 2**29), ("250m", "0.25"), ("2e3", 2000), ("1E", 10**18),
     ("100", 100), (3, 3), ("0.5", "0.5"), ("1Ki", 1024)],
)
def test_quantities_are_read_exactly(text, number):
    assert quantities.parsed(text) == quantities.Decimal(number)


@pytest.mark.parametrize(
    "text", ["", "x", "1Zi", "Mi", "1 Mi", None, True, [], "--1", "1e", "0x10"]
)
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(InvalidInput):
        quantities.parsed(text)


def test_mebibytes_are_rounded_up():
    assert quantities.mebibytes(quantities.parsed("128Mi") * quantities.Decimal("1.5")) == "192Mi"
    assert quantities.mebibytes(quantities.parsed("100M")) == "96Mi"


class Server:
    """An API server of another version: what it serves of the group autoscaling."""

    name = "default"

    def __init__(self, *versions):
        self.versions = versions

    def newest(self, group, versions):
        assert group == "autoscaling"
        return next((one for one in versions if one in self.versions), "")


@pytest.mark.parametrize("served, chosen", [
    (("v1", "v2", "v2beta2"), "v2"), (("v1", "v2beta2", "v2beta1"), "v2beta2"), (("v2",), "v2"),
])
def test_newest_version_that_can_say_it_all_is_used(served, chosen):
    from selfheal.remedy.kubernetes import autoscalers
    from selfheal.remedy.kubernetes.changes import Change
    from selfheal.workloads.model import Ref

    version = autoscalers.version_of(Server(*served))
    made = autoscalers.manifest(Ref("Deployment", "shop", "cart"), version, {})
    change = Change(autoscalers.KIND, "shop", "cart", version=version)
    assert made["apiVersion"] == "autoscaling/" + chosen
    where = "/apis/autoscaling/%s/namespaces/shop/horizontalpodautoscalers/cart" % chosen
    assert change.path == where


@pytest.mark.parametrize("served", [(), ("v1",), ("v1", "v2beta1")])
def test_cluster_that_knows_no_such_autoscaler_is_refused(served):
    from selfheal.remedy.kubernetes import autoscalers

    with pytest.raises(Refused, match="serves none of v2, v2beta2"):
        autoscalers.version_of(Server(*served))
