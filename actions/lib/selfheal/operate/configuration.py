"""What is wrong with a configuration, by the schema and by sense: a pure function of both.

Each problem names the key, what stands there and what to write instead. The values of secrets are
never shown. Whether what is configured can be reached is `check_config`'s to find out.
"""

from __future__ import annotations

import difflib
from typing import Any, Dict, List, Mapping, Optional, Tuple
from urllib.parse import urlsplit

from selfheal.apis.kubernetes import settings as kubernetes_settings
from selfheal.config import NOT_TARGETS
from selfheal.exceptions import ConfigError
from selfheal.intake.elk.settings import RANGES as SEARCH_RANGES
from selfheal.store.dialects import dialect_for
from selfheal.text import one_line, without_credentials
from selfheal.tickets import routes, servicenow_settings, trackers

_BREAKER_RANGES: Dict[str, Tuple[float, float]] = {
    "window_minutes": (1, 10080),
    "min_calls": (1, 1000),
    "failure_rate": (0.01, 1),
    "slow_rate": (0, 1),
    "slow_seconds": (0, 86400),
    "open_minutes": (0.1, 10080),
    "max_open_minutes": (0.1, 10080),
    "probes": (1, 100),
}
# key: (least, most). Figures outside are mistakes (a unit confused, a digit too many), not wishes.
RANGES: Dict[str, Tuple[float, float]] = {
    "database.retention_days": (1, 3650),
    "incidents.reopen_minutes": (0, 10080),
    "incidents.max_label_bytes": (1024, 8388608),
    "log_files.max_line_bytes": (1024, 8388608),
    "outbox.give_up_hours": (1, 8760),
    **{
        "notify.%s.max_per_minute" % carrier: (0, 100000)
        for carrier in ("webhook", "slack", "pagerduty", "email")
    },
    "notify.email.port": (0, 65535),
    "monitoring.check_interval": (4, 86400),
    "monitoring.error_threshold": (1, 1000000),
    "monitoring.window_minutes": (1, 10080),
    "monitoring.quiet_minutes": (1, 10080),
    "monitoring.realert_minutes": (1, 1440),
    "monitoring.max_documents_per_poll": (1, 10000000),
    "monitoring.blind_minutes": (1, 1440),
    "monitoring.spike_factor": (1.1, 1000),
    "resolver.max_retries": (1, 100),
    "resolver.timeout": (1, 86400),
    "resolver.min_confidence": (0, 1),
    "resolver.verify_timeout": (1, 86400),
    "resolver.verify_interval": (1, 3600),
    "resolver.healthy_hold": (0, 86400),
    "tickets.reopen_minutes": (0, 525600),
    "tickets.sync_minutes": (1, 1440),
    "safety.max_responses_per_batch": (1, 1000),
    "safety.approval_minutes": (1, 10080),
    "safety.response_minutes": (1, 1440),
    "safety.retry_wait_minutes": (0, 1440),
    "safety.storm_incidents": (0, 1000000),
    "safety.storm_minutes": (1, 1440),
    "safety.storm_cooldown_minutes": (1, 10080),
    "safety.clock_step_seconds": (5, 86400),
    "safety.clock_settle_minutes": (0, 10080),
    "safety.flap_quiet_minutes": (1, 10080),
    "escalation.repeat": (0, 100),
    "escalation.repeat_minutes": (1, 10080),
    "safety.max_silenced_alerts": (0, 10000),
    "safety.max_silence_hours": (1, 720),
    **{
        "safety.budgets.%s_%s" % (what, period): (0, 1000000)
        for what in ("target", "namespace", "cluster", "remedy", "global")
        for period in ("hour", "day")
    },
    **{
        "safety.%s.%s" % (breaker, name): bounds
        for breaker in ("breaker", "service_breaker")
        for name, bounds in _BREAKER_RANGES.items()
    },
    **{"elasticsearch.%s" % name: bounds for name, bounds in SEARCH_RANGES.items()},
    **{"kubernetes.%s" % name: bounds for name, bounds in kubernetes_settings.RANGES.items()},
    **{"servicenow.%s" % name: bounds for name, bounds in servicenow_settings.RANGES.items()},
}
_ANYWHERE: Dict[str, Tuple[float, float]] = {
    **SEARCH_RANGES,
    **kubernetes_settings.RANGES,
    "timeout_s": (1, 600),
    "max_per_minute": (0, 100000),
    "port": (0, 65535),
    "after_minutes": (0, 10080),
}
# What says where a target is.
_WAYS = ("url", "kubeconfig", "in_cluster", "instance")
_TYPES: Dict[str, Tuple[str, Any]] = {
    "string": ("text", str),
    "integer": ("a whole number", int),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", bool),
    "array": ("a list", (list, tuple)),
    "object": ("a map", Mapping),
}


def problems(values: Any, schema: Mapping[str, Any]) -> List[str]:
    """What is wrong with `values` (the configuration) by `schema` (config.schema.yaml as a dict);
    empty when nothing is.

    A section that names an external system may hold settings, or named targets, or both.
    """
    found: List[str] = []
    if not isinstance(values, Mapping):
        return ["the configuration must be a map of settings, not %s" % _shown(values)]
    _check_map("", values, schema, False, schema, found)
    found += _senseless(values)
    return found


