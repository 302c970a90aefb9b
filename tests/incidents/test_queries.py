"""What people ask about incidents, and what they get."""

from __future__ import annotations

import json

import pytest

from selfheal import door
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents import model, queries, timeline
from selfheal.outbox import letters
from selfheal.store import dump
from tests import scene

HOUR = 3600.0


@pytest.fixture(params=scene.BOTH)
def ctx(request, tmp_path):
    return scene.context(scene.store_url(request.param, tmp_path))


def ids(result):
    return [entry["incident_id"] for entry in result["incidents"]]


def test_newest_first_and_no_more_than_asked(ctx):
    for number in range(5):
        scene.incident(ctx.store, "inc-%d" % number, opened_at=scene.START + number)
    assert ids(queries.incident_list(ctx)) == ["inc-4", "inc-3", "inc-2", "inc-1", "inc-0"]
    result = queries.incident_list(ctx, limit=2)
    assert ids(result) == ["inc-4", "inc-3"] and result["count"] == 2


def test_empty_store_gives_an_empty_list(ctx):
    assert queries.incident_list(ctx) == {"incidents": [], "count": 0}


def test_each_filter_narrows(ctx):
    scene.incident(ctx.store, "inc-a", severity="warning", status="escalated")
    scene.incident(ctx.store, "inc-b", source="elk")
    scene.incident(ctx.store, "inc-c", status="remediating")
    assert ids(queries.incident_list(ctx, severity="warning")) == ["inc-a"]
    assert ids(queries.incident_list(ctx, source="elk")) == ["inc-b"]
    assert ids(queries.incident_list(ctx, status="escalated")) == ["inc-a"]
    assert ids(queries.incident_list(ctx, status="active")) == ["inc-c", "inc-b"]
    assert ids(queries.incident_list(ctx, status="handed_over", severity="warning")) == ["inc-a"]
    assert ids(queries.incident_list(ctx, source="unheard-of")) == []
    with pytest.raises(InvalidInput, match="source must be the name of one"):
        queries.incident_list(ctx, source="'; DROP TABLE incidents; --")


def test_old_incidents_are_left_out_only_when_closed(ctx):
    old = scene.START - 30 * HOUR
    scene.incident(
        ctx.store, "inc-closed-long-ago", status="resolved", opened_at=old, updated_at=old
    )
    scene.incident(
        ctx.store, "inc-open-since-long", status="escalated", opened_at=old + 1, updated_at=old
    )
    scene.incident(ctx.store, "inc-closed-now", status="resolved", opened_at=old + 2)
    assert ids(queries.incident_list(ctx)) == ["inc-closed-now", "inc-open-since-long"]
    assert len(ids(queries.incident_list(ctx, hours=48))) == 3
    assert len(ids(queries.incident_list(ctx, hours=0))) == 3


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"status": "lost"}, "analyzing"),
        ({"severity": "awful"}, "critical, error, warning, info"),
        ({"limit": 0}, "from 1 to 200"),
        ({"limit": 201}, "from 1 to 200"),
        ({"limit": True}, "limit"),
        ({"hours": -1}, "hours"),
    ],
)
def test_wrong_filter_says_what_is_allowed(ctx, filters, named):
    with pytest.raises(InvalidInput, match=named):
        queries.incident_list(ctx, **filters)


def test_states_of_the_action_are_those_of_the_model():
    for name in queries.GROUPS.values():
        assert name <= model.STATUSES


def test_long_text_is_cut_in_the_list(ctx):
    scene.incident(ctx.store, title="x" * 5000, workload="y\n" * 5000)
    (entry,) = queries.incident_list(ctx)["incidents"]
    assert (
        len(entry["title"]) <= 200 and
        len(entry["workload"]) <= 200 and
        "\n" not in entry["workload"]
    )


