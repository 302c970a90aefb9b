"""min_healthy: enough of a group stay healthy, and what cannot be told is a no."""

from __future__ import annotations

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import ConfigError, ExternalError, InvalidInput
from selfheal.guard import group_health, groups, locks
from selfheal.remedy import journal
from selfheal.store import open_store
from tests import live_alertmanager, scene
from tests import web as sites
from tests.guard.permits import context, deed

ENTRY = {
    "match": {"namespace": "shop*"},
    "healthy": 'sum(up{job="${job}"})',
    "total": 'count(up{job="${job}"})',
    "keep": 2,
}


def web(execution_id="exe-1", **fields):
    labels = fields.pop("labels", {"job": "web"})
    return deed(execution_id, labels=labels, **fields)


def answering(healthy, total):
    """Who is asked, in place of Prometheus."""
    return lambda _ctx, _cluster, expression: [healthy if "sum" in expression else total]


def judged(ctx, one, healthy=3.0, total=3.0):
    measured = group_health.measure(ctx, one, answering(healthy, total))
    with ctx.store.transaction("guard"):
        refused = group_health.objection(ctx, one, measured)
        if refused is None:
            group_health.charge(ctx, one, measured)
    return refused


@pytest.fixture
def ctx(url):
    return context(url, min_healthy=[ENTRY])


@pytest.fixture
def quick():
    """Where the database does not matter."""
    return context("sqlite:///:memory:", min_healthy=[ENTRY])


@pytest.mark.parametrize(
    ("healthy", "total", "flying", "keep", "may"),
    [
        (3, 3, 0, "2", True),
        (3, 3, 1, "2", False),
        (2, 3, 0, "2", False),
        (4, 4, 1, "50%", True),
        (4, 5, 1, "50%", False),  # half of five is three
        (5, 5, 1, "50%", True),
        (10, 10, 6, "30%", True),
        (10, 10, 7, "30%", False),
        (1, 1, 0, "0", True),
        (0, 3, 0, "0", False),
        (1, 1, 0, "100%", False),
        (3, 0, 0, "0", False),
        (5, 3, 0, "0", False),
        (-1, 3, 0, "0", False),
        (float("nan"), 3, 0, "0", False),
        (3, float("nan"), 0, "0", False),
        (float("inf"), float("inf"), 0, "0", False),
    ],
)
def test_enough_stay(healthy, total, flying, keep, may):
    assert group_health.would_keep(healthy, total, flying, keep) is may


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 5), st.integers(0, 100))
def test_a_share_is_what_integers_say(healthy, total, flying, percent):
    stays = healthy - 1 - flying
    may = healthy <= total and stays * 100 >= percent * total and stays >= 0
    assert group_health.would_keep(healthy, total, flying, "%d%%" % percent) is may


def test_too_few_healthy_is_a_no_with_the_numbers(quick):
    assert judged(quick, web(), 3, 4) is None
    refused = judged(quick, web(), 2, 4)
    assert refused.rule == "min_healthy" and "2 of 4 members are healthy" in refused.reason
    assert "safety.min_healthy" in refused.advice
    assert refused.data == {"healthy": 2, "total": 4, "in_flight": 0, "keep": "2"}


def test_who_does_not_match_is_not_held_up(quick):
    unanswered = group_health.measure(quick, web(namespace="pay"), answering(0.0, 0.0))
    assert unanswered.readings == ()
    assert judged(quick, web(namespace="pay"), 0, 0) is None
    assert judged(quick, web(risk="read-only"), 0, 0) is None
    assert judged(context("sqlite:///:memory:"), web(), 0, 0) is None, "without entries all may"


def test_labels_match_by_what_the_alert_says_too():
    ctx = context("sqlite:///:memory:", min_healthy=[dict(ENTRY, match={"tier": "f*t"})])
    assert judged(ctx, web(labels={"job": "web", "tier": "front"}), 0, 3) is not None
    assert judged(ctx, web(), 0, 3) is None
    entry = {key: ENTRY[key] for key in ENTRY if key != "match"}
    everything = context("sqlite:///:memory:", min_healthy=[entry])
    assert judged(everything, web(), 0, 3) is not None


def test_a_remedy_at_work_takes_a_member_away(ctx):
    other = begin(ctx, "inc-2")
    assert judged(ctx, web(other), 4, 4) is None
    assert judged(ctx, web("exe-2"), 3, 4).data["in_flight"] == 1
    assert judged(ctx, web("exe-2"), 4, 4) is None
    assert judged(ctx, web("exe-2", labels={"job": "db"}), 3, 4) is None, "another group"
    assert judged(ctx, web("exe-2", cluster="edge"), 3, 4) is None, "another cluster"


def begin(ctx, incident_id):
    """An execution that this process carries out; its id."""
    plan = {"remedy": "runbook", "runbook": "restart", "risk": "reversible"}
    return journal.begin(ctx.store, incident_id, "run-1", plan)


