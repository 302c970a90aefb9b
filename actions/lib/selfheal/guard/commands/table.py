"""The allow-table as one plain document: the built-in files of `table/`, and a site's own file laid
over them.

A site may add programs, sub-commands, flags and list entries, and may tighten anything. What would
weaken a row must name it (`replaces: kubectl.exec`), so that nothing is opened by accident. Raises
ConfigError, never guesses.
"""

from __future__ import annotations

import copy
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set

from selfheal.exceptions import ConfigError
from selfheal.guard.commands import operation_rows
from selfheal.remedy.model import RISKS

TABLE_FOLDER = Path(__file__).resolve().parent / "table"
_CORE = tuple(TABLE_FOLDER / name for name in ("patterns.yaml", "lists.yaml", "operations.yaml"))
_PROGRAM = re.compile(r"^  '?([A-Za-z0-9][A-Za-z0-9_.+-]*)'?:", re.MULTILINE)
_SECTIONS = (
    "patterns", "lists", "kinds", "interpreters", "requests", "operations", "programs",
)
_MAX_BYTES = 1024 * 1024
_TIGHTENING = ("deny", "ask", "risk")
_ADDING = ("flags", "commands", "paths", "about")


class Programs(Mapping[str, Any]):
    """The rows by program. A file is read when one of its programs is first asked for: to parse all
    of them costs an action more than the rest of its start.
    """

    def __init__(self, files: Mapping[str, Path], site: Mapping[str, Any], where: str) -> None:
        self._files = files
        self._site = site
        self._where = where
        self._parsed: Dict[Path, Dict[str, Any]] = {}
        self._rows: Dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._rows:
            self._rows[name] = self._merged(name)
        return self._rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._files, *self._site}))

    def of_site(self) -> List[str]:
        """The programs that the site's own table speaks of."""
        return sorted(self._site)

    def __len__(self) -> int:
        return len({*self._files, *self._site})

    def _merged(self, name: str) -> Any:
        rows: Dict[str, Any] = {}
        path = self._files.get(name)
        if path is not None:
            if path not in self._parsed:
                self._parsed[path] = _map(_load(path).get("programs", {}), path.name)
            rows[name] = self._parsed[path][name]
        if name in self._site:
            try:
                _lay(rows, name, self._site[name], name, set())
            except ConfigError as error:
                raise ConfigError("the command table %s: %s" % (self._where, error)) from error
        return rows[name]


def load(site_file: Optional[Path] = None) -> Dict[str, Any]:
    """The table {patterns, lists, kinds, interpreters, requests, operations, programs}, with
    `site_file` laid over it.
    """
    document = copy.deepcopy(_core())
    site = _load(site_file) if site_file else {}
    try:
        for section in ("patterns", "interpreters"):
            for name, pattern in _map(site.get(section, {}), section).items():
                if name in document[section]:
                    raise ConfigError("%s has %r already; choose another name" % (section, name))
                document[section][name] = _pattern(pattern, "%s.%s" % (section, name))
        _requests(document["requests"], _map(site.get("requests", {}), "requests"))
        document["operations"] = operation_rows.laid(
            document["operations"], _map(site.get("operations", {}), "operations")
        )
        for name, change in _map(site.get("lists", {}), "lists").items():
            document["lists"][name] = _list(name, document["lists"].get(name, []), change)
        _kinds(document["kinds"], _map(site.get("kinds", {}), "kinds"))
        programs = _map(site.get("programs", {}), "programs")
    except ConfigError as error:
        raise ConfigError("the command table %s: %s" % (site_file, error)) from error
    document["programs"] = Programs(built_in_programs(), programs, str(site_file))
    return document


def built_in_programs() -> Dict[str, Path]:
    """The programs of the built-in table and the file of each, found without parsing YAML."""
    found: Dict[str, Path] = {}
    for path in sorted(TABLE_FOLDER.glob("*.yaml")):
        if path not in _CORE:
            for name in _PROGRAM.findall(path.read_text(encoding="utf-8")):
                if name in found:
                    raise ConfigError("%s: the program %s has a row already" % (path.name, name))
                found[name] = path
    return found


@lru_cache(maxsize=1)
def _core() -> Dict[str, Any]:
    return {section: found for path in _CORE for section, found in _load(path).items()}


