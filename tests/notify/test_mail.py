"""Mail against a real SMTP server: what a reader sees, in which thread, who is written to; nothing
from outside adds a header, a recipient or markup.
"""

from __future__ import annotations

import json
import socket
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal import document
from selfheal.exceptions import ConfigError
from selfheal.incidents import timeline
from selfheal.notify import mail_text, threads
from selfheal.outbox import letters
from selfheal.respond import telling
from tests import mail_server, scene, tls, web
from tests.notify import notify_scene


@pytest.fixture
def server():
    with mail_server.Server() as running:
        yield running


@pytest.fixture
def ctx(tmp_path, server):
    return context(tmp_path, server.settings())


def context(tmp_path, settings):
    url = scene.store_url("sqlite", tmp_path / "store")
    return scene.context(url, notify={"email": dict(settings, timeout_s=60)})


@pytest.fixture(autouse=True)
def directory(tmp_path):
    (tmp_path / "store").mkdir()


def parts(mail):
    message = mail["message"]
    return (
        message.get_body(("plain",)).get_content(),
        message.get_body(("html",)).get_content(),
    )


def test_mail_says_the_same_as_text_and_as_html(ctx, server):
    outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert delivery.status == "sent", delivery.error
    (mail,) = server.mails
    message = mail["message"]
    assert mail["to"] == ["oncall@ops.example"] and mail["from"] == "selfheal@ops.example"
    assert message["Subject"] == "[critical] web is down"
    assert message["Message-ID"] == "<%s@ops.example>" % outbox_id
    assert message["Auto-Submitted"] == "auto-generated" and message["Importance"] == "high"
    text, html = parts(mail)
    assert text.startswith("[critical] web is down")
    for expected in ("Do first: ", "runbook:restart-web", "NOT UNDONE", "alert is active"):
        assert expected in text and expected in html
    assert '<a href="http://wiki.example/web"' in html


def test_what_follows_answers_the_first_mail(ctx, server):
    first, _ = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    follow = threads.resolved(notify_scene.payload(), "a", first, "closed by hand")
    notify_scene.carried(ctx, "email:default", follow, "resolved", "two")
    message = server.mails[1]["message"]
    assert message["Subject"] == "Re: [critical] web is down"
    assert message["In-Reply-To"] == message["References"] == "<%s@ops.example>" % first
    assert "Importance" not in message and "Resolved: closed by hand." in parts(server.mails[1])[0]


def test_mail_whose_arrival_nobody_knows_of_goes_again_under_the_same_id(ctx, server):
    server.answers = ["drop"]
    outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert (delivery.status, delivery.cause) == ("pending", "unknown")
    ctx.clock.at = letters.get(ctx.store, outbox_id)["next_attempt_at"]
    (again,) = telling.deliver(ctx, outbox_id)
    assert again.status == "sent"
    first, second = (mail["message"] for mail in server.mails)
    assert first["Message-ID"] == second["Message-ID"] and first["Date"] == second["Date"]


