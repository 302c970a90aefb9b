"""check_config on channels and the ladder: asked of real servers, nothing is sent; each wrong
setting is named with what to do, and no secret is shown.
"""

from __future__ import annotations

import json

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.operate.check_config import check_config
from tests import mail_server, scene, stub_pagerduty, stub_slack


@pytest.fixture
def url(tmp_path):
    return scene.store_url("sqlite", tmp_path)


def check(url, notify, ladder=None):
    """The table by name; whether all is well."""
    sections = {"notify": notify, **({"escalation": {"ladder": ladder}} if ladder else {})}
    ctx = Context(Config({"database": {"url": url}, **sections}))
    answer = check_config(ctx)
    ctx.close()
    return {line["what"]: line for line in answer["table"]}, answer["ok"], json.dumps(answer)


def test_all_channels_and_a_ladder_that_names_them_are_on(url, receiver):
    with stub_slack.Stub() as slack, stub_pagerduty.Stub() as pagerduty:
        with mail_server.Server() as mail:
            notify = {
                **scene.webhook(receiver),
                "slack": {**slack.by_token(channel=None), "oncall": {"channel": "C0ONCALL1"},
                          "hook": slack.by_webhook()},
                "pagerduty": pagerduty.settings(),
                "email": mail.settings(),
            }
            ladder = [
                {"after_minutes": 0, "by": ["pagerduty", "slack.oncall"]},
                {"after_minutes": 15, "by": ["email", "slack.hook", "webhook"]},
            ]
            table, is_ok, _ = check(url, notify, ladder)
        assert is_ok, table
        for what in ("notify.webhook", "notify.slack.oncall", "notify.slack.hook",
                     "notify.pagerduty", "notify.email", "escalation.ladder"):
            assert table[what]["state"] == "on", table[what]
        assert "selfheal of ops" in table["notify.slack.oncall"]["detail"]
        assert table["escalation.ladder"]["detail"] == (
            "after 0 min: pagerduty, slack.oncall; after 15 min: email, slack.hook, webhook"
        )
        assert slack.posted == [] and pagerduty.requests == [] and mail.mails == []
        assert receiver.requests == []


@pytest.mark.parametrize(
    ("notify", "what", "expected"),
    [
        ({"slack": {"token": "xoxb-1-secret"}}, "notify.slack", "channel is not set"),
        ({"slack": {"channel": "C1"}}, "notify.slack", "webhook_url"),
        ({"slack": {"webhook_url": "nonsense"}}, "notify.slack", "http://"),
        ({"pagerduty": {"routing_key": "short-secret"}}, "notify.pagerduty", "32"),
        ({"email": {"host": "127.0.0.1"}}, "notify.email", "from and to"),
        (
            {"email": {"host": "127.0.0.1", "port": 1, "from": "a@b.c", "to": ["nobody"]}},
            "notify.email",
            "not a mail address",
        ),
        (
            {"email": {"host": "127.0.0.1", "port": 1, "from": "a@b.c", "to": ["d@e.f"]}},
            "notify.email",
            "no session",
        ),
    ],
)
def test_wrong_settings_are_named_and_no_secret_is_shown(url, notify, what, expected):
    table, is_ok, shown = check(url, notify)
    assert not is_ok and table[what]["state"] == "error"
    assert expected in table[what]["detail"] and table[what]["do"]
    assert "secret" not in shown


def test_token_that_slack_does_not_know_or_that_may_not_write(url):
    with stub_slack.Stub() as slack:
        table, is_ok, shown = check(url, {"slack": slack.by_token(token="xoxb-wrong-one")})
        assert not is_ok and "invalid_auth" in table["notify.slack"]["detail"]
        assert "xoxb-wrong-one" not in shown
        slack.scopes = "channels:read"
        table, is_ok, _ = check(url, {"slack": slack.by_token()})
        assert not is_ok and "chat:write" in table["notify.slack"]["do"]


def test_without_a_webhook_but_with_another_channel_nothing_waits(url):
    with stub_pagerduty.Stub() as pagerduty:
        table, is_ok, _ = check(url, {"pagerduty": pagerduty.settings()})
    assert is_ok and "other channels" in table["notify.webhook"]["detail"]


@pytest.mark.parametrize(
    ("ladder", "state", "expected"),
    [
        ([{"after_minutes": 0, "by": ["slack.gone"]}], "error", "slack.gone"),
        ([{"after_minutes": "5", "by": ["webhook"]}], "error", "after_minutes"),
        (["webhook"], "error", "after_minutes and by"),
        ([{"after_minutes": 5, "by": ["webhook"]}], "warning", "at once"),
    ],
)
def test_ladder_that_would_not_call_as_it_is_written(url, receiver, ladder, state, expected):
    table, _, _ = check(url, scene.webhook(receiver), ladder)
    assert table["escalation.ladder"]["state"] == state
    assert expected in table["escalation.ladder"]["detail"] and table["escalation.ladder"]["do"]