def test_one_incident_with_all_that_belongs_to_it(ctx):
    store = ctx.store
    scene.incident(store, plan={"remedy": "runbook"}, cleared_at=scene.START + 0.25)
    scene.execution(store, verified=1)
    scene.approval(store)
    letters.post(store, "escalation", "inc-1", "key", {"text": "help"})
    store.insert(
        "alerts",
        {
            "fingerprint": "f",
            "starts_at": "2023-11-14T22:13:20Z",
            "incident_id": "inc-1",
            "status": "firing",
            "severity": "critical",
            "source": "alertmanager",
            "labels": dump({"a": "\x00\ud800"}),
            "annotations": dump({"b": "z" * 9000}),
            "generator_url": "http://g",
            "first_seen_at": scene.START,
            "last_seen_at": scene.START,
        },
    )
    store.insert(
        "undo_log",
        {
            "id": "und-1",
            "incident_id": "inc-1",
            "execution_id": "exe-1",
            "step": "drain",
            "action": dump({"x": 1}),
            "status": "pending",
            "created_at": scene.START,
            "updated_at": scene.START,
        },
    )
    store.insert(
        "undo_log",
        {
            "id": "und-2",
            "incident_id": "inc-1",
            "execution_id": "exe-1",
            "step": "call",
            "action": dump(
                {
                    "kind": "api_call",
                    "method": "POST",
                    "url": "http://x/?api_key=s3cret",
                    "headers": [["Authorization", "Bearer s3cret"]],
                }
            ),
            "status": "pending",
            "created_at": scene.START + 1,
            "updated_at": scene.START + 1,
        },
    )
    scene.execution(store, "exe-other", "inc-other")
    found = queries.incident_get(ctx, "inc-1")
    assert found["incident_id"] == "inc-1" and found["plan"] == {"remedy": "runbook"}
    assert (
        found["opened_at"] == "2023-11-14T22:13:20.000Z" and
        found["cleared_at"] == "2023-11-14T22:13:20.250Z"
    )
    assert found["resolved_at"] is None and found["held_by_a_response"] is False
    assert (
        found["alerts"][0]["labels"] == {"a": "\x00\ud800"} and
        len(found["alerts"][0]["annotations"]["b"]) <= 1000
    )
    assert [(row["execution_id"], row["verified"]) for row in found["executions"]] == [
        ("exe-1", True)
    ]
    assert found["undo"][0]["action"] == {"x": 1}
    assert found["undo"][1]["action"]["url"] == "http://x/?api_key=***"
    assert "s3cret" not in json.dumps(found)
    assert found["approvals"][0]["approval_id"] == "apr-1"
    assert found["messages"][0]["status"] == "pending"
    json.dumps(found)


def test_timeline_reads_from_the_beginning(ctx):
    scene.incident(ctx.store)
    timeline.record(ctx.store, "inc-1", "opened", "opened by one alert", {"fingerprint": "f"})
    ctx.clock.at += 1.5
    timeline.record(ctx.store, "inc-1", "note", "later")
    assert queries.incident_timeline(ctx, "inc-1") == {
        "incident_id": "inc-1",
        "status": "open",
        "entries": [
            {
                "at": "2023-11-14T22:13:20.000Z",
                "kind": "opened",
                "message": "opened by one alert",
                "data": {"fingerprint": "f"},
            },
            {"at": "2023-11-14T22:13:21.500Z", "kind": "note", "message": "later", "data": None},
        ],
    }
    assert [e["message"] for e in queries.incident_timeline(ctx, "inc-1", 1)["entries"]] == [
        "later"
    ]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_timeline_limit_is_checked(ctx, limit):
    scene.incident(ctx.store)
    with pytest.raises(InvalidInput, match="limit"):
        queries.incident_timeline(ctx, "inc-1", limit)


@pytest.mark.parametrize("question", [queries.incident_get, queries.incident_timeline])
def test_unknown_incident_is_not_found(ctx, question):
    with pytest.raises(NotFound):
        question(ctx, "inc-none")


def test_hostile_text_is_harmless_in_every_answer(ctx):
    text = "{{ config_context.jira_password }} <% ctx() %> \x1b[2J"
    url = str(ctx.config.get("database.url"))
    scene.incident(
        ctx.store, title=text, workload=text, signal={"labels": {text: text}}, reasons=[text]
    )
    timeline.record(ctx.store, "inc-1", "note", "x", {text: text})
    for function, parameters in (
        ("incident_list", {}),
        ("incident_get", {"incident_id": "inc-1"}),
        ("incident_timeline", {"incident_id": "inc-1"}),
    ):
        succeeded, result = door.call(
            "selfheal.incidents.queries.%s" % function,
            parameters,
            config={"database": {"url": url}},
        )
        assert succeeded
        shown = "\n".join(scene.strings(result))
        assert "jira_password" in shown
        for marker in ("{{", "}}", "<%", "%>", "\x1b"):
            assert marker not in shown
