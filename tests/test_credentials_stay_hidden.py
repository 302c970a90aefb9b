"""No credential of the configuration ever stands in what is written: every action of the pack is
run, and letters of every channel carried, in worlds where all is well, where nobody lets us in,
where servers fail or hang up, and where they repeat to us what we sent. Then all is searched.
"""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import time
import traceback
from pathlib import Path

import pytest
import yaml

from alertmanager_sensor import AlertmanagerSensor
from elk_error_sensor import ElkErrorSensor
from selfheal import door
from selfheal.exceptions import SelfhealError
from selfheal.outbox import letters
from selfheal.respond import silences_by_hand, telling
from tests import mail_server, scene, stub_jira, stub_pagerduty, stub_servicenow, stub_slack
from tests.live_alertmanager import Alertmanager
from tests.remedy import scenes
from tests.sensor_service import Service

ACTIONS = Path(__file__).resolve().parents[1] / "actions"
DOCUMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in ACTIONS.glob("*.yaml")}
NOT_RUN = ("k8s_",)  # they speak to Kubernetes alone; tests/apis/test_kubernetes_credentials.py
SHORTEST = 6
ALERTS = 2
# What the actions are given, by the parameter's name; else its default.
GIVEN = {
    "ticket": "INC0010001", "issue": "OPS-1", "other": "OPS-2", "jql": "project = OPS",
    "to": "Done", "text": "a note", "notes": "done", "reason": "a test", "name": "note.txt",
    "content": "a note", "summary": "a ticket by hand", "title": "a ticket by hand",
    "description": "by hand", "subject": "a sensor", "status": "", "minutes": 5,
    "matchers": 'alertname="ServiceDown",service="shop"', "query": "error", "message": "an error",
}


class Echo(scene.Receiver):
    """A server that refuses everything and repeats what it was sent, headers and all."""

    def __init__(self, status):
        super().__init__()
        self._status = status
        self.on_request = self._repeat

    def _repeat(self, request):
        said = "%s %s %s" % (request["path"], request["headers"], request["body"].decode("latin-1"))
        self.answers = [(self._status, {}, said.encode("utf-8"))]


class World:
    """The pack with every channel there is."""

    def __init__(self, tmp_path, sections):
        (tmp_path / "pack").mkdir()
        self.clock = scenes.StillClock(time.time())
        self.path = tmp_path / "pack" / "selfheal.db"
        self.ctx = scenes.context_for(
            tmp_path / "pack", values=sections, clock=self.clock, verify_timeout=1
        )
        self.ctx.platform.inject = lambda trigger, payload: None
        self.ctx.log = logging.getLogger("selfheal.credentials")
        self.written = io.StringIO()
        scenes.write_runbook(
            tmp_path / "pack", steps=[{"name": "break", "command": scenes.shell("exit 3")}]
        )
        self._close, self.ctx.close = self.ctx.close, lambda: None  # the door closes it

    def act(self, name, /, **given):
        """Run action `name` as StackStorm does and keep what it answers."""
        function = DOCUMENTS[name]["parameters"]["function"]["default"]
        ok, answer = door.call(function, given, context=self.ctx)
        self.written.write("%s: %s %s\n" % (name, ok, json.dumps(answer)))
        return answer

    def later(self, seconds=400):
        """Time passes, then housekeeping comes."""
        self.clock.advance(seconds)
        self.act("housekeeping")

    def live(self):
        """Two incidents from their beginning to their end, and every other action once."""
        found = [
            scenes.add_incident(
                self.ctx.store, labels={"service": "shop-%d" % number}, source="alertmanager",
                service="shop-%d" % number,
            )
            for number in range(ALERTS)
        ]
        for number, incident_id in enumerate(found):
            run = {"incident_id": incident_id, "run_id": "run-%d" % number}
            for name in (
                "analyze_incident", "determine_response_strategy", "remediate",
                "verify_resolution",
            ):
                self.act(name, **run)
            self.act("escalate_to_oncall", **run, reason="not_resolved")
        self.act("create_incident_ticket", incident_id=found[0])
        for _ in range(4):
            self.later()
        for name in sorted(DOCUMENTS):
            if DOCUMENTS[name]["runner_type"] == "python-script" and not name.startswith(NOT_RUN):
                self.act(name, **self._given(name, found[1]))
        self.sense()
        for incident_id in found:
            self.act("close_incident", incident_id=incident_id)
        for _ in range(4):
            self.later()
        for incident_id in found:
            for name in ("incident_get", "incident_timeline", "incident_report"):
                self.act(name, incident_id=incident_id)
        self.act("outbox_list", status="any", limit=200)

    def sense(self):
        """Two looks of the sensors that ask systems with credentials."""
        service = Service()
        for kind in (AlertmanagerSensor, ElkErrorSensor):
            sensor = kind(service, config=self.ctx.config.values, poll_interval=60)
            sensor.setup()
            for _ in range(2):
                sensor.poll()
            sensor.cleanup()
        self.written.write(repr(service.dispatched))

    def _given(self, name, incident_id):
        given = {}
        for parameter, schema in DOCUMENTS[name]["parameters"].items():
            if parameter in ("function", "timeout", "who"):
                continue
            if parameter == "incident_id":
                given[parameter] = incident_id
            elif schema.get("required"):
                given[parameter] = (schema.get("enum") or [GIVEN.get(parameter, "x")])[0]
            elif parameter == "matchers":
                given[parameter] = GIVEN[parameter]
        return given

    def raised(self):
        """What goes wrong without the door between, as its words and its traceback."""
        for work in (
            lambda: telling.deliver(self.ctx),
            lambda: silences_by_hand.silence_list(self.ctx),
            lambda: silences_by_hand.silence_create(self.ctx, GIVEN["matchers"]),
        ):
            try:
                self.written.write(repr(work()))
            except SelfhealError:
                self.written.write(traceback.format_exc())

    def everything(self):
        """All that was written, with the database."""
        connection = sqlite3.connect(str(self.path))
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = [self.written.getvalue()]
        for (table,) in tables.fetchall():
            found += [repr(row) for row in connection.execute('SELECT * FROM "%s"' % table)]
        connection.close()
        return "\n".join(found)

    def stop(self):
        self._close()


