"""The settings of each Kubernetes target, complete: what a named target leaves out comes from the
section, then from the schema.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Mapping, Tuple

from selfheal.config import Config, target_key
from selfheal.exceptions import ConfigError
from selfheal.text import one_line

SECTION = "kubernetes"
# name: (least, most); what lies outside is refused by name rather than found out in the cluster.
RANGES: Dict[str, Tuple[float, float]] = {
    "timeout_s": (1, 600),
    "resync_s": (30, 86400),
    "max_restarts": (1, 1000),
    "restart_window_minutes": (1, 1440),
    "pending_minutes": (0, 1440),
    "terminating_minutes": (0, 1440),
    "unready_minutes": (0, 1440),
    "short_minutes": (0, 1440),
    "settle_s": (0, 3600),
    "rollout_blame_minutes": (1, 1440),
    "rollout_timeout_s": (10, 3600),
    "max_replicas": (1, 1000),
    "memory_step": (1.05, 4),
}
SHARE = re.compile(r"[0-9]{1,6}%?\Z")
QUANTITY = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?(?:[kMGTPE]|[KMGTPE]i)?\Z")
NAMESPACE = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\Z")
# Whole numbers among them may be written with a point all the same; memory_step is none.
_FRACTIONS = ("memory_step",)
_WITH_DEFAULT = (
    *RANGES,
    "namespaces",
    "label_selector",
    "watch",
    "protected_namespaces",
    "own_namespace",
    "min_healthy",
    "min_ready_nodes",
    "max_memory",
)


def targets(config: Config) -> Dict[str, Dict[str, Any]]:
    """{name: complete settings} of every target that is on. Raises ConfigError."""
    return {
        name: completed(config, name, target) for name, target in config.targets(SECTION).items()
    }


def completed(config: Config, name: str, target: Mapping[str, Any]) -> Dict[str, Any]:
    """`target` with a value for every setting that has a default. Raises ConfigError naming a
    number that is none or lies outside of its range, or a text or list that is none.

    The schema is read only when something is missing: StackStorm has filled it in before.
    """
    found = {key: value for key, value in target.items() if value is not None}
    for key in _WITH_DEFAULT:
        if key not in found:
            found[key] = config.get("%s.%s" % (SECTION, key))
    found["queries"] = _queries(config, name, found.get("queries"))
    for key, (least, most) in RANGES.items():
        found[key] = _number("%s.%s" % (target_key(SECTION, name), key), found[key], least, most)
    for key, wrong in wrong_words(found).items():
        raise ConfigError("%s.%s %s" % (target_key(SECTION, name), key, wrong))
    return found


def wrong_words(settings: Mapping[str, Any]) -> Dict[str, str]:
    """{setting: what is wrong with it} of those among `settings` that must be texts of a certain
    form, or lists of namespaces. What is mistaken here must not count as "none": nothing would be
    protected then, or all be taken for gone.
    """
    found = {}
    for name in ("namespaces", "protected_namespaces"):
        wrong = _not_namespaces(settings.get(name), name == "protected_namespaces")
        if wrong:
            found[name] = wrong
    forms = (
        ("min_healthy", SHARE, 'a number or a share such as "50%"'),
        ("min_ready_nodes", SHARE, 'a number or a share such as "75%"'),
        ("max_memory", QUANTITY, "a quantity such as 8Gi"),
        ("label_selector", re.compile(""), "text"),
        ("own_namespace", re.compile(r"\Z|" + NAMESPACE.pattern), "a namespace, or empty"),
    )
    for name, form, words in forms:
        value = settings.get(name)
        if value is not None and not (isinstance(value, str) and form.match(value)):
            found[name] = "must be %s, not %s" % (words, one_line(repr(value), 80))
    if not isinstance(settings.get("watch") or False, bool):
        found["watch"] = "must be true or false, not %s" % one_line(repr(settings["watch"]), 80)
    return found


def _not_namespaces(value: Any, is_pattern: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, (list, tuple)):
        return "must be a list, not %s" % one_line(repr(value), 80)
    for one in value:
        text = one.replace("*", "x") if is_pattern and isinstance(one, str) else one
        if not (isinstance(text, str) and NAMESPACE.match(text)):
            return "names %s, which is no namespace" % one_line(repr(one), 80)
    return ""


def _queries(config: Config, name: str, given: Any) -> Dict[str, str]:
    queries = {} if given is None else given
    if not isinstance(queries, Mapping) or not all(
        one is None or isinstance(one, str) for one in queries.values()
    ):
        raise ConfigError("%s.queries must be a map of texts" % target_key(SECTION, name))
    queries = dict(queries)
    for key in ("cpu", "memory", "up"):
        if queries.get(key) is None:
            queries[key] = config.get("%s.queries.%s" % (SECTION, key))
    return queries


def _number(key: str, value: Any, least: float, most: float) -> float:
    try:
        number = float("nan") if isinstance(value, bool) else float(str(value))
    except ValueError:
        number = float("nan")
    is_whole = key.rpartition(".")[2] not in _FRACTIONS
    if not least <= number <= most or (is_whole and number != int(number)):
        raise ConfigError(
            "%s must be a%s number from %g to %g, not %r"
            % (key, " whole" if is_whole else "", least, most, value)
        )
    return int(number) if is_whole else number
