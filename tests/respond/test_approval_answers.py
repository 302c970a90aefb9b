"""A person's yes or no: whose counts, for what, how long, and what the workflow is told."""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, InvalidInput, NotFound, Refused
from selfheal.incidents import registry
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval import people, record
from selfheal.respond.approval.answering import approve, reject
from selfheal.respond.approval.asking import approval_asked, request_approval
from selfheal.respond.approval.listing import approval_list
from selfheal.respond.approval.settling import settle_approval
from selfheal.respond.remediate import remediate
from tests.remedy import scenes
from tests.respond.approval_scene import BOTH, Deaf, asked, context, refusal, row_of, told_of, use

YES, NO = {"approved": True}, {"approved": False}


@pytest.fixture(params=BOTH)
def ctx(tmp_path, request):
    made = context(tmp_path, request.param, approvers=["alice", "Bob", "Jürgen"])
    yield made
    made.close()


def test_a_yes_of_an_approver_is_recorded_and_then_told(ctx):
    incident_id, approval_id = asked(ctx)
    answer = approve(ctx, approval_id, "go  on\nthen", "alice")
    assert answer == {
        "approval_id": approval_id,
        "incident_id": incident_id,
        "status": "approved",
        "decided_by": "alice",
        "told": True,
        "note": "the response goes on",
    }
    row = row_of(ctx, approval_id)
    assert (row["status"], row["decided_by"], row["comment"]) == ("approved", "alice", "go on then")
    assert row["decided_at"] == ctx.clock.now() and row["told_at"] is not None
    assert ctx.platform.answered == [("inq-1", YES)]
    assert told_of(ctx, incident_id, "approval_approved") == ["approved by alice"]
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1") == {
        "verdict": "approved",
        "reason": "alice said yes to the plan",
    }
    assert refusal(ctx, incident_id) == ""


def test_the_incident_names_its_only_question(ctx):
    incident_id, approval_id = asked(ctx)
    assert approve(ctx, incident_id, "", "alice")["approval_id"] == approval_id
    assert reject(ctx, incident_id, "", "bob")["status"] == "rejected"


@pytest.mark.parametrize("say", [approve, reject])
def test_no_name_or_a_wildcard_is_an_error_never_everything(ctx, say):
    _incident, approval_id = asked(ctx)
    for wrong in ("", "*", "%", "inc-*", "apr-", "all", "inc-1 or 1=1", "inc-%", "inc-1\n"):
        with pytest.raises(InvalidInput, match="name one question"):
            say(ctx, wrong, "", "alice")
    assert row_of(ctx, approval_id)["status"] == "pending"


def test_what_was_never_asked_cannot_be_answered(ctx):
    incident_id = scenes.add_incident(ctx.store)
    for wrong in ("apr-none", incident_id, "inc-none"):
        with pytest.raises(NotFound, match="approval_list"):
            approve(ctx, wrong, "", "alice")


def test_of_two_questions_the_person_says_which(ctx):
    incident_id, approval_id = asked(ctx)
    ctx.store.insert("approvals", dict(row_of(ctx, approval_id), id="apr-second"))
    with pytest.raises(InvalidInput, match="say which: .*apr-second"):
        approve(ctx, incident_id, "", "alice")
    assert approve(ctx, "apr-second", "", "alice")["status"] == "approved"


def test_names_are_compared_exactly_but_for_ascii_case(ctx):
    for number, name in enumerate(("alice", " alice\t", "ALICE", "bob", "Jürgen")):
        _incident, approval_id = asked(ctx, "run-%d" % number, "inq-%d" % number)
        assert approve(ctx, approval_id, "", name)["status"] == "approved", name


STRANGERS = (
    "mallory",
    "",
    "   ",
    "\u0430lice",  # a Cyrillic a
    "ａｌｉｃｅ",  # full width
    "al\u200bice",
    "alice\x00",
    "alice bob",
    "alice\u00a0",  # spaces that nobody sees, and that an account may be made with
    "\u3000alice",
    "alice\x1f",
    "alice\u2028",
    "JÜRGEN",
    "Ju\u0308rgen",  # the same letter in two code points
    "*",
    "alice,bob",
    "\ud800",
    "a" * 100_000,
)


