"""The shortcut for common values says what the full rules say, or nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.errors import codes, tokens, values
from selfheal.errors.fingerprint import Fingerprinter
from selfheal.errors.quick import quick
from tests.examples import examples

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
HEX = "0123456789abcdef"
UNITS = ("", "ms", "s", "h", "kB", "KB", "MB", "B", "%", "e5", "d", "x")


def words(seed, count):
    """Words like those the shortcut is for, and such as are nearly so."""
    dice = random.Random(seed)

    def some(alphabet, least, most):
        return "".join(dice.choice(alphabet) for _ in range(dice.randint(least, most)))

    def digits(least, most):
        return some("0123456789", least, most)

    values_ = (
        lambda: ".".join(digits(1, 3) for _ in range(dice.randint(2, 5))),
        lambda: "%s:%s" % (".".join(digits(1, 3) for _ in range(4)), digits(1, 6)),
        lambda: digits(1, 9) + dice.choice(("", "." + digits(1, 4))) + dice.choice(UNITS),
        lambda: "-".join(some(HEX, size, size) for size in (8, 4, 4, 4, 12)),
        lambda: "-".join(some("abcdef", size, size) for size in (8, 4, 4, 4, 12)),
        lambda: some(HEX, 7, 20),
        lambda: some("0123456789ed", 8, 12),
        lambda: "%se%s" % (digits(3, 9), digits(2, 5)),
        lambda: some(LETTERS, 1, 22) + dice.choice(("-", "_", "")) + digits(4, 10),
        lambda: dice.choice(sorted(values.TERMS)),
    )
    for _ in range(count):
        key = dice.choice(("", some(dice.choice((LETTERS, "abcdefABCDEF")), 1, 12) + "="))
        before = some("([\"'", 0, 2) + key + dice.choice(("", "(", "[", '"', "<"))
        yield before + dice.choice(values_)() + some(":.-", 0, 2) + some(")]\"',;", 0, 3)


@pytest.mark.parametrize("seed", range(4))
def test_shortcut_agrees_with_the_rules(seed):
    told = 0
    for word in words(seed, 4000):
        form = quick(word)
        if form is not None:
            told += 1
            assert form == tokens.mask(word), word
    assert told > 400


@settings(max_examples=examples(150), deadline=None)
@given(st.text(alphabet="0123456789abcdefghxX.:-_=()[]\"',;/%<>@#", max_size=24).filter(bool))
def test_shortcut_agrees_with_the_rules_on_any_mixture(word):
    assert quick(word) in (None, tokens.mask(word))


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("4711", "<num>"),
        ("(pid=4711)", "(pid=<num>)"),
        ("12.5%,", "<num>,"),
        ("10.1.2.3:8080:", "<ip>:"),
        ("addr=10.1.2.3", "addr=<ip>"),
        ("0b55a1f2-0000-4000-a000-00000000beef", "<uuid>"),
        ("trace=09f3a77c0d1e", "trace=<hex>"),
        ("ORD-1234567:", "<id>:"),
    ],
)
def test_common_values_take_the_shortcut(word, form):
    assert quick(word) == form == tokens.mask(word)


@pytest.mark.parametrize("word", ["ORA-00942", "MY-010116", "0x8007000E", "E1234", "ext4", "1e5"])
def test_codes_terms_and_doubtful_words_are_left_to_the_rules(word):
    assert quick(word) is None


def test_word_with_a_value_is_marked_as_a_cue_whatever_was_seen_before():
    """A fingerprinter remembers that of one word for others with the same key."""
    dice = random.Random(9)
    keys = ("", "rc", "err", "errno", "status", "code", "http", "exit", "src", "error-", "HTTP_",
            "order-", "abc", "(", "(rc")
    lines = Fingerprinter()
    for _ in range(20_000):
        value = dice.choice((
            "%d" % dice.randrange(10**7), "%012x" % dice.getrandbits(48), "10.1.2.3:80",
            "%07d" % dice.randrange(10**7), "%d" % dice.randrange(1000),
        ))
        before = dice.choice(("", "(", "[", '"')) + dice.choice(keys)
        after = dice.choice(("", ")", ":", "),", "):"))
        word = before + dice.choice(("=", "", "=(")) + value + after
        mark = codes.MARK if codes.is_cue(word) else ""
        assert lines._words[word] == mark + tokens.mask(word), word
