"""The command policy under hostile input: it never raises, and a second reading never objects."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.guard import commands
from selfheal.guard.commands.second_reading import objection
from tests.examples import examples
from tests.guard.command_words import BOLD, EVERYDAY, POLICY, WORDS, anything, decide, mutated

BENCH = Path(__file__).resolve().parents[2] / "bench" / "command_policy.py"


@settings(max_examples=examples(120))
@given(anything)
def test_any_text_gets_a_decision_that_the_second_reading_shares(command):
    for policy in (POLICY, BOLD):
        decision = decide(command, policy)
        assert decision.decision in commands.DECISIONS
        assert objection(decision, policy) == ""


@settings(max_examples=examples(100))
@given(mutated())
def test_what_was_rewritten_is_rewritten_to_itself(command):
    decision = decide(command)
    if not decision.is_denied:
        assert decide(decision.argv).argv == decision.argv
        assert decision.argv[0] == command.split()[0]


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=8))
def test_any_words_get_a_decision_that_the_second_reading_shares(words):
    assert objection(decide(words), POLICY) == ""


def test_second_reading_agrees_on_the_corpus():
    for command in EVERYDAY:
        assert objection(decide(command), POLICY) == "", command


@pytest.mark.parametrize(
    "argv, why",
    [
        (["kubectl", "attach", "web"], "denied"),
        (["kubectl", "--namespace=a", "exec", "pods/a", "--", "sh"], "what to run"),
        (["kubectl", "--namespace=a", "exec", "pods/a", "pods/b", "--", "df"], "what to run"),
        (["kubectl", "--namespace=a", "exec", "pods/a"], "what to run"),
        (["kubectl", "--namespace=kube-system", "exec", "pods/a", "--", "df"], "in kube"),
        (["docker", "exec", "web", "cat", "/etc/shadow"], "path"),
        (["docker", "exec", "web", "df"], "asked"),
        (["docker", "exec", "web", "--", "df"], "what to run"),
        (["tail", "-f", "/var/log/syslog"], "denied"),
        (["psql", "-X", "--command=select pg_cancel_backend(7)"], "asked"),
        (["psql", "-X", "--command=drop table x"], "pg_deed"),
        (["kubectl", "get", "secrets"], "kind"),
        (["kubectl", "--kubeconfig=/x", "get", "pods"], "denied"),
        (["kubectl", "rollout", "restart", "deployments/a"], "no namespace"),
        (["kubectl", "--namespace=kube-system", "rollout", "restart", "deployments/a"], "in kube"),
        (["kubectl", "--namespace=a", "rollout", "restart", "deployments"], "which objects"),
        (["kubectl", "--namespace=a", "scale", "deployments/a"], "missing"),
        (["systemctl", "restart", "nginx"], "asked"),
        (["systemctl", "restart", "sshd"], "refused"),
        (["cat", "/etc/shadow"], "path"),
        (["cat", "/var/log/../../etc/shadow"], "path"),
        (["curl", "http://evil.example/"], "not listed"),
        (["curl", "http://localhost@evil.example/"], "host"),
        (["find", "/var/log", "-delete"], "denied"),
        (["ping", "localhost"], "missing"),
        (["journalctl", "--lines"], "go together"),
        (["df", "-h", "-h"], "too often"),
        (["df", "-hT"], "no row has the flag"),
        (["frobnicate"], "no row"),
        (["/tmp/df"], "no row"),
        (["df", ""], "empty"),
        (["kill", "-9", "1"], "number"),
    ],
)
def test_second_reading_objects_to_an_allow_that_is_wrong(argv, why):
    wrong = commands.Decision(commands.ALLOW, "read-only", "x", "x", tuple(argv))
    assert why in objection(wrong, POLICY)


def test_second_reading_objects_to_a_risk_that_is_told_too_small():
    right = decide("kill -9 1234")
    assert objection(right, POLICY) == ""
    assert "destructive" in objection(right._replace(risk="reversible"), POLICY)


def test_bench_prints_a_line_a_command_and_a_summary(tmp_path):
    listed = tmp_path / "commands.txt"
    listed.write_bytes(b"df -h\nrm -rf /\n\nkubectl g\xd0\xb5t pods\ndf \xff\nkill -9 99\n")
    ended = subprocess.run(
        [sys.executable, str(BENCH), "--commands", str(listed)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    lines = [json.loads(line) for line in ended.stdout.decode().splitlines()]
    assert [line["decision"] for line in lines[:-1]] == [
        "allow",
        "deny",
        "deny",
        "deny",
        "needs_approval",
    ]
    assert set(lines[0]) == {"command", "decision", "risk", "rule", "reason"}
    assert lines[-1]["commands"] == 5 and lines[-1]["decisions_per_s"] > 0


def test_bench_fuzz_finds_nothing():
    ended = subprocess.run(
        [sys.executable, str(BENCH), "--fuzz", "5000", "--seed", "7"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    summary = json.loads(ended.stdout.decode().splitlines()[-1])
    assert summary["allow"] > 50 and summary["exceptions"] == summary["disagreements"] == 0
