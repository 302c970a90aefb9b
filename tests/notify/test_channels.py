"""Which channels are configured, by which settings and under which name; a message laid out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal import document
from selfheal.config import Config
from selfheal.exceptions import ConfigError
from selfheal.notify import channels, layout

KEY = "k" * 32


def config(**notify):
    return Config({"notify": notify})


def test_flat_and_named_targets_with_what_they_share():
    found = config(
        webhook={"url": "http://hook"},
        slack={"token": "xoxb-1", "timeout_s": 3, "oncall": {"channel": "C1"},
               "lead": {"channel": "C2", "timeout_s": 9}},
        email={"host": "h", "from": "a@b.c", "to": ["d@e.f"], "lead": {"to": ["g@h.i"]}},
        pagerduty={"routing_key": KEY, "lead": {"routing_key": KEY}},
    )
    assert channels.configured(found) == [
        "pagerduty:default", "pagerduty:lead", "slack:oncall", "slack:lead", "email:default",
        "email:lead", "webhook",
    ]
    assert channels.settings(found, "slack:oncall") == {
        "token": "xoxb-1", "timeout_s": 3, "channel": "C1"
    }
    assert channels.settings(found, "email:lead")["to"] == ["g@h.i"]
    assert channels.settings(found, "email:default")["to"] == ["d@e.f"]


def test_section_that_is_no_map_takes_no_other_channel_with_it():
    found = config(email="oncall@x.example", slack={"webhook_url": "https://hooks.slack.com/a"})
    assert channels.configured(found) == ["slack:default"]
    assert channels.settings(found, "slack:default")["webhook_url"]
    with pytest.raises(ConfigError, match=r"notify\.email"):
        channels.settings(found, "email:default")


def test_hook_belongs_to_its_channel_and_a_key_to_its_service():
    found = config(
        slack={"webhook_url": "http://h", "token": "xoxb-1", "other": {"channel": "C1"},
               "hook": {"webhook_url": "http://i"}},
        pagerduty={"routing_key": KEY, "lead": {}},
    )
    assert channels.settings(found, "slack:other") == {"token": "xoxb-1", "channel": "C1"}
    assert channels.settings(found, "slack:hook") == {"webhook_url": "http://i"}
    with pytest.raises(ConfigError, match=r"notify\.pagerduty\.lead.*routing_key"):
        channels.settings(found, "pagerduty:lead")


def test_defaults_that_the_platform_fills_in_make_no_channel():
    found = config(
        webhook={"verify_tls": True}, slack={"max_per_minute": 0}, pagerduty={"timeout_s": 10},
        email={"port": 0, "timeout_s": 20},
    )
    assert channels.written(found) == {} and channels.configured(Config()) == []


@pytest.mark.parametrize(
    ("word", "channel"),
    [("slack", "slack:default"), ("slack.oncall", "slack:oncall"), ("webhook", "webhook"),
     (" email.lead ", "email:lead")],
)
def test_names_as_people_write_them(word, channel):
    assert channels.channel_of(word) == channel
    assert channels.word_of(channel) == word.strip()


def test_section_that_is_no_map_is_named():
    with pytest.raises(ConfigError, match=r"notify\.slack"):
        channels.written(config(slack="C1"))


def test_secrets_of_channels_are_hidden():
    found = config(
        slack={"webhook_url": "https://hooks.example/T/B/secret-path", "token": "xoxb-2"},
        pagerduty={"routing_key": KEY, "lead": {"routing_key": "l" * 32}},
        email={"username": "me", "password": "smtp-1"},
    )
    assert {"https://hooks.example/T/B/secret-path", "xoxb-2", KEY, "l" * 32, "smtp-1"} <= set(
        found.secrets()
    )


def test_message_without_a_document_is_laid_out_as_its_text():
    found = layout.of({"title": "may I?", "text": "may I?\nstep 1\n  undo: none"})
    assert found == (document.heading("may I?"), document.code("step 1\n  undo: none"))
    assert layout.of({}) == (document.heading("selfheal"),)


LINES = st.lists(st.text(max_size=400), max_size=30)


@given(LINES, LINES, st.integers(200, 5000))
def test_cut_message_keeps_its_beginning_and_says_what_is_gone(first, second, limit):
    message = (
        document.heading("title"), document.text(*first), document.heading("more"),
        document.bullets(second),
    )
    short = layout.cut(message, limit)
    assert short[0] == document.heading("title")
    size = sum(len(line) + 1 for block in short for line in block.lines)
    assert size <= limit + 120
    if sum(len(line) + 1 for block in message for line in block.lines) <= limit:
        assert short == tuple(block for block in message if block.lines)
