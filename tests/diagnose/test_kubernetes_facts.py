"""What objects, events and logs say, read from JSON whose shape nobody promised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.diagnose.kubernetes import changes, containers, events, logs
from selfheal.diagnose.kubernetes.notebook import MOST_FACTS, Notebook
from selfheal.workloads.model import Ref

OWNER = Ref("Deployment", "shop", "web")


def pod(name="web-1", **status):
    return {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "nodeName": "a1",
            "containers": [
                {"name": "main", "resources": {"limits": {"memory": "64Mi"}, "requests": 7}}
            ],
        },
        "status": {
            "containerStatuses": [{"name": "main", "restartCount": 3, "ready": False, **status}]
        },
    }


CRASHED = pod(
    state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
    lastState={
        "terminated": {
            "exitCode": 137,
            "reason": "OOMKilled",
            "startedAt": "2026-11-22T08:00:00Z",
            "finishedAt": "2026-11-22T08:00:12Z",
        }
    },
)


def test_a_container_tells_how_it_ended():
    (entry,) = containers.of_pod(CRASHED)
    assert containers.said(entry) == (
        "waiting (CrashLoopBackOff), 3 restarts; ended before with exit code 137 (SIGKILL) "
        "(OOMKilled) at 2026-11-22 08:00:12 after 12 s: back-off 40s"
    )
    assert (entry["limits"], entry["requests"]) == ({"memory": "64Mi"}, {})


@pytest.mark.parametrize(
    "code, words",
    [(0, "exit code 0"), (1, "exit code 1"), (127, "exit code 127 (the command was not found)"),
     (143, "exit code 143 (SIGTERM)"), (139, "exit code 139 (SIGSEGV)"),
     (159 - 0, "exit code 159 (SIGSYS)"), (255, "exit code 255"), (None, "an unknown exit code")],
)
def test_exit_codes_in_words(code, words):
    assert containers.exit_words(code) == words


def test_the_worst_container_comes_first_and_a_well_one_makes_no_fact():
    notes = Notebook()
    well = pod("web-0", ready=True, restartCount=0, state={"running": {}})
    containers.write(notes, [well, CRASHED])
    assert [one["pod"] for one in notes.content["containers"]] == ["web-1", "web-0"]
    assert [one["what"] for one in notes.facts] == ["container main of pod web-1"]


def event(reason="BackOff", message="no", kind="Warning", at="08:00:00", count=1, name="web-1"):
    return {
        "type": kind, "reason": reason, "message": message, "count": count,
        "lastTimestamp": "2026-11-22T%sZ" % at,
        "involvedObject": {"kind": "Pod", "name": name},
    }


def test_events_are_told_once_the_latest_warning_first():
    told = events.told(
        [
            event("Pulled", "ok", "Normal", "09:00:00"),
            event(count=2),
            event(at="08:30:00", count=3),
            event("Failed", at="08:10:00"),
        ]
    )
    assert [(one["reason"], one["count"]) for one in told] == [
        ("BackOff", 5), ("Failed", 1), ("Pulled", 1),
    ]


def test_an_event_of_the_newer_shape_is_read_as_well():
    (one,) = events.told(
        [{"type": "Warning", "series": {"count": 4, "lastObservedTime":
                                        "2026-11-22T08:00:00.123456Z"}}]
    )
    assert (one["count"], int(one["at"])) == (4, 1795334400)


def test_an_event_with_a_secret_keeps_it_to_itself():
    notes = Notebook()
    events.write(notes, [event(message="probe failed: GET http://u:p4ss@web/ token=abc123")])
    assert "p4ss" not in json.dumps([notes.facts, notes.content])
    assert "abc123" not in json.dumps([notes.facts, notes.content])
    assert notes.hidden == {"url": 1, "password": 1}


def template(image="good:1", env=(), annotations=None, **container):
    return {
        "metadata": {"labels": {"app": "web", "pod-template-hash": image},
                     "annotations": dict(annotations or {})},
        "spec": {
            "containers": [
                {"name": "main", "image": image,
                 "env": [{"name": key, "value": value} for key, value in env], **container}
            ]
        },
    }


@pytest.mark.parametrize(
    "new, words",
    [
        (template("good:2"), ["image of main: good:1 -> good:2"]),
        (template(env=[("TOKEN", "s3cr3t")]), ["variables of main: TOKEN"]),
        (template(annotations={"checksum/config": "1"}), ["annotations: checksum/config"]),
        (template(args=["--password=s3cr3t"]), ["main: args"]),
        (template(resources={"limits": {"cpu": "1"}}), ["cpu limit of main: none -> 1"]),
        (template(), []),
        ({"spec": {}}, ["container main is gone", "labels: app"]),
    ],
)
def test_what_a_revision_changed_is_named_and_no_value_of_a_variable(new, words):
    found = changes.differences(template(), new)
    assert found == words
    assert "s3cr3t" not in json.dumps(found)


def test_config_maps_are_found_wherever_a_template_reads_them_and_secrets_never():
    found = changes.config_maps(
        {
            "spec": {
                "containers": [
                    {"envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "s"}}],
                     "env": [{"name": "x", "valueFrom": {"configMapKeyRef": {"name": "b"}}}]}
                ],
                "initContainers": [{"envFrom": [{"configMapRef": {"name": "c"}}]}],
                "volumes": [
                    {"configMap": {"name": "d"}}, {"secret": {"secretName": "t"}},
                    {"projected": {"sources": [{"configMap": {"name": "e"}}]}},
                ],
            }
        }
    )
    assert found == ["a", "b", "c", "d", "e"]


def test_the_telling_line_of_a_log_is_the_error_and_no_frame():
    lines = [
        "starting", "java.lang.IllegalStateException: no connection",
        "\tat com.shop.Failed.run(Failed.java:1)", "  ... 12 more", "bye",
    ]
    assert logs.telling(lines) == "java.lang.IllegalStateException: no connection"
    assert logs.telling(["one", "two", ""]) == "two"
    assert logs.telling([]) == ""


def test_a_log_that_is_too_long_is_cut_at_the_end_of_a_line():
    notes = Notebook()
    kept = logs.tail(notes, "password=s3cr3t\n" * 10000 + "last\n")
    assert kept[-1] == "last" and len(kept) <= logs.TAIL_LINES
    assert all(line in ("password=********", "last") for line in kept)


@pytest.mark.parametrize(
    "entry, is_asked",
    [
        ({"state": "waiting", "reason": "CrashLoopBackOff", "last_end": {"exit_code": 1}}, True),
        ({"state": "waiting", "reason": "ImagePullBackOff", "last_end": {}}, False),
        ({"state": "running", "is_ready": False}, True),
        ({"state": "running", "is_ready": True}, False),
        ({"state": "running", "is_ready": True, "restarts": 3}, True),
        ({"state": "terminated", "exit_code": 0}, False),
        ({"state": "terminated", "exit_code": 2}, True),
    ],
)
def test_only_logs_that_may_tell_something_are_asked_for(entry, is_asked):
    whole = {
        "pod": "p", "container": "c", "last_end": {}, "reason": "", "restarts": 0,
        "is_ready": False, "exit_code": None, **entry,
    }
    assert bool(logs.chosen([whole])) is is_asked


def test_a_notebook_is_bounded_and_without_our_own_secrets():
    notes = Notebook(["hunter2!"])
    for number in range(100):
        notes.fact("x" * 500, "%d hunter2! %s" % (number, "y" * 1000))
    assert len(notes.facts) == MOST_FACTS
    assert all(len(one["found"]) <= 300 and "hunter2" not in one["found"] for one in notes.facts)


def test_whatever_part_wrote_it_no_secret_is_left_in_the_content():
    notes = Notebook()
    notes.content["workload"] = {"images": ["http://u:p4ss@registry/x"], "n": [1, None, True]}
    assert notes.cleaned() == {
        "workload": {"images": ["http://u:********@registry/x"], "n": [1, None, True]}
    }
    assert notes.hidden == {"url": 1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(
            ["metadata", "spec", "status", "name", "namespace", "containerStatuses", "state",
             "waiting", "terminated", "lastState", "exitCode", "restartCount", "containers",
             "image", "env", "template", "managedFields", "time", "manager", "annotations",
             "ownerReferences", "kind", "count", "message", "reason", "involvedObject", "series",
             "volumes", "configMap", "resources", "limits", "memory", "conditions", "type"]
        ),
        inner, max_size=5,
    ),
    max_leaves=25,
)


@given(st.lists(JSON, max_size=4))
def test_objects_of_any_shape_are_no_error(values):
    notes = Notebook()
    containers.write(notes, values)
    events.write(notes, values)
    for value in values:
        changes.write(notes, value, OWNER, values, 1.0)
        changes.differences(value, values)
        changes.config_maps(value)
    logs.chosen(notes.content["containers"])
    json.dumps(notes.content)


def test_colours_of_a_log_hide_no_secret_from_the_redaction():
    notes = Notebook()
    notes.fact("log", "level=info \x1b[36mpassword\x1b[0m=hunter2 \x1b[36muser\x1b[0m=ann")
    assert notes.facts == [{"what": "log", "found": "level=info password=******** user=ann"}]
