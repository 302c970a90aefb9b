"""Every unhealthy state of a real cluster, from the first look to the end: seen once per owner,
healed by its remedy and proven, or left to people; and which remedies would be refused there.

docs/kubernetes-states.md is the table of what this test saw. Each row is compared with what happens
now; SELFHEAL_WRITE_DOCS=1 (without -n) writes it anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Tuple

import pytest

from selfheal.exceptions import SelfhealError
from selfheal.incidents import registry
from selfheal.remedy import journal
from selfheal.remedy.kubernetes import acting, operations
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.approval.settling import settle_approval
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.escalate import escalate_to_oncall
from selfheal.respond.finish import close_incident, create_incident_ticket
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.respond.verify import verify_resolution
from selfheal.workloads.states import STATES
from tests import stores
from tests.e2e.kubernetes_cases import CASES, Place
from tests.kubernetes_scene import Scene
from tests.live_kubelet import Kubelet
from tests.remedy import scenes

TABLE = Path(__file__).resolve().parents[2] / "docs" / "kubernetes-states.md"
# What a case shows counts at once: nothing else is left of the way to it when it is looked at.
AT_ONCE = {
    "settle_s": 0,
    "pending_minutes": 0,
    "terminating_minutes": 0,
    "unready_minutes": 0,
    "short_minutes": 0,
}
WRITES = os.environ.get("SELFHEAL_WRITE_DOCS") == "1"
HEALED, PEOPLE = "healed and closed", "left to people"
TRIED = "tried, taken back, left to people"
# One form of each operation, for the question whether it would be refused.
ACTS = {
    "delete_pod": {"most": 5},
    "evict_pod": {"most": 5},
    "reschedule_pod": {"most": 5},
    "restart_workload": {},
    "scale_workload": {"by": 1},
    "rollback_workload": {},
    "set_resources": {"memory": "step"},
    "apply_hpa": {},
    "cordon_node": {},
    "uncordon_node": {},
}
HEAD = """# Sick workloads: what is done about each state

Written by the test `tests/e2e/test_kubernetes_states.py`, which makes each state in a real cluster
and lets the pack see it, decide, act and prove. "After a yes" means that a person is asked first in
the default settings. The last column names the operations that are refused there, whoever asks for
them: a runbook of your own, or a hand.

