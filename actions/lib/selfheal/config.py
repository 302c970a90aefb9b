"""The pack's configuration, read by dotted key.

Defaults live in config.schema.yaml alone. StackStorm merges them before it starts an action, so the
schema is parsed here only when a value is missing (a hand-made configuration). An asked-for key
that the schema does not know is our defect and says so. Sections that name external systems hold
named targets, or one written flat.
"""

from __future__ import annotations

import re
from collections.abc import (
    Mapping,  # asking typing's whether something is one costs ten times as much
)
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from selfheal.exceptions import ConfigError

SCHEMA_PATH = Path(__file__).resolve().parents[3] / "config.schema.yaml"
DEFAULT_TARGET = "default"
_SECRET_NAME = re.compile(
    r"(^|_)(password|token|api_key|routing_key|webhook_url|secret|secrets)$"
)
_SECRET_HEADER = re.compile(r"(?i)auth|cookie|token|key|secret|password|signature")
_IN_QUERY = re.compile(r"(?i)[?&][^=&#]*(?:key|token|password|secret)[^=&#]*=([^&#\s]+)")
# Maps inside a section that are settings, not named targets.
NOT_TARGETS = (
    "headers", "queries", "fields", "values", "levels", "states", "limits", "priorities",
    "transition_fields",
)
# What says where a system is, section by section: any of them switches a target on, and none of
# them is passed on from the section to its named targets.
_PLACES = {
    "kubernetes": ("url", "kubeconfig", "in_cluster"),
    "servicenow": ("instance",),
}
_MOST_LEARNED = 20  # tokens are renewed as long as a sensor lives
_LEAST_OF_A_PATH = 12  # shorter ones are words such as /hook
_MISSING = object()


