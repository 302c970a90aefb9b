"""Errors of logs from the search and from a file to the closed incident, with text in every field
that wants to be evaluated: it stays text on the whole road.
"""

from __future__ import annotations

import datetime
import json
import threading
import time

import pytest

from selfheal.text import neutralise, printable
from tests.apis.stub_elasticsearch import Stub
from tests.e2e.test_hostile_text import PRODUCT, hostile_texts
from tests.e2e.world import CANARY, SECRET, World
from tests.workflows import hostile

SENSOR = "ElkErrorSensor"
THRESHOLD = 5
PARTS = ("config_context", "7919*7907", "DROP TABLE", "$(reboot)", "st2kv", "pwned")
NAMES = ("namespace", "pod", "container", "node")


def texts(directory):
    """What to put into every field: all at once, and those that harm by standing alone."""
    every = hostile_texts(directory)
    return [" ".join(every), hostile.CANARY, every[0], every[5]]


def documents(number, text):
    """As many as make an incident, with the text in every place, keys included."""
    now = time.time()
    source = {
        "message": "writing order %d failed: %s" % (number, text),
        "level": text,
        "host": {"name": text, text: text},
        "service": {"name": text},
        "process": {"name": text},
        "orchestrator": {"cluster": {"name": text}},
        "kubernetes": {
            **{name: {"name": text} for name in NAMES},
            "labels": {"app": text, text: text},
        },
        "error": {"type": text, "message": text, "stack_trace": "%s\n\tat %s" % (text, text)},
        "event": {"original": text},
        "tags": [text],
        text: {text: [text, {text: text}]},
    }
    for step in range(THRESHOLD):
        at = now - 1 + step / 10.0
        moment = datetime.datetime.fromtimestamp(at, datetime.timezone.utc)
        yield int(at * 1000), dict(source, **{"@timestamp": moment.isoformat()})


def log_lines(number, text):
    """The same as lines of a log file: plain, and as JSON."""
    for _ in range(THRESHOLD):
        yield "ERROR shop: order %d failed: %s" % (number, " ".join(text.split()))
    record = {"level": "error", "msg": "charging %d failed" % number, "logger": text, text: text}
    for _ in range(THRESHOLD):
        yield json.dumps(record)


class Looking(threading.Thread):
    """The sensor, look after look, as it goes on while responses verify."""

    def __init__(self, engine):
        super().__init__(daemon=True)
        self._engine = engine
        self._is_over = threading.Event()
        self.codes = []

    def run(self):
        while not self._is_over.is_set():
            self.codes.append(self._engine.run_sensor_once(SENSOR))

    def stop(self):
        self._is_over.set()
        self.join()


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory):
    """(world, the triggers that were injected) after all was answered."""
    directory = tmp_path_factory.mktemp("elk_road")
    log = directory / "shop.log"
    log.touch()
    (directory / "ok").touch()
    injected = []

    def hear(event):
        if event.kind == "trigger_injected":
            injected.append((event.data["trigger"], event.data["payload"]))

    with Stub() as stub, World(directory, on_event=hear) as world:
        world.configure(
            {
                "elasticsearch": {"url": stub.url},
                "log_files": {"paths": [str(directory / "*.log")]},
                "safety": {"max_responses_per_batch": 100},
                "resolver": {"verify_timeout": 600, "verify_interval": 1},
            }
        )
        world.write_runbook("Hostile", runbook(world))
        assert world.engine.run_sensor_once(SENSOR) == 0
        every = texts(directory)
        stub.documents = sorted(
            (one for number, text in enumerate(every) for one in documents(number, text)),
            key=lambda one: one[0],
        )
        with open(str(log), "a", encoding="utf-8", errors="surrogatepass") as lines:
            for text in (hostile.CANARY, every[0].replace("\x00", "")):
                lines.writelines(line + "\n" for line in log_lines(7, text))
            lines.write("ok\n")
        sensor = Looking(world.engine)
        sensor.start()
        try:
            world.wait_for(lambda: len(world.incidents()) >= len(every) + 3)
            world.wait_for(lambda: not any(one.status == "open" for one in world.incidents()))
            world.settle()
        finally:
            sensor.stop()
        assert set(sensor.codes) == {0}
        yield world, injected


