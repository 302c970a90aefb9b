"""How far the search of each target has come: cheap to ask, for who shows it."""

from __future__ import annotations

from typing import Optional

from selfheal.store import Store, checkpoints


def checkpoint_name(target: str) -> str:
    """The name in table checkpoints of how far the target `target` was looked at."""
    return "elk:%s" % target


def looked_until(store: Store, target: str) -> Optional[float]:
    """The time (epoch s) up to which the errors of `target` are known; None before the first
    look.
    """
    return checkpoints.looked_until(checkpoints.read(store, checkpoint_name(target)))
