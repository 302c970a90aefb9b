"""Taking back: in reverse, once, whatever became of the runbook, and by the next response when
nobody else did.
"""

from __future__ import annotations

import json

import pytest

from selfheal.exceptions import Conflict
from selfheal.incidents import registry
from selfheal.remedy import journal, recovery
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.decide import determine_response_strategy
from selfheal.respond.remediate import remediate, undo_remediation
from selfheal.respond.verify import verify_resolution
from tests import web
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, url):
    context = scenes.context_for(tmp_path, url=url, values=scenes.UNBOUNDED)
    yield context
    context.close()


def undoable(tmp_path, name, *, fails=False, undo_fails=False) -> dict:
    """A step that writes its name into `log`, and an undo that writes `-name`."""
    return {
        "name": name,
        "command": scenes.shell("echo %s >> %s/log; exit %d" % (name, tmp_path, int(fails))),
        "undo": {
            "command": scenes.shell(
                "%secho -%s >> %s/log"
                % ("[ ! -e %s/stuck ] || exit 1; " % tmp_path if undo_fails else "", name, tmp_path)
            )
        },
    }


def log(tmp_path) -> list:
    path = tmp_path / "log"
    return path.read_text().split() if path.exists() else []


def responded(ctx, run_id="run-1", incident_id="") -> str:
    incident_id = incident_id or scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, run_id)
    assert determine_response_strategy(ctx, incident_id, run_id)["strategy"] == "automated"
    return incident_id


def statuses(ctx) -> list:
    return [row["status"] for row in scenes.rows_of(ctx.store, "undo_log")]


