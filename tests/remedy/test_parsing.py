"""A runbook's file is read strictly: each mistake is an error that says where it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import InvalidInput
from selfheal.remedy import parsing
from selfheal.remedy.model import ApiCall, Command, Condition, Reference, Runbook, Wait
from tests.remedy import scenes


def parsed(text_or_document) -> Runbook:
    text = text_or_document
    if not isinstance(text, (str, bytes)):
        text = json.dumps(text, ensure_ascii=False)  # YAML knows no surrogate pairs
    return parsing.parse(text.encode("utf-8") if isinstance(text, str) else text, "/some/book.yaml")


def said_of(document) -> str:
    with pytest.raises(InvalidInput) as caught:
        parsed(document)
    return str(caught.value)


def with_step(**step) -> dict:
    return scenes.runbook(steps=[{"name": "one", **step}])


FULL = """
name: full
description: all of it
metadata:
  alert_type: [ServiceDown, "Shop*"]
  severity: [critical, error]
  labels: {service: shop}
risk: disruptive
confidence: 0.8
timeout_s: 60
values:
  SERVICE: labels.service
  SUMMARY: annotations.summary
  NS: incident.namespace
  OLD: steps.look.stdout
steps:
  - name: look
    command: {argv: [systemctl, is-active, shop]}
    expect_exit: [0, 3]
    timeout_s: 5
  - name: is it down
    condition: {value: steps.look.exit_code, is: equals, to: 3}
    otherwise: stop
  - name: restart
    command: {script: 'echo "$SERVICE"', interpreter: [/bin/sh, -e]}
    undo: {command: {argv: [systemctl, stop, shop]}, timeout_s: 9}
  - name: tell
    api_call:
      method: POST
      url: "http://127.0.0.1:1/x"
      json: {a: 1}
      headers: {X-A: b}
      expect_status: [200, 202]
    undo: {api_call: {method: DELETE, url: "http://127.0.0.1:1/x"}}
  - name: settle
    wait: {seconds: 2}
  - name: healthy
    wait: {until: {http: {url: "http://127.0.0.1:1/health", status: 204}}, timeout_s: 30}
verify:
  - alert: resolved
  - http: {url: "http://127.0.0.1:1/health", contains: ok}
  - prometheus: {query: up, expect: {ge: 1}}
