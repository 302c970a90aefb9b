"""Alertmanager's matchers as people write them: `alertname="X",namespace=~"shop|cart"`.

Text is read as Alertmanager 0.27 and later do by default: in the classic way, and what that does
not understand (names beyond ASCII, in quotes) in the newer one; so nothing means something else
here than there. Values of =~ and !~ are regular expressions (RE2, anchored), which Alertmanager
evaluates and nobody else. Pure functions.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.records import dataclass
from selfheal.text import one_line

EQUAL, NOT_EQUAL, REGEX, NOT_REGEX = "=", "!=", "=~", "!~"
MOST_MATCHERS = 30
MOST_CHARACTERS = 4000  # of all of them together: they are sent in a URL as well
_MOST_VALUES = 20
_MOST_VALUE = 200
_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*(.*?)\s*\Z", re.DOTALL)
_CLASSIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
_UNQUOTED = re.compile(r"[^\s{}!=~,\\\"'`]+")
_QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_OPERATOR = re.compile(r"=~|!=|!~|=")
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))"
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34}
# A character that is escaped, a set of characters, or one character.
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
_MOST_REPETITIONS = 8
# Values that nobody has: what matches one of them would match about anything. They are short, since
# the time that an expression takes may grow with any power of their length.
_NOBODYS = ("qzxjkvwq", "q7-xz9-j", "Zq_7.k:/", "7391")


@dataclass(frozen=True)
class Matcher:
    """One condition on a label: `operator` is =, !=, =~ or !~. A label that is not there has an
    empty value.
    """

    name: str
    operator: str
    value: str

    def __str__(self) -> str:
        """As Alertmanager reads it back, whatever name and value hold."""
        is_plain = _CLASSIC_NAME.match(self.name) is not None
        name = self.name if is_plain else '"%s"' % _escaped(self.name)
        return '%s%s"%s"' % (name, self.operator, _escaped(self.value))


Matchers = Tuple[Matcher, ...]


def parse(text: str) -> Matchers:
    """The matchers written in `text`, with or without braces around, in a fixed order, each once.

    Raises InvalidInput that shows what cannot be read.
    """
    if len(text) > MOST_CHARACTERS:
        raise InvalidInput(
            "these matchers are %d characters long; at most %d are taken"
            % (len(text), MOST_CHARACTERS)
        )
    try:
        found = _classic(text.strip())
    except ValueError as classic:
        try:
            found = _newer(text)
        except ValueError as newer:
            # The newer reader says more exactly what is wrong, the older one only that.
            is_said = _CLASSIC_NAME.match(text.strip()[:1]) is not None and '"' not in text
            raise InvalidInput(
                'cannot read the matchers %s: %s; write for example alertname="X",namespace="shop"'
                % (one_line(repr(text), 200), classic if is_said else newer)
            ) from None
    if len(found) > MOST_MATCHERS:
        raise InvalidInput(
            "%d matchers are too many: at most %d are taken" % (len(found), MOST_MATCHERS)
        )
    return canonical(found)


def canonical(matchers: Sequence[Matcher]) -> Matchers:
    """`matchers` in the order in which they are always sent, none twice."""
    return tuple(sorted(set(matchers), key=lambda one: (one.name, one.operator, one.value)))


def shown(matchers: Sequence[Matcher]) -> str:
    """`matchers` as text that `parse` reads."""
    return ",".join(str(one) for one in matchers)


def of_labels(label_sets: Sequence[Mapping[str, str]]) -> Matchers:
    """Matchers for alerts with exactly these labels, as narrow as one silence can be: the labels
    that all of them have, with the values they have. Empty when they share none.
    """
    shared = set(label_sets[0]) if label_sets else set()
    for labels in label_sets[1:]:
        shared &= set(labels)
    found: List[Matcher] = []
    size = 0
    # The name of the alert first: with many long labels it must not be the one left out.
    for name in sorted(shared, key=lambda one: (one != "alertname", one)):
        values = sorted({str(labels[name]) for labels in label_sets})
        if len(values) > _MOST_VALUES or not all(_is_usable(value) for value in values):
            continue
        one = Matcher(name, EQUAL, values[0])
        if len(values) > 1:
            one = Matcher(name, REGEX, "|".join(_literal(value) for value in values))
        size += len(str(one)) + 1
        if size > MOST_CHARACTERS or len(found) >= MOST_MATCHERS:
            break
        found.append(one)
    return canonical(found)


def too_wide(matchers: Sequence[Matcher]) -> str:
    """Why `matchers` would match about anything; empty when one of them says what is meant.

    Only = with a value, or =~ with an expression that does not match just any text, says that:
    != and !~ say what is not meant.
    """
    if not matchers:
        return "no matcher is given, so it would silence every alert"
    if any(_is_narrow(one) for one in matchers):
        return ""
    return (
        "none of the matchers %s says which alerts are meant: at least one must be = with a value, "
        "or =~ with an expression that does not match just any text" % shown(matchers)
    )


def as_api(matchers: Sequence[Matcher]) -> List[Dict[str, Any]]:
    """`matchers` as the API of silences takes them."""
    return [
        {
            "name": one.name,
            "value": one.value,
            "isRegex": one.operator in (REGEX, NOT_REGEX),
            "isEqual": one.operator in (EQUAL, REGEX),
        }
        for one in matchers
    ]


def from_api(answer: Any) -> Matchers:
    """The matchers that the API of silences tells. Raises ValueError, KeyError, TypeError for what
    is none.
    """
    found = []
    for one in answer:
        is_equal = one.get("isEqual", True)  # before 0.22 there was nothing else
        if one["isRegex"]:
            operator = REGEX if is_equal else NOT_REGEX
        else:
            operator = EQUAL if is_equal else NOT_EQUAL
        found.append(Matcher(str(one["name"]), operator, str(one["value"])))
    return canonical(found)


def _is_narrow(matcher: Matcher) -> bool:
    if matcher.operator == EQUAL:
        return bool(matcher.value)
    # What cannot be judged here, or not in time, does not count, whatever RE2 makes of it.
    if matcher.operator != REGEX or not _is_judged_soon(matcher.value):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expression = re.compile(matcher.value, re.DOTALL)
    except (re.error, OverflowError, RecursionError):
        return False
    return not any(expression.fullmatch(text) for text in ("", *_NOBODYS))


def _is_judged_soon(expression: str) -> bool:
    """Whether Python tells soon if it matches: few repetitions, and none of a group that holds one
    or has alternatives.
    """
    groups, repetitions, ended = [False], 0, False
    for token in _TOKEN.findall(expression):
        if token == "(":
            groups.append(False)
        elif token in ("*", "+", "{"):
            repetitions += 1
            if ended:
                return False
            groups[-1] = True
        elif token == "|":
            groups[-1] = True
        # What stands before a repetition: a group that holds one, or has alternatives.
        ended = token == ")" and len(groups) > 1 and groups.pop()
        if ended:
            groups[-1] = True
    return repetitions <= _MOST_REPETITIONS


def _is_usable(value: str) -> bool:
    try:
        return 0 < len(value.encode("utf-8")) <= _MOST_VALUE
    except UnicodeEncodeError:
        return False  # half a character, which cannot be sent


def _literal(value: str) -> str:
    """An expression of RE2 that matches `value` only."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _classic(text: str) -> List[Matcher]:
    """As Alertmanager has always read them. Raises ValueError."""
    if text.startswith("{"):
        text = text[1:]
    if text.endswith("}"):
        text = text[:-1]
    parts, part = [], ""
    is_quoted = is_escaped = False
    for letter in text:
        if letter == "," and not is_quoted:
            parts.append(part)
            part = ""
            continue
        if letter == '"':
            is_quoted = is_quoted if is_escaped else not is_quoted
            is_escaped = False
        else:
            is_escaped = letter == "\\" and not is_escaped
        part += letter
    if part.strip():
        parts.append(part)
    return [_classic_one(part) for part in parts]


