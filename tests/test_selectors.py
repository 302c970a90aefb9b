"""Nothing, nonsense and wildcards never mean everything: every parameter of every action that names
what the action works on, given what names nothing or too much.
"""

from __future__ import annotations

import logging
from pathlib import Path

import jsonschema
import pytest
import yaml

from selfheal import door
from tests import scene
from tests.selector_table import (
    GIVEN,
    HOSTILE,
    NO_SELECTORS,
    OTHER_PATTERN,
    PATTERN,
    SELECTORS,
    WORDS,
)

ACTIONS = Path(__file__).resolve().parent.parent / "actions"
DOCUMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in ACTIONS.glob("*.yaml")}
TYPED = {"InvalidInput", "NotFound"}
ADVICE = ("give ", "; ", ": ", "such as", "must be", "as they were")


WORKFLOWS = {name for name, one in DOCUMENTS.items() if one["runner_type"] == "orquesta"}
CASES = [
    pytest.param(action, parameter, harmless, id="%s-%s" % (action, parameter))
    for action, parameters in sorted(SELECTORS.items())
    for parameter, harmless in parameters.items()
    if action not in WORKFLOWS
]


@pytest.fixture
def ctx(tmp_path, monkeypatch):
    """A store with two of everything that could be meant."""
    made = scene.context(scene.store_url("sqlite", tmp_path))
    store, now = made.store, made.store.now()
    for number in (1, 2):
        incident = scene.incident(store, "inc-%d" % number)
        scene.execution(store, "exe-%d" % number, incident)
        scene.approval(store, "apr-%d" % number, incident, run_id="run-%d" % number)
        store.insert("pauses", {
            "scope": '["namespace","","shop-%d"]' % number, "words": "namespace=shop-%d" % number,
            "paused_by": "ann", "reason": "", "since": now, "until": None, "stops_running": 0,
        })
    for name, key in (("prometheus", "service-1"), ("alertmanager", "service-2")):
        store.insert("circuit_breakers", {
            "key": key, "kind": "service", "name": name, "state": "closed", "data": "{}",
            "version": 1, "updated_at": now,
        })
    for fingerprint in (PATTERN, OTHER_PATTERN):
        store.insert("error_patterns", {
            "fingerprint": fingerprint, "template": "no", "sample": "no", "error_type": "system",
            "severity": "error", "rule": "r", "occurrences": 1, "first_seen_at": now,
            "last_seen_at": now,
        })
    monkeypatch.setattr(made, "close", lambda: None)  # the door closes what it is given
    yield made
    store.close()


def everything_in(store):
    tables = store.query("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {one["name"]: store.query('SELECT * FROM "%s"' % one["name"]) for one in tables}


def hostile(harmless, parameter):
    for name, value in HOSTILE.items():
        if name in harmless or (parameter.endswith("_id") and name in WORDS):
            continue
        yield name, value
    if "missing" not in harmless:
        yield "missing", KeyError


@pytest.mark.parametrize(("action", "parameter", "harmless"), CASES)
def test_what_names_nothing_or_too_much_is_an_error(ctx, action, parameter, harmless):
    function = DOCUMENTS[action]["parameters"]["function"]
    logging.disable(logging.CRITICAL)
    wrong = []
    before = everything_in(ctx.store)
    required = {
        name for name, one in DOCUMENTS[action]["parameters"].items() if one.get("required")
    }
    base = GIVEN.get(action, {"incident_id": "inc-1"} if "incident_id" in required else {})
    try:
        for name, value in hostile(harmless, parameter):
            given = {**base, parameter: value}
            if value is KeyError:
                del given[parameter]
            ok, told = door.call(function["default"], given, context=ctx)
            if ok or told["error_type"] not in TYPED:
                wrong.append((name, told))
            elif not any(sign in told["error"] for sign in ADVICE) or len(told["error"]) > 600:
                wrong.append((name, "no advice", told))
            assert everything_in(ctx.store) == before, (name, told)
    finally:
        logging.disable(logging.NOTSET)
    assert wrong == []


@pytest.mark.parametrize("action", sorted(WORKFLOWS))
def test_a_workflow_is_not_begun(action):
    """StackStorm checks a workflow's parameters before it begins; no code of ours could."""
    for parameter, harmless in SELECTORS[action].items():
        schema = DOCUMENTS[action]["parameters"][parameter]
        for _, value in hostile(harmless, parameter):
            if value is KeyError:
                assert schema["required"] is True
                continue
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(value, {key: schema[key] for key in ("type", "pattern")})


def test_every_parameter_is_known_to_name_something_or_not():
    known = {
        (action, parameter)
        for table in (SELECTORS, NO_SELECTORS)
        for action, parameters in table.items()
        for parameter in parameters
    }
    counted = sum(len(row) for table in (SELECTORS, NO_SELECTORS) for row in table.values())
    assert len(known) == counted, "a parameter is in both tables"
    there_are = {
        (action, parameter)
        for action, document in DOCUMENTS.items()
        for parameter, schema in document["parameters"].items()
        if parameter not in ("function", "timeout") and
        schema.get("type") not in ("integer", "number", "boolean")
    }
    assert there_are - known == set(), "say in SELECTORS or NO_SELECTORS what these name"
    assert known - there_are == set(), "these are no parameters any more"


def test_what_names_one_thing_is_no_error(ctx):
    """The table above would hold if everything were refused."""
    for action, given in (
        ("incident_get", {"incident_id": "inc-1"}),
        ("breaker_force", GIVEN["breaker_force"]),
        ("error_pattern_merge", GIVEN["error_pattern_merge"]),
        ("reject", {"question": "apr-1"}),
        ("pause", {"scope": "namespace=shop"}),
        ("resume", {"namespace": "shop"}),
        ("approval_asked", {"inquiry_id": "inq-9", "route": "selfheal.apr-2"}),
    ):
        function = DOCUMENTS[action]["parameters"]["function"]["default"]
        ok, told = door.call(function, given, context=ctx)
        assert ok, (action, told)
