"""Who asks external services through a breaker: verification, ingestion, the outbox. No escalation
is lost or delayed by one.
"""

from __future__ import annotations

import pytest

from selfheal.breakers import service
from selfheal.breakers.machine import FORCED_OPEN
from selfheal.breakers.settings import SERVICE, Name, settings_of
from selfheal.exceptions import ExternalError
from selfheal.incidents import registry
from selfheal.notify import webhook
from selfheal.outbox import letters
from selfheal.respond import telling
from selfheal.verify import ask
from selfheal.verify.model import parse_checks
from tests import scene, web

OUTBOX = webhook.SERVICE
LATE_S = 600  # longer than a slow machine stands still


@pytest.fixture
def ctx(tmp_path, receiver):
    return scene.context(
        scene.store_url("sqlite", tmp_path),
        # How many answers of 503 there were is counted: none may be late instead.
        notify=scene.webhook(receiver, timeout_s=LATE_S),
        prometheus={"url": receiver.url, "timeout_s": LATE_S},
        alertmanager={"url": receiver.url, "timeout_s": LATE_S},
    )


def answer(receiver, status, body=b"{}"):
    receiver.answers[:] = [(status, {}, body)]


def looks(ctx, *checks):
    incident = registry.get(ctx.store, "inc-1")
    return ask.look(ctx, incident, parse_checks(checks))


def prometheus_check():
    return {"prometheus": {"query": "up", "expect": "nonempty"}}


def force_open(ctx, name):
    from selfheal.breakers import rows

    rows.change(
        ctx.store,
        Name(SERVICE, name),
        settings_of(ctx.config, SERVICE),
        lambda one: one.force(FORCED_OPEN, ctx.clock.now(), None, "by hand"),
    )


@pytest.mark.parametrize(
    ("check", "name"), [(prometheus_check(), "prometheus"), ({"alert": "resolved"}, "alertmanager")]
)
@pytest.mark.parametrize("status", [500, 503, 429])
def test_ailing_service_is_not_asked_at_every_look(ctx, receiver, check, name, status):
    scene.incident(ctx.store)
    answer(receiver, status, b'{"status": "error", "error": "overloaded"}')
    for _ in range(20):
        ctx.clock.at += 1
        (look,) = looks(ctx, check)
        assert not look.healthy and not look.is_known
    assert len(receiver.requests) == 5
    assert "%s was not asked" % name in look.answer
    good = b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}'
    answer(receiver, 200, good if name == "prometheus" else b"[]")
    ctx.clock.at += 30
    (look,) = looks(ctx, check)
    assert look.healthy and look.is_known


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_service_that_refuses_our_question_is_well(ctx, receiver, status):
    scene.incident(ctx.store)
    answer(receiver, status)
    for _ in range(10):
        looks(ctx, prometheus_check(), {"alert": "resolved"})
    assert len(receiver.requests) == 20


def test_the_patient_itself_is_always_asked(ctx, receiver):
    scene.incident(ctx.store)
    answer(receiver, 503)
    for _ in range(20):
        looks(ctx, {"http": {"url": receiver.url, "status": 200}})
    assert len(receiver.requests) == 20


def post(ctx, kind, key):
    return letters.post(ctx.store, kind, "inc-1", key, {"text": key})


@pytest.mark.parametrize("kind", ["escalation", "failure", "approval"])
def test_what_calls_somebody_goes_out_whatever_the_breaker_says(ctx, receiver, kind):
    force_open(ctx, OUTBOX)
    outbox_id = post(ctx, kind, "a")
    (delivery,) = telling.deliver(ctx, outbox_id)
    assert delivery.status == letters.SENT and len(receiver.requests) == 1