"""


def test_everything_a_runbook_may_say_is_understood():
    book = parsed(FULL)
    assert (book.name, book.risk, book.confidence, book.timeout_s) == (
        "full",
        "disruptive",
        0.8,
        60.0,
    )
    assert book.alert_types == ("ServiceDown", "Shop*")
    assert dict(book.values)["OLD"] == Reference(("steps", "look", "stdout"))
    assert [step.kind for step in book.steps] == [
        "command",
        "condition",
        "command",
        "api_call",
        "wait",
        "wait",
    ]
    assert book.steps[0].expect_exit == (0, 3)
    assert book.steps[1].act == Condition(
        Reference(("steps", "look", "exit_code")), "equals", "3", "stop"
    )
    assert book.steps[2].act == Command(script='echo "$SERVICE"', interpreter=("/bin/sh", "-e"))
    assert book.steps[2].undo.act == Command(argv=("systemctl", "stop", "shop"))
    assert book.steps[3].act == ApiCall(
        "POST", "http://127.0.0.1:1/x", {"a": 1}, (("X-A", "b"),), (200, 202)
    )
    assert book.steps[5].act == Wait(url="http://127.0.0.1:1/health", status=204, timeout_s=30.0)
    assert len(book.verify) == 3


def test_defaults_are_a_cautious_confidence_and_the_alert_itself():
    book = parsed(scenes.runbook(confidence=None))
    assert book.confidence == 0.5
    assert book.verify == ({"alert": "resolved"},)


def test_the_digest_changes_with_every_byte_of_the_file():
    assert parsed(FULL).digest != parsed(FULL + " ").digest


@pytest.mark.parametrize(
    "document, words",
    [
        ([], "the file must be a map"),
        (scenes.runbook(extra=1), "unknown key extra"),
        (scenes.runbook(risk=None), "lacks risk"),
        (scenes.runbook(risk="harmless"), "risk must be one of"),
        (scenes.runbook(name="a b"), "name must be"),
        (scenes.runbook(name="../x"), "name must be"),
        (scenes.runbook(confidence=2), "confidence must be a number from 0 to 1"),
        (scenes.runbook(confidence=True), "confidence must be a number from 0 to 1"),
        (scenes.runbook(timeout_s=0), "timeout_s must be a positive number"),
        (scenes.runbook(timeout_s=float("inf")), "timeout_s must be a positive number"),
        (scenes.runbook(steps=[]), "at least one step"),
        (scenes.runbook(metadata={"alert_type": "*"}), "matches every alert"),
        (scenes.runbook(metadata={"alert_type": "[!_]*"}), "matches every alert"),
        (scenes.runbook(metadata={"alert_type": "[A-Za-z]?*"}), "matches every alert"),
        (
            scenes.runbook(metadata={"alert_type": "*", "labels": {"job": "[!]]*"}}),
            "matches every alert",
        ),
        (scenes.runbook(metadata={"alert_type": []}), "metadata.alert_type"),
        (scenes.runbook(metadata={"alert_type": "A", "severity": "page"}), "metadata.severity"),
        (
            scenes.runbook(metadata={"alert_type": "A", "team": "x"}),
            "metadata has the unknown key team",
        ),
        (
            scenes.runbook(values={"service": "labels.service"}),
            "not the name of an environment variable",
        ),
        (scenes.runbook(values={"PATH": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"LD_PRELOAD": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"BASH_ENV": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"HTTPS_PROXY": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"KUBECONFIG": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"ANSIBLE_CONFIG": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"PGHOST": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"_JAVA_OPTIONS": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"KAFKA_OPTS": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"RABBITMQ_CTL_ERL_ARGS": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"VAULT_ADDR": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"SHELLOPTS": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"DBUS_SYSTEM_BUS_ADDRESS": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"CONTAINER_HOST": "labels.service"}), "steers programs"),
        (scenes.runbook(values={"A": "label.service"}), "values.A"),
        (scenes.runbook(values={"A": "incident.plan"}), "values.A"),
        (scenes.runbook(values={"A": "steps.nowhere.stdout"}), "an earlier step"),
        (scenes.runbook(verify=[]), "verify must be a list"),
        (
            scenes.runbook(verify=[{"http": {"url": "file:///etc/passwd"}}]),
            "url must start with http",
        ),
        (
            scenes.runbook(verify=[{"prometheus": {"query": "up", "expect": {"near": 1}}}]),
            "one comparison",
        ),
        (scenes.runbook(verify=[{"alert": "gone"}]), "resolved"),
        (with_step(), "exactly one of"),
        (with_step(command={"argv": ["a"]}, wait={"seconds": 1}), "exactly one of"),
        (with_step(command={"argv": []}), "command.argv must be a list of at least"),
        (with_step(command={"argv": [" "]}), "begin with the program's name"),
        (with_step(command={"argv": "rm -rf /"}), "command.argv must be a list"),
        (with_step(command={"argv": ["sleep", 1]}), "command.argv must be text"),
        (with_step(command={"argv": ["a"], "shell": True}), "unknown key shell"),
        (with_step(command={"script": "true"}), "needs an interpreter"),
        (with_step(command={"script": " ", "interpreter": ["/bin/sh"]}), "is empty"),
        (with_step(command={"argv": ["a"]}, retries=3), "unknown key retries"),
        (with_step(command={"argv": ["a"]}, expect_exit=[256]), "expect_exit"),
        (with_step(command={"argv": ["a"]}, expect_exit=[]), "expect_exit"),
        (with_step(command={"argv": ["a"]}, undo={}), "undo must have either"),
        (with_step(wait={"seconds": 1}, undo={"command": {"argv": ["a"]}}), "unknown key undo"),
        (with_step(wait={}), "wait must have either"),
        (with_step(wait={"seconds": -1}), "wait.seconds"),
        (with_step(api_call={"method": "GET", "url": "gopher://x"}), "api_call.url"),
        (with_step(api_call={"method": "EXEC", "url": "http://x"}), "api_call.method"),
        (with_step(condition={"value": "labels.a", "is": "matches", "to": "x"}), "condition.is"),
        (with_step(condition={"value": "labels.a", "is": "equals"}), "needs `to`"),
        (with_step(condition={"value": "labels.a", "is": "empty", "to": "x"}), "takes no `to`"),
        (
            with_step(condition={"value": "labels.a", "is": "less_than", "to": "x"}),
            "must be a number",
        ),
        (
            with_step(
                condition={"value": "labels.a", "is": "equals", "to": "x"}, otherwise="go on"
            ),
            "otherwise",
        ),
        (scenes.runbook(steps=[{"name": "a", "command": {"argv": ["a"]}}] * 2), "names are unique"),
    ],
)
def test_a_mistake_is_named(document, words):
    said = said_of(document)
    assert said.startswith("runbook /some/book.yaml: ")
    assert words in said


def test_an_error_in_a_step_names_the_step():
    steps = [{"name": "good", "command": {"argv": ["a"]}}, {"name": "bad", "command": {"argv": []}}]
    assert "step 2 (bad): " in said_of(scenes.runbook(steps=steps))


@pytest.mark.parametrize(
    "text, words",
    [
        ("name: a\nname: b\n", "written twice (line 2)"),
        (FULL.replace("timeout_s: 5", "timeout_s: 5\n    timeout_s: 6"), "written twice"),
        (FULL.replace("shop]}", "'{{ labels.service }}']}"), "runbooks have no templates"),
        ("a: [", "not YAML that can be read"),
        ("!!python/object/apply:os.system ['true']", "not YAML that can be read"),
        ("a: " + "x" * 300000, "bytes long"),
        (b"\xff\xfe", "not YAML that can be read"),
        ("", "must be a map"),
    ],
)
def test_a_file_that_is_no_runbook_is_refused_with_the_reason(text, words):
    assert words in said_of(text)


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(key=st.sampled_from(sorted(scenes.runbook())), value=JSON)
def test_whatever_stands_under_a_key_the_answer_is_a_runbook_or_a_typed_error(key, value):
    try:
        assert isinstance(parsed(scenes.runbook(**{key: value})), Runbook)
    except InvalidInput as error:
        assert "/some/book.yaml" in str(error)


@given(
    kind=st.sampled_from(["command", "api_call", "wait", "condition"]),
    key=st.sampled_from(
        [
            "argv",
            "script",
            "interpreter",
            "url",
            "method",
            "seconds",
            "until",
            "value",
            "is",
            "to",
            "json",
            "headers",
            "expect_status",
        ]
    ),
    value=JSON,
    extra=st.dictionaries(st.sampled_from(["undo", "timeout_s", "expect_exit", "otherwise"]), JSON),
)
def test_whatever_stands_in_a_step_the_answer_is_a_runbook_or_a_typed_error(
    kind, key, value, extra
):
    base = {
        "command": {"argv": ["a"]},
        "api_call": {"method": "GET", "url": "http://a"},
        "wait": {"seconds": 1},
        "condition": {"value": "labels.a", "is": "equals", "to": "x"},
    }[kind]
    try:
        assert isinstance(parsed(with_step(**{kind: {**base, key: value}}, **extra)), Runbook)
    except InvalidInput as error:
        assert "step 1 (one)" in str(error) or "template marker {{" in str(error)


@pytest.mark.parametrize("value", ["2026-01-01", ".nan", "{a: [.inf]}", "!!binary aGk="])
def test_what_json_cannot_hold_is_told_when_the_runbook_is_read(value):
    text = (
        "name: a\nmetadata: {alert_type: A}\nrisk: reversible\nsteps:\n"
        "- {name: one, api_call: {method: POST, url: 'http://a', json: %s}}\n" % value
    )
    with pytest.raises(InvalidInput, match="api_call.json cannot be written as JSON"):
        parsing.parse(text.encode("utf-8"), "/some/book.yaml")
