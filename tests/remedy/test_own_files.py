"""Scripts beside a runbook: what they hold is part of what was decided, and is looked at again."""

from __future__ import annotations

import os

import pytest

from selfheal.remedy import catalogue, own_files, steps, undo
from selfheal.remedy.execute import describe
from selfheal.remedy.model import Command
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path):
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


def write_script(tmp_path, text="echo one\n", name="do.sh"):
    path = tmp_path / "runbooks" / "scripts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def read(tmp_path, *argv, undo_argv=None):
    step = {"name": "act", "command": {"argv": list(argv)}}
    if undo_argv:
        step["undo"] = {"command": {"argv": undo_argv}}
    return catalogue.read(str(scenes.write_runbook(tmp_path, steps=[step])))


def test_the_digest_covers_every_file_beside_the_runbook_that_a_command_names(tmp_path):
    path = write_script(tmp_path)
    data = write_script(tmp_path, "1", "data")
    argv = ("sh", "scripts/do.sh", "scripts/data")

    def digest():
        return read(tmp_path, *argv).digest

    first = digest()
    assert digest() == first
    path.write_text("echo two\n")
    second = digest()
    data.write_text("2")
    assert len({first, second, digest()}) == 3


def test_the_digest_covers_the_script_of_an_undo(tmp_path):
    path = write_script(tmp_path)
    first = read(tmp_path, "true", undo_argv=["sh", "scripts/do.sh"]).digest
    path.write_text("echo two\n")
    assert read(tmp_path, "true", undo_argv=["sh", "scripts/do.sh"]).digest != first


def test_a_runbook_that_names_no_file_has_the_digest_of_its_own(tmp_path):
    runbook = read(tmp_path, "true", "/etc/hosts", "..", "")
    assert runbook.steps[0].act.files == ()
    with open(runbook.path, "rb") as source:
        from selfheal.remedy.parsing import digest_of

        assert runbook.digest == digest_of(source.read())


def test_links_that_lead_out_name_no_file_of_the_directory(tmp_path):
    write_script(tmp_path)
    os.symlink("/etc/hosts", str(tmp_path / "runbooks" / "scripts" / "hosts"))
    assert own_files.inside("scripts/hosts", str(tmp_path / "runbooks")) == ""
    assert own_files.inside("../runbooks/scripts/do.sh", str(tmp_path / "runbooks"))
    for none in ("", "\x00", "scripts", "../commands.yaml", "x" * 5000):
        assert own_files.inside(none, str(tmp_path / "runbooks")) == ""


def around(ctx, folder):
    deadline = ctx.clock.monotonic() + 180
    return steps.Surroundings(ctx, {}, str(folder), deadline, lambda: "", lambda: "")


def test_a_script_that_changed_after_it_was_decided_on_is_not_run(ctx, tmp_path):
    path = write_script(tmp_path)
    step = read(tmp_path, "sh", "scripts/do.sh").steps[0]
    folder = tmp_path / "runbooks"
    assert steps.carry_out(step, around(ctx, folder), {}).fields["stdout"] == "one\n"
    path.write_text("touch %s/owned\n" % tmp_path)
    result = steps.carry_out(step, around(ctx, folder), {})
    assert result.status == steps.FAILED and "changed since it was decided" in result.detail
    path.unlink()
    assert "nothing was run" in steps.carry_out(step, around(ctx, folder), {}).detail
    assert not (tmp_path / "owned").exists()


def test_a_link_that_leads_elsewhere_than_when_it_was_decided_on_is_not_run(ctx, tmp_path):
    write_script(tmp_path, "echo one\n", "v1.sh")
    write_script(tmp_path, "touch %s/owned\n" % tmp_path, "v2.sh")
    link = tmp_path / "runbooks" / "scripts" / "now.sh"
    link.symlink_to("v1.sh")
    step = read(tmp_path, "sh", "scripts/now.sh").steps[0]
    folder = tmp_path / "runbooks"
    assert steps.carry_out(step, around(ctx, folder), {}).status == steps.DONE
    for target in ("v2.sh", str(tmp_path / "elsewhere.sh"), "nowhere.sh"):
        (tmp_path / "elsewhere.sh").write_text("touch %s/owned\n" % tmp_path)
        link.unlink()
        link.symlink_to(target)
        result = steps.carry_out(step, around(ctx, folder), {})
        assert result.status == steps.FAILED and "decided on" in result.detail, target
    assert not (tmp_path / "owned").exists()


def test_an_undo_record_remembers_the_files(tmp_path):
    write_script(tmp_path)
    act = read(tmp_path, "sh", "scripts/do.sh").steps[0].act
    action = dict(describe(act, 5.0), cwd=str(tmp_path / "runbooks"))
    assert undo.act_of(action) == act
    del action["files"]  # as records of earlier versions are
    assert undo.act_of(action) == act


def test_an_undo_that_no_guard_was_asked_about_is_not_carried_out(ctx, tmp_path):
    from selfheal.remedy import journal

    incident_id = scenes.add_incident(ctx.store)
    execution_id = journal.begin(ctx.store, incident_id, "", {"remedy": "runbook"})
    mark = tmp_path / "undone"
    action = describe(Command(argv=("touch", str(mark))), 5.0)
    undo_id = journal.record_undo(ctx.store, incident_id, execution_id, "act", action, None)
    journal.mark_undo(ctx.store, undo_id, journal.PENDING)
    told = []

    def note(kind, message, data):
        told.append(message)

    assert undo.undo(ctx, incident_id, note).outcome == undo.PARTLY
    assert not mark.exists() and "policy was not asked" in told[0]
    assert undo.undo(ctx, incident_id, note, permit=lambda action: action).outcome == undo.UNDONE
    assert mark.exists()
