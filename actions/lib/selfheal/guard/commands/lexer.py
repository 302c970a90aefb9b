"""One simple command, split into words as a POSIX shell would, and refused where a shell would do
more than split.

Single quotes, double quotes and backslashes mean what they mean in sh. Everything that expands,
joins, redirects, assigns or comments is refused with the place where it stands.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence

from selfheal.guard.commands.advice import NO_SHELL
from selfheal.guard.commands.model import Refusal

MAX_CHARACTERS = 4096
MAX_WORDS = 64
_ADDRESSES = ("http://", "https://", "localhost:", "localhost/", "127.0.0.1:", "127.0.0.1/")
_SHOWN = 24

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,@%+ \t-]+\Z").match
# Each sign can be read in one way only, and nothing that may fail follows a word: no text makes the
# expressions try twice.
_SIGN = r"""(?:[A-Za-z0-9_./:=,@%+-]+|!(?==)|'[^']*'|"(?:[^"\\$`!]|!(?==)|\\[ -~])*"|\\[ -~])"""
# A program's name, written plainly, and as many words after it as a shell would only split.
_QUOTED = re.compile(r"[A-Za-z0-9_./:=,@%%+-]+(?:[ \t]+%s+)*[ \t]*" % _SIGN).match
_QUOTED_WORDS = re.compile(_SIGN + "+").findall
_PRINTABLE = re.compile(r"[\t -~]*\Z").match
_PRINTABLE_WORD = re.compile(r"[ -~]+\Z").match
_NOT_PRINTABLE = re.compile(r"[^\t -~]")
_EMPTY_QUOTES = re.compile("''|\"\"").search
_PIECE = re.compile(
    # `!=` is no history in any shell
    r"(?P<blank>[ \t]+)|(?P<plain>(?:[A-Za-z0-9_./:=,@%+-]|!(?==))+)|'(?P<single>[^']*)'"
    r'|"(?P<double>(?:[^"\\$`!]|!(?==)|\\[ -~])*)"|\\(?P<escaped>[ -~])'
)
_QUERY = re.compile(r"(?P<plain>\?[A-Za-z0-9_./:=,@%+-]*)").match
_ESCAPE_IN_DOUBLE = re.compile(r'\\(["\\$`])')

_ONE_AT_A_TIME = "Give each command by itself; each gets its own decision."
_NAME_IT = "Name it; no row can allow it without."
_QUOTE_IT = "If the character itself is meant, put the word in single quotes."
_MEANINGS = {
    ";": ("chain", "it starts a second command", _ONE_AT_A_TIME),
    "&": ("chain", "it starts a second command or leaves one in the background", _ONE_AT_A_TIME),
    "|": (
        "chain",
        "it hands the output to another program",
        "Ask the program itself for less, with its own flags.",
    ),
    "<": (
        "redirection",
        "it reads from a file or a here-document",
        "Name the file to a program whose row allows it.",
    ),
    ">": (
        "redirection",
        "it writes into a file",
        "Leave it out; the output is kept with the incident.",
    ),
    "(": ("subshell", "it starts a shell of its own", _QUOTE_IT),
    ")": ("subshell", "it ends a shell of its own", _QUOTE_IT),
    "$": (
        "substitution",
        "a shell would put something else in its place",
        "Write the value itself.",
    ),
    "`": ("substitution", "a shell would run what it encloses", "Write the value itself."),
    "{": ("expansion", "a shell may make several words of it", _QUOTE_IT),
    "}": ("expansion", "a shell may make several words of it", _QUOTE_IT),
    "*": ("glob", "a shell would put the names of files in its place", "Name what is meant."),
    "?": ("glob", "a shell would put the names of files in its place", "Name what is meant."),
    "[": ("glob", "a shell would put the names of files in its place", _QUOTE_IT),
    "]": ("glob", "a shell would put the names of files in its place", _QUOTE_IT),
    "~": ("home", "a shell would put a home directory in its place", "Write the path in full."),
    "!": ("history", "a shell may put an earlier command in its place", _QUOTE_IT),
    "#": ("comment", "a shell would leave out what follows", "Leave it out."),
    "^": ("history", "some shells read it as a pipe or as history", _QUOTE_IT),
    "'": ("quote", "the quote is never closed", "Close it, or leave it out."),
    '"': (
        "quote",
        "the quote is never closed, or holds $, ` or !, which a shell acts on",
        "Close it, or use single quotes.",
    ),
    "\\": ("quote", "there is nothing after the backslash", "Leave it out."),
}
# What is refused outside quotes whatever stands before and after it.
_NEVER_READ = frozenset(_MEANINGS) - frozenset("'\"\\!?")


def words_of(command: str) -> List[str]:
    """The words of `command`. Raises Refusal for an empty one, and for what only a shell can do."""
    if len(command) > MAX_CHARACTERS:
        raise Refusal(
            "lexer.length",
            command[:_SHOWN],
            "the command is %d characters long, more than %d" % (len(command), MAX_CHARACTERS),
            "Name fewer things at once; no row can allow more.",
        )
    command = command.strip(" \t")
    words = command.split() if _PLAIN(command) else _slowly(command)
    if len(words) > MAX_WORDS:
        raise _too_many(words)
    return words


