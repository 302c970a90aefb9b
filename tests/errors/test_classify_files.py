"""Files with a site's own rules: read strictly, asked first, broken ones named."""

from __future__ import annotations

import os

import pytest

from selfheal.errors import rule_files
from selfheal.errors.classify import Rules
from selfheal.exceptions import ConfigError

GOOD = """
rules:
  - name: our-outage
    type: network
    severity: critical
    text: [flux capacitor]
"""


def written(tmp_path, text, name="rules.yaml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return str(path)


def test_a_sites_rules_come_before_the_packs(tmp_path):
    rules = Rules.load([written(tmp_path, GOOD)])
    assert rules.classify("flux capacitor: no space left on device") == (
        "network",
        "critical",
        "our-outage",
    )
    assert rules.classify("no space left on device")[2] == "storage-disk-full"


def test_a_sites_rule_takes_the_place_of_the_packs_of_that_name(tmp_path):
    own = "rules: [{name: storage-disk-full, type: network, severity: info, text: [disk is full]}]"
    rules = Rules.load([written(tmp_path, own)])
    assert rules.classify("the disk is full") == ("network", "info", "storage-disk-full")
    assert rules.classify("ENOSPC")[2] != "storage-disk-full"


def test_of_two_files_the_first_wins(tmp_path):
    first = written(tmp_path, GOOD, "first.yaml")
    second = written(tmp_path, GOOD.replace("network", "database"), "second.yaml")
    assert Rules.load([first, second]).classify("flux capacitor")[0] == "network"
    assert Rules.load([second, first]).classify("flux capacitor")[0] == "database"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "one key `rules`"),
        ("[]", "one key `rules`"),
        ("rules: {}", "one key `rules`"),
        ("rules: []\nmore: 1", "one key `rules`"),
        ("rules: [", "cannot read"),
        (b"\xff\xfe\x00", "cannot read"),
        ("rules: [text]", "rule 1: must be a map, not str"),
        ("rules: [{type: network, text: [foo]}]", "rule 1: name must be"),
        ("rules: [{name: Bad Name, type: network, text: [foo]}]", "name must be lower-case"),
        ("rules: [{name: one, text: [foo]}]", "rule 1 (one): type must be one of"),
        ("rules: [{name: one, type: weather, text: [foo]}]", "not 'weather'"),
        ("rules: [{name: one, type: [network], text: [foo]}]", "type must be one of"),
        ("rules: [{name: one, type: network}]", "matches everything"),
        ("rules: [{name: one, type: network, txt: [foo]}]", "unknown key txt"),
        ("rules: [{name: one, type: network, text: []}]", "text is empty"),
        ("rules: [{name: one, type: network, text: [404]}]", "numbers in quotes"),
        ("rules: [{name: one, type: network, text: ['!!!']}]", "has no words"),
        ("rules: [{name: one, type: network, text: ['foo ...']}]", "has no words beside ..."),
        ("rules: [{name: one, type: network, text: ['*']}]", "needs 3 letters"),
        ("rules: [{name: one, type: network, text: ['ab*']}]", "needs 3 letters"),
        ("rules: [{name: one, type: network, text: ['foo*bar']}]", "needs 3 letters"),
        ("rules: [{name: one, type: network, text: ['*foo*']}]", "both sides"),
        ("rules: [{name: one, type: network, text: ['%s']}]" % ("foo " * 100), "longer than 300"),
        ("rules: [{name: one, type: network, regex: ['(']}]", "regex '('"),
        ("rules: [{name: one, type: network, programs: ['a*b']}]", "only stand at the end"),
        ("rules: [{name: one, type: network, levels: [bad]}]", "levels must be one of"),
        ("rules: [{name: one, type: network, kubernetes: maybe}]", "kubernetes must be true or"),
        ("rules: [{name: one, type: network, severity: bad, text: [foo]}]", "severity must be one"),
        (
            "rules: [{name: one, type: network, text: [a]}, {name: one, type: network, text: [a]}]",
            "rule 2 (one): rule 1 has that name already",
        ),
        ("rules: [{name: one, type: network, text: [foo], 1: 2}]", "unknown key 1"),
        ("#" + "x" * 1_000_001, "more than 1000000 bytes"),
        ("rules:\n- &a [x]\n- [*a, *a]", "line 3: write out what the alias *a stands for"),
        ("rules: " + "[" * 100_000 + "]" * 100_000, "line 1: nested too deeply"),
    ],
)
def test_a_bad_file_is_named_with_the_rule_and_the_reason(tmp_path, text, words):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Rules.load([path])
    assert words in str(caught.value) and path in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml: No such file"):
        Rules.load([str(tmp_path / "nowhere.yaml")])
    with pytest.raises(ConfigError, match="cannot read"):
        Rules.load(["\0"])


def test_what_would_never_end_is_not_read(tmp_path):
    pipe = str(tmp_path / "pipe.yaml")
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="pipe.yaml: no regular file"):
        Rules.load([pipe])


@pytest.mark.parametrize(
    "regex",
    ["(a+)+$", r"(?:\w+\s*)*!", "((a|b+))*c", r"x(?=(\d*)+y)", "(?:(?:a{2,}){3,})+b", "(.*)*z"],
)
def test_a_regex_that_one_line_could_keep_busy_for_ever_is_refused(regex):
    raw = {"name": "one", "type": "network", "regex": regex}
    with pytest.raises(ConfigError, match="repeats a repetition"):
        rule_files.parse([raw], "here")


@pytest.mark.parametrize(
    "regex", [r"(?:[a-z]+\.)+Exception", r"(?:\w+ )*failed", r"(?:ab)+c", r"(\d{1,3}\.){3}", "a+b+"]
)
def test_a_regex_with_an_end_to_each_repetition_is_taken(regex):
    (rule,) = rule_files.parse([{"name": "one", "type": "network", "regex": regex}], "here")
    assert rule.regexes[0].pattern == regex
