"""How to allow what was refused, as YAML to copy into a site's own table (safety.command_table).

Each answer is a sentence with rows in backquotes that the table takes as they are; where no row can
help it says so, and why.
"""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache
from itertools import chain
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from selfheal.guard.commands.values import name_patterns

NO_SHELL = "No row can allow it: commands are run without a shell."
_NEW = "risk: disruptive, ask: true, args: word, count: 0..5"
_PLAIN = re.compile(r"(?:--?|\+)?[A-Za-z][A-Za-z0-9_./-]{0,59}\Z").match
_WORD = re.compile(r"[!-~]{1,80}\Z").match
_MEANS_MORE = frozenset("y n yes no true false on off null nan inf".split())
_HOST = re.compile(r"(?:[A-Za-z]+://)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::[0-9]*)?(?:/|\Z)").match
_NAME_OF_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}\Z").match
_PATH = re.compile(r"/[A-Za-z0-9._@+:,=/-]*\Z").match
_LONGEST = 120
_ON_VALUES = " (value: none is a switch; else list the values you mean, as in enum a b)."


def new_row(path: Sequence[str]) -> str:
    """For a program or sub-command that has no row."""
    return _in_table(_row(path, _NEW))


def replaced_row(path: Tuple[str, ...], args: Sequence[str] = ()) -> str:
    """For a row of the table that refuses, or that takes other words than `args`."""
    settings, patterns = _NEW, ""
    if args:
        kinds, patterns = _kinds(args[:20])
        settings = f"risk: disruptive, ask: true, args: [{kinds}]"
    opening, closing = _frame(path)
    return _in_table(f"{opening}replaces: {_rule(path)}, {settings}{closing}", patterns)


def new_path(program: str, path: str, row: Optional[Mapping[str, Any]]) -> str:
    """For a program that is called by a path that its row (None: there is none) does not list."""
    settings = "paths: [%s]" % quoted(path)
    if row is None:
        settings = "%s, %s" % (_NEW, settings)
    elif "deny" in row:
        settings = "replaces: %s, %s, %s" % (quoted(program), _NEW, settings)
    return _in_table(_row([program], settings))


def flag(path: Tuple[str, ...], names: Sequence[str], token: str, replaces: str = "") -> str:
    """For a flag that a row does not have, or (with `replaces`) that it has otherwise."""
    value = token.partition("=" if "=" in token else " ")[2]
    spec, patterns = _kinds([value]) if value else ("none", "")
    replaced = f", replaces: {quoted(replaces)}" if replaces else ""
    name = quoted(" ".join(names))
    opening, closing = _frame(path)
    row = f"{opening}flags: {{{name}: {{value: {spec}, ask: true{replaced}}}}}{closing}"
    return _in_table(row, patterns) + _ON_VALUES


def value(spec: str, word: str, document: Mapping[str, Any]) -> str:
    """For a word that is none of the kind `spec`, where a list can help; else empty."""
    kind, _, rest = spec.partition(" ")
    lists = document["lists"]
    if kind == "unit":
        entry = entry_of(lists["never_units"], re.sub(r"\.[a-z]+\Z", "", word))
        return _without("never_units", entry) if entry else _never("it is no name of a unit")
    if kind == "path":
        return _path(rest, word, lists)
    if kind == "url":
        host = _HOST(word)
        if host is None or "@" in word or host.group(1).lower() in lists["hosts"]:
            return _never("only plain http addresses of a listed host are asked")
        return _in_table("lists: {hosts: [%s]}" % quoted(host.group(1).lower()))
    if kind == "host" and rest and _NAME_OF_HOST(word):
        return _in_table("lists: {%s: [%s]}" % (rest, quoted(word)))
    if kind in ("namespace", "host"):
        return _never("it is no name of a %s" % kind)
    return ""


