"""Lines of chat with the real results of their actions: each answer is short, harmless, and ends
with a command that can be typed next.
"""

from __future__ import annotations

import pytest

from selfheal.incidents import timeline
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.approval.asking import request_approval
from selfheal.respond.decide import determine_response_strategy
from tests import scene
from tests.aliases.chat_scene import said, takers
from tests.live_alertmanager import Alertmanager
from tests.remedy import scenes

HOSTILE = "<!channel> @here <@U1> {{ 6*7 }} <% 6*7 %> \x1b[31m `" + "x" * 500
WORDS = "<!channel> @here <@U1> \x1b[31m " + "x" * 300  # a runbook may hold no templates
MOST_LINES = 32
MOST_CHARACTERS = 4000  # what one Slack message holds


@pytest.fixture
def ctx(tmp_path):
    made = scenes.context_for(tmp_path, values=scenes.UNBOUNDED, clock=scenes.StillClock())
    yield made
    made.close()


def checked(lines):
    """An answer is short and mentions nobody, and its last line names the next command."""
    text = "\n".join(lines)
    assert len(lines) <= MOST_LINES and len(text) <= MOST_CHARACTERS, text
    for mention in ("<!", "<@", "@here", "\x1b", "<%"):
        assert mention not in text, text
    assert "That did not work" not in text, text
    last = lines[-1]
    assert last.startswith("Next: heal "), text
    assert len(takers(last[len("Next: "):])) == 1, last
    return lines


def hostile(ctx, **fields):
    """An incident with such text wherever text from outside is kept."""
    labels = {"instance": HOSTILE[:200], "service": HOSTILE[:100]}
    given = {"title": HOSTILE, "labels": labels, "annotations": {"summary": HOSTILE}, **fields}
    incident_id = scenes.add_incident(ctx.store, **given)
    timeline.record(ctx.store, incident_id, "opened", HOSTILE, {"said": HOSTILE})
    return incident_id


def at_work(ctx, **fields):
    """A hostile incident that was analyzed and decided on."""
    incident_id = hostile(ctx, **fields)
    analyze_incident(ctx, incident_id, "run-1")
    determine_response_strategy(ctx, incident_id, "run-1")
    return incident_id


ABOUT_ONE = [
    "heal incident %s",
    "heal timeline %s",
    "heal why %s",
    "heal runbooks for %s",
    "heal report %s",
    "heal tickets for %s",
    "heal audit %s",
    "heal ack %s @here",
    "heal escalate %s",
    "heal run restart_shop for %s dry_run=true",
    "heal undo %s",
    "heal close %s",
]
ABOUT_ALL = [
    "heal status",
    "heal incidents",
    "heal list resolved",
    "heal approvals",
    "heal runbooks",
    "heal pauses",
    "heal breakers",
    "heal breaker list closed",
    "heal audit all",
    "heal health",
    "heal check",
    "heal stats",
    "heal help",
    "heal help kubernetes",
    "heal help nonsense",
    "heal tickets",
    "heal outbox",
    "heal outbox sent",
]


@pytest.mark.parametrize("text", ABOUT_ONE)
def test_answers_about_an_incident_with_hostile_text(ctx, tmp_path, text):
    scenes.write_runbook(tmp_path)
    incident_id = hostile(ctx, status="escalated")
    lines = checked(said(ctx, text % incident_id, who="<!channel>"))
    is_about_all = text.startswith(("heal tickets", "heal audit"))
    assert is_about_all or incident_id in "\n".join(lines)


@pytest.mark.parametrize("text", ABOUT_ALL)
def test_answers_when_there_is_nothing(ctx, text):
    checked(said(ctx, text))


@pytest.mark.parametrize("text", ABOUT_ALL)
def test_answers_when_there_is_much(ctx, tmp_path, text):
    for number in range(20):
        scenes.write_runbook(tmp_path, name="book_%d" % number, description=WORDS)
    for status in ("open", "escalated", "ticketed", "observed", "resolved") * 12:
        hostile(ctx, status=status)
    said(ctx, "heal pause global reason='%s'" % HOSTILE[:20])
    checked(said(ctx, text))