def test_anybody_else_is_refused_with_advice_and_the_question_stays_open(ctx):
    incident_id, approval_id = asked(ctx)
    for name in STRANGERS:
        for _ in range(2):
            with pytest.raises(Refused, match="names alice, Bob, .*heal approve apr-"):
                approve(ctx, approval_id, "", name)
    assert row_of(ctx, approval_id)["status"] == "pending"
    assert ctx.platform.answered == []
    told = told_of(ctx, incident_id, "approval_refused")
    assert len(told) == len(STRANGERS)
    for message, name in zip(told, STRANGERS):
        assert message.startswith(people.shown(name)) and "stays open" in message
        assert len(message) < 500
    assert approve(ctx, approval_id, "", "alice")["status"] == "approved"


def test_with_nobody_named_anybody_decides(tmp_path):
    ctx = context(tmp_path, "sqlite")
    _incident, approval_id = asked(ctx)
    assert approve(ctx, approval_id, "", "")["decided_by"] == people.NOBODY
    ctx.close()


@pytest.mark.parametrize("names", ["alice", {"alice": 1}, [1], ["alice", None]])
def test_names_that_cannot_be_read_are_nobody(tmp_path, names):
    ctx = context(tmp_path, "sqlite", approvers=[])
    incident_id, approval_id = asked(ctx)
    ctx.config.values["safety"]["approvers"] = names
    with pytest.raises(ConfigError, match="safety.approvers must be a list of names"):
        approve(ctx, approval_id, "", "alice")
    with pytest.raises(ConfigError, match="no yes counts"):
        settle_approval(ctx, incident_id, approval_id, "yes", "run-1")
    assert row_of(ctx, approval_id)["status"] == "pending"
    ctx.close()


def test_a_list_of_blanks_is_nobody_not_anybody(tmp_path):
    ctx = context(tmp_path, "sqlite", approvers=["", "  "])
    _incident, approval_id = asked(ctx)
    for name in ("", "alice"):
        with pytest.raises(Refused):
            approve(ctx, approval_id, "", name)
    ctx.close()


def test_a_yes_given_past_us_has_no_name_and_is_no(ctx):
    incident_id, approval_id = asked(ctx)
    settled = settle_approval(ctx, incident_id, approval_id, "yes", "run-1")
    assert settled["verdict"] == "rejected"
    assert "heal approve %s" % approval_id in settled["reason"]
    assert "cannot see who" in told_of(ctx, incident_id, "approval_settled")[0]
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_no_counts_from_anybody_and_however_it_is_given(ctx):
    incident_id, approval_id = asked(ctx)
    assert settle_approval(ctx, incident_id, approval_id, "no", "run-1")["verdict"] == "rejected"
    incident_id, approval_id = asked(ctx, "run-2", "inq-2")
    assert reject(ctx, approval_id, "not now", "mallory")["decided_by"] == "mallory"
    assert ctx.platform.answered == [("inq-2", NO)]
    assert settle_approval(ctx, incident_id, approval_id, "no", "run-2")["verdict"] == "rejected"


def test_saying_it_twice_is_saying_it_once(ctx):
    incident_id, approval_id = asked(ctx)
    approve(ctx, approval_id, "first", "alice")
    again = approve(ctx, approval_id, "second", "Bob")
    assert (again["decided_by"], again["note"]) == ("alice", "it was approved before")
    assert row_of(ctx, approval_id)["comment"] == "first"
    assert len(told_of(ctx, incident_id, "approval_approved")) == 1
    assert ctx.platform.answered == [("inq-1", YES)]
    reject(ctx, approval_id, "", "bob")
    assert reject(ctx, approval_id, "", "alice")["note"] == "it was rejected before"
    assert len(told_of(ctx, incident_id, "approval_rejected")) == 1


def test_a_yes_after_a_no_does_not_bring_the_question_back(ctx):
    _incident, approval_id = asked(ctx)
    reject(ctx, approval_id, "", "bob")
    with pytest.raises(Refused, match="was rejected by bob at .*incident_response incident_id="):
        approve(ctx, approval_id, "", "alice")
    assert row_of(ctx, approval_id)["status"] == "rejected"


