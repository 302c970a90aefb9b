"""Who answers a question, and whether their yes counts.

The names come from StackStorm, never from what somebody typed: an action gets the name of its
caller as a frozen parameter (`who`, see actions/approve.yaml). They are compared exactly, ASCII
letters in any case: two names that only look alike are two people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Tuple

from selfheal.exceptions import ConfigError
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.config import Config

MAX_NAME = 100
NOBODY = "somebody without a name"
_AROUND = " \t\r\n"  # what typing and templates leave around a name; any other space is part of it


def shown(name: str) -> str:
    """`name` as it is recorded and shown: on one line, printable, not too long."""
    return one_line(name, MAX_NAME) or NOBODY


def approvers(config: Config) -> Tuple[str, ...]:
    """The names whose yes counts; none: anybody's does. Raises ConfigError when they cannot be
    read.
    """
    found = config.get("safety.approvers")
    if found is None:
        return ()
    if not isinstance(found, (list, tuple)) or not all(isinstance(name, str) for name in found):
        raise ConfigError(
            "safety.approvers must be a list of names, not %s; until it is, no yes counts"
            % one_line(repr(found), 100)
        )
    return tuple(name.strip(_AROUND) for name in found)


def may_approve(config: Config, name: str) -> bool:
    """Whether a yes of `name` counts. Raises ConfigError."""
    allowed = approvers(config)
    return not allowed or any(is_same(name, one) for one in allowed)


def is_same(name: str, other: str) -> bool:
    """Whether both are the same person's name; no name is nobody's."""
    name, other = name.strip(_AROUND), other.strip(_AROUND)
    if not name or not other:
        return False
    return name == other or (
        name.isascii() and other.isascii() and name.lower() == other.lower()
    )


def in_words(config: Config) -> str:
    """Who may say yes, for people. Raises ConfigError."""
    allowed = [shown(name) for name in approvers(config) if name]
    if not approvers(config):
        return "anybody who may answer in StackStorm (safety.approvers is empty)"
    return ", ".join(allowed[:20]) + (" and others" if len(allowed) > 20 else "")