def test_a_question_is_shown_whole_and_answered_by_what_stands_below_it(ctx, tmp_path):
    scenes.write_runbook(tmp_path, risk="destructive", name="hard")
    incident_id = at_work(ctx)
    request_approval(ctx, incident_id, "run-1")
    assert "1 question waits for a yes or no" in said(ctx, "heal status")
    assert said(ctx, "heal status")[-1] == "Next: heal approvals"
    lines = said(ctx, "heal approvals")
    assert any(line == "1. say: run true (undo: cannot be undone)" for line in lines)
    yes, no = lines[-1].partition(": ")[2].rpartition(": ")[2].split(" or ")
    assert yes.startswith("heal approve apr-") and no.startswith("heal reject apr-")
    bare = " ".join(yes.split(" ")[:3])
    assert "needs the code of" in said(ctx, bare)[0]
    lines = said(ctx, yes + " go on", who="ann")
    assert " is approved by ann" in lines[0] and lines[-1] == "Next: heal timeline " + incident_id
    assert "Since then: ann said yes: go on" in said(ctx, "heal why " + incident_id)


def test_a_long_plan_is_shown_whole_on_request(ctx, tmp_path):
    script = "\n".join("echo the line number %d of the script" % number for number in range(80))
    steps = [
        {
            "name": name,
            "command": scenes.shell(script),
            "undo": {"command": scenes.shell("echo back %s" % name)},
        }
        for name in ("first", "second")
    ]
    scenes.write_runbook(tmp_path, risk="destructive", steps=steps)
    incident_id = at_work(ctx)
    approval_id = request_approval(ctx, incident_id, "run-1")["approval_id"]
    listed = said(ctx, "heal approvals")
    assert "line number 79" not in "\n".join(listed) and len("\n".join(listed)) < MOST_CHARACTERS
    asked = next(line for line in listed if line.startswith("all of it: "))
    assert asked == "all of it: heal approvals " + approval_id
    shown = said(ctx, asked[len("all of it: "):])
    whole = "\n".join(shown)
    assert whole.count("the line number 79 of the script") == 2
    for word in ("Where: ", "Risk: destructive", "undo: ", "echo back second", "Known:",
                 "Asked because:", "It counts as healed when:", "Not without a yes until 20"):
        assert word in whole, word
    assert shown[-1] == listed[-1]  # how to answer, with the code, and until when
    assert said(ctx, "heal approvals " + incident_id) == shown
    for mention in ("<!", "<@", "@here", "\x1b", "<%"):
        assert mention not in whole
    assert said(ctx, "heal incident " + incident_id)[-1] == "Next: heal approvals " + incident_id
    said(ctx, "heal reject %s no" % approval_id, who="ann")
    shown = said(ctx, "heal approvals " + approval_id)
    assert "%s about %s: rejected by ann: no" % (approval_id, incident_id) == shown[0]
    assert "the line number 79 of the script" in "\n".join(shown)
    assert "heal approve" not in "\n".join(shown) and shown[-1].startswith("Next: heal why inc-")
    assert "there is no question" in said(ctx, "heal approvals please")[0]


def test_who_has_taken_an_incident_is_not_told_to_take_it(ctx, tmp_path):
    incident_id = hostile(ctx)
    said(ctx, "heal escalate " + incident_id)
    assert checked(said(ctx, "heal incident " + incident_id))[-1] == "Next: heal ack " + incident_id
    said(ctx, "heal ack %s on it" % incident_id, who="ann")
    lines = checked(said(ctx, "heal incident " + incident_id))
    assert lines[-1] == "Next: heal runbooks for " + incident_id and "ann has it" in lines
    assert any("heal close " + incident_id in line for line in lines)


def test_a_no_is_said_with_a_reason(ctx, tmp_path):
    scenes.write_runbook(tmp_path, risk="destructive")
    incident_id = at_work(ctx)
    request_approval(ctx, incident_id, "run-1")
    lines = checked(said(ctx, "heal reject %s not during the sale" % incident_id, who="ann"))
    assert " is rejected by ann" in lines[0]


def test_twenty_questions_are_shown_a_few_at_a_time(ctx, tmp_path):
    for number in range(20):
        scenes.write_runbook(tmp_path, risk="destructive", description=WORDS)
        incident_id = at_work(ctx, labels={"instance": "host-%d" % number})
        request_approval(ctx, incident_id, "run-1")
    lines = said(ctx, "heal approvals")
    assert sum("heal approve apr-" in line for line in lines) == 5
    assert lines[-1] == "and 15 more; answer these first"
    assert "@here" not in "\n".join(lines) and "<!" not in "\n".join(lines)