@pytest.fixture
def systems(tmp_path, receiver):
    with stub_servicenow.Stub() as servicenow, stub_jira.Stub() as jira:
        with stub_slack.Stub() as slack, stub_pagerduty.Stub() as pagerduty:
            with mail_server.Server() as mail, Alertmanager(tmp_path / "am") as alertmanager:
                yield {
                    "servicenow": servicenow, "jira": jira, "slack": slack,
                    "pagerduty": pagerduty, "mail": mail, "alertmanager": alertmanager,
                    "webhook": receiver,
                }


def sections(systems, echo=None):
    """The configuration that reaches all of them, or with `echo` that in place of each."""
    away = "http://127.0.0.1:9"
    url = echo.url if echo else ""
    slack = systems["slack"]
    return {
        "alertmanager": {
            "url": url or systems["alertmanager"].url, "token": "alertmanager-t0ken-9f3b",
        },
        "prometheus": {
            "url": url or away, "username": "prom", "password": 'prometheus "p4ss" & wörd',
        },
        "elasticsearch": {"url": url or away, "api_key": "elastic-k3y-5d21=="},
        "servicenow": dict(systems["servicenow"].oauth("password"), **_at("instance", url)),
        "jira": dict(systems["jira"].settings(), **_at("url", url)),
        "notify": {
            "webhook": {
                "url": url or systems["webhook"].url + "/hook?api_token=webhook-in-url-77aa",
                "token": "webhook-t0ken-1c4e",
                "headers": {"X-Api-Key": "webhook-h3ader-88"},
            },
            "slack": {
                "bot": slack.by_token(**_at("api_url", url)),
                "hook": {"webhook_url": url + stub_slack.HOOK} if url else slack.by_webhook(),
            },
            "pagerduty": systems["pagerduty"].settings(**_at("url", url)),
            "email": systems["mail"].settings(),
        },
        "tickets": {"open_for": ["all"]},
        "safety": {"silence_while_fixing": True, **scenes.UNBOUNDED["safety"]},
    }


def _at(name, url):
    return {name: url} if url else {}