def runbook(world):
    """One that writes what it was given, and asks whether the errors have stopped."""
    return {
        "name": "hostile",
        "metadata": {"alert_type": "*Errors"},
        "risk": "reversible",
        "confidence": 0.95,
        "values": {"INCIDENT": "incident.id", "FINGERPRINT": "labels.fingerprint"},
        "steps": [
            {
                "name": "write",
                "command": {
                    "script": 'printf %%s "$FINGERPRINT" > %s/got-$INCIDENT' % world.directory,
                    "interpreter": ["/bin/sh"],
                },
            }
        ],
        "verify": [{"alert": "resolved"}],
    }


def test_every_kind_of_error_is_one_incident_and_is_healed(aftermath):
    world, _ = aftermath
    ended = world.incidents()
    assert {one.source for one in ended} == {"elk"}
    assert {one.status for one in ended} == {"resolved"}, [one.status for one in ended]
    assert {one.resolution for one in ended} == {"remediated"}
    groups = world.rows("SELECT group_key FROM error_groups")
    assert len(ended) == len(groups)
    for one in ended:
        got = (world.directory / ("got-%s" % one.id)).read_text()
        assert got == one.labels["fingerprint"]
    assert {run.status for run in world.runs("incident_response")} == {"succeeded"}


def test_it_was_verified_by_reading_the_logs_on(aftermath):
    world, _ = aftermath
    for one in world.incidents():
        shown = world.act("incident_timeline", incident_id=one.id)
        [verified] = [entry for entry in shown["entries"] if entry["kind"] == "verified"]
        [check] = verified["data"]["checks"]
        assert check["asked"].startswith("the logs, for a further error of v1:")
        assert check["answer"].startswith("none since ")


def test_text_is_in_the_store_as_it_came(aftermath):
    world, _ = aftermath
    messages = {row["message"] for row in world.rows("SELECT message FROM error_logs")}
    for number, text in enumerate(texts(world.directory)):
        wanted = printable("writing order %d failed: %s" % (number, text))
        assert any(_same(message, wanted) for message in messages), (wanted, messages)


def _same(message, wanted):
    """Up to the first control sign: colours are taken off a message, and white space is its own."""
    plain = "".join(wanted.partition("\u241b")[0].split())[:300]
    return "".join(message.split()).startswith(plain)


def test_nothing_was_evaluated(aftermath):
    world, injected = aftermath
    shown = [one.as_json() for one in world.engine.executions()]
    kept = json.dumps(shown, default=str) + json.dumps(world.outside.messages)
    kept += json.dumps(injected, default=str)
    for table in ("incident_events", "incidents", "alerts", "error_logs", "error_patterns"):
        kept += json.dumps(world.rows("SELECT * FROM %s" % table), default=str)
    assert [word for word in (SECRET, CANARY, PRODUCT) if word in kept] == []
    assert not (world.directory / "pwned").exists()


def test_the_trigger_says_what_rules_may_choose_by_and_is_harmless(aftermath):
    world, injected = aftermath
    payloads = [payload for trigger, payload in injected if trigger == "selfheal.elk_error"]
    assert sorted(one["incident_id"] for one in payloads) == sorted(
        one.id for one in world.incidents()
    )
    for payload in payloads:
        assert payload == neutralise(payload)
        assert payload["count"] >= THRESHOLD and len(payload["sample"]) <= 600
        assert payload["fingerprint"].startswith("v1:") and payload["type"]
    assert any("config_context" in payload["sample"] for payload in payloads)


def test_only_ids_and_words_were_given_to_tasks(aftermath):
    world, _ = aftermath
    for execution in world.engine.executions():
        given = json.dumps(dict(execution.parameters), default=str, ensure_ascii=False)
        assert not [part for part in PARTS if part in given], execution.action_ref
