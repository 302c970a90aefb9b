"""Shared by the tests of the command policy: the corpora, and hostile commands made from them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from selfheal.guard import commands

FIXTURES = Path(__file__).resolve().parent / "fixtures"
POLICY = commands.load_policy()
BOLD = commands.load_policy(safe_mode=False)


def corpus(name):
    """The commands of fixtures/commands_NAME.txt."""
    text = (FIXTURES / ("commands_%s.txt" % name)).read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line]


def decide(command, policy=POLICY):
    """The decision about `command`, by the built-in table in safe mode."""
    return commands.decide(command, policy)


ALLOWED = corpus("allowed")
NEEDING_APPROVAL = corpus("needing_approval")
EVASIVE = corpus("evasive")
EVERYDAY = ALLOWED + NEEDING_APPROVAL
WORDS = sorted({word for line in EVERYDAY + EVASIVE for word in line.split(" ") if word})
SIGNS = ";&|<>(){}$`*?[]~!#^'\"\\=,:/.- \t\n\r\x00\x1b\u200b\u202e\u0435\uff52%@+_0aZ"

_word = st.sampled_from(WORDS) | st.text(SIGNS, max_size=6) | st.text(max_size=6)


@st.composite
def mutated(draw):
    """An everyday command with words put in, taken out or changed, and signs slipped in."""
    parts = draw(st.sampled_from(EVERYDAY)).split(" ")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(parts)))
        how = draw(st.sampled_from(("insert", "drop", "change", "sign", "twice", "joined")))
        if how == "insert":
            parts.insert(at, draw(_word))
        elif how == "drop" and len(parts) > 1:
            parts.pop(at - 1)
        elif how == "change":
            parts[at - 1] = draw(_word)
        elif how == "sign":
            word = parts[at - 1]
            cut = draw(st.integers(0, len(word)))
            parts[at - 1] = word[:cut] + draw(st.sampled_from(SIGNS)) + word[cut:]
        elif how == "twice":
            parts.insert(at, parts[at - 1])
        elif how == "joined" and at < len(parts):
            parts[at - 1] += draw(st.sampled_from(("", "=", ","))) + parts[at]
    return " ".join(parts)


anything = st.text(max_size=60) | st.text(SIGNS, max_size=40) | mutated()