| state | made by | remedy | who decides | outcome | refused there |
|---|---|---|---|---|---|
"""


@pytest.fixture
def place(kubernetes):
    namespace = kubernetes.namespace()
    with Kubelet(kubernetes, namespace) as kubelet:
        yield Place(kubernetes, namespace, kubelet)


@pytest.fixture
def begin(place, tmp_path):
    """Starts the sensor and the context of a case: (scene, ctx)."""
    opened = []

    def begin(case):
        url = stores.sqlite_url(tmp_path)
        # Nodes are shared by all tests, so how many are ready is no matter of one of them.
        settings = {**AT_ONCE, "rollout_timeout_s": 180, "min_ready_nodes": "0%", **case.settings}
        target = place.cluster.target(place.namespace, **settings)
        scene = Scene(url, target)
        values = {
            "database": {"url": url},
            "kubernetes": target,
            "resolver": {"verify_timeout": 180, "healthy_hold": 0, "verify_interval": 1},
        }
        ctx = scenes.context_for(tmp_path, values=values, clock=scene.clock)
        ctx.platform.inject = lambda trigger, payload: None
        opened.extend((scene, ctx))
        return scene, ctx

    yield begin
    for one in opened:
        one.close()


def respond(ctx, incident_id) -> Tuple[str, str]:
    """A whole response as the workflow walks it: (strategy, how it ended)."""
    run_id = "run-%s" % incident_id
    assert analyze_incident(ctx, incident_id, run_id)["state"] == "claimed"
    strategy = determine_response_strategy(ctx, incident_id, run_id)["strategy"]
    if strategy == "approve":
        asked = request_approval(ctx, incident_id, run_id)
        assert settle_approval(
            ctx, incident_id, asked["approval_id"], "yes", run_id
        )["verdict"] == "approved"
    if strategy == "manual":
        create_incident_ticket(ctx, incident_id, run_id)
        return strategy, PEOPLE
    if strategy not in ("approve", "automated"):
        escalate_to_oncall(ctx, incident_id, run_id, "strategy")
        return strategy, PEOPLE
    outcome = remediate(ctx, incident_id, run_id)
    if outcome["outcome"] == "done" and verify_resolution(ctx, incident_id, run_id)["resolved"]:
        close_incident(ctx, incident_id, run_id, "remediated")
        return strategy, HEALED
    undo_remediation(ctx, incident_id, run_id)
    escalate_to_oncall(ctx, incident_id, run_id, "not_resolved")
    assert journal.owed_undos(ctx.store, incident_id) == [], outcome
    return strategy, TRIED


def refused(ctx, incident) -> Tuple[str, ...]:
    """The operations that are refused for this incident, as it is now."""
    found = []
    for name, options in sorted(ACTS.items()):
        try:
            acting.prepare(ctx, operations.act_of(name, options), incident)
        except SelfhealError:
            found.append(name)
    return tuple(found)


@pytest.mark.parametrize("alert_type", sorted(CASES))
def test_state(place, begin, alert_type):
    case = CASES[alert_type]
    scene, ctx = begin(case)
    case.make(place)
    scene.until(lambda: scene.incidents(alert_type=alert_type), after_s=case.after_s)
    for _ in range(2):
        scene.look()
    (incident,) = [one for one in scene.incidents() if one.status != "resolved"]
    assert incident.alert_type == alert_type
    assert incident.labels["workload_kind"] == case.kind
    against = refused(ctx, incident)
    strategy, ended = respond(ctx, incident.id)
    after = registry.get(ctx.store, incident.id)
    remedy = ""
    if strategy in ("automated", "approve"):
        remedy = (after.plan or {}).get("runbook", "")
    told = "%s %s %s" % (strategy, remedy, ended)
    assert remedy == case.remedy, told
    assert ended == (case.ends or (HEALED if case.remedy else PEOPLE)), told
    assert (strategy == "approve") == case.needs_yes, told
    if ended == HEALED:
        assert (after.status, after.resolution) == ("resolved", "remediated")
    case.mend(place)
    scene.until(lambda: not scene.firing(), after_s=5)
    compare(row_of(case, alert_type, remedy, strategy, ended, against))


def row_of(case, alert_type, remedy, strategy, ended, against) -> str:
    who = {"approve": "a person, after a yes", "automated": "selfheal"}.get(strategy, "people")
    cells = (alert_type, case.made_by, "`%s`" % remedy if remedy else "none", who, ended,
             ", ".join(against) or "none")
    return "| %s |" % " | ".join(cells)


def compare(row: str) -> None:
    """The row as the table has it; with WRITES it is put there."""
    name = row.split(" | ")[0]
    text = TABLE.read_text(encoding="utf-8") if TABLE.exists() else HEAD
    rows = re.findall(r"^\| \w+ \|.*$", text.partition("|---|")[2], re.MULTILINE)
    if WRITES:
        rows = sorted([one for one in rows if not one.startswith(name + " |")] + [row])
        TABLE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
        return
    assert row in rows


def test_every_state_is_made_here_or_elsewhere():
    known = {state.alert_type for state in STATES.values()}
    elsewhere = {
        # Asked of Prometheus: tests/intake/test_kubernetes_usage.py.
        "PodCpuHigh", "PodMemoryHigh", "PodDown",
        # Comes and goes with the crash loop that it is: tests/workloads, tests/intake.
        "PodRestartingOften",
    }
    assert set(CASES) | elsewhere == known
    assert not set(CASES) & elsewhere


def test_the_table_has_no_other_rows():
    rows = re.findall(r"^\| (\w+) \|", TABLE.read_text(encoding="utf-8").partition("|---|")[2],
                      re.MULTILINE)
    assert rows == sorted(CASES)
