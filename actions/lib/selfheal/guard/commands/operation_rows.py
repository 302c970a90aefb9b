"""Rows `operations:` of the command table: what a change in Kubernetes counts as at least.

A row is a risk, or {risk, ask, ask_with: {OPTION: why}, options: {OPTION: {VALUE: risk}}}, or
{deny: why}. A site's own rows may tighten; what would weaken one must name it (`replaces:
scale_workload`).
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from selfheal.exceptions import ConfigError
from selfheal.remedy.model import RISKS

_KEYS = ("risk", "ask", "ask_with", "options", "deny")


def laid(base: Mapping[str, Any], site: Mapping[str, Any]) -> Dict[str, Any]:
    """The rows of `base` with those of `site` laid over them. Raises ConfigError."""
    rows = {name: _row(name, row) for name, row in base.items()}
    for name, change in site.items():
        where = "operations.%s" % name
        if name not in rows:
            raise ConfigError("%s is no operation (known: %s)" % (where, ", ".join(sorted(rows))))
        settings = dict(change) if isinstance(change, Mapping) else {"risk": change}
        replaces = settings.pop("replaces", None)
        row = _row(name, settings)
        if replaces is None:
            row = _tightened(rows[name], row, where)
        elif replaces != name:
            raise ConfigError("%s says it replaces %r, which is not itself" % (where, replaces))
        elif "risk" not in row and "deny" not in row:
            raise ConfigError("%s must say its risk, or deny: why" % where)
        rows[name] = row
    return rows


def value_text(value: Any) -> str:
    """A value of an option as rows write it: 'true', '0', 'step'."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(name: str, value: Any) -> Dict[str, Any]:
    where = "operations.%s" % name
    row = dict(value) if isinstance(value, Mapping) else {"risk": value}
    unknown = sorted(str(key) for key in row if key not in _KEYS)
    if unknown or not row:
        raise ConfigError("%s must be a risk, or a map with some of %s" % (where, ", ".join(_KEYS)))
    if "risk" in row and row["risk"] not in RISKS:
        raise ConfigError("%s.risk must be one of %s" % (where, ", ".join(RISKS)))
    for key in ("ask", "deny"):
        if key in row and not (isinstance(row[key], str) and row[key].strip()):
            raise ConfigError("%s.%s must say why" % (where, key))
    asks = row.get("ask_with", {})
    if not isinstance(asks, Mapping) or not all(isinstance(why, str) for why in asks.values()):
        raise ConfigError("%s.ask_with must be a map of option to why" % where)
    row["ask_with"] = {str(option): why for option, why in asks.items()}
    options = row.get("options", {})
    if not isinstance(options, Mapping):
        raise ConfigError("%s.options must be a map of option to {value: risk}" % where)
    for option, values in options.items():
        is_map = isinstance(values, Mapping) and values
        if not is_map or any(risk not in RISKS for risk in values.values()):
            raise ConfigError(
                "%s.options.%s must be a map of value to one of %s"
                % (where, option, ", ".join(RISKS))
            )
    row["options"] = {
        str(option): {value_text(value): risk for value, risk in values.items()}
        for option, values in options.items()
    }
    return row


def _tightened(base: Mapping[str, Any], row: Mapping[str, Any], where: str) -> Dict[str, Any]:
    advice = "write the whole row with `replaces: %s`" % where.partition(".")[2]
    if "deny" in base and "deny" not in row:
        raise ConfigError("%s is denied (%s); to allow it %s" % (where, base["deny"], advice))
    if "risk" in row and RISKS.index(row["risk"]) < RISKS.index(base.get("risk", RISKS[0])):
        raise ConfigError("%s is %s; to call it less %s" % (where, base["risk"], advice))
    merged = dict(base)
    merged.update({key: row[key] for key in ("risk", "ask", "deny") if key in row})
    options = {option: dict(values) for option, values in base.get("options", {}).items()}
    for option, values in row.get("options", {}).items():
        for value, risk in values.items():
            was = options.setdefault(option, {}).get(value, RISKS[0])
            if RISKS.index(risk) < RISKS.index(was):
                raise ConfigError(
                    "%s.options.%s: %s is %s; to call it less %s"
                    % (where, option, value, was, advice)
                )
            options[option][value] = risk
    merged["options"] = options
    merged["ask_with"] = {**base.get("ask_with", {}), **row.get("ask_with", {})}
    return merged
