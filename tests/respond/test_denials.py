"""Every denial reads like advice: what was refused, by which rule, and how to allow it or what to
do instead. Each place in the library that denies is listed here with who provokes it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from selfheal.config import Config
from selfheal.exceptions import ConfigError, Refused, StoreError
from selfheal.guard import breaker, clock, command_check, gate, group_health, pause, tolls
from selfheal.incidents import registry
from selfheal.remedy import undo, values
from selfheal.remedy.catalogue import read
from selfheal.respond import guards
from selfheal.respond.approval import answering
from selfheal.respond.approval.answering import approve, reject
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.remediate import remediate
from tests import scene
from tests.guard.permits import context, deed
from tests.remedy import scenes
from tests.respond import approval_scene

LIBRARY = Path(__file__).resolve().parents[2] / "actions" / "lib" / "selfheal"
# What tells somebody what to do: an action, a setting, or a word that says so.
ADVICE = re.compile(
    r"st2 run selfheal\.\w+|heal \w+ |(safety|database|resolver|prometheus)\.\w+|check_config|"
    r"\b(analyze|wait until|look again|start the remedy again|by hand|take that right away|"
    r"set this host's clock right|there is nothing to do)\b"
)
HOURLY = {"name": "w", "cron": "0 * * * *", "minutes": 60, "timezone": "UTC"}

GUARDS = {
    "pause": {"after": lambda ctx: pause.begin(
        ctx.store, pause.scope_of("namespace=shop"), "ann", "a release", None, False)},
    "window": {"windows": [dict(HOURLY, kind="freeze")]},
    "maintenance": {"rule": "window", "windows": [dict(HOURLY, kind="maintenance")]},
    "window that cannot be read": {"rule": "window", "windows": [{"name": "w"}]},
    "storm": {
        "storm_incidents": 2,
        "after": lambda ctx: [scene.incident(ctx.store, "inc-%d" % n) for n in range(9)],
    },
    "wait": {"after": lambda ctx: _entered(ctx, "exe-0")},
    "budget": {
        "retry_wait_minutes": 0,
        "budgets": {"target_hour": 1},
        "after": lambda ctx: _entered(ctx, "exe-0"),
    },
    "budget without a scope": {"rule": "budget", "deed": {"scope": ""}},
    "min_healthy": {"min_healthy": [{"healthy": "up", "total": "count(up)", "keep": 1}]},
    "min_healthy that cannot be read": {"rule": "min_healthy", "min_healthy": [{"healthy": 1}]},
    "breaker": {"after": lambda ctx: _broken(ctx)},
    "breaker that cannot be read": {"rule": "store", "after": lambda ctx: _garbled(ctx)},
    "breaker without a scope": {"rule": "breaker", "deed": {"scope": ""}},
    "setting that is no number": {"rule": "budget", "budgets": {"target_hour": -1}},
    "clock that shows no time": {"rule": "clock", "at": float("nan")},
    "clock that stepped": {"rule": "clock", "after": lambda ctx: _stepped(ctx)},
    "store": {"after": lambda ctx: ctx.store.execute("DROP TABLE pauses")},
}


def _entered(ctx, execution_id):
    assert gate.enter(ctx, deed(execution_id)) is None


def _broken(ctx):
    for number in range(3):
        one = deed("exe-%d" % number)
        assert breaker.permit(ctx, one) is None
        breaker.settle(ctx, one, False, 1.0)


def _garbled(ctx):
    _broken(ctx)
    ctx.store.execute("UPDATE circuit_breakers SET data = '[', state = 'open'")


def _stepped(ctx):
    gate.look(ctx, deed())
    ctx.clock.now = lambda: scene.START + 9000.0


def reads_like_advice(rule, reason, advice):
    """What is wrong with a denial, as a list."""
    wrong = []
    if not reason or len(reason) > 600:
        wrong.append("it does not say what was refused")
    if not ADVICE.search(advice):
        wrong.append("it does not say what to do")
    if reason.strip().endswith((".", ";")) or advice.strip().endswith(";"):
        wrong.append("it does not read as one sentence")
    if "Traceback" in reason + advice or "%s" in reason + advice:
        wrong.append("it shows what is not for people")
    return wrong and [rule, reason, advice, *wrong]


@pytest.mark.parametrize("case", sorted(GUARDS))
def test_objection_of_a_guard(tmp_path, case):
    settings = dict(GUARDS[case])
    rule = settings.pop("rule", case)
    after = settings.pop("after", lambda ctx: None)
    fields = settings.pop("deed", {})
    at = settings.pop("at", None)
    ctx = context(scene.store_url("sqlite", tmp_path), **settings)
    after(ctx)
    if at is not None:
        ctx.clock.at = at
    found = [one for one in gate.look(ctx, deed("exe-9", **fields)) if one.rule == rule]
    assert found, [one.rule for one in gate.look(ctx, deed("exe-9", **fields))]
    for one in found:
        assert reads_like_advice(one.rule, one.reason, one.advice) == []
    ctx.close()


def _plan_without(ctx, incident_id):
    registry.update(ctx.store, incident_id, plan=None)


def _other_remedy(ctx, incident_id):
    plan = registry.get(ctx.store, incident_id).plan
    registry.update(ctx.store, incident_id, plan=dict(plan, remedy="oracle"))


def _changed(ctx, incident_id):
    path = Path(registry.get(ctx.store, incident_id).plan["path"])
    path.write_text(path.read_text().replace("true", "false"))


def _gone(ctx, incident_id):
    Path(registry.get(ctx.store, incident_id).plan["path"]).unlink()


def _closed(ctx, incident_id):
    scenes.clear(ctx.store, incident_id)


def _late(ctx, incident_id):
    ctx.clock.advance(9e5)


def _used(ctx, incident_id):
    ctx.store.execute("UPDATE approvals SET status = 'used', used_by = 'exe-1'")


def _answered(ctx, incident_id):
    ctx.store.execute("UPDATE approvals SET status = 'rejected', decided_by = 'bob'")


def _new_plan(ctx, incident_id):
    plan = registry.get(ctx.store, incident_id).plan
    registry.update(ctx.store, incident_id, plan=dict(plan, risk="disruptive"))


def _nothing(ctx, incident_id):
    pass


ACTS = {
    "remediate without a plan": (remediate, _plan_without),
    "remediate of another kind": (remediate, _other_remedy),
    "remediate a changed runbook": (remediate, _changed),
    "remediate a runbook that is gone": (remediate, _gone),
    "remediate what nobody said yes to": (remediate, _nothing),
    "ask without a plan": (request_approval, _plan_without),
    "ask about a changed runbook": (request_approval, _changed),
    "approve in another name": (lambda ctx, one, run: approve(ctx, one, "", "eve"), _nothing),
    **{
        "approve what is " + name: (lambda ctx, one, run: approve(ctx, one, "", "ann"), act)
        for name, act in (
            ("used", _used), ("answered", _answered), ("over", _closed), ("late", _late),
            ("changed", _new_plan), ("changed on disk", _changed),
        )
    },
    "reject what has begun": (lambda ctx, one, run: reject(ctx, one, "", "ann"), _used),
}


@pytest.mark.parametrize("case", sorted(ACTS))
def test_refusal_of_an_act(tmp_path, case):
    act, before = ACTS[case]
    ctx = approval_scene.context(tmp_path, "sqlite", approvers=["ann"])
    incident_id, question = approval_scene.asked(ctx)
    before(ctx, incident_id)
    one = question if "approve" in case or "reject" in case else incident_id
    try:
        said = act(ctx, one, "run-1")["reason"]
    except Refused as error:
        said = str(error)
    assert reads_like_advice("act", said, said) == []
    assert re.search(r"inc-|apr-|runbook|remedy", said), "it does not say what was refused"
    ctx.close()


def _judged(tmp_path, **changes):
    ctx = scenes.context_for(tmp_path, clock=scenes.StillClock())
    runbook = read(str(scenes.write_runbook(tmp_path, **changes)))
    return ctx, runbook, command_check.judge(ctx.config, runbook)


def test_objections_of_the_command_policy(tmp_path):
    denied = [{"name": "kill", "command": {"argv": ["mkfs", "/dev/sda"]}}]
    ctx, runbook, judged = _judged(tmp_path, steps=denied)
    [one] = judged.objections
    assert reads_like_advice(one.rule, one.reason, one.advice) == [] and "mkfs" in one.reason
    with pytest.raises(Refused) as told:
        command_check.rebuilt(runbook, judged)
    assert reads_like_advice("command", str(told.value), str(told.value)) == []
    other = command_check.changed_since({"risk": "read-only", "commands": [], "asks": []}, judged)
    assert "its risk" in other.reason
    assert reads_like_advice(other.rule, other.reason, other.advice) == []
    Path(runbook.path).chmod(0o666)
    open_to_all = command_check.judge(ctx.config, read(runbook.path)).objections
    assert all(reads_like_advice(o.rule, o.reason, o.advice) == [] for o in open_to_all)
    (tmp_path / "commands.yaml").write_text("programs: [")
    unread = command_check.judge(ctx.config, runbook).objections
    assert unread and "safety.command_table" in unread[0].advice and "\n" not in unread[0].reason
    assert all(reads_like_advice(o.rule, o.reason, o.advice) == [] for o in unread)
    with pytest.raises(Refused, match="check_config"):
        command_check.permitted_undo(ctx.config, {"kind": "command", "argv": ["true"]})
    ctx.close()


@pytest.mark.parametrize(
    "action",
    [{"kind": "command", "argv": ["mkfs", "/dev/sda"]}, {"kind": "command"}, {"kind": "no such"}],
)
def test_refusal_of_an_undo(tmp_path, action):
    ctx = scenes.context_for(tmp_path)
    with pytest.raises(Refused) as told:
        command_check.permitted_undo(ctx.config, action)
    assert reads_like_advice("undo", str(told.value), str(told.value)) == []
    with pytest.raises(Refused, match="by hand"):
        undo._nobody_was_asked(action)
    with pytest.raises(Refused, match="resolver.runbook_paths; undo the step by hand"):
        command_check._refuse_elsewhere(ctx.config, "/nowhere")
    broken = Config({"resolver": {"runbook_paths": 7}})
    with pytest.raises(Refused, match="mend resolver.runbook_paths"):
        command_check._refuse_elsewhere(broken, "/nowhere")
    ctx.close()


def test_what_a_runbook_lacks_says_what_to_do(tmp_path):
    ctx = scenes.context_for(tmp_path)
    said = values.lacks(read(str(scenes.write_runbook(tmp_path))), ["labels.volume"])
    assert reads_like_advice("values", said, said) == [] and "labels.volume" in said
    ctx.close()


def test_objections_about_clocks_and_groups(tmp_path, monkeypatch):
    entry = {"healthy": "up", "total": "count(up)", "keep": 2}
    ctx = context(scene.store_url("sqlite", tmp_path), min_healthy=[entry])
    one, at = deed(), ctx.clock.now()
    few = group_health.Reading("web", "2", "safety.min_healthy[0]", 2.0, 3.0)
    found = [
        group_health.objection(ctx, one, group_health.Measured(at, (few,))),
        group_health.objection(ctx, one, group_health.Measured(at - 9e3, (few,))),
        *(tolls.refusal(one) for one in (
            tolls.Taken(problem="no answer"), tolls.Taken(refused="kube-system is protected"),
        )),
        tolls.too_few(tolls.Taken("shop/cart", 2.0, 3.0, 1, "2"), 1),
        clock._by_server(clock.Machine("h", "b", 1.0, at - 9e3), at, 60.0),
        clock._no("the clock of h shows a past", at),
        gate._cannot_tell("store", ctx, StoreError("no answer")),
        gate._cannot_tell("budget", ctx, ConfigError("no number")),
    ]
    for objection in found:
        assert objection is not None
        assert reads_like_advice(objection.rule, objection.reason, objection.advice) == []
    ctx.close()


def test_what_is_said_before_a_decision(tmp_path):
    ctx = approval_scene.context(tmp_path, "sqlite")
    incident_id, question = approval_scene.asked(ctx)
    row = approval_scene.row_of(ctx, question)
    with pytest.raises(Refused, match="look again: st2 run selfheal.approval_list"):
        answering._decide(ctx.store, row, ("used",), "approved", "ann", "")
    _changed(ctx, incident_id)
    found = list(guards.ask(ctx, registry.get(ctx.store, incident_id)).objections)
    for _ in range(100):
        scenes.add_incident(ctx.store)
    _plan_without(ctx, incident_id)
    found += guards.ask(ctx, registry.get(ctx.store, incident_id)).objections
    assert [one.rule for one in found] == ["plan", "storm"]
    for one in found:
        assert reads_like_advice(one.rule, one.reason, one.advice) == []
    ctx.close()


# Where the library denies, and the test that provokes it.
PLACES = {
    "guard.breaker._asked": "test_objection_of_a_guard",
    "guard.budgets.objection": "test_objection_of_a_guard",
    "guard.budgets._spoken": "test_objection_of_a_guard",
    "guard.clock._by_server": "test_objections_about_clocks_and_groups",
    "guard.clock._no": "test_objection_of_a_guard",
    "guard.command_check._no_table": "test_objections_of_the_command_policy",
    "guard.command_check._objection": "test_objections_of_the_command_policy",
    "guard.command_check._open_to_all": "test_objections_of_the_command_policy",
    "guard.command_check._refuse_elsewhere": "test_refusal_of_an_undo",
    "guard.command_check.changed_since": "test_objections_of_the_command_policy",
    "guard.command_check.permitted_undo": "test_refusal_of_an_undo",
    "guard.command_check.rebuilt": "test_objections_of_the_command_policy",
    "guard.doubt.unreadable": "test_objection_of_a_guard",
    "guard.gate._cannot_tell": "test_objections_about_clocks_and_groups",
    "guard.group_health._too_few": "test_objections_about_clocks_and_groups",
    "guard.group_health._unknown": "test_objection_of_a_guard",
    "guard.pause.objection": "test_objection_of_a_guard",
    "guard.storm.objection": "test_objection_of_a_guard",
    "guard.tolls.refusal": "test_objections_about_clocks_and_groups",
    "guard.tolls.too_few": "test_objections_about_clocks_and_groups",
    "guard.waits.objection": "test_objection_of_a_guard",
    "guard.windows._objection": "test_objection_of_a_guard",
    "incidents.attach.place": "test_dry_run_does_not_touch_an_incident_that_is_real",
    "notify.silences._verify": (
        "test_old_alertmanager_that_takes_unequal_for_equal_makes_nothing_that_stays"
    ),
    "notify.silences.count": "test_too_many_alerts_are_refused_with_their_names",
    "remedy.plan._reloaded_operation": "test_plan_that_was_written_otherwise_is_refused",
    "remedy.plan.operations_of": "test_plan_that_was_written_otherwise_is_refused",
    "remedy.plan.reload": "test_refusal_of_an_act",
    "remedy.undo._nobody_was_asked": "test_refusal_of_an_undo",
    "remedy.values.variables": "test_what_a_runbook_lacks_says_what_to_do",
    "respond.approval.answering._check": "test_refusal_of_an_act",
    "respond.approval.answering._confirmed": (
        "test_without_its_code_a_yes_in_chat_does_not_count_and_says_how"
    ),
    "respond.approval.answering._decide": "test_what_is_said_before_a_decision",
    "respond.approval.answering.approve": "test_refusal_of_an_act",
    "respond.approval.answering.reject": "test_refusal_of_an_act",
    "respond.approval.asking.request_approval": "test_refusal_of_an_act",
    "respond.guards._of_plan": "test_what_is_said_before_a_decision",
    "respond.guards._unfit": "test_alert_about_what_is_well_by_now_is_a_ticket",
    "respond.guards._storm": "test_what_is_said_before_a_decision",
    "respond.remediate._carried_out": "test_refusal_of_an_act",
    "respond.remediate._permitted": "test_refusal_of_an_act",
    "respond.runbooks._objection": "test_one_whose_values_lack_is_refused_anyway",
    "respond.runbooks._not_closed": "test_a_closed_incident_gets_no_remedy",
    "respond.silences_by_hand._end_unrecorded": (
        "test_what_others_made_is_ended_only_when_that_is_said"
    ),
    "respond.silences_by_hand._seconds": "test_too_long_is_refused_naming_the_setting",
    "respond.silences_by_hand.silence_create": (
        "test_silence_of_an_incident_matches_its_own_alerts_and_ends_with_it"
    ),
    "respond.silencing.narrow": "test_what_would_silence_about_anything_is_refused",
    "workloads.reading.find": "test_two_of_one_name_must_be_told_apart",
}


def test_every_place_that_denies_is_known():
    found = set()
    for path in LIBRARY.rglob("*.py"):
        if path.parent == LIBRARY / "remedy" / "kubernetes":
            continue  # why it is not for a target; the guard adds what to do (tolls.ADVICE)
        if path.relative_to(LIBRARY).parts[0] in ("apis", "tickets"):
            continue  # what another system refuses, told in its words
        module = ".".join(path.relative_to(LIBRARY).with_suffix("").parts)
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                found |= {
                    "%s.%s" % (module, function.name)
                    for call in ast.walk(function)
                    if isinstance(call, ast.Call) and
                    getattr(call.func, "id", "") in ("Objection", "Refused")
                }
    assert found - set(PLACES) == set(), "say in PLACES which test provokes these"
    assert set(PLACES) - found == set(), "these deny nothing any more"
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    assert [name for name in PLACES.values() if "def %s(" % name not in tests] == []