def load_schema(path: Path = SCHEMA_PATH) -> Dict[str, Any]:
    """config.schema.yaml as a dict: key -> JSON-schema-like description. Raises ConfigError when
    unreadable.
    """
    import yaml

    try:
        with open(str(path), encoding="utf-8") as source:
            return dict(yaml.load(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            "cannot read the configuration's schema %s: %s" % (path, error)
        ) from error


def target_key(section: str, name: str) -> str:
    """The setting that describes the target `name` of `section`, by which people know it: the
    section itself for the one that stands flat there.
    """
    return section if name == DEFAULT_TARGET else "%s.%s" % (section, name)


def _at(values: Any, parts: List[str]) -> Any:
    for part in parts:
        if not isinstance(values, Mapping) or part not in values:
            return _MISSING
        values = values[part]
    return values


class Config:
    """Settings of one process. `values` is what the platform hands over: the configuration, secrets
    in clear.
    """

    def __init__(
        self, values: Optional[Mapping[str, Any]] = None, schema_path: Path = SCHEMA_PATH
    ) -> None:
        self.values: Dict[str, Any] = dict(values or {})
        self._schema_path = schema_path
        self._schema: Optional[Dict[str, Any]] = None
        self._learned: List[str] = []
        self._secrets: Optional[List[str]] = None

    @property
    def schema(self) -> Dict[str, Any]:
        if self._schema is None:
            self._schema = load_schema(self._schema_path)
        return self._schema

    def get(self, key: str) -> Any:
        """The value at dotted `key`, or the schema's default (None when it has none). Unknown key:
        ConfigError.
        """
        found = _at(self.values, key.split("."))
        return self._default(key) if found is _MISSING or found is None else found

    def optional(self, key: str) -> Any:
        """The value at dotted `key` as it was handed over, or None; the schema is not read."""
        found = _at(self.values, key.split("."))
        return None if found is _MISSING else found

    def number(self, key: str) -> float:
        """The value at `key` as a number. Raises ConfigError naming the key when it is none."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ConfigError("%s must be a number, not %r" % (key, value))
        try:
            return float(value)
        except ValueError:
            raise ConfigError("%s must be a number, not %r" % (key, value)) from None

    def targets(self, section: str) -> Dict[str, Dict[str, Any]]:
        """The named targets of an external system: {name: settings}, empty when it is off.

        A target is on when it has a `url` (of Kubernetes: a `kubeconfig` or `in_cluster` as well).
        Settings written flat in the section are the target `default`, and what the named ones fall
        back to. Raises ConfigError when the section or a target is not a map.
        """
        value = self.get(section) or {}
        if not isinstance(value, Mapping):
            raise ConfigError("%s must be a map of settings, not %r" % (section, value))
        named = {k: v for k, v in value.items() if isinstance(v, Mapping) and k not in NOT_TARGETS}
        flat = {key: item for key, item in value.items() if key not in named}
        places = _PLACES.get(section, ("url",))
        place = {key: flat.pop(key) for key in places if flat.get(key)}
        if "kubeconfig" in place:
            named, is_passed_on = _in_one_file(named, place["kubeconfig"], places)
            if is_passed_on and not flat.get("context"):
                del place["kubeconfig"]
        if place:
            context = {key: flat.pop(key) for key in ("context",) if key in flat}
            named[DEFAULT_TARGET] = {**place, **context, **named.get(DEFAULT_TARGET, {})}
        return {
            str(name): {**flat, **settings}
            for name, settings in named.items()
            if any(settings.get(key) for key in places)
        }

    def target_name(self, section: str, cluster: Optional[str]) -> Optional[str]:
        """The name of the target for a cluster: as the cluster's, else `default`, else the only
        one, else None.
        """
        targets = self.targets(section)
        if cluster and cluster in targets:
            return cluster
        if DEFAULT_TARGET in targets:
            return DEFAULT_TARGET
        return next(iter(targets)) if len(targets) == 1 else None

    def target_for(self, section: str, cluster: Optional[str]) -> Optional[Dict[str, Any]]:
        """The settings of the target for a cluster, as `target_name` chooses it."""
        name = self.target_name(section, cluster)
        return None if name is None else self.targets(section)[name]

    def hide(self, secret: str) -> None:
        """Count `secret`, which was learned elsewhere (a token file), among `secrets()`."""
        if secret and secret not in self._learned:
            self._learned.append(secret)
            del self._learned[:-_MOST_LEARNED]

    def secrets(self) -> List[str]:
        """Every secret value in the configuration, known by the names that secrets have, and what
        goes over the wire for it. The settings are searched once.
        """
        if self._secrets is None:
            self._secrets = []
            _collect_secrets(self.values, False, self._secrets)
        return [*self._learned, *self._secrets]

    def _default(self, key: str) -> Any:
        described: Any = self.schema
        parts = key.split(".")
        for position, part in enumerate(parts):
            properties = described if position == 0 else described.get("properties", {})
            if part not in properties:
                raise ConfigError(
                    "no setting %r in %s (asked by the pack itself)" % (key, self._schema_path.name)
                )
            described = properties[part]
        return described.get("default")


def _in_one_file(
    named: Mapping[str, Any], kubeconfig: Any, places: Tuple[str, ...]
) -> Tuple[Dict[str, Any], bool]:
    """`named` targets, those that only name a context given the section's `kubeconfig`; and whether
    there was one: without a context of its own the section is then no target.
    """
    found, is_passed_on = {}, False
    for name, settings in named.items():
        if settings.get("context") and not any(settings.get(key) for key in places):
            settings, is_passed_on = {"kubeconfig": kubeconfig, **settings}, True
        found[name] = settings
    return found, is_passed_on


def basic_credentials(username: Any, password: Any) -> str:
    """User and password as HTTP's basic authentication writes them."""
    from base64 import b64encode

    return b64encode(("%s:%s" % (username, password)).encode("utf-8")).decode("ascii")


def _collect_secrets(value: Any, is_secret: bool, found: List[str], within: str = "") -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            names = _SECRET_HEADER if within == "headers" else _SECRET_NAME
            is_named = bool(names.search(str(key)))
            _collect_secrets(item, is_secret or is_named, found, str(key))
        if value.get("username") and value.get("password"):
            found.append(basic_credentials(value["username"], value["password"]))
    elif isinstance(value, (list, tuple)):
        for item in value:
            _collect_secrets(item, is_secret, found, within)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if is_secret:
            found.append(str(value))  # sent as text all the same
    elif isinstance(value, str):
        if is_secret and value:
            found.append(value)
            found += _secret_parts(value)
            if within.lower() == "authorization":
                found.append(value.split()[-1] if value.split() else value)
        if "://" in value:
            _collect_from_url(value, found)


def _secret_parts(url: str) -> List[str]:
    """What of an address that is a secret itself (an incoming webhook's) is one without the rest:
    its path, and the end of that.
    """
    path = re.sub(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*", "", url) if "://" in url else ""
    return [part for part in (path, path.rpartition("/")[2]) if len(part) >= _LEAST_OF_A_PATH]


def _collect_from_url(url: str, found: List[str]) -> None:
    in_url = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/:@\s]*:([^/?#\s]+)@", url)
    written = ([in_url.group(1)] if in_url else []) + _IN_QUERY.findall(url)
    if written:
        from urllib.parse import unquote

        found += written
        found += [unquote(one) for one in written if "%" in one]
