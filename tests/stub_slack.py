"""A strict stand-in for Slack: incoming webhooks and chat.postMessage, as their public
documentation describes them, with the limits of Block Kit.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/reference/methods/chat.postMessage,
https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import json
import re

from tests import stub_server

TOKEN = "xoxb-111111111111-222222222222-AbCdEfGhIjKlMnOpQrStUvWx"
HOOK = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
_KNOWN = {
    "channel", "text", "blocks", "attachments", "thread_ts", "reply_broadcast", "unfurl_links",
    "unfurl_media", "mrkdwn", "parse", "link_names", "metadata", "username", "icon_emoji",
    "icon_url",
}
_BLOCKS = {"header", "section", "rich_text", "divider", "context"}
_STYLES = {"bold", "italic", "strike", "code"}
_MENTION = re.compile(r"<[!@#]")


class Stub(stub_server.Receiver):
    """A Slack with the channels `channels` ({id: name}); the bot is in those of `joined`.

    `posted` holds what was taken: {"channel", "text", "blocks", "thread_ts", "ts", "by"}. fail_next
    knows 429, 500, no_blocks, and the errors of chat.postMessage besides.
    """

    def __init__(self):
        self.channels = {"C0ONCALL1": "oncall", "C0OTHERS1": "others", "C0ARCHIVE": "old"}
        self.joined = {"C0ONCALL1", "C0ARCHIVE"}
        self.scopes = "chat:write,channels:read"
        self.posted = []
        super().__init__()

    def by_token(self, **more):
        """Settings of notify.slack that post as a bot."""
        return {"token": TOKEN, "channel": "C0ONCALL1", "api_url": self.url + "/api", **more}

    def by_webhook(self, **more):
        """Settings of notify.slack that post by an incoming webhook."""
        return {"webhook_url": self.url + HOOK, **more}

    def _taken(self, request, fault):
        path, headers = request["path"], request["headers"]
        if fault == "429":
            return 429, {"Retry-After": "17"}, b"rate_limited"
        if fault == "500":
            return 500, {}, b"rollup_error"
        if path == "/api/auth.test":
            good = headers.get("authorization") == "Bearer %s" % TOKEN
            answer = {"ok": True, "user": "selfheal", "team": "ops"} if good else {
                "ok": False, "error": "invalid_auth"
            }
            return 200, {"X-OAuth-Scopes": self.scopes}, answer
        is_api = path == "/api/chat.postMessage"
        if request["method"] != "POST" or not (is_api or path == HOOK):
            return 404, {}, b"no_service"
        error, message = self._judged(headers, request["body"], is_api, fault)
        if error:
            return self._refused(error, is_api)
        ts = "1700000000.%06d" % (len(self.posted) + 1)
        self.posted.append(dict(message, ts=ts, by="token" if is_api else "webhook"))
        if not is_api:
            return 200, {}, b"ok"
        return 200, {}, {"ok": True, "channel": message["channel"], "ts": ts, "message": {"ts": ts}}

    @staticmethod
    def _refused(error, is_api):
        if is_api:
            return 200, {}, {"ok": False, "error": error}
        statuses = {"action_prohibited": 403, "channel_not_found": 404, "channel_is_archived": 410}
        return statuses.get(error, 400), {}, error.encode()

    def _judged(self, headers, body, is_api, fault):
        """(Slack's word for what is wrong, the message)."""
        error = _unauthorized(headers) if is_api else ""
        if error:
            return error, None
        try:
            message = json.loads(body.decode("utf-8"))
            assert isinstance(message, dict) and set(message) <= _KNOWN
        except (ValueError, AssertionError):
            return "invalid_arguments" if is_api else "invalid_payload", None
        if is_api:
            error = self._place(message)
        elif message.get("channel") or message.get("thread_ts"):
            error = "invalid_payload"
        if not error and fault == "no_blocks" and message.get("blocks"):
            error = "invalid_blocks"
        if not error and fault not in ("", "drop_after", "no_blocks"):
            error = fault
        return error or _form(message), message

    def _place(self, message):
        """Put the channel's ID into the message; what is wrong with its channel or its thread."""
        known = {name: id for id, name in self.channels.items()}
        channel = known.get(message.get("channel"), message.get("channel"))
        if channel not in self.channels:
            return "channel_not_found"
        message["channel"] = channel
        if channel == "C0ARCHIVE":
            return "is_archived"
        if channel not in self.joined:
            return "not_in_channel"
        thread = message.get("thread_ts")
        if thread and not any(one["ts"] == thread for one in self.posted):
            return "thread_not_found"
        return ""


def _unauthorized(headers):
    given = headers.get("authorization", "")
    if not given.startswith("Bearer "):
        return "not_authed"
    if given != "Bearer %s" % TOKEN:
        return "invalid_auth"
    kind = headers.get("content-type", "")
    if not kind.startswith("application/json"):
        return "invalid_post_type"
    return "" if "charset=utf-8" in kind else "missing_charset"


def _form(message):
    text, blocks = message.get("text"), message.get("blocks")
    if not text and not blocks:
        return "no_text"
    if not isinstance(text, str) or len(text) > 40000:
        return "msg_too_long"
    # Strict beyond Slack: nothing of ours may ever mention anybody.
    if _MENTION.search(text):
        return "mentions_somebody"
    if blocks is None:
        return ""
    if not isinstance(blocks, list) or len(blocks) > 50:
        return "invalid_blocks"
    if len(json.dumps(blocks)) > 13200:
        return "msg_blocks_too_long"
    try:
        for block in blocks:
            _block(block)
    except (AssertionError, KeyError, TypeError):
        return "invalid_blocks"
    return ""


def _block(block):
    assert block["type"] in _BLOCKS
    if block["type"] == "header":
        text = block["text"]
        assert set(block) == {"type", "text"} and text["type"] == "plain_text"
        assert 1 <= len(text["text"]) <= 150
    elif block["type"] == "section":
        assert block["text"]["type"] in ("plain_text", "mrkdwn")
        assert 1 <= len(block["text"]["text"]) <= 3000
    elif block["type"] == "rich_text":
        assert set(block) == {"type", "elements"} and block["elements"]
        for element in block["elements"]:
            _rich(element)


def _rich(element):
    kind = element["type"]
    if kind == "rich_text_list":
        assert element["style"] in ("bullet", "ordered") and element["elements"]
        assert all(one["type"] == "rich_text_section" for one in element["elements"])
        for one in element["elements"]:
            _rich(one)
        return
    assert kind in ("rich_text_section", "rich_text_preformatted", "rich_text_quote")
    assert element["elements"]
    for one in element["elements"]:
        if one["type"] == "link":
            assert re.match(r"https?://\S+\Z", one["url"]) and one["text"]
        else:
            assert one["type"] == "text" and isinstance(one["text"], str) and one["text"]
            assert set(one.get("style", {})) <= _STYLES


def words(posted):
    """All text of a posted message's blocks."""
    found = []

    def walk(value):
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                found.append(value["text"])
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(posted.get("blocks") or [])
    return "\n".join(found)
