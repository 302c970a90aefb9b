"""Changes in Kubernetes before the command policy: risk, who must see them, a site's own rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import ConfigError, Refused
from selfheal.guard import command_check, operation_check
from selfheal.guard.commands import ALLOW, DENY, NEEDS_APPROVAL, load_policy
from selfheal.guard.commands.operation_rows import laid
from selfheal.remedy import catalogue
from selfheal.remedy.kubernetes import operations
from selfheal.remedy.model import RISKS, KubernetesAct, KubernetesUndo
from tests.remedy import scenes

POLICY = load_policy()
BOLD = load_policy(safe_mode=False)
ROWS = POLICY.document["operations"]


def act(do, **options):
    return operations.act_of(do, options)


def book(tmp_path, risk="reversible", **step):
    steps = [{"name": "act", "kubernetes": step}]
    return catalogue.read(str(scenes.write_runbook(tmp_path, steps=steps, risk=risk)))


def test_every_operation_has_a_row_and_every_row_an_operation():
    assert set(ROWS) == set(operations.OPERATIONS)


@pytest.mark.parametrize("name", sorted(operations.OPERATIONS))
def test_the_row_says_no_less_than_the_remedy_itself(name):
    least = operations.OPERATIONS[name].risk
    found = operation_check.judge(KubernetesAct(name), POLICY)
    assert RISKS.index(found.risk) >= RISKS.index(least)


@pytest.mark.parametrize(
    ("one", "decision", "risk"),
    [
        (act("restart_workload"), ALLOW, "reversible"),
        (act("delete_pod", which="sick", most=10), ALLOW, "reversible"),
        (act("evict_pod"), ALLOW, "reversible"),
        (act("reschedule_pod", avoid_node=False), ALLOW, "reversible"),
        (act("reschedule_pod", avoid_node=True), NEEDS_APPROVAL, "disruptive"),
        (act("scale_workload", by=1), ALLOW, "reversible"),
        (act("scale_workload", to=3), ALLOW, "reversible"),
        (act("scale_workload", to=0), NEEDS_APPROVAL, "disruptive"),
        (act("rollback_workload"), NEEDS_APPROVAL, "disruptive"),
        (act("set_resources", memory="step"), NEEDS_APPROVAL, "disruptive"),
        (act("apply_hpa"), NEEDS_APPROVAL, "disruptive"),
        (act("cordon_node"), NEEDS_APPROVAL, "disruptive"),
        (act("uncordon_node"), NEEDS_APPROVAL, "reversible"),
    ],
    ids=lambda one: getattr(one, "do", one),
)
def test_risk_of_an_operation(one, decision, risk):
    found = operation_check.judge(one, POLICY)
    assert (found.decision, found.risk) == (decision, risk)
    assert found.argv == () and found.rule == "operations.%s" % one.do


def test_without_safe_mode_only_nodes_are_asked_about():
    asked = {
        name
        for name in operations.OPERATIONS
        if operation_check.judge(KubernetesAct(name), BOLD).decision != ALLOW
    }
    assert asked == {"cordon_node", "uncordon_node"}
    avoiding = operation_check.judge(act("reschedule_pod", avoid_node=True), BOLD)
    assert avoiding.decision == NEEDS_APPROVAL and "closes the node" in avoiding.reason


def test_a_site_may_ask_for_options_of_its_own(tmp_path):
    path = tmp_path / "table.yaml"
    path.write_text("operations: {scale_workload: {ask_with: {by: mind the licence}}}")
    policy = load_policy(str(path))
    assert operation_check.judge(act("scale_workload", by=1), policy).decision == NEEDS_APPROVAL
    assert operation_check.judge(act("scale_workload", to=3), policy).decision == ALLOW
    avoiding = operation_check.judge(act("reschedule_pod", avoid_node=True), policy)
    assert avoiding.decision == NEEDS_APPROVAL


def test_what_has_no_row_is_denied():
    found = operation_check.judge(KubernetesAct("drop_namespace"), POLICY)
    assert found.decision == DENY and "no such operation" in found.reason


def test_a_runbook_is_as_risky_as_its_operations(tmp_path):
    runbook = book(tmp_path, do="rollback_workload")
    judged = command_check.judge(scenes.context_for(tmp_path).config, runbook)
    assert judged.objections == () and judged.risk == "disruptive"
    assert "though the runbook says reversible" in judged.notes[0]
    [step] = judged.steps
    assert step.as_dict()["rule"] == "operations.rollback_workload"
    assert command_check.rebuilt(runbook, judged) == runbook


def test_a_node_is_for_people_whatever_the_mode(tmp_path):
    runbook = book(tmp_path, do="uncordon_node")
    judged = command_check.judge_runbook(runbook, BOLD)
    assert judged.risk == "reversible"
    assert judged.asks and "at work on it" in judged.asks[0]


def test_an_undo_is_judged_by_its_operation(tmp_path):
    site = tmp_path / "own.yaml"
    site.write_text("operations: {restart_workload: {deny: not here}}")
    record = {"kind": "kubernetes", "do": "restart_workload"}
    undo = KubernetesUndo("restart_workload", record)
    assert operation_check.judge(undo, POLICY).decision == ALLOW
    assert operation_check.judge(undo, load_policy(str(site))).decision == DENY


@pytest.mark.parametrize(
    ("text", "name", "decision", "risk"),
    [
        ("restart_workload: disruptive", "restart_workload", NEEDS_APPROVAL, "disruptive"),
        ("restart_workload: {ask: the shop}", "restart_workload", NEEDS_APPROVAL, "reversible"),
        ("restart_workload: {deny: never}", "restart_workload", DENY, "destructive"),
        (
            "rollback_workload: {risk: reversible, replaces: rollback_workload}",
            "rollback_workload",
            ALLOW,
            "reversible",
        ),
        (
            "uncordon_node: {risk: reversible, replaces: uncordon_node}",
            "uncordon_node",
            ALLOW,
            "reversible",
        ),
    ],
)
def test_a_site_has_rows_of_its_own(tmp_path, text, name, decision, risk):
    site = tmp_path / "own.yaml"
    site.write_text("operations: {%s}" % text)
    found = operation_check.judge(KubernetesAct(name), load_policy(str(site)))
    assert (found.decision, found.risk) == (decision, risk)


def test_a_site_may_name_values_of_options():
    rows = laid(ROWS, {"scale_workload": {"options": {"to": {1: "disruptive"}}}})
    assert rows["scale_workload"]["options"]["to"] == {"0": "disruptive", "1": "disruptive"}
    policy = type("Policy", (), {"document": {"operations": rows}, "safe_mode": True})
    assert operation_check.judge(act("scale_workload", to=1), policy).risk == "disruptive"
    assert operation_check.judge(act("scale_workload", to=2), policy).risk == "reversible"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("operations: {drop_namespace: read-only}", "no operation"),
        ("operations: {rollback_workload: reversible}", "replaces: rollback_workload"),
        ("operations: {rollback_workload: {risk: reversible, replaces: delete_pod}}", "itself"),
        ("operations: {cordon_node: {replaces: cordon_node}}", "must be a risk"),
        ("operations: {cordon_node: {ask: x, replaces: cordon_node}}", "its risk"),
        ("operations: {cordon_node: {ask: false}}", "must say why"),
        ("operations: {cordon_node: harmless}", "must be one of"),
        ("operations: {cordon_node: {colour: red}}", "must be a risk"),
        ("operations: {cordon_node: []}", "must be one of"),
        ("operations: {scale_workload: {options: {to: {0: reversible}}}}", "to call it less"),
        ("operations: {scale_workload: {options: {to: {}}}}", "map of value"),
        ("operations: {scale_workload: {options: 7}}", "options"),
        ("operations: [restart_workload]", "map"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_name(tmp_path, text, said):
    site = tmp_path / "own.yaml"
    site.write_text(text)
    with pytest.raises(ConfigError, match=said) as told:
        load_policy(str(site))
    assert str(site) in str(told.value) and "operations" in str(told.value)


def test_a_denied_row_is_weakened_only_by_name():
    denied = laid(ROWS, {"restart_workload": {"deny": "never"}})
    with pytest.raises(ConfigError, match="replaces: restart_workload"):
        laid(denied, {"restart_workload": "reversible"})


@given(st.dictionaries(st.text(max_size=20), st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=20),
    st.dictionaries(st.text(max_size=9), st.one_of(st.none(), st.integers(), st.text(max_size=9))),
), max_size=3), st.sampled_from(sorted(ROWS)))
def test_no_row_of_a_site_weakens_by_accident(site, name):
    if name in site and isinstance(site[name], dict) and "replaces" in site[name]:
        return
    try:
        rows = laid(ROWS, site)
    except ConfigError:
        return
    assert RISKS.index(rows[name]["risk"]) >= RISKS.index(ROWS[name]["risk"])


def test_an_undo_without_an_operation_is_not_carried_out(tmp_path):
    ctx = scenes.context_for(tmp_path)
    for action in ({"kind": "kubernetes"}, {"kind": "kubernetes", "do": "drop_namespace"}):
        with pytest.raises(Refused):
            command_check.permitted_undo(ctx.config, action)
    ctx.close()