def test_tickets_wait_behind_an_open_breaker_without_using_up_attempts(ctx, receiver):
    answer(receiver, 503)
    for number in range(5):
        post(ctx, "ticket", "t%d" % number)
    telling.deliver(ctx)
    assert len(receiver.requests) == 5
    later = [post(ctx, "ticket", "later %d" % number) for number in range(60)]
    assert telling.deliver(ctx) == [] and telling.deliver(ctx, later[0]) == []
    assert len(receiver.requests) == 5
    urgent = post(ctx, "escalation", "help")
    ctx.clock.at += 1
    (delivery,) = telling.deliver(ctx)  # sixty tickets in front of it, and it is sent
    assert (delivery.id, delivery.status) == (urgent, letters.PENDING)
    assert {row["attempts"] for row in ctx.store.query(
        "SELECT attempts FROM outbox WHERE dedupe_key LIKE 'later%'"
    )} == {0}
    answer(receiver, 200)
    ctx.clock.at += 30
    sent = telling.deliver(ctx) + telling.deliver(ctx)
    assert {one.status for one in sent} == {letters.SENT}
    assert {one.id for one in sent} >= {urgent, *later}


def test_breaker_that_opens_in_the_middle_of_a_batch_keeps_the_rest_due(ctx, receiver):
    answer(receiver, 503)
    ids = [post(ctx, "ticket", "t%02d" % number) for number in range(20)]
    assert len(telling.deliver(ctx)) == 5
    tried = ctx.store.query("SELECT id FROM outbox WHERE attempts > 0")
    assert len(tried) == 5 and {row["id"] for row in tried} <= set(ids)


def test_first_message_taken_closes_it_for_the_tickets(ctx, receiver):
    answer(receiver, 503)
    for number in range(5):
        post(ctx, "ticket", "t%d" % number)
    telling.deliver(ctx)
    waiting = post(ctx, "ticket", "waiting")
    answer(receiver, 200)
    telling.deliver(ctx, post(ctx, "escalation", "help"))
    assert service.refusal(ctx, OUTBOX) is None
    assert [one.id for one in telling.deliver(ctx)] == [waiting]


def test_escalation_is_sent_within_its_own_backoff_through_a_long_outage(ctx, receiver):
    """A receiver that is dead for two hours: no attempt of an escalation is skipped."""
    outbox_id = post(ctx, "escalation", "help")
    with web.nobody() as dead:
        ctx.config.values["notify"]["webhook"]["url"] = dead + "/hook"
        for _ in range(120):
            telling.deliver(ctx)
            ctx.clock.at += 60
    attempts = ctx.store.value("SELECT attempts FROM outbox")
    assert attempts >= 10
    ctx.config.values["notify"]["webhook"]["url"] = receiver.url + "/hook"
    for _ in range(61):
        telling.deliver(ctx)
        ctx.clock.at += 60
    assert letters.is_delivered(ctx.store, outbox_id) and len(receiver.requests) == 1


def test_past_the_store_no_breaker_is_asked(ctx, receiver):
    force_open(ctx, OUTBOX)
    webhook.send(ctx, "msg-1", "ticket", {"text": "x"}, ctx.clock.now())
    assert len(receiver.requests) == 1


def test_refusal_of_a_message_is_no_failure_of_the_receiver(ctx, receiver):
    answer(receiver, 400)
    for number in range(10):
        post(ctx, "ticket", "t%d" % number)
    telling.deliver(ctx)
    assert len(receiver.requests) == 10 and service.refusal(ctx, OUTBOX) is None


def test_truncated_notification_does_not_wait_for_a_dead_alertmanager(ctx, receiver):
    from selfheal.intake.ingest import ingest_alertmanager

    answer(receiver, 500)
    body = {
        "version": "4",
        "status": "firing",
        "receiver": "selfheal",
        "groupKey": "{}",
        "groupLabels": {"alertname": "X"},
        "commonLabels": {"alertname": "X"},
        "commonAnnotations": {},
        "externalURL": "",
        "truncatedAlerts": 3,
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "X"},
                "annotations": {},
                "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": "f" * 16,
            }
        ],
    }
    for _ in range(12):
        ctx.clock.at += 1
        ingest_alertmanager(ctx, body)
    asked = [one for one in receiver.requests if "/api/v2/alerts" in one["path"]]
    assert len(asked) == 5


def test_open_breaker_is_an_error_that_may_pass(ctx):
    force_open(ctx, "prometheus")
    with pytest.raises(ExternalError) as refused:
        service.call(ctx, "prometheus", lambda: 1)
    assert refused.value.retryable