def test_a_no_after_a_yes_takes_it_back_while_nothing_has_begun(ctx):
    incident_id, approval_id = asked(ctx)
    approve(ctx, approval_id, "", "alice")
    assert settle_approval(ctx, incident_id, approval_id, "yes", "run-1")["verdict"] == "approved"
    assert reject(ctx, approval_id, "wait", "bob")["status"] == "rejected"
    assert told_of(ctx, incident_id, "approval_rejected") == [
        "the approval of alice is withdrawn: rejected by bob"
    ]
    assert not use(ctx, incident_id)
    assert refusal(ctx, incident_id).startswith("bob said no to this plan; a new response asks")
    assert remediate(ctx, incident_id, "run-1")["outcome"] == "refused"


def test_a_no_after_it_was_used_comes_too_late_and_says_what_can_be_done(ctx):
    incident_id, approval_id = asked(ctx)
    approve(ctx, approval_id, "", "alice")
    assert use(ctx, incident_id)
    with pytest.raises(Refused, match="execution exe-1 has begun.*undo_remediation"):
        reject(ctx, approval_id, "", "bob")
    with pytest.raises(Refused, match="used by execution exe-1, and each approval is good for one"):
        approve(ctx, approval_id, "", "alice")


@pytest.mark.parametrize("answer", ["yes", "none"])
def test_a_recorded_yes_counts_though_stackstorm_was_down(ctx, answer):
    incident_id, approval_id = asked(ctx)
    ears, ctx._platform = ctx._platform, Deaf()
    said = approve(ctx, approval_id, "", "alice")
    assert said["told"] is False and "recorded, and it counts" in said["note"]
    assert row_of(ctx, approval_id)["told_at"] is None
    assert record.expire_and_tell(ctx) == {"expired": 0, "answered": 0}
    ctx._platform = ears
    assert record.expire_and_tell(ctx) == {"expired": 0, "answered": 1}
    assert ears.answered == [("inq-1", YES)]
    assert record.expire_and_tell(ctx) == {"expired": 0, "answered": 0}
    assert settle_approval(ctx, incident_id, approval_id, answer, "run-1")["verdict"] == "approved"


def test_an_inquiry_that_is_gone_is_not_told_for_ever(ctx):
    _incident, approval_id = asked(ctx)
    ctx._platform = Deaf(retryable=False)
    assert reject(ctx, approval_id, "", "alice")["status"] == "rejected"
    record.expire_and_tell(ctx)
    assert ctx.platform.asked == [("inq-1", NO)]


def test_an_answer_before_the_inquiry_is_known_is_told_when_it_comes(ctx):
    _incident, approval_id = asked(ctx, inquiry_id="")
    said = approve(ctx, approval_id, "", "alice")
    assert said["told"] is False and "as soon as it asks" in said["note"]
    approval_asked(ctx, "inq-late", "selfheal." + approval_id)
    assert ctx.platform.answered == [("inq-late", YES)]


def test_a_no_by_the_inquiry_beats_a_recorded_yes(ctx):
    incident_id, approval_id = asked(ctx)
    ctx._platform = Deaf()
    approve(ctx, approval_id, "", "alice")
    assert settle_approval(ctx, incident_id, approval_id, "no", "run-1")["verdict"] == "rejected"
    assert not use(ctx, incident_id)


def test_a_yes_of_one_response_is_no_yes_for_the_next(ctx):
    incident_id, approval_id = asked(ctx)
    approve(ctx, approval_id, "", "alice")
    registry.release(ctx.store, incident_id, "run-1")
    ctx.clock.advance(1)
    analyze_incident(ctx, incident_id, "run-2")
    assert not use(ctx, incident_id)
    assert "nobody was asked" in refusal(ctx, incident_id)
    request_approval(ctx, incident_id, "run-2")
    assert row_of(ctx, approval_id)["status"] == "withdrawn"


def test_by_hand_a_yes_needs_no_response_and_says_how_to_go_on(ctx):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    request_approval(ctx, incident_id)
    said = approve(ctx, incident_id, "", "alice")
    command = "st2 run selfheal.remediate incident_id=%s" % incident_id
    assert said["note"].endswith("carry it out with " + command)
    assert refusal(ctx, incident_id) == ""
    assert remediate(ctx, incident_id)["outcome"] == "done"