def set_owner(ctx, execution_id, **owner):
    outcome = json.dumps({"owner": dict(journal.this_process(), **owner)})
    ctx.store.execute(
        "UPDATE execution_history SET outcome = ? WHERE id = ?", (outcome, execution_id)
    )


def test_one_that_just_ended_still_counts_and_an_older_one_does_not(ctx):
    other = begin(ctx, "inc-2")
    judged(ctx, web(other), 4, 4)
    journal.finish(ctx.store, other, journal.DONE, {})
    assert judged(ctx, web("exe-2"), 3, 4).data["in_flight"] == 1
    ctx.clock.at += 61
    assert judged(ctx, web("exe-2"), 3, 4) is None


def test_a_dead_run_blocks_nobody(ctx):
    other = begin(ctx, "inc-2")
    judged(ctx, web(other), 4, 4)
    set_owner(ctx, other, pid=os.getpid(), started="0")
    assert judged(ctx, web("exe-2"), 3, 4) is None


def test_a_run_on_another_host_counts_while_its_lock_lives(ctx):
    other = begin(ctx, "inc-2")
    judged(ctx, web(other), 4, 4)
    set_owner(ctx, other, host="elsewhere")
    locks.acquire(ctx.store, "target:x", other, 600)
    assert judged(ctx, web("exe-2"), 3, 4).data["in_flight"] == 1
    ctx.clock.at += 600
    assert judged(ctx, web("exe-2"), 3, 4) is None


@pytest.mark.parametrize("outcome", ["", "{", "[]", '{"owner": 5}', '{"owner": {"pid": "x"}}'])
def test_an_owner_that_is_garbage_counts_while_its_lock_lives(quick, outcome):
    other = begin(quick, "inc-2")
    judged(quick, web(other), 4, 4)
    quick.store.execute("UPDATE execution_history SET outcome = ?", (outcome,))
    locks.acquire(quick.store, "target:x", other, 600)
    assert judged(quick, web("exe-2"), 3, 4) is not None
    quick.clock.at += 600
    assert judged(quick, web("exe-2"), 3, 4) is None


@pytest.mark.parametrize(
    ("healthy", "total", "words"),
    [
        (float("nan"), 3.0, "gave nan"),
        (-1.0, 3.0, "gave -1"),
        (3.0, float("inf"), "gave inf"),
        (0.0, 0.0, "makes no sense"),
        (4.0, 3.0, "4 healthy of 3"),
    ],
)
def test_numbers_that_make_no_sense_are_a_no(quick, healthy, total, words):
    refused = judged(quick, web(), healthy, total)
    assert "cannot be told" in refused.reason and words in refused.reason


@pytest.mark.parametrize("values", [[], [1.0, 2.0]])
def test_an_answer_that_is_not_one_number_is_a_no(quick, values):
    measured = group_health.measure(quick, web(), lambda *_: values)
    refused = group_health.objection(quick, web(), measured)
    assert "gave %d results" % len(values) in refused.reason


@pytest.mark.parametrize("error", [ExternalError("no answer"), ConfigError("no url")])
def test_what_cannot_be_asked_is_a_no(quick, error):
    def ask(*_):
        raise error

    refused = group_health.objection(quick, web(), group_health.measure(quick, web(), ask))
    assert refused.rule == "min_healthy" and str(error) in refused.reason


def test_without_a_prometheus_it_is_a_no_that_names_the_setting(quick):
    refused = group_health.objection(quick, web())
    assert "set prometheus.url" in refused.reason


@pytest.mark.parametrize("labels", [{}, {"job": ""}, {"job": 5}])
def test_a_missing_label_is_a_no(quick, labels):
    refused = group_health.objection(quick, web(labels=labels))
    assert "has no label job" in refused.reason


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {},
        {"healthy": "a", "total": "b"},
        dict(ENTRY, keep=True),
        dict(ENTRY, keep=-1),
        dict(ENTRY, keep="101%"),
        dict(ENTRY, keep="some"),
        dict(ENTRY, keep=2.5),
        dict(ENTRY, healthy=" "),
        dict(ENTRY, total=7),
        dict(ENTRY, match="shop"),
        dict(ENTRY, match={"namespace": ""}),
        dict(ENTRY, kep=1),
    ],
)
def test_an_entry_that_cannot_be_read_holds_up_all(entry):
    ctx = context("sqlite:///:memory:", min_healthy=[ENTRY, entry])
    refused = judged(ctx, web(namespace="pay"))
    assert refused.rule == "min_healthy" and "safety.min_healthy[1]" in refused.reason


def test_a_setting_that_is_no_list_holds_up_all():
    assert judged(context("sqlite:///:memory:", min_healthy="all"), web()).rule == "min_healthy"


def test_an_old_measurement_is_a_no(quick):
    measured = group_health.measure(quick, web(), answering(3.0, 3.0))
    quick.clock.at += 61
    assert "61 s ago" in group_health.objection(quick, web(), measured).reason
    quick.clock.at -= 62
    assert group_health.objection(quick, web(), measured) is not None


