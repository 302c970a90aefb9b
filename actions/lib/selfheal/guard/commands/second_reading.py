"""A second opinion on a decision: the words that would run, read once more from the bare table.

It shares no code with the first reading and is written the other way round: plain loops over the
YAML, no compiled rows, standard-library parsers in place of our expressions. Slow (some 0.1 ms) and
simple. Whoever runs a command asks it too; an objection means that one of the two is wrong, and
nothing runs.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Tuple

from selfheal.guard.commands.model import ALLOW, DENY, Decision, Policy
from selfheal.guard.commands.second_values import Misfit, fits, in_list
from selfheal.remedy.model import RISKS


class _Walk:
    """What has been read so far of one command's words."""

    def __init__(self, words: List[str], table: Mapping[str, Any]) -> None:
        self.words = words
        self.table = table
        self.path: List[Tuple[str, Mapping[str, Any]]] = []
        self.seen: Dict[str, List[str]] = {}
        self.rest: List[str] = []
        self.risk = 0
        self.ask = False

    @property
    def row(self) -> Mapping[str, Any]:
        return self.path[-1][1]

    def flag(self, word: str) -> Tuple[str, Any]:
        """The names and settings of the flag called `word`: the innermost row's own come first."""
        for _name, row in reversed(self.path):
            for names, settings in row.get("flags", {}).items():
                if word in names.split():
                    return names, settings if isinstance(settings, dict) else {"value": settings}
        raise Misfit("no row has the flag %r" % word)

    def weigh(self, settings: Mapping[str, Any]) -> None:
        self.risk = max(self.risk, RISKS.index(settings.get("risk", RISKS[0])))
        self.ask = self.ask or bool(settings.get("ask"))


def objection(decision: Decision, policy: Policy) -> str:
    """Why `decision` should have been stricter, or "" when this reading agrees with it."""
    if decision.decision == DENY:
        return "a denied command has words to run" if decision.argv else ""
    try:
        walk = _read(list(decision.argv), policy.document)
    except Misfit as misfit:
        return str(misfit)
    may_go = not walk.ask and walk.risk <= (1 if policy.safe_mode else 2)
    if decision.decision == ALLOW and not may_go:
        return "a person should be asked: it is %s" % RISKS[walk.risk]
    if RISKS.index(decision.risk) < walk.risk:
        return "it is %s, not %s" % (RISKS[walk.risk], decision.risk)
    return ""


def _read(words: List[str], table: Mapping[str, Any]) -> _Walk:
    walk = _Walk(words, table)
    if not words or not all(re.fullmatch(r"[\x20-\x7e]+", word) for word in words):
        raise Misfit("a word is empty or not printable ASCII")
    program = words[0].split("/")[-1]
    row = table["programs"].get(program)
    if row is None or (words[0] != program and words[0] not in row.get("paths", [])):
        raise Misfit("no row for the program %r" % words[0])
    _enter(walk, program, row)
    queue = words[1:]
    while queue and not _is_inner(walk, queue):
        queue = _one(walk, queue)
    if walk.row.get("inside"):
        _inside(walk, queue)
    if "commands" in walk.row and not walk.row.get("bare"):
        raise Misfit("a sub-command is missing")
    walk.weigh(walk.row)
    _flags_are_complete(walk)
    if "resources" in walk.row:
        _resources(walk, walk.row["resources"])
    else:
        _positionals(walk)
        if walk.row.get("namespaced"):
            _namespace(walk)
    return walk


def _is_inner(walk: _Walk, queue: List[str]) -> bool:
    """Whether the rest is a command to run inside a container."""
    how = walk.row.get("inside")
    return bool(how) and (queue[0] == "--" if how == "after --" else len(walk.rest) > 0)


def _inside(walk: _Walk, queue: List[str]) -> None:
    inner = queue[1:] if walk.row["inside"] == "after --" else queue
    if len(walk.rest) != 1 or not inner or inner[0] not in walk.table["lists"]["inside"]:
        raise Misfit("it does not say what to run in which container")
    within = _read(inner, walk.table)
    walk.ask = True
    walk.risk = max(walk.risk, within.risk)


