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

ACTIONS = Path(__file__).resolve().parent.parent / "actions"
DOCUMENTS = {path.stem: yaml.safe_load(path.read_text()) for path in ACTIONS.glob("*.yaml")}
PATTERN = "v1:" + "0123456789" * 2
OTHER_PATTERN = "v1:" + "a" * 20

# The kinds of names. What is in a set may be given all the same, since it means no more than one
# thing, or says in words what it means.
ID = frozenset()  # one incident, question, fingerprint, breaker: nothing else will do
WORDS = frozenset({"all", "ALL", "everything"})  # where any word names just what has that name
OPTIONAL = frozenset({"", "missing", "null"})  # not given: by hand, any of a list, no such filter

# action -> parameter -> what of HOSTILE is no error there.
SELECTORS = {
    "analyze_incident": {"incident_id": ID, "run_id": OPTIONAL},
    "approval_asked": {"inquiry_id": ID},
    "approval_list": {"incident_id": OPTIONAL, "status": frozenset({"missing", "null", "all"})},
    "approve": {"question": ID},
    "audit_verify": {"scope": frozenset({"all"}), "expected_seal": OPTIONAL},
    "automated_remediation": {"incident_id": ID, "run_id": OPTIONAL},
    "breaker_force": {"name": ID},
    "breaker_list": {"state": OPTIONAL, "kind": OPTIONAL},
    "breaker_reset": {"name": ID},
    "close_incident": {"incident_id": ID, "run_id": OPTIONAL},
    "create_incident_ticket": {"incident_id": ID, "run_id": OPTIONAL},
    "determine_response_strategy": {"incident_id": ID, "run_id": OPTIONAL},
    "elk_search_errors": {"target": frozenset({"missing", "null"})},
    "error_explain": {"fingerprint": ID},  # there is nothing else to explain
    "error_pattern_get": {"fingerprint": ID},
    "error_pattern_list": {"type": OPTIONAL, "severity": OPTIONAL},
    "error_pattern_merge": {"fingerprint": ID, "into": ID},
    "escalate_to_oncall": {"incident_id": ID, "run_id": OPTIONAL},
    "incident_get": {"incident_id": ID},
    "incident_list": {"status": OPTIONAL, "severity": OPTIONAL, "source": OPTIONAL | WORDS},
    "incident_response": {"incident_id": ID},
    "incident_timeline": {"incident_id": ID},
    "observe_incident": {"incident_id": ID, "run_id": OPTIONAL},
    "pause": {
        "scope": ID, "namespace": ID, "cluster": ID, "remedy": ID, "incident": ID,
    },
    "reject": {"question": ID},
    "remediate": {"incident_id": ID, "run_id": OPTIONAL},
    "report_failure": {"execution_id": OPTIONAL, "incident_id": OPTIONAL},
    "request_approval": {"incident_id": ID, "run_id": OPTIONAL},
    "resume": {
        "scope": ID, "namespace": ID, "cluster": ID, "remedy": ID, "incident": ID,
    },
    "settle_approval": {"incident_id": ID, "approval_id": ID, "run_id": OPTIONAL},
    "undo_remediation": {"incident_id": ID, "run_id": OPTIONAL},
    "verify_resolution": {"incident_id": ID, "run_id": OPTIONAL},
}

_WORDS_OF_A_PERSON = "words for those who come after; nothing is chosen by them"
_WHO = "immutable; StackStorm fills it in"
_ALERTS = "an alert that says itself what is wrong where; what is no alert is refused (test_parse)"
# Every other parameter that is no number and no yes or no: why it names nothing.
NO_SELECTORS = {
    "approval_asked": {"route": "anybody's question; what is none of ours is left alone"},
    "approve": {"comment": _WORDS_OF_A_PERSON, "who": _WHO},
    "breaker_force": {
        "state": "what to do, one of three words", "reason": _WORDS_OF_A_PERSON, "who": _WHO,
    },
    "breaker_reset": {"reason": _WORDS_OF_A_PERSON, "who": _WHO},
    "close_incident": {"resolution": "how it ended, one of three words"},
    "determine_response_strategy": {"response_level": "how to respond, one of four words"},
    "elk_search_errors": {
        "query": "narrows a search that only reads; empty adds no condition",
        "index": "an index pattern by intent, only read; empty is the configured one",
    },
    "error_explain": {"message": "the text to explain", "stack": "the text to explain"},
    "error_pattern_list": {"order": "how the list is sorted"},
    "escalate_to_oncall": {"reason": "why, one of the words of the workflow"},
    "ingest_alertmanager": {"payload": _ALERTS},
    "pause": {"reason": _WORDS_OF_A_PERSON, "who": _WHO},
    "prometheus_alert_handler": {"alert_data": _ALERTS, "response_level": "how to respond"},
    "reject": {"comment": _WORDS_OF_A_PERSON, "who": _WHO},
    "report_failure": {
        "subject": "the title of a message, whatever it says: a net that refuses nothing",
        "status": "the text of a message, whatever it says",
    },
    "resume": {"who": _WHO},
    "settle_approval": {"answer": "what was said, one of three words"},
}

HOSTILE = {
    "": "",
    "blank": " \t",
    "star": "*",
    "all": "all",
    "ALL": "ALL",
    "everything": "everything",
    "percent": "%",
    "like": "inc-%",
    "glob": "inc-?",
    "list in a text": "inc-1,inc-2",
    "SQL": "x' OR '1'='1",
    "nul": "\0",
    "name and nul": "inc-1\0",
    "very long": "x" * 100000,
    "half a character": "\ud800",
    "list": ["inc-1"],
    "empty list": [],
    "map": {"inc-1": 1},
    "number": 7,
    "truth": True,
    "null": None,
}
# Else it is refused for another reason.
GIVEN = {
    "analyze_incident": {"incident_id": "inc-1"},
    "approval_asked": {"inquiry_id": "inq-9", "route": "selfheal.apr-1"},
    "approve": {"question": "apr-1"},
    "audit_verify": {"scope": "inc-1"},
    "breaker_force": {"name": "prometheus", "state": "open", "reason": "a test"},
    "breaker_reset": {"name": "prometheus"},
    "error_pattern_get": {"fingerprint": PATTERN},
    "error_pattern_merge": {"fingerprint": PATTERN, "into": OTHER_PATTERN},
    "reject": {"question": "apr-1"},
    "report_failure": {"subject": "a test", "status": "failed"},
    "settle_approval": {"incident_id": "inc-1", "approval_id": "apr-1", "answer": "no"},
}
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