def test_a_runbook_is_found_tried_run_and_taken_back(ctx, tmp_path):
    well = tmp_path / "well"
    step = {
        "name": "touch",
        "command": {"argv": ["touch", str(well)]},
        "undo": {"command": {"argv": ["rm", "-f", str(well)]}},
    }
    scenes.write_runbook(tmp_path, name="make_well", steps=[step])
    incident_id = scenes.add_incident(ctx.store, status="escalated")
    lines = checked(said(ctx, "heal runbooks for " + incident_id))
    assert lines[0] == "make_well (reversible, fits): Restarts the shop."
    dry = lines[-1][len("Next: "):]
    assert dry == "heal run make_well for %s dry_run=true" % incident_id
    lines = checked(said(ctx, dry))
    assert "dry run, nothing was touched" in lines[0] and not well.exists()
    real = lines[-1][len("Next: "):]
    lines = checked(said(ctx, real, who="ann"))
    assert lines[0].startswith("done: runbook make_well") and well.exists()
    undo = lines[-1][len("Next: "):]
    assert undo == "heal undo " + incident_id
    assert checked(said(ctx, undo))[0] == "1 undone, 0 failed." and not well.exists()


def test_a_pause_is_begun_listed_and_ended_by_what_each_answer_says_next(ctx):
    lines = checked(said(ctx, "heal pause namespace=shop minutes=30 reason='we move'", who="ann"))
    assert lines[0].startswith("namespace=shop is paused by ann")
    assert any(line.startswith("PAUSED: namespace=shop") for line in said(ctx, "heal status"))
    lines = checked(said(ctx, "heal pauses"))
    assert lines[-1] == "Next: heal resume namespace=shop"
    assert "is resumed" in checked(said(ctx, lines[-1][len("Next: "):]))[0]


def test_a_breaker_is_forced_and_let_go(ctx):
    line = "heal breaker force restart_shop open 30 it does harm"
    shown = said(ctx, line, who="ann")
    if "That did not work" in shown[0]:  # it is not known before it was used
        assert "restart_shop" in shown[0]
        return
    checked(said(ctx, "heal breakers"))


def test_what_has_not_arrived_is_listed_tried_again_and_given_up(ctx):
    incident_id = scenes.add_incident(ctx.store)
    checked(said(ctx, "heal escalate " + incident_id))
    lines = checked(said(ctx, "heal outbox"))
    assert "escalation" in "\n".join(lines)
    retry = lines[-1][len("Next: "):]
    assert retry.startswith("heal outbox retry msg-")
    checked(said(ctx, retry))
    letter = retry.split(" ")[-1]
    lines = checked(said(ctx, "heal outbox discard %s told by phone" % letter, who="ann"))
    assert "is discarded" in lines[0]


def test_an_error_of_an_action_is_told_in_its_own_words(ctx):
    for text in ("heal why inc-none", "heal report inc-none", "heal ack inc-none"):
        assert said(ctx, text)[0].startswith("That did not work: there is no incident")
    assert "say global for everything" in said(ctx, "heal pause everything")[0]


def test_silences_are_made_listed_and_ended_in_a_real_alertmanager(tmp_path):
    server = Alertmanager(tmp_path / "alertmanager").start()
    made = scenes.context_for(tmp_path, values={"alertmanager": {"url": server.url}})
    try:
        lines = checked(said(made, 'heal silence {alertname="DiskFull",job=~"w.*"} for 30 we move'))
        assert lines[0].startswith("Silenced until ") and 'alertname="DiskFull"' in lines[0]
        end = lines[-1][len("Next: "):]
        lines = checked(said(made, "heal silences"))
        assert "0 muted" in lines[0] and 'job=~"w.*"' in lines[0]
        assert lines[-1].startswith("Next: heal unsilence ")
        assert "ended: sil-" in checked(said(made, end))[0]
        assert checked(said(made, "heal silences"))[0] == "No such silences."
        assert "That did not work" in said(made, "heal silence {} for 30")[0]
        incident_id = scenes.add_incident(made.store, labels={"alertname": "Down", "job": "web"})
        lines = checked(said(made, "heal silence %s for 30m" % incident_id))
        assert 'job="web"' in lines[0]
        assert "ended: sil-" in checked(said(made, "heal unsilence " + incident_id))[0]
    finally:
        made.close()
        server.stop()


@pytest.mark.parametrize("kind", scene.BOTH)
def test_the_overview_holds_on_both_databases(tmp_path, kind):
    made = scenes.context_for(
        tmp_path, url="" if kind == "sqlite" else scene.store_url(kind, tmp_path)
    )
    for severity in ("info", "critical", "warning"):
        scenes.add_incident(made.store, severity=severity, title=severity)
    lines = checked(said(made, "heal status"))
    assert lines[0] == "3 incidents not resolved: 3 open"
    shown = [line.split("  ")[1] for line in lines if line.startswith("inc-")]
    assert shown == ["critical", "warning", "info"]
    made.close()