def test_a_hand_needs_the_yes_of_those_who_are_named_and_uses_it_up(ctx):
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    refused = remediate(ctx, incident_id)
    assert refused["outcome"] == "refused" and refused["steps"] == []
    assert "safety.approvers" in refused["reason"] and "request_approval" in refused["reason"]
    assert remediate(ctx, incident_id, dry_run=True)["outcome"] == "planned"
    request_approval(ctx, incident_id)
    assert remediate(ctx, incident_id)["outcome"] == "refused"
    approve(ctx, incident_id, "", "alice")
    assert remediate(ctx, incident_id)["outcome"] == "done"
    assert "was used up" in remediate(ctx, incident_id)["reason"]


def test_a_hand_needs_no_yes_for_what_nobody_would_be_asked_about(tmp_path):
    ctx = context(tmp_path, "sqlite", approvers=["alice"])
    scenes.write_runbook(tmp_path, risk="reversible")
    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id)
    assert remediate(ctx, incident_id)["outcome"] == "done"
    ctx.close()


def test_a_secret_in_a_comment_is_not_kept(tmp_path):
    ctx = context(tmp_path, "sqlite")
    ctx.config.values["jira"] = {"password": "s3cr3t-word"}
    _incident, approval_id = asked(ctx)
    approve(ctx, approval_id, "because s3cr3t-word \x1b[2J" + "x" * 5000, "alice")
    comment = row_of(ctx, approval_id)["comment"]
    assert "s3cr3t" not in comment and "\x1b" not in comment and len(comment) <= 500
    ctx.close()


def test_one_question_is_told_whole_whatever_became_of_it(ctx):
    incident_id, approval_id = asked(ctx)
    assert approval_list(ctx)["whole"] == []
    told = approval_list(ctx, question=approval_id)
    assert told["count"] == 1 and told["approvals"][0]["approval_id"] == approval_id
    assert told["whole"][0] == "%s about %s: waits for a yes or no" % (approval_id, incident_id)
    text = "\n".join(told["whole"])
    assert "heal approve %s %s" % (approval_id, told["approvals"][0]["code"]) in text
    assert approval_list(ctx, question=incident_id) == told
    approve(ctx, approval_id, "fine", "alice")
    said = approval_list(ctx, question=approval_id)["whole"]
    assert said[0].endswith(": approved by alice: fine") and "heal approve" not in "\n".join(said)
    with pytest.raises(NotFound, match="apr-none"):
        approval_list(ctx, question="apr-none")


def test_question_that_waits_is_told_before_one_of_the_past(ctx):
    incident_id, first = asked(ctx)
    reject(ctx, first, "no", "alice")
    second = request_approval(ctx, incident_id, "run-1")["approval_id"]
    ctx.store.execute("UPDATE approvals SET requested_at = requested_at + 9 WHERE id = ?", (first,))
    assert second != first
    (told,) = approval_list(ctx, question=incident_id)["approvals"]
    assert told["approval_id"] == second
    ctx.clock.advance(3600)
    said = approval_list(ctx, question=second)["whole"]
    assert said[0].endswith(": too late to answer") and "heal approve" not in "\n".join(said)


def test_the_list_holds_what_waits_and_on_request_the_rest(ctx):
    incident_id, first = asked(ctx)
    ctx.clock.advance(1)
    other_id, second = asked(ctx, "run-2", "inq-2")
    listed = approval_list(ctx)
    assert [one["approval_id"] for one in listed["approvals"]] == [second, first]
    approve(ctx, first, "fine", "alice")
    assert approval_list(ctx)["count"] == 1
    (done,) = approval_list(ctx, "approved")["approvals"]
    assert (done["decided_by"], done["comment"]) == ("alice", "fine")
    assert approval_list(ctx, "all", incident_id=other_id)["count"] == 1
    assert approval_list(ctx, "all", limit=1)["count"] == 1
    ctx.clock.advance(3600)
    assert approval_list(ctx)["approvals"][0]["is_too_late"] is True
    for wrong in ({"status": ""}, {"status": "*"}, {"limit": 0}, {"limit": True}):
        with pytest.raises(InvalidInput):
            approval_list(ctx, **wrong)
