"""The allow-table made fast: one `Row` per program and sub-command, with dictionaries where the
YAML has text.

A row is compiled when its program is first asked for. What a row says and cannot mean is a
ConfigError, and so is a flag or a key that nobody knows.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Tuple

from selfheal.exceptions import ConfigError
from selfheal.guard.commands import table, values
from selfheal.guard.commands.kinds import Resources, resources_of
from selfheal.guard.commands.model import Policy
from selfheal.remedy.model import RISKS

_ROW_KEYS = frozenset(
    "about paths flags commands bare risk ask deny args count variants resources inverse insert "
    "number args_first exact needs_one at_most_one namespaced needs_flag_or_arg "
    "switch_values spaced inside".split()
)
INSIDE = ("after --", "after the name")
_FLAG_KEYS = frozenset(
    "value deny drop ask asked risk risk_of default required repeat optional attached".split()
)


class Flag:
    """One flag of a row. `test` is None for a switch; `rank` and `ask` are what it makes of the
    row; `level` says after which word of the command it is written.
    """

    __slots__ = (
        "ask",
        "asked",
        "attached",
        "default",
        "default_words",
        "deny",
        "drop",
        "is_long",
        "level",
        "name",
        "names",
        "opening",
        "optional",
        "rank",
        "ranks",
        "repeat",
        "required",
        "spec",
        "takes_next",
        "test",
    )

    def __init__(
        self, names: str, value: Any, row: Row, document: Mapping[str, Any]
    ) -> None:
        where = row.rule
        self.names: Tuple[str, ...] = tuple(names.split())
        settings = value if isinstance(value, dict) else {"value": value}
        unknown = sorted(set(settings) - _FLAG_KEYS)
        if unknown or not self.names or not all(one[0] in "-+" for one in self.names):
            raise ConfigError("the flag %s of %s is unusable (%s)" % (names, where, unknown))
        self.deny: str = settings.get("deny", "")
        self.drop: str = settings.get("drop", "")
        self.spec: str = str(settings.get("value", "none"))
        self.test: Optional[values.Test] = (
            None if self.deny or self.spec == "none" else values.test_for(self.spec, document)
        )
        long_names = [one for one in self.names if one.startswith("--")]
        self.name = long_names[0] if long_names and self.test else self.names[0]
        self.is_long = self.name.startswith("--") and not row.spaced
        self.level = row.level
        self.rank = _rank(settings.get("risk", RISKS[0]), where)
        self.ranks: Dict[str, int] = {
            str(one): _rank(risk, where) for one, risk in settings.get("risk_of", {}).items()
        }
        self.ask = bool(settings.get("ask", False))
        self.asked = _rank(settings.get("asked", RISKS[0]), where)
        self.default: Optional[str] = settings.get("default")
        self.required = bool(settings.get("required", False))
        self.repeat = int(settings.get("repeat", 1))
        self.optional = bool(settings.get("optional", False))
        self.attached = bool(settings.get("attached", False)) or self.optional
        self.opening = self.name + "=" if self.is_long else self.name if self.attached else ""
        self.takes_next = self.test is not None and not self.attached
        if self.default is not None and not (self.test and self.test(str(self.default))):
            raise ConfigError("the default of %s of %s is none of its values" % (names, where))
        self.default_words = [] if self.default is None else self.written(str(self.default))

    def written(self, value: str) -> List[str]:
        """The words that say this flag with `value`, so that no program can read them otherwise."""
        return [self.opening + value] if self.opening else [self.name, value]


class Shape:
    """One way in which the positionals of a row may stand: `tests` one by one, or `each` for
    between `low` and `high` of them. `words` says it to a person.
    """

    __slots__ = ("ask", "each", "high", "low", "rank", "specs", "tests", "words")

    def __init__(self, settings: Mapping[str, Any], where: str, document: Any) -> None:
        args = settings.get("args", [])
        self.rank = _rank(settings.get("risk", RISKS[0]), where)
        self.ask = bool(settings.get("ask", False))
        self.specs: List[str] = [args] if isinstance(args, str) else list(args)
        self.tests = [values.test_for(one, document) for one in self.specs]
        self.each: Optional[values.Test] = self.tests[0] if isinstance(args, str) else None
        self.low = self.high = len(self.tests)
        if self.each:
            low, _, high = str(settings.get("count", "1")).partition("..")
            self.low, self.high = int(low), int(high or low)
        self.words = ""  # made when it is first said


class Row:
    """What one program or sub-command may be asked, compiled."""

    __slots__ = (
        "args_first",
        "ask",
        "at_most_one",
        "bare",
        "commands",
        "defaults",
        "demands",
        "deny",
        "document",
        "exact",
        "flags",
        "insert",
        "inside",
        "inverse",
        "is_namespaced",
        "is_never",
        "level",
        "needs_flag_or_arg",
        "needs_one",
        "number",
        "path",
        "rank",
        "reasons",
        "required",
        "resources",
        "rule",
        "shapes",
        "spaced",
        "switch_values",
        "verb",
        "words",
    )

    def __init__(
        self,
        rule: str,
        settings: Mapping[str, Any],
        above: Optional[Row],
        document: Mapping[str, Any],
    ) -> None:
        unknown = sorted(set(settings) - _ROW_KEYS)
        if unknown:
            raise ConfigError("the row %s has the unknown key %s" % (rule, unknown[0]))
        if settings.get("inside", INSIDE[0]) not in INSIDE:
            raise ConfigError("inside of %s is one of: %s" % (rule, ", ".join(INSIDE)))
        self.rule = rule
        self.document = document
        self.path: Tuple[str, ...] = (
            (*above.path, rule[len(above.rule) + 1:]) if above else (rule,)
        )
        self.verb = rule.partition(".")[2].replace(".", " ")
        self.level: int = above.level + 1 if above else 0
        self.deny: str = settings.get("deny", "")
        self.exact: bool = settings.get("exact", above.exact if above else False)
        self.switch_values: bool = settings.get(
            "switch_values", above.switch_values if above else False
        )
        self.spaced: bool = settings.get("spaced", above.spaced if above else False)
        self.insert: List[str] = list(settings.get("insert", ()))
        self.bare = bool(settings.get("bare", False))
        self.ask = bool(settings.get("ask", False))
        self.inside: str = settings.get("inside", "")
        self.inverse: str = settings.get("inverse", "")
        self.args_first = bool(settings.get("args_first", False))
        self.at_most_one = bool(settings.get("at_most_one", False))
        self.is_namespaced = bool(settings.get("namespaced", False))
        self.is_never = values.name_patterns(document["lists"]["never_namespaces"])
        self.needs_flag_or_arg = bool(settings.get("needs_flag_or_arg", False))
        self._read_flags(settings, above, document)
        self.commands: Optional[Dict[str, Row]] = None
        if "commands" in settings:
            self.commands = {
                name: Row("%s.%s" % (rule, name), row, self, document)
                for name, row in settings["commands"].items()
            }
        acts = not self.deny and (self.commands is None or self.bare)
        if acts and "risk" not in settings and not _risk_in_variants(settings):
            raise ConfigError("the row %s says no risk" % rule)
        self.rank = _rank(settings.get("risk", RISKS[0]), rule)
        self.resources: Optional[Resources] = (
            resources_of(settings["resources"], rule, document) if "resources" in settings else None
        )
        self.shapes = [
            Shape(one, rule, document) for one in settings.get("variants", (settings,))
        ]
        self.demands = bool(
            (self.commands is not None and not self.bare) or
            self.required or
            self.defaults or
            self.needs_one or
            self.at_most_one or
            self.needs_flag_or_arg
        )
        self.reasons: Dict[Tuple[bool, int], str] = {}
        self.words: Dict[str, str] = {}

    def _read_flags(
        self, settings: Mapping[str, Any], above: Optional[Row], document: Mapping[str, Any]
    ) -> None:
        self.flags: Dict[str, Flag] = dict(above.flags) if above else {}
        own = [
            Flag(names, value, self, document)
            for names, value in settings.get("flags", {}).items()
        ]
        for flag in own:
            for name in flag.names:
                self.flags[name] = flag
        live = _unique(self.flags.values())
        self.required = [flag for flag in live if flag.required]
        self.defaults = [flag for flag in live if flag.default is not None]
        self.needs_one: FrozenSet[str] = frozenset(
            self._flag(name).name for name in settings.get("needs_one", ())
        )
        number = settings.get("number")
        self.number: Optional[Flag] = self._flag(number) if number else None

    def _flag(self, name: str) -> Flag:
        if name not in self.flags:
            raise ConfigError("the row %s speaks of the flag %s and has none" % (self.rule, name))
        return self.flags[name]


@lru_cache(maxsize=8)
def load_policy(
    site_file: Optional[str] = None, safe_mode: bool = True, stamp: object = None
) -> Policy:
    """The policy of the built-in table with `site_file` laid over it; the one that was made before
    when `stamp` (what tells the file's content from what it held before) is the same. Raises
    ConfigError.

    Rows are read as they are asked for; one that cannot be read denies its program. `check` reads
    the site's, so that what is wrong is said by day.
    """
    return Policy(table.load(Path(site_file) if site_file else None), {}, safe_mode)


def check(policy: Policy) -> int:
    """Read every row that the site wrote or changed; how many programs there are in all. The
    pack's own rows stand as they were tested. Raises ConfigError.
    """
    programs = policy.document["programs"]
    for program in programs.of_site():
        row_of(program, policy)
    return len(programs)


def row_of(program: str, policy: Policy) -> Optional[Row]:
    """The row of `program`, a bare name or a path that its row lists; None when there is none."""
    row = policy.rows.get(program)
    if row is not None:
        return row
    name = program.rpartition("/")[2]
    settings = policy.document["programs"].get(name)
    if settings is None or (name != program and program not in settings.get("paths", ())):
        return None
    try:
        row = Row(name, settings, None, policy.document)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigError("the row %s of the table is unusable: %s" % (name, error)) from error
    policy.rows[program] = row
    return row


def _rank(risk: Any, where: str) -> int:
    if risk not in RISKS:
        raise ConfigError("the risk of %s must be one of %s" % (where, ", ".join(RISKS)))
    return RISKS.index(risk)


def _risk_in_variants(settings: Mapping[str, Any]) -> bool:
    variants = settings.get("variants", ())
    return bool(variants) and all("risk" in one for one in variants)


def _unique(flags: Any) -> List[Flag]:
    return list({id(flag): flag for flag in flags}.values())