def with_wrong_secrets(value, name=""):
    """The same configuration with credentials that nobody knows."""
    if isinstance(value, dict):
        return {key: with_wrong_secrets(one, key) for key, one in value.items()}
    if name in ("password", "token", "api_key", "client_secret", "routing_key"):
        return "wr0ng-%s-%s" % (name, "0123456789abcdef0123456789"[:26 - len(name)])
    return value


@pytest.fixture
def logged():
    """Everything that anybody logs, as a file would have it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    handler.addFilter(lambda record: not record.name.startswith("mail."))  # the server's own
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.setLevel(before)
    root.removeHandler(handler)


def leaks(world, systems, logged):
    """[(what is secret, where it stands)]."""
    secrets = {one for one in world.ctx.config.secrets() if len(one) >= SHORTEST}
    secrets |= set(systems["servicenow"].tokens) | {stub_slack.HOOK.rpartition("/")[2]}
    assert len(secrets) > 10
    places = {"results and the store": world.everything(), "logs": logged.getvalue()}
    found = []
    for secret in sorted(secrets):
        spelled = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        for place, text in places.items():
            for one in spelled:
                if one in text:
                    at = text.index(one)
                    found.append((secret, place, text[max(0, at - 200):at + 60]))
    return found


def misplaced(systems, config_secrets):
    """Bodies that hold the credential of another system."""
    found = []
    for name in ("servicenow", "jira", "slack", "pagerduty", "webhook"):
        for request in systems[name].requests:
            body = request["body"]
            text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
            for secret in config_secrets:
                is_its_own = "grant_type" in text or name == "pagerduty" and (
                    '"routing_key": "%s"' % secret in text
                )
                if secret in text and not is_its_own:
                    found.append((name, secret))
    for mail in systems["mail"].mails:
        found += [("mail", one) for one in config_secrets if one in str(mail["message"])]
    return found


def lived(world, systems, logged):
    """Live through it; what leaked, and how many letters were carried."""
    try:
        world.live()
        world.raised()
        sent = world.ctx.store.query(
            "SELECT DISTINCT channel FROM outbox WHERE status = ?", (letters.SENT,)
        )
        config_secrets = [one for one in world.ctx.config.secrets() if len(one) >= SHORTEST]
        return (
            leaks(world, systems, logged) + misplaced(systems, config_secrets),
            {row["channel"] for row in sent},
        )
    finally:
        world.stop()


def test_where_all_is_well(tmp_path, systems, logged):
    world = World(tmp_path, sections(systems))
    found, channels = lived(world, systems, logged)
    assert found == []
    assert channels >= {
        "alertmanager:default", "email:default", "pagerduty:default", "slack:bot", "slack:hook",
        "webhook", "ticket:servicenow.default", "ticket:jira.default",
    }
    assert "selfheal" in logged.getvalue()


def test_where_nobody_lets_us_in(tmp_path, systems, logged):
    world = World(tmp_path, with_wrong_secrets(sections(systems)))
    found, channels = lived(world, systems, logged)
    assert found == [] and not channels & {"pagerduty:default", "ticket:jira.default"}


@pytest.mark.parametrize("kind", ["500", "drop_after"])
def test_where_servers_fail(tmp_path, systems, logged, kind):
    for name in ("servicenow", "jira"):
        systems[name].chance = lambda request: kind
    for name in ("slack", "pagerduty"):
        systems[name].fail_next(kind, 1000)
    systems["webhook"].answers = [(500, {}, b"no")]
    world = World(tmp_path, sections(systems))
    found, channels = lived(world, systems, logged)
    assert found == [] and "alertmanager:default" in channels


@pytest.mark.parametrize("status", [400, 401, 500])
def test_where_servers_repeat_what_we_sent(tmp_path, systems, logged, status):
    with Echo(status) as echo:
        world = World(tmp_path, sections(systems, echo))
        found, _ = lived(world, systems, logged)
        assert found == [] and len(echo.requests) > 20


def test_the_search_finds_what_is_there(tmp_path, systems, logged):
    world = World(tmp_path, sections(systems))
    world.written.write("the token is webhook-t0ken-1c4e")
    world.ctx.log.info("elastic-k3y-5d21==")
    found = [(secret, place) for secret, place, _ in leaks(world, systems, logged)]
    world.stop()
    assert found == [
        ("elastic-k3y-5d21==", "logs"), ("webhook-t0ken-1c4e", "results and the store"),
    ]