class Found(HTMLParser):
    """Tags and addresses in a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.attributes = set(), [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name in ("href", "src")]


OURS = {"html", "head", "meta", "title", "body", "h2", "h3", "p", "br", "ul", "li", "a", "pre"}


def seen(html):
    page = Found()
    page.feed(html)
    return page


@pytest.mark.parametrize("size", [1, 40])
def test_hostile_text_adds_no_header_no_recipient_and_no_markup(ctx, server, size):
    _, delivery = notify_scene.carried(ctx, "email:default", notify_scene.hostile(size))
    assert delivery.status == "sent", delivery.error
    (mail,) = server.mails
    message = mail["message"]
    assert mail["to"] == ["oncall@ops.example"] and "Bcc" not in message
    assert set(message.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "Importance",
        "X-Priority", "MIME-Version", "Content-Type",
    }
    assert len(message["Subject"]) <= mail_text.MAX_SUBJECT and message["Subject"].isprintable()
    text, html = parts(mail)
    assert "<script>" in text and "<script>" not in html
    page = seen(html)
    assert page.tags <= OURS and page.attributes <= {"href", "rel", "style", "lang", "charset"}
    assert all(one.startswith(("http://", "https://")) for one in page.addresses)
    assert len(mail["raw"]) < 400_000
    if size > 1:
        assert "lines]" in text or "characters]" in text


@given(st.lists(st.text(max_size=200), max_size=8), st.text(max_size=300), st.text(max_size=100))
def test_any_document_makes_a_mail_that_reads_the_same(lines, title, url):
    message = (
        document.heading(title), document.text(*lines), document.bullets(lines),
        document.code("\n".join(lines)), document.links({"link": url}),
    )
    made = mail_text.mail(
        message, sender="a@b.example", to=["c@d.example"], message_id="msg-1", at=1.7e9
    )
    assert made.as_bytes().count(b"\r\nSubject:") <= 1
    page = seen(made.get_body(("html",)).get_content())
    assert page.tags <= OURS
    assert all(one.startswith(("http://", "https://")) for one in page.addresses)


@pytest.mark.parametrize(
    "wrong",
    ["nobody", "a@b.example\nBcc: evil@x.example", "a b@c.example", "", "a@b@c.example", "<a@b>,c"],
)
def test_address_that_is_none_is_an_error_of_the_settings(wrong):
    with pytest.raises(ConfigError):
        mail_text.address(wrong)


def test_starttls_with_login_and_a_certificate_of_ones_own(tmp_path):
    secure, certificate = tls.self_signed(tmp_path, "IP:127.0.0.1")
    with mail_server.Server(secure, needs_login=True) as server:
        settings = server.settings(
            tls="starttls", ca_file=certificate,
            username=mail_server.USER, password=mail_server.PASSWORD,
        )
        ctx = context(tmp_path, settings)
        _, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
        assert delivery.status == "sent", delivery.error


def test_tls_from_the_first_byte(tmp_path):
    secure, certificate = tls.self_signed(tmp_path, "IP:127.0.0.1")
    with mail_server.Server(secure, is_implicit=True) as server:
        ctx = context(tmp_path, server.settings(tls="tls", ca_file=certificate))
        _, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
        assert delivery.status == "sent", delivery.error


def test_certificate_that_nobody_trusts_is_refused(tmp_path):
    secure, _ = tls.self_signed(tmp_path, "IP:127.0.0.1")
    with mail_server.Server(secure) as server:
        ctx = context(tmp_path, server.settings(tls="starttls"))
        outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
        assert delivery.status == "pending" and "certificate" in delivery.error.lower()
        assert server.mails == [] and not letters.get(ctx.store, outbox_id)["in_doubt"]


def test_wrong_password_names_the_settings_and_is_not_kept(tmp_path):
    with mail_server.Server(needs_login=True) as server:
        wrong = "not-the-password-1"
        settings = server.settings(username=mail_server.USER, password=wrong)
        ctx = context(tmp_path, settings)
        outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
        assert delivery.status == "pending" and "notify.email.username" in delivery.error
        assert "535" in delivery.error
        assert wrong not in json.dumps(letters.get(ctx.store, outbox_id))


def test_server_without_starttls_says_which_setting(tmp_path, server):
    ctx = context(tmp_path, server.settings(tls="starttls"))
    _, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert delivery.status == "pending" and "notify.email.tls" in delivery.error


def test_one_recipient_that_is_refused_costs_the_others_nothing(tmp_path, server):
    server.refused = {"gone@ops.example"}
    to = ["gone@ops.example", "Ann <ann@ops.example>"]
    ctx = context(tmp_path, server.settings(to=to))
    outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert delivery.status == "sent" and server.mails[0]["to"] == ["ann@ops.example"]
    assert letters.answer_of(ctx.store, outbox_id)["refused"] == ["gone@ops.example"]
    scene.incident(ctx.store)
    said = notify_scene.payload()
    letters.post(ctx.store, "escalation", "inc-1", "two", said, channel="email:default")
    telling.deliver(ctx)
    (entry,) = timeline.entries(ctx.store, "inc-1", 5)
    assert entry["kind"] == "notified" and "refused gone@ops.example" in entry["message"]


def test_nobody_left_to_write_to_is_a_failure(ctx, server):
    server.refused = {"oncall@ops.example"}
    _, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert delivery.status == "pending" and "notify.email.to" in delivery.error
    assert server.mails == []


@pytest.mark.parametrize("answer", ["451 try later", "554 no spam here"])
def test_mail_that_is_refused_was_not_taken(ctx, server, answer):
    server.answers = [answer]
    outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert (delivery.status, delivery.cause) == ("pending", "refused")
    assert answer[:3] in delivery.error and not letters.get(ctx.store, outbox_id)["in_doubt"]


class Silent:
    """A server that takes connections and never says a word."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)  # the system takes them; we only count
        self.port = self._listener.getsockname()[1]
        self._taken = []

    def connections(self):
        """How many were made so far."""
        while True:
            try:
                self._taken.append(self._listener.accept()[0])
            except BlockingIOError:
                return len(self._taken)

    def __enter__(self):
        return self

    def __exit__(self, *_ignored):
        for one in (self._listener, *self._taken):
            one.close()


def five_letters(ctx, kind="escalation"):
    said = notify_scene.payload()
    return [
        letters.post(ctx.store, kind, None, "m%d" % number, said, channel="email:default")
        for number in range(5)
    ]


@pytest.mark.parametrize("kind", ["escalation", "resolved"])
def test_server_that_never_answers_is_asked_once_for_all_letters(tmp_path, receiver, kind):
    with Silent() as server:
        settings = dict(mail_server.settings_of(server.port), timeout_s=0.5)
        ctx = scene.context(
            scene.store_url("sqlite", tmp_path / "store"),
            notify={"email": settings, **scene.webhook(receiver)},
        )
        ids = five_letters(ctx, kind)
        others = [
            letters.post(ctx.store, "resolved", None, "w%d" % number, notify_scene.payload())
            for number in range(5)
        ]
        telling.deliver(ctx)
        assert server.connections() == 1
        rows = [letters.get(ctx.store, one) for one in ids]
        assert sorted(row["attempts"] for row in rows) == [0, 0, 0, 0, 1]
        assert not any(row["in_doubt"] for row in rows)
        assert "timed out" in max(str(row["last_error"] or "") for row in rows)
        assert all(letters.is_delivered(ctx.store, one) for one in others)
        ctx.clock.at += 60
        late = letters.post(ctx.store, "resolved", None, "late", notify_scene.payload())
        (first, *_rest) = telling.deliver(ctx)
        assert (first.id, first.status) == (late, "sent")  # what failed goes last
        assert server.connections() == 2


def test_wrong_password_is_not_tried_with_every_letter(tmp_path):
    with mail_server.Server(needs_login=True) as server:
        wrong = server.settings(username=mail_server.USER, password="not-the-password-1")
        ctx = context(tmp_path, wrong)
        five_letters(ctx)
        assert len(telling.deliver(ctx)) == 1


def test_server_that_is_not_there_is_a_failure_without_doubt(tmp_path, server):
    with web.nobody() as url:
        ctx = context(tmp_path, server.settings(port=int(url.rpartition(":")[2])))
        outbox_id, delivery = notify_scene.carried(ctx, "email:default", notify_scene.payload())
    assert delivery.status == "pending" and "127.0.0.1" in delivery.error
    assert not letters.get(ctx.store, outbox_id)["in_doubt"]