def test_steps_are_undone_in_reverse_and_only_once(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path,
        steps=[
            undoable(tmp_path, "one"),
            undoable(tmp_path, "two"),
            undoable(tmp_path, "three", fails=True),
            undoable(tmp_path, "never"),
        ],
    )
    incident_id = responded(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "failed"
    # The step that failed may have done half its work: it is undone like the others.
    assert undo_remediation(ctx, incident_id, "run-1") == {
        "outcome": "undone",
        "undone": 3,
        "failed": 0,
    }
    assert log(tmp_path) == ["one", "two", "three", "-three", "-two", "-one"]
    assert undo_remediation(ctx, incident_id, "run-1") == {
        "outcome": "nothing",
        "undone": 0,
        "failed": 0,
    }
    assert len(log(tmp_path)) == 6
    assert len(scenes.timeline_of(ctx.store, incident_id, "undo_step")) == 3


def test_undoing_needs_neither_the_runbook_nor_the_labels(ctx, tmp_path):
    hostile = "$(touch %s/owned)\n\"'" % tmp_path
    path = scenes.write_runbook(
        tmp_path,
        values={"WHAT": "labels.what", "OLD": "steps.look.stdout"},
        steps=[
            {"name": "look", "command": {"argv": ["printf", "%s", "old state"]}},
            {
                "name": "change",
                "command": {"argv": ["true"]},
                "undo": {"command": scenes.shell('printf %%s "$WHAT$OLD" > %s/undone' % tmp_path)},
            },
        ],
    )
    incident_id = scenes.add_incident(ctx.store, labels={"what": hostile})
    responded(ctx, incident_id=incident_id)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "done"
    path.unlink()
    registry.update(ctx.store, incident_id, signal={"labels": {}})
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "undone"
    assert (tmp_path / "undone").read_text() == hostile + "old state"
    assert not (tmp_path / "owned").exists()
    assert "old state" in scenes.rows_of(ctx.store, "undo_log")[0]["before_state"]


def test_an_api_call_can_undo(ctx, tmp_path):
    with web.serving() as site:
        scenes.write_runbook(
            tmp_path,
            steps=[
                {
                    "name": "scale",
                    "api_call": {"method": "PUT", "url": site.url + "/size", "json": {"size": 3}},
                    "undo": {
                        "api_call": {
                            "method": "PUT",
                            "url": site.url + "/size",
                            "json": {"size": 1},
                        }
                    },
                }
            ],
        )
        incident_id = responded(ctx)
        remediate(ctx, incident_id, "run-1")
        assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "undone"
    assert [json.loads(body) for _method, _path, body, _headers in site.asked] == [
        {"size": 3},
        {"size": 1},
    ]


def test_an_undo_that_fails_stops_no_other_and_is_tried_again(ctx, tmp_path):
    scenes.write_runbook(
        tmp_path,
        steps=[
            undoable(tmp_path, "one"),
            undoable(tmp_path, "two", undo_fails=True),
            undoable(tmp_path, "three"),
        ],
    )
    (tmp_path / "stuck").write_text("")
    incident_id = responded(ctx)
    remediate(ctx, incident_id, "run-1")
    assert undo_remediation(ctx, incident_id, "run-1") == {
        "outcome": "partly",
        "undone": 2,
        "failed": 1,
    }
    assert statuses(ctx) == ["undone", "failed", "undone"]
    (tmp_path / "stuck").unlink()
    assert undo_remediation(ctx, incident_id, "run-1") == {
        "outcome": "undone",
        "undone": 1,
        "failed": 0,
    }
    assert log(tmp_path) == ["one", "two", "three", "-three", "-one", "-two"]


def test_a_proven_fix_is_not_undone(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[undoable(tmp_path, "one")])
    incident_id = responded(ctx)
    remediate(ctx, incident_id, "run-1")
    scenes.clear(ctx.store, incident_id)
    assert verify_resolution(ctx, incident_id, "run-1")["resolved"]
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "nothing"
    assert log(tmp_path) == ["one"]


def test_the_next_response_undoes_first_what_was_disproven(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[undoable(tmp_path, "one")])
    incident_id = responded(ctx)
    remediate(ctx, incident_id, "run-1")
    assert not verify_resolution(ctx, incident_id, "run-1", timeout_s=1, interval_s=1)["resolved"]
    registry.release(ctx.store, incident_id, "run-1")
    ctx.config.values["resolver"]["min_confidence"] = 0.1
    responded(ctx, "run-2", incident_id)
    assert remediate(ctx, incident_id, "run-2")["outcome"] == "done"
    assert log(tmp_path) == ["one", "-one", "one"]


def test_the_next_response_leaves_alone_what_was_done_and_never_judged(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[undoable(tmp_path, "one")])
    incident_id = responded(ctx)
    remediate(ctx, incident_id, "run-1")
    registry.release(ctx.store, incident_id, "run-1")
    responded(ctx, "run-2", incident_id)
    remediate(ctx, incident_id, "run-2")
    assert log(tmp_path) == ["one", "one"]
    undo_remediation(ctx, incident_id, "run-2")
    assert log(tmp_path) == ["one", "one", "-one"]


def test_nothing_more_is_done_while_an_earlier_remedy_cannot_be_undone(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[undoable(tmp_path, "one", fails=True, undo_fails=True)])
    (tmp_path / "stuck").write_text("")
    incident_id = responded(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "failed"
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "could not be undone" in answer["reason"]
    assert log(tmp_path) == ["one"]


def test_what_cannot_be_undone_is_told_although_the_alert_is_gone(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[undoable(tmp_path, "one", fails=True, undo_fails=True)])
    (tmp_path / "stuck").write_text("")
    incident_id = responded(ctx)
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "failed"
    scenes.clear(ctx.store, incident_id)
    answer = remediate(ctx, incident_id, "run-1")
    assert answer["outcome"] == "refused" and "could not be undone" in answer["reason"]
    (tmp_path / "stuck").unlink()
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "cleared"
    assert log(tmp_path) == ["one", "-one"]


def running_elsewhere(ctx, incident_id, run_id="run-0", **owner) -> str:
    """An execution of another process, with its lock and one undo owed."""
    found = dict(journal.this_process(), **owner)
    execution = journal.begin(
        ctx.store, incident_id, run_id, {"remedy": "runbook"}, outcome={"owner": found}
    )
    journal.record_undo(
        ctx.store,
        incident_id,
        execution,
        "one",
        {
            "kind": "command",
            "argv": ["true"],
            "script": "",
            "interpreter": [],
            "timeout_s": 120,
            "variables": {},
            "cwd": "",
        },
        None,
    )
    ctx.store.insert(
        "locks",
        {
            "name": "target:x",
            "owner": execution,
            "acquired_at": 0,
            "expires_at": ctx.store.now() + 3600,
        },
        "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at",
    )
    return execution


def execution_status(ctx, execution):
    return ctx.store.value("SELECT status FROM execution_history WHERE id = ?", (execution,))


@pytest.mark.parametrize("owner", [{"pid": 2**22 + 1}, {"started": "1"}, {"boot": "another"}])
def test_a_dead_process_of_this_host_is_told_at_once(ctx, owner):
    incident_id = scenes.add_incident(ctx.store)
    execution = running_elsewhere(ctx, incident_id, **owner)
    assert recovery.interrupted(ctx.store, incident_id) == [execution]
    assert execution_status(ctx, execution) == "interrupted"
    assert ctx.store.value("SELECT COUNT(*) FROM locks") == 0
    assert recovery.interrupted(ctx.store, incident_id) == []
    assert undo_remediation(ctx, incident_id)["outcome"] == "undone"


def test_a_living_process_is_not_disturbed(ctx):
    incident_id = scenes.add_incident(ctx.store)
    execution = running_elsewhere(ctx, incident_id)
    assert recovery.interrupted(ctx.store, incident_id, "run-0") == []
    with pytest.raises(Conflict, match="still running"):
        undo_remediation(ctx, incident_id, "run-0")
    assert execution_status(ctx, execution) == "running"


@pytest.mark.parametrize(
    "elsewhere", [{"host": "elsewhere"}, {"numbers": "pid:[1]", "started": "1"}]
)
def test_a_process_elsewhere_is_dead_when_its_lock_expires_or_its_own_response_goes_on(
    ctx, elsewhere
):
    incident_id = scenes.add_incident(ctx.store)
    execution = running_elsewhere(ctx, incident_id, **elsewhere)
    with pytest.raises(Conflict, match="still running"):
        undo_remediation(ctx, incident_id)
    ctx.store.execute("UPDATE locks SET expires_at = 1 WHERE name = ?", ("target:x",))
    assert undo_remediation(ctx, incident_id)["outcome"] == "undone"
    assert execution_status(ctx, execution) == "interrupted"
    again = running_elsewhere(ctx, scenes.add_incident(ctx.store), **elsewhere)
    incident_id = ctx.store.value(
        "SELECT incident_id FROM execution_history WHERE id = ?", (again,)
    )
    assert undo_remediation(ctx, incident_id, "run-0")["outcome"] == "undone"


def test_a_killed_undo_is_done_again(ctx, tmp_path):
    scenes.write_runbook(tmp_path, steps=[undoable(tmp_path, "one")])
    incident_id = responded(ctx)
    remediate(ctx, incident_id, "run-1")
    ctx.store.execute("UPDATE undo_log SET status = ?", (journal.UNDOING,))
    assert undo_remediation(ctx, incident_id, "run-1")["outcome"] == "undone"
