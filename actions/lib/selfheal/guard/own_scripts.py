"""Scripts that an operator wrote beside a runbook, or in it: the one thing that the command policy
lets run without having read it.

What such a script does cannot be told from its words. It may run because its text is part of what
was reviewed, decided and approved (see remedy.own_files), at the risk that its runbook declares.
"""

from __future__ import annotations

import os
import re
import stat
from typing import List, NamedTuple, Optional, Sequence, Tuple

from selfheal.guard.commands.model import (
    ALLOW,
    NEEDS_APPROVAL,
    Decision,
    Policy,
    Refusal,
    refused,
)
from selfheal.remedy import own_files
from selfheal.remedy.model import RISKS, Command

RULE = "own_script"
_FOLDERS = ("/bin/", "/usr/bin/", "/usr/local/bin/")


class Place(NamedTuple):
    """The directory of a runbook and the risk that it declares."""

    folder: str
    risk: str


def judge(command: Command, place: Place, policy: Policy) -> Optional[Decision]:
    """The decision about words that run a file beside the runbook; None when they run none."""
    words = list(command.argv)
    flags, rest = _interpreter(words, policy)
    if rest is None:
        if "/" not in words[0] or not own_files.inside(words[0], place.folder):
            return None
        rest = words
    if not rest:
        return _no_script(words[0], "there is no script after it")
    if rest[0].startswith("-"):
        return _no_flag(words[0], rest[0], flags)
    path = own_files.inside(rest[0], place.folder)
    if not path:
        return _no_script(rest[0], "it is no file of the runbook's own directory %s" % place.folder)
    if path not in [known for known, _digest in command.files]:
        return refused(
            Refusal(
                RULE,
                rest[0],
                "what it holds was not there when the runbook was read",
                "Analyze the incident again.",
            )
        )
    return _weighed(path, place, policy)


def judge_inline(command: Command, place: Place, policy: Policy) -> Decision:
    """The decision about a script that stands in the runbook itself."""
    words = list(command.interpreter)
    flags, rest = _interpreter(words, policy)
    if rest is None:
        return refused(
            Refusal(
                RULE,
                words[0],
                "it is none of the interpreters that the command table names",
                "Use one of %s. If you mean it, name it in your own table "
                "(safety.command_table): `interpreters: {%s: '-[a-z]'}`."
                % (", ".join(policy.document["interpreters"]), os.path.basename(words[0])),
            )
        )
    if rest:
        return _no_flag(words[0], rest[0], flags)
    return _weighed("", place, policy)


def _interpreter(
    words: Sequence[str], policy: Policy
) -> Tuple[str, Optional[List[str]]]:
    """(the pattern of its flags, what follows them), or ("", None) when words[0] is none."""
    folder, name = os.path.split(words[0])
    flags = policy.document["interpreters"].get(name)
    if flags is None or (folder and folder + "/" not in _FOLDERS):
        return "", None
    rest = list(words[1:])
    while rest and re.fullmatch(flags, rest[0], re.ASCII):
        rest.pop(0)
    return flags, rest


def _weighed(path: str, place: Place, policy: Policy) -> Decision:
    open_to_all = writable_by_all(_upwards(path, place.folder))
    if open_to_all:
        return refused(
            Refusal(
                RULE,
                open_to_all,
                "everybody on this host may write there, so nobody knows what the script does",
                "Take that right away: `chmod o-w %s`." % open_to_all,
            )
        )
    asks = RISKS.index(place.risk) > (1 if policy.safe_mode else 2)
    what = "the script %s beside the runbook" % path if path else "the script in the runbook"
    reason = "%s, as the runbook says of %s" % (place.risk, what)
    return Decision(NEEDS_APPROVAL if asks else ALLOW, place.risk, RULE, reason)


def writable_by_all(paths: Sequence[str]) -> str:
    """The first of `paths` that everybody may write to, or that cannot be looked at; or else the
    first folder above them in which everybody may put something else in their place; or empty.
    """
    for path in paths:
        try:
            if os.stat(path).st_mode & stat.S_IWOTH:
                return path
        except (OSError, ValueError):
            return path
    return next(filter(_is_exchangeable, _above(paths)), "")


def _is_exchangeable(folder: str) -> bool:
    try:
        mode = os.stat(folder).st_mode
    except (OSError, ValueError):
        return True
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _above(paths: Sequence[str]) -> List[str]:
    """The folders above `paths`, as they are written and as links lead."""
    found: List[str] = []
    for path in paths:
        for start in (os.path.abspath(path), os.path.realpath(path)):
            folder = os.path.dirname(start)
            while folder not in found:
                found.append(folder)
                folder = os.path.dirname(folder)
    return found


def _upwards(path: str, folder: str) -> List[str]:
    """`path` and what lies between it and `folder`, that too."""
    root = os.path.realpath(folder)
    found = []
    while len(path) > len(root):
        found.append(path)
        path = os.path.dirname(path)
    return [*found, root]


def _no_script(token: str, why: str) -> Decision:
    return refused(
        Refusal(
            RULE,
            token,
            "an interpreter runs only a script that lies beside the runbook, and %s" % why,
            "Put the script beside the runbook and name it there, as in [sh, scripts/do_it.sh]; "
            "no row can allow others, because what they hold is not part of what is decided.",
        )
    )


def _no_flag(program: str, flag: str, flags: str) -> Decision:
    return refused(
        Refusal(
            RULE,
            flag,
            "%s may not be given this flag before a script" % program,
            "It takes flags that fit '%s'. Flags that carry program text cannot be allowed: put "
            "the text into a script beside the runbook." % flags,
        )
    )
