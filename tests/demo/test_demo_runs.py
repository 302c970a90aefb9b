"""Whole runs of the demo: each scenario ends as it should, and nothing is left behind."""

import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from standalone.demo.shop import processes_of, wait_for

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 600
HEALED = [
    "selfheal.ingest_alertmanager",
    "selfheal.analyze_incident",
    "selfheal.determine_response_strategy",
    "selfheal.remediate",
    "selfheal.verify_resolution",
    "selfheal.close_incident",
]
APPROVED = (
    HEALED[:3] +
    [
        "selfheal.request_approval",
        "selfheal.approval_asked",
        "selfheal.settle_approval",
    ] +
    HEALED[3:]
)


def assert_begun(actions, expected):
    """All of `expected`, and besides what follows when Alertmanager tells of the end too."""
    begun, wanted = Counter(actions), Counter(expected)
    assert not wanted - begun
    assert set(begun - wanted) <= {"selfheal.ingest_alertmanager", "selfheal.close_incident"}


def test_a_real_fault_is_healed_proven_and_closed(demo):
    run = demo().finish()
    assert run.code == 0, run.text
    assert run.result["status"] == "resolved"
    assert run.result["strategy"] == "automated"
    assert_begun(run.result["actions"], HEALED)
    in_turn = iter(run.result["actions"])
    assert all(name in in_turn for name in HEALED)
    assert 0 < run.result["seconds"] < PATIENCE_S
    assert run.result["incident_id"] in run.text.split("Timeline of")[1]
    assert re.search(r"resolved \(remediated\)", run.text)
    placed, done = re.search(r"(\d+) orders placed, (\d+) worked off, 0 waiting", run.text).groups()
    assert placed == done
    assert run.text.isascii()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", run.text)  # plain in a pipe
    assert run.is_gone()


def test_what_cannot_be_mended_is_undone_and_handed_over(demo):
    run = demo("--scenario", "unfixable").finish()
    assert run.code == 1, run.text
    assert run.result["status"] == "escalated"
    given_up = [*HEALED[:5], "selfheal.undo_remediation", "selfheal.escalate_to_oncall"]
    begun = run.result["actions"]
    # The alert is told again when the pack's answer to it was late.
    assert [name for name in begun if name != HEALED[0]] == given_up[1:] and begun[0] == HEALED[0]
    assert "on-call is told" in run.text
    assert run.is_gone()


def test_an_approved_plan_is_carried_out(demo):
    run = demo("--scenario", "approve")
    run.read_until("Approve this plan? [y/N]")
    for expected in (
        "release_orders",
        "reversible",
        "undone by: servicectl relock",
        "/health answers 200",
    ):
        assert expected in run.text
    assert "remediate" not in run.text  # it waits
    run.say(b"y\n")
    run.finish()
    assert run.code == 0, run.text
    assert run.result["status"] == "resolved"
    assert run.result["strategy"] == "approve"
    assert_begun(run.result["actions"], APPROVED)
    assert run.is_gone()


@pytest.mark.parametrize(
    "answer", [b"n\n", b"\n", b"perhaps\n", b""], ids=["n", "enter", "other", "eof"]
)
def test_anything_but_yes_is_a_no(demo, answer):
    run = demo("--scenario", "approve")
    run.say(answer)
    run.finish()  # closes stdin as well
    assert run.code == 1, run.text
    assert run.result["status"] == "escalated"
    assert "selfheal.remediate" not in run.result["actions"]
    assert run.is_gone()


def test_yes_can_be_given_beforehand(demo):
    run = demo("--scenario", "approve", "--yes").finish()
    assert (run.code, run.result["strategy"]) == (0, "approve"), run.text


@pytest.mark.parametrize(
    "moment, number",
    [
        ("service up", signal.SIGINT),
        ("broken", signal.SIGTERM),
        ("decide", signal.SIGINT),
        ("remediate", signal.SIGHUP),
        ("Approve this plan?", signal.SIGINT),
    ],
)
def test_when_stopped_nothing_is_left_running(demo, moment, number):
    run = demo("--scenario", "approve" if moment.startswith("Approve") else "heal")
    run.read_until(moment)
    run.process.send_signal(number)
    run.finish()
    assert run.code == 130, run.text
    assert "Traceback" not in run.text
    assert run.is_gone()


SWALLOWED = """
import os, signal, time, weakref
from standalone.demo import main

class Thing:
    pass

main.AGAIN_S = 2.0  # time enough to say the first word
main.be_interrupted()
try:
    thing = Thing()
    told = weakref.ref(thing, lambda _: os.kill(os.getpid(), signal.%s) or time.sleep(0.01))
    del thing
    print("swallowed", flush=True)
    time.sleep(200)
except KeyboardInterrupt:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)  # as main does: else it ends a slow exit
    print("heard")
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_is_heard_also_when_it_comes_where_nothing_can_be_raised(name):
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED % name],
        cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180, check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.stdout.decode().split() == ["swallowed", "heard"]


SLOW_TO_END = """
import os, signal, time
import standalone.engine
from standalone.demo import main

class Engine:
    def __init__(self, *_, **__):
        pass

    def start(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(200)

    def stop(self):
        os.kill(os.getpid(), signal.SIGTERM)  # somebody is impatient
        time.sleep(3 * main.AGAIN_S)
        print("ended", flush=True)

standalone.engine.Engine = Engine
main.main([])
"""


def test_what_was_begun_ends_whole_however_long_it_takes_after_ctrl_c():
    done = subprocess.run(
        [sys.executable, "-c", SLOW_TO_END],
        cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=180, check=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    words = done.stdout.decode()
    assert words.index("ended") < words.index("nothing is left running"), done.stderr.decode()


def test_even_killed_outright_it_leaves_no_process(demo, tmp_path):
    run = demo()
    run.read_until("decide")
    run.process.kill()
    run.process.wait()
    assert wait_for(lambda: processes_of(tmp_path) == [], 180)


def test_a_home_is_kept_and_never_overwritten(demo, tmp_path):
    home = tmp_path / "home"
    run = demo("--home", str(home)).finish()
    assert run.code == 0, run.text
    assert (home / "selfheal.db").stat().st_size > 0
    again = demo("--home", str(home)).finish()
    assert again.code == 2
    assert "not empty" in again.text
    assert processes_of(tmp_path) == []


def test_an_unknown_scenario_is_refused(demo):
    assert demo("--scenario", "other").finish().code == 2


def test_a_reader_that_goes_away_is_no_disaster(demo, tmp_path):
    run = demo()
    run.process.stdout.close()
    run.process.stdin.close()
    assert run.process.wait(PATIENCE_S) == 1
    assert processes_of(tmp_path) == []
