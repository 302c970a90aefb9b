"""Messages of real systems and what a person on call would say they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.errors import rule_files
from selfheal.errors.classify import BY_LEVEL, PACK_RULES, SEVERITIES, TYPES, Rules
from selfheal.errors.fingerprint import Fingerprinter
from selfheal.errors.severity import LEVELS

TABLE = Path(__file__).parent / "fixtures" / "classified_messages.txt"


def labelled():
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line and not line.startswith("#")]
    return [tuple(part.strip() for part in row.split("|", 5)) for row in rows]


@pytest.fixture(scope="module")
def rules():
    return Rules.load()


@pytest.fixture(scope="module")
def template_of():
    of = Fingerprinter().of
    return lambda message: of(message)[1]


@pytest.mark.parametrize(
    ("error_type", "rule", "severity", "program", "level", "message"), labelled()
)
def test_a_message_is_what_a_person_would_say(
    rules, template_of, error_type, rule, severity, program, level, message
):
    found = rules.classify(template_of(message), "", level, program)
    assert found == (error_type, severity, rule)


def test_the_table_has_a_message_for_each_rule_and_each_type(rules):
    rows = labelled()
    assert len(rows) >= 200 and len({row[5] for row in rows}) == len(rows)
    assert {row[1] for row in rows} == {rule.name for rule in rules.rules} | {BY_LEVEL}
    assert {row[0] for row in rows} == set(TYPES) - {"unreadable"}


def test_the_packs_rules_are_many_and_say_what_they_are(rules):
    assert len(rules.rules) >= 80
    assert len({rule.name for rule in rules.rules}) == len(rules.rules)
    assert all(rule.error_type in TYPES for rule in rules.rules)


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("emergency", "critical"),
        ("alert", "critical"),
        ("critical", "critical"),
        ("error", "error"),
        ("warning", "warning"),
        ("notice", "info"),
        ("info", "info"),
        ("debug", "info"),
        ("", "warning"),
    ],
)
def test_without_a_rule_the_level_decides(rules, level, severity):
    assert rules.classify("nothing known", level=level) == ("application", severity, BY_LEVEL)


def test_the_class_of_an_exception_counts_like_words_of_the_message(rules):
    found = rules.classify("order 17 failed", "org.example.wrapped.NullPointerException", "error")
    assert found == ("application", "error", "app-null-reference")


def test_the_text_of_a_rule_is_found_across_punctuation_and_case(rules):
    spellings = ("No space left on device", "NO SPACE LEFT ON DEVICE", "no-space_left/on,device")
    for message in spellings:
        assert rules.classify(message)[2] == "storage-disk-full"
    assert rules.classify("no space left on devices")[2] != "storage-disk-full"


@pytest.mark.parametrize("program", ["kubelet", "/usr/bin/kubelet", "kubelet.service", "KUBELET"])
def test_a_program_is_known_by_its_bare_name(rules, program):
    assert rules.classify("nothing known", program=program)[2] == "program-kubernetes"
    assert rules.classify("nothing known", program="mykubelet")[2] == BY_LEVEL


def made(*raws):
    return Rules(rule_files.parse(raws, "here"))


def test_the_first_rule_wins():
    rules = made(
        {"name": "one", "type": "network", "text": ["late answer"]},
        {"name": "two", "type": "database", "text": ["answer"]},
    )
    assert rules.classify("a late answer")[2] == "one"
    assert rules.classify("an answer, late")[2] == "two"


def test_every_condition_of_a_rule_must_hold():
    rules = made(
        {
            "name": "one",
            "type": "network",
            "text": ["lost"],
            "programs": ["proxy*"],
            "levels": ["error", "critical"],
            "kubernetes": True,
            "unless": ["lost and found"],
        }
    )
    right = {"level": "error", "program": "proxy-2", "has_kubernetes": True}
    assert rules.classify("it is lost", **right) == ("network", "error", "one")
    for wrong in ({"level": "info"}, {"program": "web"}, {"has_kubernetes": False}):
        assert rules.classify("it is lost", **{**right, **wrong})[2] == BY_LEVEL
    assert rules.classify("it is found", **right)[2] == BY_LEVEL
    assert rules.classify("it is lost and found", **right)[2] == BY_LEVEL


def test_wildcards_and_gaps_stand_for_letters_and_words():
    rules = made(
        {"name": "start", "type": "network", "text": ["*overrun now"]},
        {"name": "end", "type": "network", "text": ["corrupt*"]},
        {"name": "gap", "type": "network", "text": ["disk ... failing"]},
        {"name": "regex", "type": "network", "regex": [r"code \d{3}$"]},
    )
    names = {
        "bufferoverrun now": "start",
        "overrun now": BY_LEVEL,
        "corruption": "end",
        "corrupt": "end",
        "disk failing": "gap",
        "disk one of two is failing": "gap",
        "failing disk": BY_LEVEL,
        "disk " + "x " * 30 + "failing": BY_LEVEL,
        "CODE 123": "regex",
        "code 1234": BY_LEVEL,
    }
    assert {text: rules.classify(text)[2] for text in names} == names


def test_a_rule_without_severity_takes_the_level_and_at_least_a_warning():
    rules = made({"name": "one", "type": "network", "text": ["lost"]})
    assert rules.classify("lost", level="critical")[1] == "critical"
    assert rules.classify("lost", level="info")[1] == "info"
    assert rules.classify("lost")[1] == "warning"


@given(
    st.text(max_size=300), st.text(max_size=40), st.sampled_from(["", *LEVELS]), st.text(max_size=9)
)
def test_any_text_has_a_class_and_always_the_same(text, error_class, level, program):
    rules = _loaded()
    found = rules.classify(text, error_class, level, program)
    assert found[0] in TYPES and found[1] in SEVERITIES and found[2]
    assert Rules(rules.rules).classify(text, error_class, level, program) == found


def _loaded(kept=[]):  # noqa: B006
    if not kept:
        kept.append(Rules(rule_files.read(str(PACK_RULES))[:20]))
    return kept[0]
