"""Words held against the rows of the table: which sub-command, which flags with which values, which
positionals; each exactly as the table has it, or refused.

Nothing is guessed: no abbreviated flags, no flag twice, no `--`, nothing empty. The words to run
are written anew, flags where the table has them, so that no program can read them otherwise.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from selfheal.guard.commands import advice
from selfheal.guard.commands.model import Refusal
from selfheal.guard.commands.rows import INSIDE, Flag, Row, Shape
from selfheal.guard.commands.values import ASK, described

_ONE_FLAG = "Give one flag; no row can allow several, because only one of them would count."


class Reading:
    """What was understood. `levels[k]` are the words up to the next sub-command; `given` maps a
    flag's name to its value ("" for a switch); `left_out` says of flags that are not kept, why;
    `inner` is the command that would run inside a container.
    """

    __slots__ = ("args", "ask", "given", "inner", "left_out", "levels", "rank", "row")

    def __init__(self, row: Row, program: str) -> None:
        self.row = row
        self.levels: List[List[str]] = [[program, *row.insert]]
        self.given: Dict[str, str] = {}
        self.args: List[str] = []
        self.inner: List[str] = []
        self.left_out = ""
        self.rank = 0
        self.ask = False


def read(words: List[str], row: Row) -> Reading:
    """Hold `words` against `row`, that of the program words[0]. Raises Refusal."""
    if row.deny:
        raise _denied(row, words[0])
    found = Reading(row, words[0])
    args = found.args
    flags, commands, inside = row.flags, row.commands, row.inside
    position, end = 1, len(words)
    while position < end:
        word = words[position]
        position += 1
        if inside and (word == "--" if inside == INSIDE[0] else args):
            found.inner = words[position - (inside != INSIDE[0]):]
            break
        flag = flags.get(word)
        if flag is not None:
            if flag.takes_next and position < end:
                value = words[position]
                position += 1
                _valued(found, flag, value, word, value)
            elif flag.test is None:
                _switch(found, flag, word)
            else:
                position = _with_next(found, flag, word, words, position)
        elif word[0] == "-":
            position = _loose(found, word, words, position)
        elif commands is None or args or word[0] == "+":
            args.append(word)
        else:
            row = found.row = _sub_row(row, commands, word)
            flags, commands, inside = row.flags, row.commands, row.inside
            found.levels.append([word, *row.insert])
    if row.demands:
        _complete(found, row, words[-1])
    if row.rank > found.rank:
        found.rank = row.rank
    found.ask = found.ask or row.ask
    if row.resources is None:
        _positionals(found, row)
    return found


def _sub_row(row: Row, commands: Dict[str, Row], word: str) -> Row:
    sub = commands.get(word)
    if sub is None:
        raise _no_command(row, word)
    if sub.deny:
        raise _denied(sub, word)
    return sub


def _switch(found: Reading, flag: Flag, word: str) -> None:
    if flag.deny:
        raise _denied_flag(found.row, flag, word)
    if flag.drop:
        found.left_out += "; %s is left out: %s" % (flag.names[0], flag.drop)
        found.ask = True
        return
    name = flag.name
    if name in found.given:
        _repeated(found, flag, word)
    found.given[name] = ""
    level = found.levels[flag.level]
    if name not in level or flag.repeat > 1:
        level.append(name)
    if flag.rank > found.rank:
        found.rank = flag.rank
    if flag.ask:
        found.ask = True


def _valued(found: Reading, flag: Flag, value: str, *token: str) -> None:
    """A flag with its value; `token` is how the two were written."""
    if flag.deny:
        raise _denied_flag(found.row, flag, " ".join(token))
    fits = flag.test(value) if flag.test and value else False
    if not fits:
        raise _no_such_value(found.row, flag, value, " ".join(token))
    name = flag.name
    if name in found.given:
        _repeated(found, flag, " ".join(token))
    found.given[name] = value
    if flag.opening:
        found.levels[flag.level].append(flag.opening + value)
    else:
        found.levels[flag.level] += name, value
    rank = flag.ranks.get(value, flag.rank) if flag.ranks else flag.rank
    if rank > found.rank:
        found.rank = rank
    if fits is ASK:
        found.ask = True
        found.rank = max(found.rank, flag.asked)
    if flag.ask:
        found.ask = True


def _with_next(found: Reading, flag: Flag, word: str, words: List[str], position: int) -> int:
    """A flag whose value is the next word. Returns the position after what was read."""
    if flag.optional:
        following = words[position] if position < len(words) else ""
        if following in found.row.flags or not (flag.test and following and flag.test(following)):
            _switch(found, flag, word)
            return position
    if position == len(words):
        raise Refusal(
            "%s.%s" % (found.row.rule, flag.name),
            word,
            "%s takes %s, and there is none" % (word, described(flag.spec)),
            "Give the value: nothing is never read as everything, and no row can allow that.",
        )
    if flag.attached and not flag.optional:
        raise _unknown_flag(found.row, word)
    _valued(found, flag, words[position], word, words[position])
    return position + 1


def _loose(found: Reading, word: str, words: List[str], position: int) -> int:
    """A flag that is joined with its value (--tail=5, -n5), or several in one (-xe)."""
    row = found.row
    if word.startswith("--"):
        _long(found, word)
        return position
    if row.number is not None and word[1:].isdigit():
        _valued(found, row.number, word[1:], word)
        return position
    if len(word) == 1:
        raise _unknown_flag(row, word)
    if row.exact:
        return _attached(found, word, position)
    for index in range(1, len(word)):
        flag = row.flags.get("-" + word[index])
        if flag is None:
            raise _unknown_flag(row, word)
        if flag.test is None:
            _switch(found, flag, word)
            continue
        rest = word[index + 1:]
        if not rest:
            return _with_next(found, flag, word, words, position)
        if rest[0] == "=" and row.switch_values and index == 1:
            rest = rest[1:]
        _valued(found, flag, rest, word)
        break
    return position


def _long(found: Reading, word: str) -> None:
    row = found.row
    name, equals, value = word.partition("=")
    flag = row.flags.get(name) if equals else None
    if flag is None or name == "--":
        raise _unknown_flag(row, word)
    if flag.test is not None or flag.deny:
        _valued(found, flag, value, word)
    elif value == "true" and row.switch_values:
        _switch(found, flag, word)
    else:
        raise Refusal(
            "%s.%s" % (row.rule, flag.name),
            word,
            "%s is a switch and takes no value" % name,
            "Leave out what follows the equals sign. " +
            advice.flag(row.path[:flag.level + 1], flag.names, word, flag.names[-1]),
        )


def _attached(found: Reading, word: str, position: int) -> int:
    flag = found.row.flags.get(word[:2])
    if flag is None or not flag.attached:
        raise _unknown_flag(found.row, word)
    _valued(found, flag, word[2:], word)
    return position


def _repeated(found: Reading, flag: Flag, word: str) -> None:
    if flag.repeat > 1:
        times = sum(1 for one in found.levels[flag.level] if one.startswith(flag.name))
        if times < flag.repeat:
            return
    raise Refusal(
        "%s.%s" % (found.row.rule, flag.name),
        word,
        "%s stands there too often, and programs differ in which one counts" % flag.name,
        "Give it once; no row can allow two, but for a flag that says `repeat: 2`.",
    )


def _complete(found: Reading, row: Row, last: str) -> None:
    if row.commands is not None and not row.bare:
        raise Refusal(
            row.rule,
            last,
            "%s needs a sub-command" % row.rule.replace(".", " "),
            "Say which: %s; no row can allow it without." % _some(row),
        )
    given = found.given
    for flag in row.required:
        if flag.name not in given:
            raise Refusal(
                "%s.%s" % (row.rule, flag.name),
                last,
                "%s is missing" % " or ".join(flag.names),
                "Add it; without it the command %s, and no row can allow that."
                % ("may not end by itself" if flag.test is None else "says too little"),
            )
    for flag in row.defaults:
        if flag.name not in given:
            given[flag.name] = str(flag.default)
            found.levels[flag.level] += flag.default_words
    if row.needs_one and not row.needs_one & given.keys():
        raise Refusal(row.rule, last, "one of its flags must stand there", _one_of(row))
    if row.at_most_one and len(given) > 1:
        raise Refusal(row.rule, last, "it takes one flag, not several", _ONE_FLAG)
    if row.needs_flag_or_arg and not given and not found.args:
        raise Refusal(row.rule, last, "alone it does too much", _one_of(row))


def _positionals(found: Reading, row: Row) -> None:
    args, refused = found.args, None
    for shape in row.shapes:
        ask, problem = _fits(shape, args)
        if problem is None:
            if shape.rank > found.rank:
                found.rank = shape.rank
            if ask or shape.ask:
                found.ask = True
            return
        if refused is None or _says_more(problem[2]) > _says_more(refused[2]):
            refused = problem
    token, why, spec = refused or ("", "it has no shape", "")
    how = "Name it: nothing is never read as everything, and no row can allow that."
    if args:
        other = advice.value(spec, token, row.document) if spec else ""
        how = other or advice.replaced_row(row.path, args)
    raise Refusal(row.rule, token or row.rule.replace(".", " "), why, how)


def _says_more(spec: str) -> int:
    """How much it helps to hear that a word is none of the kind `spec`: where a list decides it,
    more than where another sub-command would have stood; empty is a wrong number of words.
    """
    return 0 if not spec else 1 if spec.startswith("enum ") else 2


def _fits(shape: Shape, args: List[str]) -> Tuple[bool, Optional[Tuple[str, str, str]]]:
    """Whether a person must see `args`, and what does not fit: the word, why, its kind."""
    if not shape.low <= len(args) <= shape.high:
        if not args:
            return False, ("", "it does not say about what; it needs %s" % _shape(shape), "")
        if shape.high == 0:
            return False, (args[0], "no further word may stand there", "")
        why = "%s must stand there, and nothing else" % _shape(shape)
        return False, (args[-1], why, "")
    ask = False
    each, tests = shape.each, shape.tests
    for index, word in enumerate(args):
        fits = each(word) if each else tests[index](word)
        if not fits:
            spec = shape.specs[0 if each else index]
            return False, (word, "it must be %s" % described(spec), spec)
        if fits is ASK:
            ask = True
    return ask, None


def _shape(shape: Shape) -> str:
    if not shape.words:
        words = ", then ".join(described(one) for one in shape.specs)
        if shape.each and shape.high != 1:
            words = "%d to %d times %s" % (shape.low, shape.high, words)
        shape.words = words
    return shape.words


def _no_such_value(row: Row, flag: Flag, value: str, token: str) -> Refusal:
    return Refusal(
        "%s.%s" % (row.rule, flag.name),
        token,
        "%s takes %s, not %r" % (flag.name, described(flag.spec), value[:80]),
        "Give such a value. " + _other_value(row, flag, value),
    )


def _other_value(row: Row, flag: Flag, value: str) -> str:
    other = advice.value(flag.spec, value, row.document) if value else ""
    token = "%s=%s" % (flag.name, value)
    return other or advice.flag(row.path[:flag.level + 1], flag.names, token, flag.names[-1])


def _denied(row: Row, token: str) -> Refusal:
    if "denied" not in row.words:
        row.words["denied"] = advice.replaced_row(row.path)
    return Refusal(row.rule, token, row.deny, row.words["denied"])


def _denied_flag(row: Row, flag: Flag, word: str) -> Refusal:
    return Refusal(
        "%s.%s" % (row.rule, flag.names[-1]),
        word,
        flag.deny,
        advice.flag(row.path[:flag.level + 1], flag.names, word, flag.names[-1]),
    )


def _no_command(row: Row, word: str) -> Refusal:
    return Refusal(
        row.rule,
        word,
        "%s has no row for the sub-command %r" % (row.rule.replace(".", " "), word[:40]),
        "There are rows for: %s. %s" % (_some(row), advice.new_row((*row.path, word))),
    )


def _unknown_flag(row: Row, word: str) -> Refusal:
    if word == "--":
        return Refusal(
            row.rule,
            word,
            "what follows -- is read by different programs in different ways",
            "Leave it out; no row can allow it, because the words are written anew without it.",
        )
    return Refusal(
        row.rule,
        word,
        "the row %s has no such flag (flags are not abbreviated)" % row.rule,
        "%s %s" % (_flags_of(row), advice.flag(row.path, (word.partition("=")[0],), word)),
    )


def _one_of(row: Row) -> str:
    return "%s; no row can allow it without" % _flags_of(row).rstrip(".") + "."


def _some(row: Row) -> str:
    if "commands" not in row.words:
        allowed = [name for name, sub in (row.commands or {}).items() if not sub.deny]
        row.words["commands"] = ", ".join(allowed)
    return row.words["commands"]


def _flags_of(row: Row) -> str:
    if "flags" not in row.words:
        names = sorted({flag.names[-1] for flag in row.flags.values() if not flag.deny})
        row.words["flags"] = "It takes %s." % (", ".join(names) if names else "no flags")
    return row.words["flags"]
