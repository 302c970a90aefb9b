"""Bodies of any JSON: usable or a typed error, and a bad alert never costs its neighbour."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import InvalidInput
from selfheal.intake.alertmanager import Reading, parse_body
from selfheal.store import dump
from tests import alert_scene
from tests.alert_scene import alert, body

READING = Reading(now=alert_scene.NOW)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def one(raw, reading=READING):
    parsed = parse_body(body(raw), reading)
    assert not parsed.rejected
    return parsed.signals[0]


@pytest.mark.parametrize("name", sorted(alert_scene.real_bodies()))
def test_real_bodies_are_read_whole_and_unmarked(name):
    raw = alert_scene.real_bodies()[name]
    parsed = parse_body(raw, READING)
    assert [s.fingerprint for s in parsed.signals] == [a["fingerprint"] for a in raw["alerts"]]
    assert [s.labels for s in parsed.signals] == [a["labels"] for a in raw["alerts"]]
    assert [s.status for s in parsed.signals] == [a["status"] for a in raw["alerts"]]
    assert all(s.marks == () for s in parsed.signals) and parsed.rejected == []
    assert parsed.truncated == raw["truncatedAlerts"]


@pytest.mark.parametrize(
    "raw, words",
    [
        (None, "missing or null"),
        ([], "a list"),
        ("text", "the text"),
        (5, "5"),
        ({}, "no list `alerts`"),
        ({"alerts": None}, "no list `alerts`"),
        ({"alerts": {"labels": {}}}, "an object"),
        ({"alerts": "firing"}, "no list `alerts`"),
        ({"version": "3", "alerts": []}, "version '3'"),
        ({"version": ["4"], "alerts": []}, "version"),
    ],
)
def test_unusable_body_says_what_came_instead(raw, words):
    with pytest.raises(InvalidInput) as error:
        parse_body(raw, READING)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        5,
        "x",
        [],
        {},
        {"labels": None},
        {"labels": []},
        {"labels": {}},
        {"labels": "a"},
        {"labels": {"alertname": None}},
    ],
)
def test_bad_alert_is_rejected_with_its_reason_and_its_neighbours_stay(bad):
    parsed = parse_body(body(alert("A"), bad, alert("B")), READING)
    assert [s.alert_name for s in parsed.signals] == ["A", "B"]
    assert len(parsed.rejected) == 1 and "alert" in parsed.rejected[0][0]


@pytest.mark.parametrize("sent", [None, "", 5, "zz", "0000000000000000", ["a"]])
def test_missing_or_wrong_fingerprint_is_computed_and_marked(sent):
    raw = alert("A", instance="i")
    right, raw["fingerprint"] = raw["fingerprint"], sent
    found = one(raw)
    assert found.fingerprint == right and "fingerprint" in found.marks[0]


@pytest.mark.parametrize(
    "sent", [None, "", 5, "yesterday", "0001-01-01T00:00:00Z", "9999-01-01T00:00:00Z", {}]
)
def test_missing_or_bad_start_becomes_the_time_it_came_and_is_marked(sent):
    raw = alert("A")
    raw["startsAt"] = sent
    found = one(raw)
    assert found.starts_at == "2026-11-21T22:00:00.000Z" and found.marks == (
        "startsAt set to the time it came",
    )


@pytest.mark.parametrize(
    "status, ends, expected",
    [
        (None, -5, "resolved"),
        (None, 5, "firing"),
        ("suppressed", -5, "resolved"),
        (7, None, "firing"),
    ],
)
def test_unknown_status_is_derived_from_the_end(status, ends, expected):
    raw = alert("A", ends=ends)
    raw["status"] = status
    found = one(raw)
    assert found.status == expected and found.marks == ("status derived from endsAt",)
    assert (found.ends_at is None) == (expected == "firing")


@pytest.mark.parametrize(
    "name, severity",
    [
        ("critical", "critical"),
        ("page", "critical"),
        ("", "warning"),
        ("x", "warning"),
        ("INFO", "info"),
        ("none", "info"),
    ],
)
def test_severity_is_mapped(name, severity):
    assert one(alert("A", severity=name)).severity == severity


def test_values_that_are_no_text_become_text():
    raw = alert("A")
    raw["labels"].update(port=80, up=True, list=[1], gone=None)
    assert {k: v for k, v in one(raw).labels.items() if k in ("port", "up", "list", "gone")} == {
        "port": "80",
        "up": "true",
        "list": "[1]",
    }


def test_updated_at_counts_only_in_an_answer_of_the_api():
    raw = dict(alert("A"), updatedAt="2026-11-21T21:59:59.000Z")
    assert one(raw).updated_at is None
    assert (
        one(raw, Reading(now=alert_scene.NOW, is_answer=True)).updated_at ==
        "2026-11-21T21:59:59.000Z"
    )


def test_ten_thousand_labels_are_cut_and_marked_and_the_alert_stays_itself():
    raw = alert("A", namespace="prod", **{"label_%05d" % n: "v" * 40 for n in range(10000)})
    found = one(raw)
    assert found.fingerprint == raw["fingerprint"]
    assert found.labels["alertname"] == "A" and found.labels["namespace"] == "prod"
    assert len(dump(found.labels)) < 350_000 and found.labels["…"].startswith("cut to 262144 bytes")
    assert found.marks == ("labels cut to 262144 bytes",)


def test_a_megabyte_of_annotation_is_cut_and_marked_and_the_short_ones_stay():
    texts = {"summary": "short", "description": "é" * 1_000_000, "runbook_url": "http://x"}
    found = one(alert("A", annotations=texts))
    assert found.annotations["summary"] == "short"
    assert found.annotations["runbook_url"] == "http://x"
    assert found.annotations["description"].startswith("é")
    assert found.annotations["description"].endswith("characters]")
    assert len(found.annotations["description"].encode("utf-8")) <= 262144
    assert found.marks == ("annotations cut to 262144 bytes",) and found.title == "short"


def test_nul_and_lone_surrogates_stay_in_labels_and_leave_plain_columns():
    hostile = "a\x00b\ud800c\x1b[31m"
    found = one(
        alert(
            hostile,
            annotations={hostile: hostile},
            pod=hostile,
            namespace=hostile,
            instance=hostile,
            service=hostile,
            cluster=hostile,
        )
    )
    assert found.labels["pod"] == hostile and found.annotations[hostile] == hostile
    for value in (
        found.alert_name,
        found.title,
        found.namespace,
        found.workload or "",
        found.instance,
        found.service,
        found.cluster,
        *found.grouping.values(),
    ):
        value.encode("utf-8")
        assert "\x00" not in value and "\x1b" not in value


def test_deeply_nested_alert_costs_nobody_else():
    deep = "x"
    for _ in range(900):
        deep = [deep]
    parsed = parse_body(
        body(alert("A"), {"labels": {"alertname": "B", "deep": deep}}, deep, alert("C")), READING
    )
    assert [s.alert_name for s in parsed.signals if s.alert_name != "B"] == ["A", "C"]
    assert len(parsed.signals) + len(parsed.rejected) == 4


def _parsed(raw):
    """What is read, and the processor seconds that it took."""
    began = time.process_time()
    return parse_body(raw, READING), time.process_time() - began


def test_fifty_megabytes_are_read_and_cost_grows_no_faster_than_the_body():
    many = body(
        *[alert("A", annotations={"summary": "x" * 600}, number=str(n)) for n in range(60_000)]
    )
    assert len(json.dumps(many)) > 50_000_000
    whole, whole_s = _parsed(many)
    assert len(whole.signals) == 60_000
    _, tenth_s = _parsed(dict(many, alerts=many["alerts"][:6_000]))
    assert whole_s < 40 * tenth_s


def test_fifty_megabytes_of_one_annotation_are_cut():
    single = body(alert("A", annotations={"summary": "x" * 50_000_000}), alert("B"))
    first, second = parse_body(single, READING).signals
    assert len(first.annotations["summary"]) <= 262144 and second.alert_name == "B"


@given(anything)
def test_any_json_is_a_typed_error_or_signals(raw):
    try:
        parse_body(raw, READING)
    except InvalidInput:
        pass


FIELDS = (
    "labels",
    "annotations",
    "status",
    "startsAt",
    "endsAt",
    "fingerprint",
    "generatorURL",
    "updatedAt",
)


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), anything), max_size=4))
def test_any_alerts_leave_their_good_neighbours(raws):
    parsed = parse_body(
        body(alert("First"), *raws, alert("Last")), Reading(now=alert_scene.NOW, is_answer=True)
    )
    assert parsed.signals[0].alert_name == "First" and parsed.signals[-1].alert_name == "Last"
    assert len(parsed.signals) + len(parsed.rejected) == len(raws) + 2
    for found in parsed.signals:
        dump(found.labels)
        "".join((found.title, found.alert_name, found.generator_url, found.group_key)).encode(
            "utf-8"
        )
