"""One command in, one decision out: read, hold against the table, weigh the risk, say why."""

from __future__ import annotations

from itertools import chain
from typing import Optional, Sequence, Tuple, Union

from selfheal.exceptions import ConfigError
from selfheal.guard.commands import advice, kubernetes, lexer, reading
from selfheal.guard.commands.model import (
    ALLOW,
    NEEDS_APPROVAL,
    Decision,
    Operation,
    Policy,
    Refusal,
    new_tuple,
    refused,
)
from selfheal.guard.commands.reading import Reading
from selfheal.guard.commands.rows import INSIDE, Row, row_of
from selfheal.remedy.model import RISKS

_joined = chain.from_iterable


def decide(command: Union[str, Sequence[str]], policy: Policy) -> Decision:
    """The decision about `command`, a line as one would type it or words that are split already.

    Never raises: when the table cannot be read the answer is no. A denied one has no argv; the
    other two have the words to run, written anew, and never the words that came in.
    """
    try:
        words = (
            lexer.words_of(command) if isinstance(command, str) else lexer.checked_words(command)
        )
        row = policy.rows.get(words[0]) or row_of(words[0], policy)
        if row is None:
            raise _no_row(words[0], policy)
        found = reading.read(words, row)
        row = found.row
        operation = None
        if row.resources is not None:
            operation = kubernetes.typed(found, row, row.resources)
        elif row.is_namespaced:
            kubernetes.keep_out(found, row, row.is_never)
        if row.inside:
            _inside(found, row, policy)
    except Refusal as refusal:
        return refused(refusal)
    except ConfigError as error:
        return refused(
            Refusal("table.unusable", words[0], str(error), "Mend the table; until then: no.")
        )
    return _weighed(found, row, operation, policy.safe_mode)


def _inside(found: Reading, row: Row, policy: Policy) -> None:
    """Judge what would run inside a container as any other command, and write it anew as well."""
    inner = found.inner
    if len(found.args) != 1 or not inner:
        raise Refusal(
            row.rule,
            inner[0] if inner else found.args[-1],
            "it must name one container, and then the command that is meant in it",
            "Write both; no row can allow it without.",
        )
    if inner[0] not in policy.document["lists"]["inside"]:
        raise Refusal(
            row.rule,
            inner[0],
            "this program is not among those that may be run inside a container",
            advice.inside(inner[0]),
        )
    judged = decide(inner, policy)
    if judged.is_denied:
        why = "what would run inside a container is refused by itself"
        raise Refusal(judged.rule, judged.token, why, judged.advice)
    found.ask = True
    found.rank = max(found.rank, RISKS.index(judged.risk))
    found.args = [*found.args, *(["--"] if row.inside == INSIDE[0] else []), *judged.argv]


def _weighed(
    found: Reading, row: Row, operation: Optional[Operation], safe_mode: bool
) -> Decision:
    rank = found.rank
    asks = found.ask or rank > (1 if safe_mode else 2)
    reason = row.reasons.get((asks, rank))
    if reason is None:
        reason = row.reasons[asks, rank] = _reason(row, asks, rank)
    argv = tuple(_joined(found.levels))
    if found.args:
        if row.args_first:
            argv = (argv[0], *found.args, *argv[1:])
        else:
            argv = (*argv, *found.args)
    return new_tuple(
        Decision,
        (
            NEEDS_APPROVAL if asks else ALLOW,
            RISKS[rank],
            row.rule,
            reason + found.left_out,
            argv,
            operation,
            "",
            _inverse(found, row) if rank else (),
            "",
        ),
    )


def _reason(row: Row, asks: bool, rank: int) -> str:
    risk = RISKS[rank]
    if not asks:
        return "%s, as its row %s in the command table says" % (risk, row.rule)
    return "%s: a person must see and approve it first (row %s of the command table)" % (
        risk,
        row.rule,
    )


def _inverse(found: Reading, row: Row) -> Tuple[str, ...]:
    """The command that takes this one back: its own, with the sub-command that undoes it."""
    if row.inverse:
        return (*_joined(found.levels[:-1]), row.inverse, *found.args)
    before = found.given.get("--current-replicas")
    if before is not None and row.resources is not None:
        outer = _joined(found.levels[:-1])
        return (*outer, found.levels[-1][0], "--replicas=%s" % before, *found.args)
    return ()


def _no_row(program: str, policy: Policy) -> Refusal:
    if "=" in program:
        return Refusal(
            "lexer.assignment",
            program,
            "it sets a variable that may change what the program does",
            "Leave it out; no row can allow it, because every command has a fixed environment.",
        )
    if "/" in program:
        programs, name = policy.document["programs"], program.rpartition("/")[2]
        return Refusal(
            "table.path",
            program,
            "a program is called by its bare name, or by a path that its row lists",
            "Write the bare name. " + advice.new_path(name, program, programs.get(name)),
        )
    return Refusal(
        "table.program",
        program,
        "the command table has no row for this program, and what has no row is denied",
        advice.new_row([program]),
    )
