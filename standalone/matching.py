"""Which rules a trigger instance fires: StackStorm's criteria, patterns and passes.

Promises StackStorm's verdict together with the reason in words. A criterion that raises is "no
match" with the exception as reason, where StackStorm writes a failed rule enforcement.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from standalone.datastore import Datastore, KeyLookup, st2kv
from standalone.jsonpath import find
from standalone.operators import SEARCH, operator_named
from standalone.packs import Pack, Rule
from standalone.templates import render

__all__ = ["matching_rules", "rule_matches", "rules_for"]

_EXPRESSION = re.compile(r"({{)\s*(.*)\s*(}})")


def rules_for(
    pack: Pack, trigger_ref: str, trigger_params: Optional[Mapping[str, Any]] = None
) -> List[Rule]:
    """The rules on a trigger, enabled or not, in the order of their files.

    `trigger_params` None takes rules whatever their parameters; a mapping (`{"url": "hook"}`)
    only those whose rule asks for exactly these.
    """
    return [
        rule
        for rule in pack.rules.values()
        if rule.trigger_type == trigger_ref and
        (trigger_params is None or rule.trigger_parameters == dict(trigger_params))
    ]


def matching_rules(
    rules: Sequence[Rule], payload: Any, kv: Optional[Datastore]
) -> List[Tuple[Rule, bool, str]]:
    """Verdict and reason for each enabled rule; backstop rules come last and only if no other
    matched."""
    enabled = [rule for rule in rules if rule.enabled]
    verdicts = [
        (rule,) + rule_matches(rule, payload, kv) for rule in enabled if not rule.is_backstop
    ]
    is_matched = any(matches for _, matches, _ in verdicts)
    for rule in enabled:
        if rule.is_backstop and is_matched:
            verdicts.append((rule, False, "another rule matched first"))
        elif rule.is_backstop:
            verdicts.append((rule,) + rule_matches(rule, payload, kv))
    return verdicts


def rule_matches(rule: Rule, payload: Any, kv: Optional[Datastore]) -> Tuple[bool, str]:
    """Whether the payload satisfies every criterion, and why (not).

    Criteria are taken in the order of the file and the first that fails ends it. Whether the rule
    is enabled is not looked at.
    """
    if rule.criteria and not payload:
        return False, "the payload is empty and the rule has criteria"
    context = _context("trigger", payload, kv)
    for key, criterion in rule.criteria.items():
        matches, reason = _judged(key, criterion, context, kv)
        if not matches:
            return False, reason
    return True, "all %d criteria hold" % len(rule.criteria)


def _context(prefix: str, payload: Any, kv: Optional[Datastore]) -> Dict[str, Any]:
    return {prefix: payload, "system": KeyLookup(kv)}


def _judged(
    key: str, criterion: Any, context: Mapping[str, Any], kv: Optional[Datastore]
) -> Tuple[bool, str]:
    if not isinstance(criterion, dict) or "type" not in criterion:
        return False, "%s: no operator (`type`) is given" % key
    name = criterion["type"]
    try:
        pattern = _pattern(criterion.get("pattern"), context, kv)
    except Exception as error:
        return False, "%s: the pattern %r cannot be rendered: %s" % (
            key,
            criterion.get("pattern"),
            _words(error),
        )
    try:
        # "#2" only keeps apart two criteria on the same place.
        found = find(key.split("#", 1)[0], context)
        value = found[0] if found else None
        operator = operator_named(name)
        if name == SEARCH:
            matches = operator(
                value,
                pattern,
                criterion.get("condition"),
                lambda child_key, child, item: _judged(
                    child_key, child, _context("item", item, kv), kv
                )[0],
            )
        else:
            matches = operator(value, pattern)
    except Exception as error:
        return False, "%s %s %r: %s" % (key, name, pattern, _words(error))
    verdict = "holds" if matches else "does not hold"
    return bool(matches), "%s %s %r %s for %s" % (key, name, pattern, verdict, _shown(value))


def _pattern(pattern: Any, context: Mapping[str, Any], kv: Optional[Datastore]) -> Any:
    """A text pattern rendered, with its type kept where the whole pattern is one expression."""
    if not isinstance(pattern, str):
        return pattern
    full = {**context, "st2kv": st2kv(kv)}
    if _EXPRESSION.search(pattern):
        try:
            return json.loads(render(_EXPRESSION.sub(r"\1\2 | to_complex\3", pattern), full))
        except ValueError:
            # Text around the expression: then the plain text counts.
            pass
    return render(pattern, full)


def _words(error: Exception) -> str:
    return "%s: %s" % (type(error).__name__, error)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."
