"""Runbooks, undo records and single commands before the command policy: one decision for all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from selfheal.config import Config
from selfheal.exceptions import ConfigError, Refused
from selfheal.guard import command_check
from selfheal.guard.commands import ALLOW, DENY, NEEDS_APPROVAL, load_policy, second_reading
from selfheal.operate.check_config import check_config
from selfheal.remedy import catalogue, execute, plan, undo
from selfheal.remedy.model import Command
from tests.remedy import scenes

POLICY = load_policy()
BOLD = load_policy(safe_mode=False)


def command(*argv):
    return {"name": "act", "command": {"argv": list(argv)}}


def book(tmp_path, *steps, risk="reversible", **changes):
    path = scenes.write_runbook(tmp_path, steps=list(steps), risk=risk, **changes)
    return catalogue.read(str(path))


def script(tmp_path, name="scripts/do.sh", text="#!/bin/sh\ntrue\n"):
    path = tmp_path / "runbooks" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def judged(tmp_path, *steps, policy=POLICY, **changes):
    return command_check.judge_runbook(book(tmp_path, *steps, **changes), policy)


# ---- words of a step


def undo_action(*argv, cwd="/", **changes):
    return dict(execute.describe(Command(argv=argv), 5.0), cwd=cwd, variables={}, **changes)


def test_words_are_rebuilt_and_never_run_as_they_were_written(tmp_path):
    runbook = book(tmp_path, command("journalctl", "-u", "nginx", "-n5"), risk="read-only")
    found = command_check.judge_runbook(runbook, POLICY)
    assert found.objections == () and found.risk == "read-only" and found.asks == ()
    assert command_check.rebuilt(runbook, found).steps[0].act.argv == (
        "journalctl",
        "--no-pager",
        "--unit=nginx",
        "--lines=5",
    )


@pytest.mark.parametrize(
    "argv, token",
    [
        (["kubectl", "delete", "ns", "prod"], "ns"),
        (["sudo", "reboot"], "sudo"),
        (["frobnicate"], "frobnicate"),
        (["sh", "-c", "reboot"], "-c"),
        (["python3", "-m", "http.server"], "-m"),
        (["perl", "-e", "exec 'sh'"], "-e"),
        (["bash", "/etc/profile"], "/etc/profile"),
        (["sh"], "sh"),
        (["/tmp/sh", "scripts/do.sh"], "/tmp/sh"),
        (["env", "sh", "scripts/do.sh"], "env"),
        (["sh", "missing.sh"], "missing.sh"),
        (["sh", "../other/do.sh"], "../other/do.sh"),
        (["./missing"], "./missing"),
    ],
)
def test_what_the_policy_denies_refuses_the_whole_runbook(tmp_path, argv, token):
    script(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "do.sh").write_text("reboot")
    runbook = book(tmp_path, command("true"), dict(command(*argv), name="bad"))
    found = command_check.judge_runbook(runbook, POLICY)
    (objection,) = found.objections
    assert objection.rule == "command" and "step bad" in objection.reason
    assert objection.data["token"] == token and repr(token) in objection.reason
    assert len(objection.advice) > 20
    with pytest.raises(Refused, match="step bad"):
        command_check.rebuilt(runbook, found)


def test_an_undo_is_judged_like_a_step(tmp_path):
    undo = {"command": {"argv": ["reboot"]}}
    found = judged(tmp_path, dict(command("true"), undo=undo))
    assert "the undo of step act" in found.objections[0].reason


def test_the_greater_risk_counts_and_the_difference_is_said(tmp_path):
    found = judged(tmp_path, command("systemctl", "restart", "nginx"), risk="read-only")
    assert found.risk == "disruptive" and found.objections == ()
    assert "disruptive by the row systemctl.restart" in found.notes[0]
    assert "says read-only" in found.notes[0]
    declared = judged(tmp_path, command("df", "-h"), risk="destructive")
    assert declared.risk == "destructive" and declared.notes == ()


def test_the_risk_of_an_undo_counts_too(tmp_path):
    undo = {"command": {"argv": ["systemctl", "stop", "nginx"]}}
    assert judged(tmp_path, dict(command("true"), undo=undo)).risk == "disruptive"


def test_a_row_that_asks_makes_a_person_see_it_whatever_its_risk(tmp_path):
    step = command("kubectl", "rollout", "restart", "deploy/web")  # names no namespace
    found = judged(tmp_path, step)
    assert found.risk == "reversible" and len(found.asks) == 1
    stop = command("systemctl", "stop", "nginx")
    assert judged(tmp_path, stop, policy=POLICY).asks == ()  # its risk asks already
    assert len(judged(tmp_path, stop, policy=BOLD).asks) == 1


def test_kubectl_is_handed_over_as_a_typed_operation(tmp_path):
    step = command("kubectl", "-n", "shop", "scale", "deploy/web", "--replicas=3")
    (found,) = judged(tmp_path, step).steps
    assert found.as_dict()["operation"] == {
        "verb": "scale",
        "resources": [["deployments", "web"]],
        "namespace": "shop",
        "options": [["--namespace", "shop"], ["--replicas", "3"]],
        "changes": [],
    }


# ---- scripts


@pytest.mark.parametrize(
    "argv",
    [
        ["sh", "scripts/do.sh", "word"],
        ["/bin/sh", "-eu", "scripts/do.sh"],
        ["bash", "./scripts/do.sh"],
        ["scripts/do.sh", "--flag"],
    ],
)
def test_a_script_beside_the_runbook_runs_at_the_declared_risk(tmp_path, argv):
    script(tmp_path)
    found = judged(tmp_path, command(*argv), risk="reversible")
    assert found.objections == () and found.risk == "reversible"
    assert found.steps[0].decision.rule == "own_script"
    assert found.steps[0].decision.decision == ALLOW
    asking = judged(tmp_path, command(*argv), risk="disruptive")
    assert asking.steps[0].decision.decision == NEEDS_APPROVAL


def test_a_script_in_the_runbook_needs_an_interpreter_that_the_table_names(tmp_path):
    def inline(*interpreter):
        step = {"name": "act", "command": {"script": "true", "interpreter": list(interpreter)}}
        return judged(tmp_path, step)

    assert inline("/bin/sh").objections == () == inline("python3", "-I").objections
    for wrong in (["/tmp/sh"], ["node"], ["sh", "-c"], ["sh", "-e", "x"], ["sudo", "sh"]):
        assert inline(*wrong).objections, wrong


@pytest.mark.parametrize("what", ["scripts/do.sh", "scripts", ".", "restart_shop.yaml"])
def test_what_everybody_may_write_to_is_not_run(tmp_path, what):
    script(tmp_path)
    runbook = book(tmp_path, command("sh", "scripts/do.sh"))
    place = tmp_path / "runbooks" / what
    place.chmod(place.stat().st_mode | 0o002)
    (objection,) = command_check.judge_runbook(runbook, POLICY).objections
    assert "everybody on this host may write" in objection.reason
    assert "chmod o-w" in objection.advice


@pytest.mark.parametrize("mode, is_refused", [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_folder_in_which_everybody_may_exchange_the_runbooks_is_not_trusted(
    tmp_path, mode, is_refused
):
    shared = tmp_path / "shared"
    site = shared / "site"
    site.mkdir(parents=True)
    script(site)
    runbook = book(site, command("sh", "scripts/do.sh"))
    shared.chmod(mode)
    found = command_check.judge_runbook(runbook, POLICY)
    assert bool(found.objections) is is_refused
    if is_refused:
        assert str(shared) in found.objections[0].reason


def test_a_runbook_that_says_how_to_take_a_step_back_changes_something(tmp_path):
    script(tmp_path)
    undo = {"command": {"argv": ["sh", "scripts/do.sh", "back"]}}
    act = dict(command("sh", "scripts/do.sh"), undo=undo)
    found = judged(tmp_path, act, risk="read-only")
    assert found.risk == "reversible" and "taken back" in found.notes[0]
    assert judged(tmp_path, command("sh", "scripts/do.sh"), risk="read-only").risk == "read-only"
    assert judged(tmp_path, act, risk="disruptive").notes == ()


def test_a_link_out_of_the_directory_is_no_script_of_the_runbook(tmp_path):
    outside = tmp_path / "outside.sh"
    outside.write_text("reboot")
    script(tmp_path)
    (tmp_path / "runbooks" / "scripts" / "link.sh").symlink_to(outside)
    assert judged(tmp_path, command("sh", "scripts/link.sh")).objections


# ---- requests


def test_requests_have_at_least_the_risk_of_their_method(tmp_path):
    def call(method):
        step = {"name": "act", "api_call": {"method": method, "url": "http://localhost/x"}}
        return judged(tmp_path, step, risk="read-only").risk

    assert [call(method) for method in ("GET", "POST", "DELETE")] == [
        "read-only",
        "reversible",
        "disruptive",
    ]


def test_a_site_may_deny_a_method_and_must_name_what_it_weakens(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("requests: {DELETE: {deny: never}, POST: disruptive}")
    step = {"name": "act", "api_call": {"method": "DELETE", "url": "http://localhost/x"}}
    found = judged(tmp_path, step, policy=load_policy(str(path)))
    assert "never" in found.objections[0].reason
    assert "replaces: DELETE" in found.objections[0].advice


@pytest.mark.parametrize(
    "text, said",
    [
        ("requests: {DELETE: read-only}", "replaces: DELETE"),
        ("requests: {DELETE: {risk: read-only, replaces: GET}}", "DELETE"),
        ("requests: {DELETE: harmless}", "disruptive"),
        ("requests: {STEAL: read-only}", "STEAL"),
        ("requests: {GET: {}}", "GET"),
        ("interpreters: {sh: '.*'}", "choose another"),
        ("interpreters: {node: '('}", "unusable"),
        ("interpreters: {node: [x]}", "unusable"),
    ],
)
def test_a_site_opens_nothing_by_accident(tmp_path, text, said):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_policy(str(path))


def test_a_site_that_names_what_it_weakens_is_heard(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text(
        "requests: {DELETE: {risk: reversible, replaces: DELETE}}\ninterpreters: {node: '-x'}"
    )
    policy = load_policy(str(path))
    call = {"name": "act", "api_call": {"method": "DELETE", "url": "http://localhost/x"}}
    assert judged(tmp_path, call, policy=policy).risk == "reversible"
    script(tmp_path, "do.js", "1")
    assert judged(tmp_path, command("node", "do.js"), policy=policy).objections == ()
    assert judged(tmp_path, command("node", "-e", "do.js"), policy=policy).objections


# ---- configuration


def config(**sections):
    return Config(sections)


def test_safe_mode_and_site_table_make_the_policy(tmp_path):
    runbook = book(tmp_path, command("touch", "/x"))
    assert command_check.judge(config(), runbook).objections
    table = scenes.write_command_table(tmp_path)
    allowing = config(safety={"command_table": table}, resolver={"safe_mode": False})
    found = command_check.judge(allowing, runbook)
    assert found.objections == () and found.risk == "reversible"
    assert command_check.policy_of(allowing).safe_mode is False


def test_a_changed_site_table_counts_at_once(tmp_path):
    runbook = book(tmp_path, command("touch", "/x"))
    settings = config(safety={"command_table": scenes.write_command_table(tmp_path)})
    assert command_check.judge(settings, runbook).objections == ()
    scenes.write_command_table(tmp_path, "lists: {}")
    assert command_check.judge(settings, runbook).objections


@pytest.mark.parametrize(
    "trouble", ["missing", "relative", "garbage", "open to all", "exchangeable"]
)
def test_without_a_table_that_can_be_trusted_nothing_runs(tmp_path, trouble):
    path = tmp_path / "site.yaml"
    if trouble == "exchangeable":
        path = tmp_path / "shared" / "site.yaml"
        path.parent.mkdir()
        path.parent.chmod(0o777)
    path.write_text("programs: [" if trouble == "garbage" else "lists: {}")
    if trouble == "open to all":
        path.chmod(0o666)
    name = {"missing": "/no/such.yaml", "relative": "site.yaml"}.get(trouble, str(path))
    settings = config(safety={"command_table": name})
    (objection,) = command_check.judge(settings, book(tmp_path, command("true"))).objections
    assert objection.rule == "command" and "check_config" in objection.advice
    with pytest.raises(Refused, match="command policy cannot be read"):
        command_check.permitted_undo(settings, undo_action("true"))


def test_check_config_shows_the_policy_and_what_it_refuses(tmp_path):
    scenes.write_runbook(tmp_path, steps=[command("reboot")])
    context = scenes.context_for(tmp_path)
    table = {line["what"]: line for line in check_config(context)["table"]}
    context.close()
    assert table["command policy"]["state"] == "on"
    assert "rows for" in table["command policy"]["detail"]
    refused = table["runbook %s" % (tmp_path / "runbooks" / "restart_shop.yaml")]
    assert refused["state"] == "error" and "'reboot'" in refused["detail"]
    assert "`programs: {reboot:" in refused["do"]


# ---- the plan


def test_the_plan_carries_what_the_policy_said_and_its_hash_covers_it(tmp_path):
    runbook = book(tmp_path, command("systemctl", "restart", "nginx"))
    found = command_check.judge_runbook(runbook, POLICY)
    bare = {"risk": runbook.risk, "digest": runbook.digest}
    full = command_check.in_plan(bare, found)
    assert (full["risk"], full["declared_risk"]) == ("disruptive", "reversible")
    assert full["commands"][0]["argv"] == ["systemctl", "--no-pager", "restart", "nginx"]
    assert command_check.changed_since(full, found) is None
    other = command_check.judge_runbook(runbook, BOLD)
    assert "analyze the incident again" in command_check.changed_since(full, other).advice
    changed = dict(full, commands=[dict(full["commands"][0], argv=["systemctl", "stop", "x"])])
    assert plan.hash_of(changed) != plan.hash_of(full) != plan.hash_of(bare)


def test_a_file_beside_the_runbook_of_a_values_name_stops_nothing(tmp_path):
    from selfheal.remedy import own_files

    script(tmp_path, name="nginx")
    folder = str(tmp_path / "runbooks")
    act = command("journalctl", "-u", "nginx")
    runbook = book(tmp_path, dict(act, undo={"command": act["command"]}))
    assert runbook.steps[0].act.files
    found = command_check.rebuilt(runbook, command_check.judge_runbook(runbook, POLICY))
    assert own_files.changed(found.steps[0].act, folder) == ""
    assert own_files.changed(found.steps[0].undo.act, folder) == ""
    record = dict(execute.describe(runbook.steps[0].undo.act, 5.0), cwd=folder)
    action = command_check.permitted_undo(config(), record)
    assert own_files.changed(undo.act_of(action), folder) == ""


# ---- one command


def test_a_command_that_the_two_readings_see_otherwise_is_denied(monkeypatch):
    assert command_check.judge_command("df -h", POLICY).decision == ALLOW
    for second in (lambda *_: "it is not", lambda *_: {}["broken"]):
        monkeypatch.setattr(second_reading, "objection", second)
        found = command_check.judge_command("df -h", POLICY)
        assert found.decision == DENY and found.rule == "second_reading" and not found.argv


def test_every_runbook_of_the_pack_passes_at_the_risk_that_it_declares():
    for runbook in catalogue.load([str(catalogue.PACK_RUNBOOKS)]).runbooks:
        found = command_check.judge_runbook(runbook, POLICY)
        assert found.objections == () and found.risk == runbook.risk and found.notes == ()
        assert replace(command_check.rebuilt(runbook, found), steps=()) == replace(
            runbook, steps=()
        )