def checked_words(words: Sequence[str]) -> List[str]:
    """Words that are split already, if each is printable ASCII. Raises Refusal."""
    if not isinstance(words, (list, tuple)):
        how = "Give text or words; no row can allow it."
        raise Refusal("lexer.word", repr(words)[:_SHOWN], "it is no command", how)
    if len(words) > MAX_WORDS:
        raise _too_many(words)
    for word in words:
        if not isinstance(word, str):
            how = "Put it in quotes; no row can allow it."
            raise Refusal("lexer.word", repr(word), "it is no text", how)
        if not _PRINTABLE_WORD(word):
            raise _not_printable(word) if word else _empty("")
    if sum(map(len, words)) > MAX_CHARACTERS:
        raise Refusal(
            "lexer.length",
            words[0][:_SHOWN],
            "the words are more than %d characters long" % MAX_CHARACTERS,
            "Name fewer things at once; no row can allow more.",
        )
    if not words:
        raise _empty("")
    if words[0].startswith("-"):
        raise Refusal("lexer.program", words[0], "a program's name comes first", _NAME_IT)
    return list(words)


def _slowly(command: str) -> List[str]:
    if not command:
        raise _empty("")
    if not _PRINTABLE(command):
        raise _not_printable(command)
    split = _QUOTED(command)
    end = split.end() if split else 0
    if end == len(command):
        words = [_unquoted(word) for word in _QUOTED_WORDS(command)]
        if "" in words:
            raise _empty("''")
        return words
    if command[end] in _NEVER_READ and not _EMPTY_QUOTES(command, 0, end):
        raise _meaning(command, end)
    return _piece_by_piece(command)


def _unquoted(word: str) -> str:
    if "\\" not in word:
        if "'" not in word:
            return word.replace('"', "")
        if word.count("'") == 2 and word[0] == word[-1] == "'":
            return word[1:-1]
        if '"' not in word:
            return word.replace("'", "")
    found = []
    for piece in _PIECE.finditer(word):
        kind, text = piece.lastgroup, piece.group(piece.lastgroup or 0)
        found.append(_ESCAPE_IN_DOUBLE.sub(r"\1", text) if kind == "double" else text)
    return "".join(found)


def _piece_by_piece(command: str) -> List[str]:
    """The same with a finger on the place, for what is to be refused."""
    words: List[str] = []
    open_word: List[str] = []
    position, end = 0, len(command)
    while position < end:
        piece = _PIECE.match(command, position) or _query_of(command, position, open_word)
        if piece is None:
            raise _meaning(command, position)
        kind, text = piece.lastgroup, piece.group(piece.lastgroup or 0)
        if kind == "blank":
            _close(words, open_word, command[position - 1])
            open_word = []
        elif not words and kind != "plain":
            raise Refusal(
                "lexer.program",
                command[position:position + _SHOWN],
                "the program's name is written with quotes or a backslash",
                "Write it plainly; no row can allow it, because nothing may hide what is run.",
            )
        else:
            open_word.append(_ESCAPE_IN_DOUBLE.sub(r"\1", text) if kind == "double" else text)
        position = piece.end()
    _close(words, open_word, command[-1])
    return words


def _query_of(command: str, position: int, open_word: List[str]) -> Optional[re.Match[str]]:
    """The ? of an address and what follows it: a shell too takes it for itself, unless a file has
    such a name. Anything else that a shell would expand in it is refused as ever.
    """
    is_address = "".join(open_word).startswith(_ADDRESSES)
    return _QUERY(command, position) if is_address else None


def _close(words: List[str], pieces: List[str], last: str) -> None:
    word = "".join(pieces)
    if not word:
        raise _empty(last * 2)
    words.append(word)


def _meaning(command: str, position: int) -> Refusal:
    rule, why, how = _MEANINGS[command[position]]
    token = command[position:position + _SHOWN]
    return Refusal("lexer." + rule, token, why, "%s %s" % (how, NO_SHELL))


def _empty(token: str) -> Refusal:
    return Refusal(
        "lexer.empty",
        token,
        "there is nothing in it" if token else "it is empty",
        "Name what is meant: nothing is never read as everything, and no row can allow that.",
    )


def _too_many(words: Sequence[str]) -> Refusal:
    return Refusal(
        "lexer.length",
        str(words[MAX_WORDS])[:_SHOWN],
        "the command has %d words, more than %d" % (len(words), MAX_WORDS),
        "Name fewer things at once; no row can allow more.",
    )


def _not_printable(text: str) -> Refusal:
    found = _NOT_PRINTABLE.search(text)
    character = found.group() if found else "\t"
    if character in "\r\n":
        return Refusal(
            "lexer.chain",
            character,
            "a new line starts a second command",
            "%s %s" % (_ONE_AT_A_TIME, NO_SHELL),
        )
    return Refusal(
        "lexer.character",
        "U+%04X" % ord(character),
        "it is no printable ASCII character, and may look like another or like nothing",
        "Write the command with plain characters; no row can allow others.",
    )