def _enter(walk: _Walk, name: str, row: Mapping[str, Any]) -> None:
    if "deny" in row:
        raise Misfit("%s is denied" % name)
    walk.path.append((name, row))
    for word in row.get("insert", []):
        walk.seen.setdefault("inserted " + word, [])


def _one(walk: _Walk, queue: List[str]) -> List[str]:
    """Read one flag, sub-command or positional at the start of `queue`; the rest is returned."""
    word, rest = queue[0], queue[1:]
    if "inserted " + word in walk.seen and not walk.seen["inserted " + word]:
        walk.seen["inserted " + word].append("")
        return rest
    if word.startswith("--"):
        name, joined, value = word.partition("=")
        names, settings = walk.flag(name)
        is_spaced = any(row.get("spaced") for _name, row in walk.path)
        if settings.get("optional") and not joined:
            settings = {**settings, "value": "none"}
        if is_spaced and settings.get("value", "none") != "none":
            if joined or not rest:
                raise Misfit("the flag %s and its value are not two words" % name)
            _flag(walk, names, settings, rest[0])
            return rest[1:]
        _flag(walk, names, settings, value if joined else None)
        return rest
    if word.startswith("-") or (word.startswith("+") and _is_flag(walk, word)):
        return _short(walk, word, rest)
    commands = walk.row.get("commands")
    if commands is not None and not walk.rest:
        if word not in commands:
            raise Misfit("no row for the sub-command %r" % word)
        _enter(walk, word, commands[word])
        return rest
    walk.rest.append(word)
    return rest


def _is_flag(walk: _Walk, word: str) -> bool:
    return any(word in names.split() for _, row in walk.path for names in row.get("flags", {}))


def _short(walk: _Walk, word: str, rest: List[str]) -> List[str]:
    try:
        names, settings = walk.flag(word)
    except Misfit:
        names, settings = walk.flag(word[:2])
        if not (settings.get("attached") or settings.get("optional")):
            raise
        _flag(walk, names, settings, word[2:])
        return rest
    if settings.get("value", "none") == "none" or settings.get("optional"):
        _flag(walk, names, {**settings, "value": "none"}, None)
        return rest
    if not rest or settings.get("attached"):
        raise Misfit("the flag %s has no value" % word)
    _flag(walk, names, settings, rest[0])
    return rest[1:]


def _flag(walk: _Walk, names: str, settings: Mapping[str, Any], value: Any) -> None:
    if "deny" in settings or "drop" in settings:
        raise Misfit("the flag %s is denied" % names)
    spec = settings.get("value", "none")
    if (spec == "none") != (value is None):
        raise Misfit("the flag %s and its value do not go together" % names)
    if value is not None and fits(spec, value, walk.table):
        walk.ask = True
        walk.risk = max(walk.risk, RISKS.index(settings.get("asked", RISKS[0])))
    walk.seen.setdefault(names, []).append(value or "")
    if len(walk.seen[names]) > settings.get("repeat", 1):
        raise Misfit("the flag %s stands there too often" % names)
    walk.ask = walk.ask or bool(settings.get("ask"))
    risk = settings.get("risk_of", {}).get(value, settings.get("risk", RISKS[0]))
    walk.risk = max(walk.risk, RISKS.index(risk))


def _flags_are_complete(walk: _Walk) -> None:
    given = {name for names in walk.seen for name in names.split()}
    shadowed: List[str] = []
    for _name, row in reversed(walk.path):
        for names, settings in row.get("flags", {}).items():
            is_required = isinstance(settings, dict) and settings.get("required")
            if is_required and names not in walk.seen and not set(names.split()) & set(shadowed):
                raise Misfit("the flag %s is missing" % names)
        shadowed += [name for names in row.get("flags", {}) for name in names.split()]
    row = walk.row
    flags = [names for names in walk.seen if not names.startswith("inserted ")]
    if row.get("needs_one") and not given & set(row["needs_one"]):
        raise Misfit("none of %s is there" % ", ".join(row["needs_one"]))
    if row.get("at_most_one") and len(flags) > 1:
        raise Misfit("more than one flag")
    if row.get("needs_flag_or_arg") and not flags and not walk.rest:
        raise Misfit("neither a flag nor a word")