def test_a_database_that_is_gone_is_a_no(ctx):
    measured = group_health.measure(ctx, web(), answering(3.0, 3.0))
    ctx.store.close()
    assert group_health.objection(ctx, web(), measured).rule == "store"


def test_matchers_take_values_as_text():
    fill = groups.filled
    labels = {"a": 'x"y\\z', "b": "it's", "c": "a.b*c", "d": "\n\x00\u202e\U0001f4a5"}
    assert fill('up{j="${a}"}', labels) == 'up{j="x\\"y\\\\z"}'
    assert fill("up{j='${b}'}", labels) == "up{j='it\\'s'}"
    assert fill("up{j=${b}}", labels) == 'up{j="it\'s"}'
    assert fill('up{j=~"^${c}-.*"}', labels) == 'up{j=~"^a\\\\.b\\\\*c-.*"}'
    assert fill('up{j = "${d}"}', labels) == 'up{j = "\\u000a\\u0000\\u202e\U0001f4a5"}'
    assert fill('up{j="\\"${b}"} or up{k="$"}', labels) == 'up{j="\\"it\'s"} or up{k="$"}'


@pytest.mark.parametrize(
    "template",
    [
        "${a}",
        "up{${a}}",
        'up{${a}="x"}',
        "up{j=`${a}`}",
        "up == ${a}",
        "up >= ${a}",
        'label_replace(up, "x", "${a}", "y", ".*")',
        '"${a}"',
        "up{j=${a b}}",
        "up{j=${}}",
        'up{j="${"}',
        'up # j=\'\nup{j="${a}"}',
    ],
)
def test_values_stand_nowhere_else(template):
    with pytest.raises(InvalidInput):
        groups.filled(template, {"a": "1"})


@pytest.mark.parametrize("value", ["\ud800", "x" * 1001])
def test_values_that_are_no_text_of_a_query_are_refused(value):
    with pytest.raises(InvalidInput):
        groups.filled('up{j="${a}"}', {"a": value})


HOSTILE = [
    "plain",
    'a"} or up{job!="',
    "it's'} or up",
    "back\\slash\\",
    '\\"} or vector(99) #',
    "new\nline",
    "tab\tnul\x01del\x7f",
    ".*",
    "a|b",
    "(a",
    "[^x]+",
    "${job}",
    "{{ x }} <% y %>",
    "ümläut \U0001f4a5 \u202e",
    "%2e%00",
]


def _line(value):
    """One healthy member and one that is not, as Prometheus' text format writes them."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    line = 'member{name="%s",part="%s"} %d\n'
    return line % (escaped, "one", 1) + line % (escaped, "two", 0)


def test_no_value_of_a_label_changes_what_a_real_prometheus_is_asked(tmp_path):
    text = "".join(_line(value) for value in HOSTILE).encode("utf-8")
    answer = (200, {"Content-Type": "text/plain; version=0.0.4"}, text)
    with scene.Receiver(answer) as exporter:
        target = exporter.url.split("://", 1)[1]
        with live_alertmanager.Prometheus(tmp_path / "prom", [target]) as server:
            deadline = time.monotonic() + 180
            while not server.query("count(member) == %d" % (2 * len(HOSTILE))):
                assert time.monotonic() < deadline, "Prometheus scraped nothing"
                time.sleep(0.1)
            for operator in ("=", "=~"):
                _ask_for_each(server.url, operator)


def _ask_for_each(prometheus_url, operator):
    entry = {
        "healthy": 'sum(member{name%s"${name}"})' % operator,
        "total": "count(member{name%s'${name}'})" % operator,
        "keep": "0",
    }
    ctx = Context(
        Config({
            "prometheus": {"url": prometheus_url, "timeout_s": 600},
            "safety": {"min_healthy": [entry]},
        }),
        store=open_store("sqlite:///:memory:"),
    )
    for value in HOSTILE:
        measured = group_health.measure(ctx, web(labels={"name": value}))
        reading = measured.readings[0]
        assert (reading.healthy, reading.total, reading.problem) == (1.0, 2.0, ""), value
        assert group_health.objection(ctx, web(), measured) is None
    ctx.close()


def test_a_prometheus_that_is_gone_or_does_not_understand_is_a_no(quick, tmp_path):
    with sites.nobody() as url:
        quick.config.values["prometheus"] = {"url": url}
        refused = group_health.objection(quick, web())
    assert refused.rule == "min_healthy" and "cannot be told" in refused.reason
    with live_alertmanager.Prometheus(tmp_path / "prom") as server:
        quick.config.values["prometheus"] = {"url": server.url, "timeout_s": 600}
        quick.config.values["safety"] = {"min_healthy": [dict(ENTRY, healthy="sum(up{")]}
        assert "could not evaluate" in group_health.objection(quick, web()).reason
        quick.config.values["safety"] = {"min_healthy": [ENTRY]}
        assert "gave 0 results" in group_health.objection(quick, web()).reason