def _classic_one(text: str) -> Matcher:
    found = _CLASSIC.match(text)
    if found is None:
        raise ValueError("%s is no matcher (name, then = != =~ or !~, then a value)" % repr(text))
    name, operator, raw = found.groups()
    if not raw.startswith('"'):
        return Matcher(name, operator, _unescaped(raw))
    is_closed = len(raw) > 1 and raw.endswith('"')
    value = _unescaped(raw[1:-1]) if is_closed else ""
    # The last quote must end the value, and not be a part of it.
    if not is_closed or (len(raw[:-1]) - len(raw[:-1].rstrip("\\"))) % 2:
        raise ValueError("the value of %s has no closing quote" % name)
    return Matcher(name, operator, value)


def _unescaped(raw: str) -> str:
    """What stands between the quotes; an escape that is none stays as it is."""
    found, place = [], 0
    while place < len(raw):
        letter, follows = raw[place], raw[place + 1:place + 2]
        if letter == '"':
            raise ValueError("%s holds a quote that is not escaped" % repr(raw))
        if letter == "\\" and follows in ("n", '"', "\\") and follows:
            found.append("\n" if follows == "n" else follows)
            place += 2
            continue
        if letter == "\\" and follows:  # spurious: both characters stay
            found.append(letter + follows)
            place += 2
            continue
        found.append(letter)
        place += 1
    return "".join(found)