def _positionals(walk: _Walk) -> None:
    reasons = []
    for shape in walk.row.get("variants", [walk.row]):
        args = shape.get("args", [])
        if isinstance(args, str):
            low, _, high = str(shape.get("count", "1")).partition("..")
            kinds = [args] * len(walk.rest)
            is_right = int(low) <= len(walk.rest) <= int(high or low)
        else:
            kinds, is_right = list(args), len(args) == len(walk.rest)
        if not is_right:
            reasons.append("%d words" % len(walk.rest))
            continue
        try:
            asks = [fits(kind, word, walk.table) for kind, word in zip(kinds, walk.rest)]
        except Misfit as misfit:
            reasons.append(str(misfit))
            continue
        walk.ask = walk.ask or any(asks)
        walk.weigh(shape)
        return
    raise Misfit("the words %r fit no shape: %s" % (walk.rest, "; ".join(reasons)))


def _namespace(walk: _Walk) -> None:
    names, _settings = walk.flag("--namespace")
    values = walk.seen.get(names)
    if not values:
        raise Misfit("it changes something and names no namespace")
    if in_list("never_namespaces", values[0], walk.table):
        raise Misfit("it changes something in %s" % values[0])


def _resources(walk: _Walk, wanted: Mapping[str, Any]) -> None:
    kinds = {**walk.table["kinds"]["namespaced"], **walk.table["kinds"]["cluster"]}
    allowed = [wanted["kind"]] if "kind" in wanted else wanted.get("kinds", "any")
    words = list(walk.rest)
    if "pairs" in wanted:
        pairs = [word for word in words if "=" in word or ":" in word or word[-1] == "-"]
        words = [word for word in words if word not in pairs]
        if not 1 <= len(pairs) <= 5:
            raise Misfit("%d changes" % len(pairs))
        for pair in pairs:
            fits(wanted["pairs"], pair, walk.table)
    found: List[Tuple[str, str]] = []
    for word in words:
        kind, slash, name = word.partition("/")
        if slash:
            found.append((kind, name))
        elif "kind" in wanted and not wanted.get("kind_is_written"):
            found.append((wanted["kind"], word))
        else:
            found += [(one, "") for one in word.split(",")]
    for kind, name in found:
        if kind not in kinds or (allowed != "any" and kind not in allowed):
            raise Misfit("the kind %r is not for this" % kind)
        if {kind, *kinds[kind]} & set(walk.table["lists"]["never_kinds"]):
            raise Misfit("the kind %r is refused" % kind)
        if name:
            fits("dns", name, walk.table)
        elif "/" in " ".join(words) or len(words) > 1:
            raise Misfit("kinds and names are mixed")
    named = [one for one in found if one[1]]
    _enough(walk, wanted, named, found)


def _enough(walk: _Walk, wanted: Mapping[str, Any], named: Any, found: Any) -> None:
    given = {name for names in walk.seen for name in names.split()}
    selected = given & set(wanted.get("or_selected_by", []))
    if wanted.get("names") == "needed" and bool(named) == bool(selected):
        raise Misfit("it does not say which objects")
    if wanted.get("shape") == "logs" and not named and "--selector" not in given:
        raise Misfit("it does not say whose logs")
    is_kind_needed = "kind" not in wanted or wanted.get("kind_is_written")
    if is_kind_needed and not found and wanted.get("shape") != "logs":
        raise Misfit("it does not say which kind")
    if not wanted.get("mutates"):
        return
    for kind, _name in found:
        risk = wanted.get("risk_of", {}).get(kind, RISKS[0])
        walk.risk = max(walk.risk, RISKS.index(risk))
    walk.ask = walk.ask or len(found) > 1
    if [kind for kind, _name in found if kind not in walk.table["kinds"]["cluster"]] or not found:
        _namespace(walk)