def kind_of_object(path: Tuple[str, ...], word: str, document: Mapping[str, Any]) -> str:
    """For a kind of Kubernetes object that a row does not take."""
    bare = word.lower().split(".")[0]
    never = [one for one in document["lists"]["never_kinds"] if bare in (one, one.rstrip("s"))]
    if never:
        return _in_table(
            "{lists: {never_kinds: {without: [%s]}}, kinds: {namespaced: {%s: [%s]}}}"
            % (never[0], never[0], never[0].rstrip("s"))
        )
    kinds = document["kinds"]
    for kind, spellings in chain(kinds["namespaced"].items(), kinds["cluster"].items()):
        if word == kind or word in spellings:
            resources = "resources: {kinds: [%s], names: needed, mutates: true}" % kind
            settings = "replaces: %s, risk: disruptive, ask: true" % _rule(path)
            return _in_table(_row(path, "%s, %s" % (settings, resources)))
    if not _PLAIN(word):
        return _never("it is no name of a kind")
    return _in_table("kinds: {namespaced: {%s: []}}" % quoted(word))


def namespace(name: str, document: Mapping[str, Any]) -> str:
    """For a namespace in which nothing is changed."""
    return _without(
        "never_namespaces", entry_of(document["lists"]["never_namespaces"], name) or name
    )


def inside(program: str) -> str:
    """For a program that is not run inside a container."""
    if not _PLAIN(program):
        return _never("it is no name of a program")
    return _in_table("lists: {inside: [%s]}" % quoted(program))


def entry_of(entries: Sequence[Any], word: str) -> str:
    """The entry of a list that `word` fits, or empty."""
    return _finder(tuple(entries))(word.lower())


@lru_cache(maxsize=64)
def _finder(entries: Tuple[Any, ...]) -> Callable[[str], str]:
    found = [str(entry) for entry in entries]
    each = [(entry, re.compile(translate(entry.lower())).match) for entry in found]
    fits_one = name_patterns(found)

    def find(word: str) -> str:
        if fits_one(word):
            for entry, matches in each:
                if matches(word):
                    return entry
        return ""

    return find


def quoted(text: str) -> str:
    """`text` as YAML takes it for a text, whatever it looks like."""
    if _PLAIN(text) and text.lower() not in _MEANS_MORE:
        return text
    return "'%s'" % text.replace("'", "''")


def _path(names: str, word: str, lists: Mapping[str, Any]) -> str:
    if not _PATH(word) or ".." in word or "//" in word or len(word) > _LONGEST:
        return _never("only plain absolute paths are read")
    never = _finder(tuple(lists["never_paths"]))
    for part in word.lower().split("/"):
        entry = part and never(part)
        if entry:
            return _without("never_paths", entry)
    return _in_table("lists: {%s: [%s]}" % (names.split()[0], quoted(word)))


def _kinds(words: Sequence[str]) -> Tuple[str, str]:
    """Kinds of values that take just `words`, and the patterns that they need."""
    kinds, patterns = [], []
    for number, word in enumerate(words, 1):
        if _WORD(word):
            kinds.append("'enum %s'" % word.replace("'", "''"))
        else:
            expression = re.escape(word[:_LONGEST]).replace("<", "[<]")
            kinds.append("mine_%d" % number)
            patterns.append("mine_%d: %s" % (number, quoted(expression)))
    return ", ".join(kinds), ", ".join(patterns)


def _without(name: str, entry: str) -> str:
    return _in_table("lists: {%s: {without: [%s]}}" % (name, quoted(entry)))


def _never(why: str) -> str:
    return "No row can allow it: %s." % why


def _in_table(row: str, patterns: str = "") -> str:
    if patterns:
        row = f"{{patterns: {{{patterns}}}, {row}}}"
    return f"If you mean it, write in your own table (safety.command_table): `{row}`"


def _row(path: Sequence[str], settings: str) -> str:
    opening, closing = _around(tuple(path[:-1]))
    return f"{opening}{quoted(path[-1])}: {{{settings}}}{closing}"


@lru_cache(maxsize=1024)
def _around(path: Tuple[str, ...]) -> Tuple[str, str]:
    """What stands before and after a row whose own name follows `path` (names of the table)."""
    names = [quoted(name) + ": {commands: {" for name in path]
    return "programs: {" + "".join(names), "}" * (2 * len(names) + 1)


@lru_cache(maxsize=1024)
def _frame(path: Tuple[str, ...]) -> Tuple[str, str]:
    """What stands before and after the settings of the row `path` (names of the table)."""
    opening, closing = _around(path[:-1])
    return f"{opening}{quoted(path[-1])}: {{", "}" + closing


@lru_cache(maxsize=1024)
def _rule(path: Tuple[str, ...]) -> str:
    return quoted(".".join(path))
