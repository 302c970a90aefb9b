"""Splitting one simple command: as sh does it, and not at all where sh would do more."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given

from selfheal.guard.commands import lexer
from selfheal.guard.commands.model import Refusal
from tests import needs
from tests.guard.command_words import EVERYDAY, anything, decide


@pytest.mark.parametrize(
    "command, words",
    [
        ("df -h", ["df", "-h"]),
        ("  df\t -h  ", ["df", "-h"]),
        ("grep 'a b' x", ["grep", "a b", "x"]),
        ('grep "a b" x', ["grep", "a b", "x"]),
        (r"grep a\ b x", ["grep", "a b", "x"]),
        ("grep a'b'\"c\"d x", ["grep", "abcd", "x"]),
        (r"grep '\n' x", ["grep", r"\n", "x"]),
        (r'grep "\n\"\\\$" x', ["grep", r"\n" + '"' + r"\$", "x"]),
        ("grep '$(x); `y` > z' f", ["grep", "$(x); `y` > z", "f"]),
        ("grep 'it'\"'\"'s' f", ["grep", "it's", "f"]),
        ("kubectl get po --field-selector=a!=b", "kubectl get po --field-selector=a!=b".split()),
        ("curl http://x/y?z=1", ["curl", "http://x/y?z=1"]),
        ("curl localhost:9200/y?z", ["curl", "localhost:9200/y?z"]),
        ("curl -w 'a b' https://x?y?z", ["curl", "-w", "a b", "https://x?y?z"]),
    ],
)
def test_words_are_those_of_sh(command, words):
    assert lexer.words_of(command) == words


@pytest.mark.parametrize(
    "command, rule, token",
    [
        ("df; reboot", "lexer.chain", "; reboot"),
        ("df & reboot", "lexer.chain", "& reboot"),
        ("df | sh", "lexer.chain", "| sh"),
        ("df\nreboot", "lexer.chain", "\n"),
        ("df\rreboot", "lexer.chain", "\r"),
        ("df > /x", "lexer.redirection", "> /x"),
        ("df < /x", "lexer.redirection", "< /x"),
        ("df <<EOF", "lexer.redirection", "<<EOF"),
        ("(df)", "lexer.subshell", "(df)"),
        ("df $(reboot)", "lexer.substitution", "$(reboot)"),
        ("df `reboot`", "lexer.substitution", "`reboot`"),
        ('df "$(reboot)"', "lexer.quote", '"$(reboot)"'),
        ("df $'\\x41'", "lexer.substitution", "$'\\x41'"),
        ("df {a,b}", "lexer.expansion", "{a,b}"),
        ("ls /var/log/*", "lexer.glob", "*"),
        ("ls /var/lo?", "lexer.glob", "?"),
        ("curl app.internal/x?y", "lexer.glob", "?y"),
        ("curl http://x?y*", "lexer.glob", "*"),
        ("curl http://x?y&z", "lexer.chain", "&z"),
        ("ls /var/[l]og", "lexer.glob", "[l]og"),
        ("ls ~", "lexer.home", "~"),
        ("df !!", "lexer.history", "!!"),
        ("df # x", "lexer.comment", "# x"),
        ("df 'x", "lexer.quote", "'x"),
        ('df "x', "lexer.quote", '"x'),
        ("df x\\", "lexer.quote", "\\"),
        ("", "lexer.empty", ""),
        (" \t ", "lexer.empty", ""),
        ("df ''", "lexer.empty", "''"),
        ("df '' ; reboot", "lexer.empty", "''"),
        ('df "" -h > /x', "lexer.empty", '""'),
        ("grep 'a''b' f > /x", "lexer.redirection", "> /x"),
        ("grep 'a;b' f; reboot", "lexer.chain", "; reboot"),
        ("d'f' ; reboot", "lexer.program", "'f' ; reboot"),
        ('"df" -h', "lexer.program", '"df" -h'),
        ("d\\f -h", "lexer.program", "\\f -h"),
        ("df\x00-h", "lexer.character", "U+0000"),
        ("df \x1b[2J", "lexer.character", "U+001B"),
        ("df\u00a0-h", "lexer.character", "U+00A0"),
        ("df \u202e-h", "lexer.character", "U+202E"),
        ("d\u0435f", "lexer.character", "U+0435"),
        ("df '\u200b'", "lexer.character", "U+200B"),
        ("df \ud800", "lexer.character", "U+D800"),
    ],
)
def test_what_only_a_shell_can_do_is_refused_where_it_stands(command, rule, token):
    with pytest.raises(Refusal) as refused:
        lexer.words_of(command)
    assert (refused.value.rule, refused.value.token) == (rule, token)


def test_a_variable_before_the_command_is_refused():
    decision = decide("LD_PRELOAD=/tmp/x.so df -h")
    assert decision.is_denied and decision.rule == "lexer.assignment"


@pytest.mark.parametrize("command", ["df " + "x" * 5000, "df " + "a " * 100, ["df"] * 100])
def test_huge_commands_are_refused(command):
    assert decide(command).rule == "lexer.length"


@pytest.mark.parametrize(
    "words", [[], [""], ["df", ""], ["df\n"], ["df", "\u0435"], ["-h"], [7], "", None, 7]
)
def test_split_words_are_checked_as_well(words):
    assert decide(words).is_denied


@given(anything)
def test_what_is_understood_sh_understands_alike(command):
    try:
        words = lexer.words_of(command)
    except Refusal:
        return
    if "\\$" not in command and "\\`" not in command:  # there shlex is not POSIX
        assert shlex.split(command) == words


def test_a_real_shell_splits_the_corpus_alike():
    shell = needs.tool("dash", "sh")
    script = "".join(
        "set -- %s\nprintf '%%s\\0' \"$#\" \"$@\"\n" % command for command in EVERYDAY
    )
    ended = subprocess.run(
        [shell, "-f"], input=script.encode(), stdout=subprocess.PIPE, check=True, timeout=60
    )
    said = iter(ended.stdout.decode().split("\0"))
    for command in EVERYDAY:
        assert [next(said) for _ in range(int(next(said)))] == lexer.words_of(command), command