def _check_map(
    path: str,
    values: Mapping[str, Any],
    properties: Mapping[str, Any],
    extra: Any,
    schema: Mapping[str, Any],
    found: List[str],
) -> None:
    for key, value in values.items():
        here = "%s.%s" % (path, key) if path else str(key)
        if key in properties:
            _check(here, value, properties[key], schema, found)
        elif not extra:
            found.append(_unknown(here, str(key), properties, schema))
        elif isinstance(extra, Mapping):
            if extra.get("type") == "object" and not isinstance(value, Mapping):
                found.append(
                    _unknown(here, str(key), properties, schema) +
                    "; or, if it is meant to be a named target, give it a map of settings"
                )
            else:
                _check(here, value, extra, schema, found)


def _check(
    path: str, value: Any, described: Mapping[str, Any], schema: Mapping[str, Any], found: List[str]
) -> None:
    if value is None:
        return  # as if it were not written
    kind = str(described.get("type", ""))
    if kind in _TYPES and not _is_of(value, kind):
        found.append(_wrong_type(path, value, kind, bool(described.get("secret"))))
        return
    allowed = described.get("enum")
    if allowed and value not in allowed:
        near = _nearest(str(value), [str(item) for item in allowed])
        found.append(
            "%s must be one of %s, not %s%s"
            % (path, ", ".join(str(item) for item in allowed), _shown(value), near)
        )
    if isinstance(value, str):
        _check_text(path, value, found)
    elif kind in ("integer", "number"):
        _check_range(path, value, found)
    elif kind == "array":
        for position, item in enumerate(value):
            _check("%s[%d]" % (path, position), item, described.get("items") or {}, schema, found)
    elif kind == "object":
        properties = described.get("properties") or {}
        extra = described.get("additionalProperties", not properties)
        _check_map(path, value, properties, extra, schema, found)


def _check_text(path: str, value: str, found: List[str]) -> None:
    if "{{" in value:
        found.append(
            "%s still holds a template that StackStorm did not render; check the key in the "
            "datastore and that the configuration is registered (st2ctl reload "
            "--register-configs)" % path
        )
    elif path == "database.url":
        try:
            dialect_for(value)
        except ConfigError as error:
            found.append(str(error))
    elif path.rpartition(".")[2] == "url":
        is_list = path.startswith("elasticsearch.")
        for url in value.split(",") if is_list else [value]:
            reason = url_problem(url.strip() if is_list else url)
            if reason:
                found.append("%s %s: %s" % (path, _shown(without_credentials(url)), reason))


def _check_range(path: str, value: float, found: List[str]) -> None:
    bounds = RANGES.get(path) or _ANYWHERE.get(path.rpartition(".")[2])
    if bounds and not bounds[0] <= value <= bounds[1]:
        found.append("%s must be from %s to %s, not %s" % (path, *bounds, value))


def url_problem(url: str) -> str:
    """Why `url` cannot be used as the address of an HTTP service; empty when it can."""
    if (
        not url or
        url != url.strip() or
        any(character.isspace() or ord(character) < 32 for character in url)
    ):
        return "it is empty or holds white space; write http://host:port or https://host"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return "it cannot be read (%s); write http://host:port or https://host" % error
    if parts.scheme not in ("http", "https"):
        return "it must begin with http:// or https://"
    if not parts.hostname:
        return "it names no host; write http://host:port or https://host"
    if port == 0:
        return "port 0 cannot be connected to"
    if "@" in parts.netloc:
        return "write user and password into settings of their own, not into the URL"
    return ""


def _senseless(values: Mapping[str, Any]) -> List[str]:
    """Settings that are each right, but not together."""
    found = []
    resolver = values.get("resolver")
    if isinstance(resolver, Mapping):
        hold, limit = resolver.get("healthy_hold"), resolver.get("verify_timeout")
        if is_figure(hold) and is_figure(limit) and float(hold or 0) >= float(limit or 0):
            found.append(
                "resolver.healthy_hold (%s) must be less than resolver.verify_timeout (%s): no "
                "signal could stay healthy long enough" % (hold, limit)
            )
    found += _relative_paths(values.get("log_files"))
    for section in ("alertmanager", "elasticsearch", "jira", "kubernetes", "prometheus"):
        for path, settings in _targets(section, values.get(section)):
            found += _credentials(path, settings)
    for path, settings in _targets("elasticsearch", values.get("elasticsearch")):
        names = [str(name) for name in settings]  # a mistyped url is said already
        if path != "elasticsearch" and not _nearest("url", names):
            found.append("%s.url is not set: nothing is searched there" % path)
    for path, settings in _targets("kubernetes", values.get("kubernetes")):
        found += _cluster(path, settings)
    for path, settings in _targets("servicenow", values.get("servicenow")):
        found += servicenow_settings.problems(path, settings)
    for section in routes.GIVES:
        for path, settings in _targets(section, values.get(section)):
            found += routes.senseless(section, path, settings.get("routes"))
    found += trackers.problems(values)
    return found


