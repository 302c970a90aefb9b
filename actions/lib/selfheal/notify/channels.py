"""The channels by which people are told: which are configured, by which settings, under which name.

A channel is `webhook`, or a carrier and one of its named targets: `slack:oncall`. People write
`slack.oncall`, and `slack` for `slack:default`, the settings that stand flat in notify.slack. What
stands flat is also what the named ones fall back to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping

from selfheal.config import DEFAULT_TARGET, NOT_TARGETS, Config, target_key
from selfheal.exceptions import ConfigError

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.outbox.carrying import Letter

WEBHOOK = "webhook"
PAGERDUTY = "pagerduty"
SLACK = "slack"
EMAIL = "email"
CARRIERS = (PAGERDUTY, SLACK, EMAIL, WEBHOOK)
# What says that a target is meant; all else may stand flat for the named ones.
_PLACES = {
    PAGERDUTY: ("routing_key",),
    SLACK: ("webhook_url", "token", "channel"),
    EMAIL: ("host", "from", "to"),
}


def channel_of(word: str) -> str:
    """The channel that `word` of a ladder means: slack.oncall is slack:oncall, slack is
    slack:default.
    """
    carrier, _, target = str(word).strip().partition(".")
    return carrier if carrier == WEBHOOK else "%s:%s" % (carrier, target or DEFAULT_TARGET)


def word_of(channel: str) -> str:
    """What people call the channel."""
    carrier, _, target = channel.partition(":")
    return target_key(carrier, target or DEFAULT_TARGET)


def setting_of(channel: str) -> str:
    """The setting that describes the channel: notify.slack.oncall."""
    return "notify.%s" % word_of(channel)


def written(config: Config) -> Dict[str, Dict[str, Any]]:
    """All channels that the configuration names, complete or not: {channel: settings}. Raises
    ConfigError when a section is no map.
    """
    found: Dict[str, Dict[str, Any]] = {}
    for carrier in CARRIERS:
        found.update(_written(config, carrier))
    return found


def configured(config: Config) -> List[str]:
    """The channels that can be used, in the order of CARRIERS. A section that is no map, which
    check_config tells, takes no other channel with it.
    """
    found: List[str] = []
    for carrier in CARRIERS:
        try:
            there = _written(config, carrier)
        except ConfigError:
            continue
        found += [name for name, one in there.items() if not lacking(name, one)]
    return found


def settings(config: Config, channel: str) -> Dict[str, Any]:
    """The settings of a channel. Raises ConfigError when it is not configured, or not whole."""
    carrier = channel.partition(":")[0]
    found = _written(config, carrier).get(channel) if carrier in CARRIERS else None
    if found is None:
        raise ConfigError("%s is not configured" % setting_of(channel))
    lacks = lacking(channel, found)
    if lacks:
        raise ConfigError("%s: %s" % (setting_of(channel), lacks))
    return found


def problem_of(carrier: str) -> Callable[[Context, str], str]:
    """What a carrier's `problem` is: why nothing can be carried to a target; empty when it can."""

    def problem(ctx: Context, target: str) -> str:
        try:
            settings(ctx.config, "%s:%s" % (carrier, target))
        except ConfigError as error:
            return str(error)
        return ""

    return problem


def service_of(letter: Letter) -> str:
    """What a carrier's `SERVICE` is: the name of the channel's circuit breaker."""
    return setting_of(letter.channel)


def lacking(channel: str, one: Mapping[str, Any]) -> str:
    """What a channel lacks before it can be used; empty for nothing."""
    carrier = channel.partition(":")[0]
    if carrier == WEBHOOK:
        return "" if one.get("url") else "url is not set"
    if carrier == PAGERDUTY:
        return "" if one.get("routing_key") else "routing_key is not set"
    if carrier == SLACK:
        if one.get("webhook_url") or (one.get("token") and one.get("channel")):
            return ""
        lacks = "channel" if one.get("token") else "webhook_url, or token and channel,"
        return "%s is not set" % lacks
    names = [name for name in ("host", "from", "to") if not one.get(name)]
    return "%s is not set" % " and ".join(names) if names else ""


def _written(config: Config, carrier: str) -> Dict[str, Dict[str, Any]]:
    section = config.optional("notify.%s" % carrier)
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise ConfigError("notify.%s must be a map of settings" % carrier)
    if carrier == WEBHOOK:
        return {WEBHOOK: dict(section)} if section.get("url") else {}
    return _targets(carrier, section)


def _targets(carrier: str, section: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    named = {
        str(name): one
        for name, one in section.items()
        if isinstance(one, Mapping) and name not in NOT_TARGETS
    }
    flat = {str(name): one for name, one in section.items() if name not in named}
    found: Dict[str, Dict[str, Any]] = {}
    default = "%s:%s" % (carrier, DEFAULT_TARGET)
    if any(flat.get(name) for name in _PLACES[carrier]):
        found[default] = flat
    for name, one in named.items():
        found["%s:%s" % (carrier, name)] = {**_passed_on(carrier, flat, one), **one}
    # A section whose flat part only serves its named targets is no channel of its own.
    if named and DEFAULT_TARGET not in named and lacking(default, found.get(default, {})):
        found.pop(default, None)
    return found


def _passed_on(
    carrier: str, flat: Mapping[str, Any], one: Mapping[str, Any]
) -> Dict[str, Any]:
    """What a named target has of its section: of Slack not the hook, which has a channel of its
    own, when the target names a channel, nor the token when it has a hook.
    """
    kept = dict(flat)
    if carrier == PAGERDUTY:
        kept.pop("routing_key", None)
    elif carrier == SLACK and one.get("webhook_url"):
        kept.pop("token", None)
        kept.pop("channel", None)
    elif carrier == SLACK and (one.get("channel") or one.get("token")):
        kept.pop("webhook_url", None)
    return kept
