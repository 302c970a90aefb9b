"""Slack, by webhook and by token, against a strict stand-in: what is posted, in which thread, and
what is made of every answer.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal import document
from selfheal.notify import layout, slack_text, threads
from selfheal.outbox import letters
from tests import scene, stub_slack, web
from tests.notify import notify_scene


@pytest.fixture
def slack():
    with stub_slack.Stub() as server:
        yield server


@pytest.fixture(params=["token", "webhook"])
def ctx(request, tmp_path, slack):
    settings = slack.by_token() if request.param == "token" else slack.by_webhook()
    return context(tmp_path, settings)


@pytest.fixture
def by_token(tmp_path, slack):
    return context(tmp_path, slack.by_token())


@pytest.fixture
def by_webhook(tmp_path, slack):
    return context(tmp_path, slack.by_webhook())


def context(tmp_path, settings):
    url = scene.store_url("sqlite", tmp_path)
    return scene.context(url, notify={"slack": dict(settings, timeout_s=60)})


def test_message_says_first_what_is_wrong_and_what_to_do(ctx, slack):
    _, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    assert delivery.status == "sent"
    (posted,) = slack.posted
    assert posted["blocks"][0]["text"]["text"] == "[critical] web is down"
    said = stub_slack.words(posted).split("\n")
    assert said[1].startswith("The remediation ran") and said[2].startswith("Do first: ")
    assert posted["text"].startswith("*[critical] web is down*\n\nThe remediation ran")
    for expected in ("runbook:restart-web", "NOT UNDONE", "alert is active", "incident_timeline"):
        assert expected in stub_slack.words(posted) and expected in posted["text"]
    assert posted["unfurl_links"] is False


def test_links_are_links_and_anything_else_is_text(by_token, slack):
    links = {
        "alert": "https://prometheus.example/graph?a=1&b=2",
        "runbook": "javascript:alert(1)",
        "dashboard": "http://wiki.example/<x>|evil",
    }
    message = (document.heading("x"), document.links(links))
    notify_scene.carried(by_token, "slack:default", {"document": document.dumped(message)})
    (posted,) = slack.posted
    items = [one["elements"][0] for one in posted["blocks"][1]["elements"][0]["elements"]]
    assert items == [
        {"type": "link", "url": links["alert"], "text": "alert"},
        {"type": "text", "text": "runbook: javascript:alert(1)"},
        {"type": "text", "text": "dashboard: http://wiki.example/<x>|evil"},
    ]
    assert "<https://prometheus.example/graph?a=1&amp;b=2|alert>" in posted["text"]
    assert "runbook: javascript:alert(1)" in posted["text"] and "<x>" not in posted["text"]


def test_hostile_text_stands_as_it_came_and_mentions_nobody(ctx, slack):
    _, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.hostile())
    assert delivery.status == "sent", delivery.error
    (posted,) = slack.posted  # the stand-in refuses mentions and malformed blocks
    assert "<!channel>" in stub_slack.words(posted) and "&lt;!channel&gt;" in posted["text"]
    assert "\x1b" not in json.dumps(posted, ensure_ascii=False)


def test_what_to_do_and_where_to_look_is_in_no_cut(ctx, slack):
    said = notify_scene.hostile(40)
    notify_scene.carried(ctx, "slack:default", said)
    (posted,) = slack.posted
    for told in (stub_slack.words(posted), posted["text"], said["text"]):
        assert "[+" in told
        assert "heal ack inc-1" in told and "http://prometheus.example/graph" in told
        assert "st2 run selfheal.incident_report incident_id=inc-1" in told


def test_what_is_beyond_the_most_blocks_is_counted():
    many = [document.text("part %d" % number) for number in range(60)]
    found = slack_text.blocks((document.heading("x"), *many))
    assert len(found) == slack_text.MAX_BLOCKS
    assert "[+12 lines]" in json.dumps(found[-1], ensure_ascii=False)


def test_huge_message_is_cut_within_slacks_limits_and_says_so(ctx, slack):
    _, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.hostile(40))
    assert delivery.status == "sent", delivery.error
    (posted,) = slack.posted
    assert "lines]" in stub_slack.words(posted) and len(posted["text"]) <= slack_text.MAX_TEXT
    assert len(json.dumps(posted["blocks"])) <= 13200


def test_what_follows_stands_in_the_thread_of_the_first(by_token, slack):
    said = notify_scene.payload()
    first, _ = notify_scene.carried(by_token, "slack:default", said)
    assert letters.answer_of(by_token.store, first) == {
        "ts": slack.posted[0]["ts"], "channel": "C0ONCALL1"
    }
    follow = threads.resolved(said, "escalation:inc-1:0", first, "closed by hand")
    notify_scene.carried(by_token, "slack:default", follow, "resolved", "two")
    assert slack.posted[1]["thread_ts"] == slack.posted[0]["ts"]
    assert "reply_broadcast" not in slack.posted[1]
    again = threads.again(said, "escalation:inc-1:0", first, 15)
    notify_scene.carried(by_token, "slack:default", again, "escalation", "three")
    assert slack.posted[2]["thread_ts"] == slack.posted[0]["ts"]
    assert slack.posted[2]["reply_broadcast"] is True


def test_thread_that_is_gone_is_no_reason_to_say_nothing(by_token, slack):
    first, _ = notify_scene.carried(by_token, "slack:default", notify_scene.payload())
    slack.posted[0]["ts"] = "gone"
    follow = threads.resolved(notify_scene.payload(), "a", first, "closed")
    _, delivery = notify_scene.carried(by_token, "slack:default", follow, "resolved", "two")
    assert delivery.status == "sent" and "thread_ts" not in slack.posted[1]
    assert "Incident inc-1:" in stub_slack.words(slack.posted[1])


def test_first_that_has_no_thread_is_named_by_what_follows(by_token, slack):
    first = letters.post(by_token.store, "escalation", None, "by webhook then", {})
    follow = threads.resolved(notify_scene.payload(), "a", first, "closed")
    notify_scene.carried(by_token, "slack:default", follow, "resolved", "two")
    assert "Incident inc-1:" in stub_slack.words(slack.posted[0])


def test_message_that_begins_with_no_text_is_whole_when_it_is_told_again():
    listed = (document.heading("x"), document.bullets(["one", "two"]))
    said = {"title": "x", "document": document.dumped(listed)}
    told = layout.as_text(layout.of(threads.again(said, "a", "", 15)))
    assert "15 minutes" in told and "one" in told and "two" in told


def test_webhook_has_no_threads_so_what_follows_names_the_incident(by_webhook, slack):
    follow = threads.resolved(notify_scene.payload(), "a", "msg-1", "closed by hand")
    notify_scene.carried(by_webhook, "slack:default", follow, "resolved")
    assert "Incident inc-1:" in stub_slack.words(slack.posted[0])
    assert "Resolved: closed by hand." in slack.posted[0]["text"]


def test_form_that_is_refused_is_posted_as_plain_text_at_once(ctx, slack):
    slack.fail_next("no_blocks")
    _, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    assert delivery.status == "sent" and "blocks" not in slack.posted[0]
    assert "incident_timeline" in slack.posted[0]["text"]


def test_too_many_requests_waits_as_long_as_slack_says(ctx, slack):
    slack.fail_next("429")
    outbox_id, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    assert (delivery.status, delivery.cause) == ("pending", "refused") and slack.posted == []
    row = letters.get(ctx.store, outbox_id)
    assert row["next_attempt_at"] >= ctx.clock.at + 17 and not row["in_doubt"]


@pytest.mark.parametrize("kind", ["500", "drop_before", "drop_after", "internal_error"])
def test_what_nobody_knows_of_is_tried_again(by_token, slack, kind):
    slack.fail_next(kind)
    outbox_id, delivery = notify_scene.carried(by_token, "slack:default", notify_scene.payload())
    assert (delivery.status, delivery.cause) == ("pending", "unknown")
    assert letters.get(by_token.store, outbox_id)["in_doubt"] == 1


@pytest.mark.parametrize(
    ("settings", "error", "advice"),
    [
        ({"channel": "C0OTHERS1"}, "not_in_channel", "/invite"),
        ({"channel": "nowhere"}, "channel_not_found", "check the channel"),
        ({"channel": "C0ARCHIVE"}, "is_archived", "not archived"),
        ({"token": "xoxb-wrong-token"}, "invalid_auth", "notify.slack's token"),
    ],
)
def test_wrong_settings_are_named_with_what_to_do(tmp_path, slack, settings, error, advice):
    ctx = context(tmp_path, slack.by_token(**settings))
    outbox_id, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    assert delivery.status == "pending" and error in delivery.error and advice in delivery.error
    assert letters.get(ctx.store, outbox_id)["in_doubt"] == 0


def test_webhook_that_was_removed_is_named_without_its_secret_path(tmp_path, slack):
    url = slack.url + "/services/T1/B1/gone-secret-path"
    ctx = context(tmp_path, {"webhook_url": url})
    outbox_id, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    assert "no_service" in delivery.error and "webhook_url" in delivery.error
    assert "gone-secret-path" not in json.dumps(letters.get(ctx.store, outbox_id))


@pytest.mark.parametrize("way", ["by_token", "by_webhook"])
def test_credentials_stand_in_no_error_when_nothing_answers(tmp_path, slack, way):
    with web.nobody() as slack.url:
        ctx = context(tmp_path, getattr(slack, way)())
        outbox_id, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    kept = json.dumps(letters.get(ctx.store, outbox_id)) + delivery.error
    assert delivery.status == "pending"
    assert stub_slack.TOKEN not in kept and "XXXXXXXXXXXX" not in kept


def test_our_secrets_are_hidden_in_what_is_posted(by_token, slack):
    said = notify_scene.payload(title="token %s leaked" % stub_slack.TOKEN)
    notify_scene.carried(by_token, "slack:default", said)
    assert stub_slack.TOKEN not in json.dumps(slack.posted)


def test_incomplete_settings_keep_the_letter_until_they_are_mended(tmp_path, slack):
    ctx = context(tmp_path, {"token": stub_slack.TOKEN})
    outbox_id, delivery = notify_scene.carried(ctx, "slack:default", notify_scene.payload())
    assert (delivery.status, delivery.tried) == ("no_destination", False)
    assert "channel" in delivery.error and slack.requests == []
    assert letters.get(ctx.store, outbox_id)["attempts"] == 0


LINES = st.lists(st.text(max_size=300), max_size=12)
BLOCKS = st.lists(
    st.one_of(
        st.builds(document.heading, st.text(max_size=300)),
        st.builds(lambda lines: document.text(*lines), LINES),
        st.builds(document.bullets, LINES),
        st.builds(lambda lines: document.code("\n".join(lines)), LINES),
        st.builds(
            document.links,
            st.dictionaries(st.text(max_size=20), st.text(max_size=80), max_size=4),
        ),
    ),
    max_size=30,
)


@given(BLOCKS)
def test_no_document_whatever_is_refused_for_its_form(blocks):
    message = layout.cut(tuple(blocks))
    body = slack_text.body(message)
    assert stub_slack._form(json.loads(json.dumps(body))) == ""
    assert len(body["text"]) <= slack_text.MAX_TEXT
    assert "<!" not in body["text"] and "<@" not in body["text"]
