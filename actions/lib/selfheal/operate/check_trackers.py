"""Each tracker that a section configures, looked at in turn: what `check_config` says of one that
cannot be looked at is the same of all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Tuple

from selfheal.config import target_key
from selfheal.exceptions import ConfigError, SelfhealError

if TYPE_CHECKING:
    from selfheal.context import Context

Row = Tuple[str, str, str, str]


def lines(
    ctx: Context,
    section: str,
    needed: str,
    look: Callable[[str, Mapping[str, Any]], List[Row]],
) -> List[Row]:
    """(what, state, detail, do) for each target of `section`, by `look(name, its settings)`.
    `needed` is the setting without which it is off.
    """
    try:
        targets = ctx.config.targets(section)
    except ConfigError as error:
        return [(section, "error", str(error), "correct the section %s" % section)]
    if not targets:
        return [(section, "off", "%s.%s is not set: no tickets there" % (section, needed), "")]
    found: List[Row] = []
    for name, target in sorted(targets.items()):
        try:
            found += look(name, target)
        except (SelfhealError, ValueError) as error:
            do = "see docs/integrations/%s.md; until then its letters wait in the outbox" % section
            found.append((target_key(section, name), "error", str(error), do))
    return found
