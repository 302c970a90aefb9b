"""What a person who is asked sees: everything, once, and nothing that acts on its reader."""

from __future__ import annotations

import pytest

from selfheal.door import presentable
from selfheal.exceptions import Refused
from selfheal.incidents import registry
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.approval.listing import approval_list
from selfheal.store import load
from tests import mail_server, scene, stub_slack
from tests.remedy import scenes
from tests.respond.approval_scene import asked, context, told_of

STEPS = [
    {
        "name": "stop",
        "command": {"argv": ["systemctl", "stop", "my shop"]},
        "undo": {"command": {"argv": ["systemctl", "start", "my shop"]}},
    },
    {"name": "settle", "wait": {"seconds": 5}},
    {"name": "say", "command": scenes.shell("echo one\necho two")},
]
HOSTILE = "{{ config_context.jira.password }} <% 1 %> \x1b[2J \u202egnp.exe\nsecond"


@pytest.fixture
def ctx(tmp_path):
    made = context(tmp_path, "sqlite", approvers=["alice", "bob"], steps=STEPS)
    yield made
    made.close()


def shown_of(ctx, approval_id):
    return load(ctx.store.value("SELECT shown FROM approvals WHERE id = ?", (approval_id,)))


def test_everything_is_there_and_kept_as_it_was_shown(ctx):
    incident_id, approval_id = asked(ctx, namespace="shop", workload="web")
    view = shown_of(ctx, approval_id)
    incident = registry.get(ctx.store, incident_id)
    assert view["where"] == {
        "namespace": "shop",
        "workload": "web",
        "service": "shop",
        "scope": incident.plan["scope"],
    }
    steps = view["what"]["steps"]
    assert steps[0]["what"] == "run systemctl stop 'my shop'"
    assert steps[0]["undo"] == "run systemctl start 'my shop'"
    assert (steps[1]["what"], steps[1]["undo"]) == ("wait 5 s", "")
    assert steps[2]["what"] == "run by /bin/sh:\necho one\necho two"
    assert steps[2]["undo"] == "cannot be undone"
    assert view["risk"] == incident.plan["risk"] and view["confidence"] == 0.9
    assert view["why_asked"] == list(incident.reasons) and view["why_asked"]
    assert view["evidence"] and view["attempts"] == 1
    assert isinstance(view["guard"], list)
    assert view["approvers"] == "alice, bob"
    assert view["answer"]["chat"] == {
        "yes": "heal approve %s %s" % (approval_id, view["code"]),
        "no": "heal reject " + approval_id,
    }
    assert view["answer"]["cli"]["yes"] == "st2 run selfheal.approve question=" + approval_id
    assert approval_list(ctx)["approvals"][0]["shown"] == view


def test_what_was_shown_stays_whatever_happens_to_the_plan(ctx, tmp_path):
    _incident, approval_id = asked(ctx)
    before = shown_of(ctx, approval_id)
    scenes.write_runbook(tmp_path, risk="destructive", description="changed")
    assert approval_list(ctx)["approvals"][0]["shown"] == before


def test_people_are_told_once_per_question(tmp_path):
    with scene.Receiver() as receiver:
        ctx = context(tmp_path, "sqlite", steps=STEPS)
        ctx.config.values["notify"] = scene.webhook(receiver)
        incident_id, approval_id = asked(ctx)
        again = request_approval(ctx, incident_id, "run-1")
        assert again["approval_id"] == approval_id and again["delivered"] is True
        (message,) = receiver.messages
        assert message["kind"] == "approval" and message["id"] == again["outbox_id"]
        assert message["approval"] == shown_of(ctx, approval_id)
        for words in (
            "the shop is down: may this be done?",
            "heal approve " + approval_id,
            "st2 run selfheal.reject question=" + approval_id,
            "1. stop: run systemctl stop 'my shop'",
            "   undo: run systemctl start 'my shop'",
            "      | echo two",
            "Risk: destructive",
            "Whose yes counts: anybody who may answer in StackStorm",
        ):
            assert words in message["title"] + "\n" + message["text"], words
        assert len(told_of(ctx, incident_id, "notified")) == 1
        ctx.close()


def test_channels_with_markup_show_the_whole_question_and_how_to_answer(tmp_path):
    with stub_slack.Stub() as slack, mail_server.Server() as mails:
        ctx = context(tmp_path, "sqlite", steps=STEPS)
        ctx.config.values["notify"] = {
            "slack": slack.by_token(timeout_s=60), "email": mails.settings(timeout_s=60)
        }
        _incident, approval_id = asked(ctx, title="<!here> is down")
        code = shown_of(ctx, approval_id)["code"]
        (posted,), (mail,) = slack.posted, mails.mails
        text = mail["message"].get_body(("plain",)).get_content()
        html = mail["message"].get_body(("html",)).get_content()
        for words in (
            "is down: may this be done?",
            "heal approve %s %s" % (approval_id, code),
            "st2 run selfheal.reject question=" + approval_id,
            "run systemctl stop",
            "undo: run systemctl start",
            "echo two",
            "Risk: destructive",
        ):
            for told in (stub_slack.words(posted), posted["text"], text, html):
                assert words in told.replace("&#x27;", "'"), words
        assert "<!here>" not in posted["text"] and "<!here>" not in html
        ctx.close()


def test_without_a_destination_the_question_is_asked_all_the_same(ctx):
    incident_id, approval_id = asked(ctx)
    assert request_approval(ctx, incident_id, "run-1")["delivered"] is False
    assert "notify.webhook.url" in told_of(ctx, incident_id, "no_destination")[0]
    assert approval_list(ctx)["approvals"][0]["approval_id"] == approval_id


def test_text_from_outside_does_nothing_to_its_reader(tmp_path):
    ctx = context(
        tmp_path,
        "sqlite",
        steps=[{"name": "say", "command": {"argv": ["echo", "x" * 900]}}],
    )
    _incident, approval_id = asked(
        ctx, title=HOSTILE, labels={"evil": HOSTILE}, annotations={"summary": HOSTILE * 1000}
    )
    view = shown_of(ctx, approval_id)
    for text in scene.strings(view):
        assert "\x1b" not in text and "\u202e" not in text
    assert "\n" not in view["title"]
    assert sum(len(text) for text in scene.strings(view)) < 30_000
    listed = presentable(approval_list(ctx), ctx.config)
    for text in scene.strings(listed):
        assert "{{" not in text and "<%" not in text
    ctx.close()


def test_our_own_secrets_are_not_shown(tmp_path):
    words = ["echo", "-u", "me:hunter2-x"]
    ctx = context(tmp_path, "sqlite", steps=[{"name": "s", "command": {"argv": words}}])
    ctx.config.values["jira"] = {"password": "hunter2-x"}
    _incident, approval_id = asked(ctx)
    assert "hunter2" not in str(shown_of(ctx, approval_id))
    assert "hunter2" not in str(scenes.rows_of(ctx.store, "outbox"))
    ctx.close()


def test_nobody_is_asked_about_a_runbook_that_is_not_what_was_decided_on(ctx, tmp_path):
    from selfheal.respond.analyze import analyze_incident

    incident_id = scenes.add_incident(ctx.store)
    analyze_incident(ctx, incident_id, "run-1")
    scenes.write_runbook(tmp_path, risk="destructive", description="changed")
    with pytest.raises(Refused, match="has changed since it was decided on"):
        request_approval(ctx, incident_id, "run-1")
    assert scenes.rows_of(ctx.store, "approvals") == []
