"""Asking checks: a real URL, a real Alertmanager, a real Prometheus, and the store."""

from __future__ import annotations

import json
import time

import pytest

from selfheal.exceptions import InvalidInput
from selfheal.incidents import registry
from selfheal.verify import ask
from selfheal.verify.model import parse_checks
from tests import live_alertmanager, web
from tests.remedy import scenes


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    monkeypatch.setattr(ask, "_TIMEOUT_S", 600.0)  # longer than a slow machine stands still
    context = scenes.context_for(tmp_path)
    yield context
    context.close()


@pytest.fixture
def site():
    with web.serving() as served:
        yield served


def look_at(ctx, incident_id, *checks):
    return ask.look(ctx, registry.get(ctx.store, incident_id), parse_checks(checks))


def with_target(ctx, section, url):
    ctx.config.values[section] = {"url": url, "timeout_s": 600}


def eventually(condition, seconds=180.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in %g s" % seconds
        time.sleep(0.05)


def test_a_url_is_healthy_by_status_and_content(ctx, site):
    incident_id = scenes.add_incident(ctx.store)
    check = {"http": {"url": site.url + "/health", "status": 200, "contains": "ok"}}
    look = look_at(ctx, incident_id, check)[0]
    assert (look.healthy, look.answer) == (True, "answered 200")
    assert look.asked == "GET %s/health, expecting 200 containing 'ok'" % site.url
    site.body = b"all bad"
    assert "'ok' is not in it: all bad" in look_at(ctx, incident_id, check)[0].answer
    site.status = 503
    assert (look_at(ctx, incident_id, check)[0].answer, site.asked[0][:2]) == (
        "answered 503",
        ("GET", "/health"),
    )


def test_what_cannot_be_asked_is_unknown_and_not_healthy(ctx, site):
    incident_id = scenes.add_incident(ctx.store, source="alertmanager")
    with web.nobody() as dead:
        with_target(ctx, "alertmanager", dead)
        with_target(ctx, "prometheus", dead)
        looks = look_at(
            ctx,
            incident_id,
            {"alert": "resolved"},
            {"http": {"url": dead}},
            {"prometheus": {"query": "up", "expect": "empty"}},
        )
    assert [(look.healthy, look.is_known) for look in looks] == [(False, False)] * 3
    assert all(look.answer.startswith("could not be asked: ") for look in looks)


def test_wrong_credentials_are_unknown_and_not_healthy(ctx, site):
    incident_id = scenes.add_incident(ctx.store, source="alertmanager")
    with_target(ctx, "alertmanager", site.url)
    with_target(ctx, "prometheus", site.url)
    site.status = 401
    looks = look_at(
        ctx, incident_id, {"alert": "resolved"}, {"prometheus": {"query": "up", "expect": "empty"}}
    )
    assert [(look.healthy, look.is_known) for look in looks] == [(False, False)] * 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"status":"success"}',
        b'{"status":"success","data":{"resultType":"matrix","result":[]}}',
        b'{"status":"success","data":{"resultType":"vector","result":[{}]}}',
    ],
)
def test_an_odd_answer_of_prometheus_is_unknown(ctx, site, body):
    incident_id = scenes.add_incident(ctx.store)
    with_target(ctx, "prometheus", site.url)
    site.body = body
    look = look_at(ctx, incident_id, {"prometheus": {"query": "up", "expect": "empty"}})[0]
    assert (look.healthy, look.is_known) == (False, False)


def test_a_check_of_a_system_that_is_not_configured_says_which_key(ctx):
    incident_id = scenes.add_incident(ctx.store)
    look = look_at(ctx, incident_id, {"prometheus": {"query": "up", "expect": "empty"}})[0]
    assert not look.healthy and "set prometheus.url" in look.answer


def test_without_an_alertmanager_the_received_alerts_are_asked(ctx):
    incident_id = scenes.add_incident(ctx.store, alerts=("firing", "resolved"))
    look = look_at(ctx, incident_id, {"alert": "resolved"})[0]
    assert (look.healthy, look.answer) == (False, "1 of 2 alerts still firing")
    scenes.clear(ctx.store, incident_id)
    assert look_at(ctx, incident_id, {"alert": "resolved"})[0].healthy


