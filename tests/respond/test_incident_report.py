"""The report action: gathered from a store of either kind, our secrets hidden, cut to what fits."""

from __future__ import annotations

import json

import pytest

from selfheal import document, door
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.incidents import timeline
from selfheal.outbox import letters
from selfheal.respond import report
from tests import scene

SECRET = "s3cr3t-t0ken-of-ours"


@pytest.fixture
def ctx(url):
    made = scene.context(url, jira={"url": "https://x.example", "password": SECRET})
    scene.incident(
        made.store,
        analysis={"evidence": ["the pod said %s" % SECRET]},
        strategy="automated",
        reasons=["it is safe"],
        title="web <b>is</b> {{ down }}",
    )
    scene.execution(made.store, outcome={"steps": [{"name": "x", "stdout": SECRET + "\n"}]})
    scene.approval(made.store)
    timeline.record(made.store, "inc-1", "opened", "an alert came with %s" % SECRET)
    letters.post(made.store, "escalation", "inc-1", "k1", {"a": 1}, channel="slack:default")
    letters.post(made.store, "silence", "inc-1", "k2", {"a": 1}, channel="alertmanager:default")
    yield made
    made.close()


def test_report_is_made_of_what_the_store_knows(ctx):
    answer = report.incident_report(ctx, "inc-1")
    assert answer["file_name"] == "incident-inc-1.md" and answer["status"] == "open"
    for said in ("runbook:restart", "Strategy: automated", "it is safe", "escalation by slack",
                 "an alert came", "Who was asked", "prometheus.example"):
        assert said in answer["report"], said
    assert "alertmanager:default" not in answer["report"]  # a letter, but told to nobody


def test_our_secrets_are_hidden_in_both_formats_and_the_file(ctx):
    name, content, media_type = report.attachment(ctx, "inc-1")
    written = json.dumps(document.dumped(report.report_of(ctx, "inc-1")))
    for format in report.FORMATS:
        written += report.incident_report(ctx, "inc-1", format)["report"]
    assert SECRET not in written + content.decode() and "\\*\\*\\*" in content.decode()
    assert name == "incident-inc-1.md" and media_type == "text/markdown"


def test_text_has_no_markup(ctx):
    answer = report.incident_report(ctx, "inc-1", "text")
    assert answer["file_name"] == "incident-inc-1.txt" and "## " not in answer["report"]
    assert "<b>is</b>" in answer["report"]
    assert "&lt;b&gt;" in report.incident_report(ctx, "inc-1")["report"]


def test_action_answers_harmless_text_through_the_door(ctx):
    close, ctx.close = ctx.close, lambda: None
    ok, answer = door.call(
        "selfheal.respond.report.incident_report", {"incident_id": "inc-1"}, context=ctx
    )
    ctx.close = close
    assert ok and "{{" not in json.dumps(answer) and SECRET not in json.dumps(answer)


def test_unknown_incident_and_format_are_errors(ctx):
    with pytest.raises(NotFound):
        report.incident_report(ctx, "inc-none")
    with pytest.raises(InvalidInput, match="markdown"):
        report.incident_report(ctx, "inc-1", "pdf")


def test_report_of_a_large_incident_stays_small(ctx):
    timeline.record_many(
        ctx.store,
        [
            timeline.chain.entry(ctx.store, "inc-1", "note", "%d %s" % (n, "x" * 1500))
            for n in range(1000)
        ],
    )
    found = report.incident_report(ctx, "inc-1")["report"]
    assert "701 " in found and "999 xxx" in found and len(found) < 300000
