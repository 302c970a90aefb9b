"""The pack itself has none of the problems that StackStorm or the Exchange would refuse."""

from pathlib import Path

from standalone.validation import problems_of

ROOT = Path(__file__).resolve().parents[1]


def test_the_pack_has_no_problems():
    assert problems_of(ROOT) == []
