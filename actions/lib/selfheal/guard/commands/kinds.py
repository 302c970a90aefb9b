"""Kinds of Kubernetes objects as a row of the table names them, and where nothing is changed."""

from __future__ import annotations

from typing import Any, Callable, Dict, FrozenSet, Mapping, Optional

from selfheal.exceptions import ConfigError
from selfheal.guard.commands import values
from selfheal.remedy.model import RISKS

ANY = "any"
NAMES = ("needed", "optional")
_MANY = 12
_KEYS = frozenset(
    "kinds kind kind_is_written names mutates shape pairs or_selected_by risk_of".split()
)


class Resources:
    """Which objects a row may name, and how. `spellings` maps what may be written to the kind;
    `only` is the kind that goes without saying; `pair` tests words such as key=value.
    """

    __slots__ = (
        "cluster_wide",
        "is_never",
        "is_written",
        "mutates",
        "name",
        "names_needed",
        "only",
        "pair",
        "pair_spec",
        "described",
        "ranks",
        "selectors",
        "shape",
        "spellings",
    )

    def __init__(self, settings: Mapping[str, Any], rule: str, document: Mapping[str, Any]) -> None:
        unknown = sorted(set(settings) - _KEYS)
        if unknown or settings.get("names", "optional") not in NAMES:
            raise ConfigError("the resources of %s are unusable (%s)" % (rule, unknown))
        self.only: str = settings.get("kind", "")
        self.is_written = bool(settings.get("kind_is_written", False)) or not self.only
        allowed = [self.only] if self.only else settings.get("kinds", ANY)
        self.spellings = _spellings(allowed, rule, document)
        some = sorted(set(self.spellings.values()))
        self.described = ", ".join(some) if len(some) <= _MANY else (
            "the %d kinds of the table" % len(some)
        )
        self.cluster_wide: FrozenSet[str] = frozenset(document["kinds"]["cluster"])
        self.names_needed = settings.get("names") == "needed"
        self.mutates = bool(settings.get("mutates", False))
        self.shape: str = settings.get("shape", "")
        self.selectors: FrozenSet[str] = frozenset(settings.get("or_selected_by", ()))
        self.ranks: Dict[str, int] = {
            kind: RISKS.index(risk) for kind, risk in settings.get("risk_of", {}).items()
        }
        self.pair_spec: str = settings.get("pairs", "")
        self.pair: Optional[values.Test] = (
            values.test_for(self.pair_spec, document) if self.pair_spec else None
        )
        self.name = values.pattern("dns", document)
        self.is_never: Callable[[str], Any] = values.name_patterns(
            document["lists"]["never_namespaces"]
        )


def resources_of(settings: Any, rule: str, document: Mapping[str, Any]) -> Resources:
    """The compiled `resources` of a row. Raises ConfigError."""
    if not isinstance(settings, dict):
        raise ConfigError("the resources of %s must be a map" % rule)
    return Resources(settings, rule, document)


def _spellings(allowed: Any, rule: str, document: Mapping[str, Any]) -> Dict[str, str]:
    known: Dict[str, Any] = {**document["kinds"]["namespaced"], **document["kinds"]["cluster"]}
    never = set(document["lists"]["never_kinds"])
    chosen = list(known) if allowed == ANY else list(allowed)
    found: Dict[str, str] = {}
    for kind in chosen:
        if kind not in known:
            raise ConfigError("the row %s names the kind %r, which kinds has not" % (rule, kind))
        spellings = {kind, *known[kind]}
        if not spellings & never:
            found.update(dict.fromkeys(sorted(spellings), kind))
    return found