def _load(path: Path) -> Dict[str, Any]:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """A key written twice is an error: YAML itself would silently take the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: Set[Any] = set()
            for key_node, _value in node.value:
                if key_node.value in seen:
                    raise ConfigError(
                        "the command table %s: %r is written twice (line %d)"
                        % (path, key_node.value, key_node.start_mark.line + 1)
                    )
                seen.add(key_node.value)
            return super().construct_mapping(node, deep=deep)

    try:
        with open(str(path), "rb") as source:
            content = source.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ConfigError("the command table %s is larger than 1 MiB" % path)
        found = _map(yaml.load(content, Loader=Loader), "the file")
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError("cannot read the command table %s: %s" % (path, error)) from error
    unknown = sorted(str(key) for key in found if key not in _SECTIONS)
    if unknown:
        raise ConfigError(
            "the command table %s has the unknown section %s (known: %s)"
            % (path, unknown[0], ", ".join(_SECTIONS))
        )
    return found


def _map(value: Any, where: str) -> Dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ConfigError("%s must be a map of texts to values" % where)
    return value


def _list(name: str, base: List[Any], change: Any) -> List[Any]:
    if isinstance(change, list):
        return base + change
    change = _map(change, "lists.%s" % name)
    only = change.get("only")
    if set(change) == {"only"} and isinstance(only, list):
        if name.startswith("never_"):
            raise ConfigError("lists.%s refuses; take entries out one by one: `without`" % name)
        return only
    if set(change) <= {"add", "without"} and all(isinstance(one, list) for one in change.values()):
        missing = [one for one in change.get("without", []) if one not in base]
        if missing:
            raise ConfigError("lists.%s has no entry %r to take out" % (name, missing[0]))
        kept = [one for one in base if one not in change.get("without", [])]
        return [*kept, *change.get("add", [])]
    raise ConfigError("lists.%s must be a list, or a map of `add`, `without` or `only`" % name)


def _pattern(value: Any, where: str) -> str:
    try:
        re.compile(value)
    except (TypeError, ValueError, OverflowError, RecursionError, re.error) as error:
        raise ConfigError("%s is unusable as a pattern: %r (%s)" % (where, value, error)) from error
    return str(value)


def _requests(base: Dict[str, Any], site: Dict[str, Any]) -> None:
    for method, change in site.items():
        settings = dict(change) if isinstance(change, dict) else {"risk": change}
        replaces = settings.pop("replaces", None)
        if method not in base or len(settings) != 1 or not set(settings) <= {"deny", "risk"}:
            raise ConfigError("requests.%s must be a risk, or {deny: why}" % method)
        if "risk" in settings:
            _tighten({"risk": base[method]} if replaces != method else {}, settings, method)
            if settings["risk"] not in RISKS:
                raise ConfigError("requests.%s must be one of %s" % (method, ", ".join(RISKS)))
        base[method] = settings.get("risk", settings)


def _kinds(base: Dict[str, Any], site: Dict[str, Any]) -> None:
    for scope, kinds in site.items():
        if scope not in base:
            raise ConfigError("kinds has namespaced and cluster, not %r" % scope)
        for kind, spellings in _map(kinds, "kinds.%s" % scope).items():
            if any(kind in base[other] for other in base if other != scope):
                raise ConfigError("the kind %r has another scope" % kind)
            base[scope][kind] = list(base[scope].get(kind, [])) + list(spellings)


def _lay(rows: Dict[str, Any], name: str, row: Any, rule: str, denied: Set[str]) -> None:
    """Lay the site's `row` over `rows[name]`; `denied` are the flags that rows above refuse."""
    row = dict(_map(row, rule))
    base = rows.get(name)
    replaces = row.pop("replaces", None)
    if replaces is not None and (replaces != rule or base is None):
        raise ConfigError("%s says it replaces %r, which is not itself" % (rule, replaces))
    if base is None or replaces is not None:
        rows[name] = _new_row(row, rule, denied, replaces is not None)
        return
    if "deny" in base and "deny" not in row:
        raise ConfigError(
            "%s is denied (%s). To allow it write `replaces: %s` in its row"
            % (rule, base["deny"], rule)
        )
    for key in row:
        if key not in _TIGHTENING + _ADDING:
            raise ConfigError(
                "%s exists; to change its %s write the whole row with `replaces: %s`"
                % (rule, key, rule)
            )
    _tighten(base, row, rule)
    merged = dict(base)
    merged.update({key: row[key] for key in _TIGHTENING if key in row})
    merged["paths"] = list(base.get("paths", [])) + list(row.get("paths", []))
    refused = denied | _denied_flags(base)
    merged["flags"] = _flags(base.get("flags", {}), row.get("flags", {}), rule, refused)
    if row.get("commands"):
        merged["commands"] = dict(base.get("commands", {}))
        for command, inner in _map(row["commands"], rule).items():
            _lay(merged["commands"], command, inner, "%s.%s" % (rule, command), refused)
    rows[name] = merged


def _new_row(row: Dict[str, Any], rule: str, denied: Set[str], is_named: bool) -> Dict[str, Any]:
    row["flags"] = _flags({}, row.get("flags", {}), rule, set() if is_named else denied)
    if "commands" in row:
        inner: Dict[str, Any] = {}
        for command, sub in _map(row["commands"], rule).items():
            _lay(inner, command, sub, "%s.%s" % (rule, command), set() if is_named else denied)
        row["commands"] = inner
    return row


def _tighten(base: Mapping[str, Any], row: Mapping[str, Any], rule: str) -> None:
    if base.get("ask") and row.get("ask") is False:
        raise ConfigError("%s asks a person; to change that write `replaces: %s`" % (rule, rule))
    if "risk" in row and "risk" in base:
        if row["risk"] not in RISKS or RISKS.index(row["risk"]) < RISKS.index(base["risk"]):
            raise ConfigError(
                "%s is %s; to call it less write the whole row with `replaces: %s`"
                % (rule, base["risk"], rule)
            )


def _flags(base: Mapping[str, Any], site: Any, rule: str, denied: Set[str]) -> Dict[str, Any]:
    flags = dict(base)
    for names, value in _map(site, "%s.flags" % rule).items():
        spellings = names.split()
        value = dict(value) if isinstance(value, dict) else {"value": value}
        replaces = value.pop("replaces", None)
        held = [key for key in flags if set(key.split()) & set(spellings)]
        is_refused = bool(set(spellings) & denied) or bool(held)
        if is_refused and "deny" not in value and replaces not in spellings:
            raise ConfigError(
                "%s: the flag %s has a rule already; to change it add `replaces: %s`"
                % (rule, names, spellings[-1])
            )
        for key in held:
            left = [one for one in key.split() if one not in spellings]
            kept = flags.pop(key)
            if left:
                flags[" ".join(left)] = kept
        flags[names] = value
    return flags


def _denied_flags(row: Mapping[str, Any]) -> Set[str]:
    return {
        name
        for names, value in row.get("flags", {}).items()
        if isinstance(value, dict) and "deny" in value
        for name in names.split()
    }