def test_an_alert_raised_by_hand_is_not_proven_gone_by_an_alertmanager_that_never_knew_it(
    ctx, site
):
    incident_id = scenes.add_incident(ctx.store, source="manual")
    with_target(ctx, "alertmanager", site.url)
    site.body = b"[]"
    assert not look_at(ctx, incident_id, {"alert": "resolved"})[0].healthy
    assert site.asked == []


def test_the_alert_of_a_real_alertmanager(ctx, tmp_path):
    with live_alertmanager.Alertmanager(tmp_path / "am", resolve_timeout="1h") as server:
        with_target(ctx, "alertmanager", server.url)
        alert = {"labels": {"alertname": "ServiceDown", "service": "shop"}, "annotations": {}}
        server.post_alerts([alert])
        eventually(server.alerts)
        fingerprint = server.alerts()[0]["fingerprint"]
        incident_id = scenes.add_incident(ctx.store, source="alertmanager", alerts=())
        scenes.add_alert(ctx.store, incident_id, fingerprint)
        look = look_at(ctx, incident_id, {"alert": "resolved"})[0]
        assert not look.healthy and fingerprint in look.answer and server.url in look.asked
        silence = server.silence("service", "shop")
        eventually(lambda: server.alerts()[0]["status"]["state"] == "suppressed")
        assert not look_at(ctx, incident_id, {"alert": "resolved"})[
            0
        ].healthy  # silenced is not solved
        server.unsilence(silence)
        server.post_alerts([dict(alert, endsAt=live_alertmanager.rfc3339(time.time() - 1))])
        eventually(lambda: look_at(ctx, incident_id, {"alert": "resolved"})[0].healthy)


def test_queries_of_a_real_prometheus(ctx, tmp_path):
    with live_alertmanager.Prometheus(tmp_path / "prom") as server:
        with_target(ctx, "prometheus", server.url)
        incident_id = scenes.add_incident(ctx.store)

        def judged(query, expect):
            look = look_at(ctx, incident_id, {"prometheus": {"query": query, "expect": expect}})[0]
            return look.healthy, look.is_known, look.answer

        assert judged("vector(3)", {"lt": 5}) == (True, True, "1 results: 3")
        assert judged("3", {"ge": 4})[:2] == (False, True)
        assert judged("vector(1) < 0", "empty") == (True, True, "no result")
        assert judged("vector(1)", "empty")[:2] == (False, True)
        assert judged("vector(1)", "nonempty")[0]
        assert judged("vector(1) < 0", {"lt": 5})[:2] == (
            False,
            False,
        )  # nothing to compare is not health
        assert judged("vector(NaN)", {"lt": 5})[0] is False
        assert (
            judged(
                'label_replace(vector(1),"a","x","","") or label_replace(vector(9),"a","y","","")',
                {"lt": 5},
            )[0]
            is False
        )
        healthy, is_known, answer = judged("sum(", {"lt": 5})
        assert (healthy, is_known) == (False, False) and "parse error" in answer


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"alert": "firing"},
        {"ping": "x"},
        {"http": {}},
        {"http": {"url": "http://a", "status": "200"}},
        "alert",
        {"http": {"url": "http://a", "method": "GET"}},
        {"prometheus": {"query": "", "expect": "empty"}},
        {"prometheus": {"query": "up"}},
        {"alert": "resolved", "http": {"url": "http://a"}},
    ],
)
def test_a_check_that_is_not_understood_is_refused(entry):
    with pytest.raises(InvalidInput, match="verify entry 1"):
        parse_checks([entry])


def test_what_is_shown_of_a_look_is_plain_json():
    look = ask.Look("http", "asked", "answer", True)
    assert json.loads(json.dumps(look.as_dict())) == {
        "check": "http",
        "asked": "asked",
        "answer": "answer",
        "healthy": True,
    }
