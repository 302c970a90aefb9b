"""The actions about the audit trail: what they answer, refuse and log, and what never gets in."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from selfheal import door
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents import timeline
from selfheal.operate import audit
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.remediate import remediate
from selfheal.store import seals
from tests import audit_scene, scene
from tests.remedy import scenes

FUNCTION = "selfheal.operate.audit.audit_verify"
LIBRARY = Path(door.__file__).resolve().parent


@pytest.fixture
def ctx(url):
    context = scene.context(url)
    audit_scene.fill(context.store)
    return context


def test_whole_trail_is_ok(ctx):
    answer = audit.audit_verify(ctx, "all")
    assert (answer["ok"], answer["result"], answer["findings"]) == (True, "ok", 0)
    assert (answer["incidents"], answer["seals"], answer["broken"]) == (3, 3, [])
    assert answer["last_seal"] == dict(zip(("seal", "hash"), seals.tip(ctx.store)))


def test_broken_trail_says_where_and_how(ctx):
    ctx.store.execute(
        "UPDATE incident_events SET message = 'forged' WHERE incident_id = 'inc-1' AND link = 2"
    )
    answer = audit.audit_verify(ctx, "all")
    assert (answer["ok"], answer["result"], answer["broken_incidents"]) == (False, "broken", 1)
    (broken,) = answer["broken"]
    assert broken["incident_id"] == "inc-1"
    assert [(f["part"], f["kind"], f["link"]) for f in broken["findings"]] == [
        ("event", "changed", 2)
    ]
    assert audit.audit_verify(ctx, "inc-1")["result"] == "broken"
    assert audit.audit_verify(ctx, "inc-2")["result"] == "ok"


@pytest.mark.parametrize("scope", ["", "*", "%", "inc-*", "ALL ", "inc-1;--", "x" * 65, "all\n"])
def test_everything_must_be_said_in_words(ctx, scope):
    with pytest.raises(InvalidInput, match="the word all"):
        audit.audit_verify(ctx, scope)


def test_unknown_incident_is_said_so(ctx):
    with pytest.raises(NotFound, match="inc-9"):
        audit.audit_verify(ctx, "inc-9")


def test_kept_seal_matches_until_the_past_is_rewritten(ctx):
    seq, kept = seals.tip(ctx.store)
    assert audit.audit_verify(ctx, "all", kept, seq)["kept_seal"] == "matches"
    timeline.record(ctx.store, "inc-1", "note", "more")
    audit.seal_audit(ctx)
    assert audit.audit_verify(ctx, "all", kept, seq)["ok"]
    # Somebody who knows all of this writes the whole past anew.
    for table in ("incident_events", "audit_heads", "audit_seals", "execution_history"):
        ctx.store.execute("DELETE FROM %s" % table)
    ctx.store.execute("DELETE FROM checkpoints")
    audit_scene.fill(ctx.store)
    assert audit.audit_verify(ctx, "all")["ok"]
    answer = audit.audit_verify(ctx, "all", kept, seq)
    assert (answer["ok"], answer["kept_seal"]) == (False, "differs")


def test_kept_seal_that_was_cut_off_is_missing(ctx):
    answer = audit.audit_verify(ctx, "all", "0" * 64, 99)
    assert (answer["ok"], answer["kept_seal"]) == (False, "missing")


@pytest.mark.parametrize(
    ("scope", "expected", "seal"),
    [
        ("all", "0" * 64, 0),
        ("all", "", 3),
        ("all", "0" * 63, 1),
        ("all", "g" * 64, 1),
        ("inc-1", "0" * 64, 1),
        ("all", "0" * 64, -1),
    ],
)
def test_senseless_kept_seal_is_refused(ctx, scope, expected, seal):
    with pytest.raises(InvalidInput, match="seal"):
        audit.audit_verify(ctx, scope, expected, seal)


def test_last_seal_is_logged_each_hour(ctx, caplog):
    caplog.set_level(logging.INFO)
    texts = []
    for minutes in (0, 1, 58, 2, 1):
        ctx.clock.at += 60 * minutes
        timeline.record(ctx.store, "inc-1", "note", "x")
        caplog.clear()
        done = audit.seal_audit(ctx)
        texts.append(caplog.text)
        assert (done["seq"], done["hash"]) == seals.tip(ctx.store)
        if caplog.text:
            assert done["hash"] in caplog.text and "seal=%d" % done["seq"] in caplog.text
    assert [bool(text) for text in texts] == [True, False, False, True, False]


def test_nothing_sealed_nothing_logged(url, caplog):
    caplog.set_level(logging.INFO)
    done = audit.seal_audit(scene.context(url))
    assert done == {"sealed": 0, "seq": 0, "hash": ""} and caplog.text == ""


def test_action_answers_through_the_door(ctx):
    ok, answer = door.call(FUNCTION, {"scope": "all"}, context=ctx)
    assert ok and answer["result"] == "ok"


def test_secrets_never_land_in_events(tmp_path):
    ctx = scenes.context_for(tmp_path, values={"notify": {"webhook": {"token": "s3cret-token"}}})
    leak = {"name": "leak", "command": scenes.shell("echo it is s3cret-token; exit 3")}
    scenes.write_runbook(tmp_path, steps=[leak])
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    assert remediate(ctx, incident_id)["outcome"] == "failed"
    written = json.dumps(ctx.store.query("SELECT * FROM incident_events"))
    assert "********" in written
    assert ctx.store.value("SELECT COUNT(*) FROM incident_events WHERE kind = 'execution'") == 2
    assert "s3cret" not in written
    assert audit.audit_verify(ctx, "all")["ok"]


def statements():
    """Every SQL-like string of the library that names a table of the audit, with its file."""
    for path in sorted(LIBRARY.rglob("*.py")):
        for found in re.finditer(
            r"(?is)\b(UPDATE|DELETE\s+FROM|INSERT\s+INTO|DROP\s+TABLE)\s+"
            r"(incident_events|audit_seals|audit_heads|execution_history)\b",
            path.read_text(encoding="utf-8"),
        ):
            yield path.relative_to(LIBRARY).as_posix(), found.group(1).upper(), found.group(2)
        for found in re.finditer(
            r"(?s)insert(?:_many)?\(\s*[\"']"
            r"(incident_events|audit_seals|audit_heads|execution_history)",
            path.read_text(encoding="utf-8"),
        ):
            yield path.relative_to(LIBRARY).as_posix(), "INSERT", found.group(1)


def test_events_are_only_appended_and_only_in_one_place():
    assert set(statements()) == {
        ("remedy/journal.py", "INSERT", "execution_history"),
        ("remedy/journal.py", "UPDATE", "execution_history"),
        ("store/chain.py", "INSERT", "audit_heads"),
        ("store/chain.py", "INSERT", "incident_events"),
        ("store/chain.py", "UPDATE", "audit_heads"),
        ("store/retention.py", "DELETE FROM", "audit_heads"),
        ("store/seals.py", "DELETE FROM", "audit_seals"),
        ("store/seals.py", "INSERT", "audit_seals"),
        ("store/seals.py", "UPDATE", "audit_heads"),
    }