def _newer(text: str) -> List[Matcher]:
    """As Alertmanager reads them since it takes names beyond ASCII. Raises ValueError."""
    place = _after_space(text, 0)
    is_braced = text[place:place + 1] == "{"
    place = _after_space(text, place + 1) if is_braced else place
    found: List[Matcher] = []
    is_comma = True
    while place < len(text) and text[place] != "}":
        if not is_comma:
            raise ValueError("a comma is missing before %s" % repr(text[place:place + 20]))
        matcher, place = _newer_one(text, place)
        found.append(matcher)
        is_comma = text[place:place + 1] == ","
        place = _after_space(text, place + 1) if is_comma else place
    if is_braced != (text[place:place + 1] == "}"):
        raise ValueError("the braces do not pair")
    if text[place + 1:].strip():
        raise ValueError("%s follows the closing brace" % repr(text[place + 1:][:20]))
    return found


def _newer_one(text: str, place: int) -> Tuple[Matcher, int]:
    name, place = _word(text, place, "a label's name")
    operator = _OPERATOR.match(text, place)
    if operator is None:
        raise ValueError("after %s follows none of = != =~ !~" % repr(name))
    value, place = _word(text, _after_space(text, operator.end()), "a value")
    if not name:
        raise ValueError("a label's name is empty")
    return Matcher(name, operator.group(), value), place


def _word(text: str, place: int, what: str) -> Tuple[str, int]:
    quoted = _QUOTED.match(text, place)
    if quoted:
        return _unquoted(quoted.group(1)), _after_space(text, quoted.end())
    plain = _UNQUOTED.match(text, place)
    if plain is None:
        raise ValueError("at %s stands not %s" % (repr(text[place:place + 20]), what))
    return plain.group(), _after_space(text, plain.end())


def _after_space(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _unquoted(raw: str) -> str:
    """What stands between the quotes, with the escapes of Go."""
    found, end = bytearray(), 0
    for escape in _ESCAPE.finditer(raw):
        found += raw[end:escape.start()].encode("utf-8")
        simple, byte, octal, short, long, wrong = escape.groups()
        code = int(short or long or "0", 16)
        if wrong or code > 0x10FFFF or 0xD800 <= code < 0xE000 or int(octal or "0", 8) > 255:
            raise ValueError("%s is no escape" % escape.group())
        if simple:
            found.append(_SIMPLE[simple])
        elif byte or octal:
            found.append(int(byte, 16) if byte else int(octal, 8))
        else:
            found += chr(code).encode("utf-8")
        end = escape.end()
    found += raw[end:].encode("utf-8")
    return found.decode("utf-8")  # UnicodeDecodeError is a ValueError