def _cluster(path: str, settings: Mapping[str, Any]) -> List[str]:
    """What is wrong with how one Kubernetes target says which cluster it is and what it may do."""
    found = []
    ways = [way for way in _WAYS[:3] if settings.get(way)]
    if len(ways) > 1:
        found.append("%s has %s: set one of them" % (path, " and ".join(ways)))
    elif not ways and path != "kubernetes":
        found.append("%s.url is not set, nor kubeconfig or in_cluster: it is never asked" % path)
    if settings.get("context") and not settings.get("kubeconfig"):
        found.append("%s.context has no effect without %s.kubeconfig" % (path, path))
    if settings.get("token") and settings.get("token_file"):
        found.append("%s has both token and token_file: set one of them" % path)
    for name, wrong in kubernetes_settings.wrong_words(settings).items():
        expected = (list, tuple) if name.endswith("namespaces") else str
        if name != "watch" and isinstance(settings[name], expected):
            found.append("%s.%s %s" % (path, name, wrong))  # another type is said already
    return found


def _relative_paths(section: Any) -> List[str]:
    paths = section.get("paths") if isinstance(section, Mapping) else None
    return [
        "log_files.paths: %s must be a whole path, from / on" % _shown(path)
        for path in (paths if isinstance(paths, (list, tuple)) else ())
        if isinstance(path, str) and not path.startswith("/")
    ]


def _targets(section: str, value: Any) -> List[Tuple[str, Mapping[str, Any]]]:
    if not isinstance(value, Mapping):
        return []
    named = {
        name: item
        for name, item in value.items()
        if isinstance(item, Mapping) and name not in NOT_TARGETS
    }
    flat = {name: item for name, item in value.items() if name not in named}
    is_target = not named or any(flat.get(way) for way in _WAYS)
    if section == "kubernetes" and named:
        inherited = _inherited(flat, named)
    else:
        inherited = dict.fromkeys(named, flat)
    found: List[Tuple[str, Mapping[str, Any]]] = [
        ("%s.%s" % (section, name), {**inherited[name], **item}) for name, item in named.items()
    ]
    return [(section, flat), *found] if is_target else found


def _inherited(
    flat: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]]
) -> Dict[str, Mapping[str, Any]]:
    """What each named Kubernetes target has of its section: not the cluster, but for the kubeconfig
    where the target has only a context in it.
    """
    found: Dict[str, Mapping[str, Any]] = {}
    for name, item in named.items():
        kept = {key: one for key, one in flat.items() if key not in (*_WAYS, "context")}
        if item.get("context") and not any(item.get(way) for way in _WAYS):
            kept["kubeconfig"] = flat.get("kubeconfig")
        found[name] = kept
    return found


def _credentials(path: str, settings: Mapping[str, Any]) -> List[str]:
    found = []
    if settings.get("password") and not settings.get("username"):
        found.append(
            "%s.password is set, but %s.username is not: basic authentication needs both"
            % (path, path)
        )
    for name in ("token", "api_key"):
        if settings.get(name) and settings.get("username"):
            found.append("%s has both %s and username: set one of them" % (path, name))
    if settings.get("ca_file") and settings.get("verify_tls") is False:
        found.append(
            "%s.ca_file has no effect while %s.verify_tls is false: set it to true" % (path, path)
        )
    return found


def is_figure(value: Any) -> bool:
    """Whether `value` is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind != "boolean":
        return False
    return isinstance(value, _TYPES[kind][1])


def _wrong_type(path: str, value: Any, kind: str, is_secret: bool) -> str:
    shown = "what is there (hidden, it is a secret)" if is_secret else _shown(value)
    hint = ""
    if isinstance(value, str) and kind in ("integer", "number", "boolean"):
        hint = "; write it without quotes"
    elif kind == "array" and isinstance(value, str):
        hint = "; write [%s]" % one_line(value, 60)
    return "%s must be %s, not %s%s" % (path, _TYPES[kind][0], shown, hint)


def _unknown(path: str, key: str, properties: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    near = _nearest(key, list(properties)) or _elsewhere(key, path, schema)
    return "%s is not a setting%s" % (
        one_line(path, 120),
        near or "; those there are: %s" % ", ".join(sorted(properties)),
    )


def _nearest(word: str, words: List[str]) -> str:
    near = difflib.get_close_matches(word.lower(), words, 1, 0.6)
    return "; did you mean %s?" % near[0] if near else ""


def _elsewhere(key: str, path: str, schema: Mapping[str, Any]) -> str:
    """The same name in another section: settings are easily written one level too high or low."""
    for section, described in schema.items():
        inside = _path_to(key, described)
        if inside and "%s.%s" % (section, inside) != path:
            return "; did you mean %s.%s?" % (section, inside)
    return ""


def _path_to(key: str, described: Mapping[str, Any]) -> Optional[str]:
    for name, item in (described.get("properties") or {}).items():
        if name == key:
            return str(name)
        deeper = _path_to(key, item)
        if deeper:
            return "%s.%s" % (name, deeper)
    return None


def _shown(value: Any) -> str:
    return one_line(repr(value), 80)
