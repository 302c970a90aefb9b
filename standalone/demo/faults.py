"""What breaks the service, for real: signals to the real process, files really gone.

Each fault returns in words what it did. None of them tells the service, the prober or the pack
anything.
"""

from __future__ import annotations

import os
import signal
from typing import Callable, Dict, List

from standalone.demo import service, servicectl
from standalone.demo.shop import Shop, wait_for


def crash(shop: Shop) -> List[str]:
    """Kills the process while it holds its lock; its supervisor starts it again, locked out of its
    own spool.
    """
    pid = shop.pid()
    if pid is None:
        raise RuntimeError("the service does not run: there is nothing to break")
    os.kill(pid, signal.SIGKILL)
    if not wait_for(lambda: not servicectl.is_running(pid), 60, 0.005):
        raise RuntimeError("process %d survives SIGKILL" % pid)
    shop.control("start")
    return [
        "kill -9 %d while it held its lock" % pid,
        "its supervisor started it again as process %s" % shop.pid(),
    ]


def crash_and_lose_prices(shop: Shop) -> List[str]:
    """The same, and the price list is gone: no restart brings that back."""
    (shop.directory / service.PRICES).unlink()
    return ["%s deleted" % service.PRICES] + crash(shop)


FAULTS: Dict[str, Callable[[Shop], List[str]]] = {
    "heal": crash,
    "approve": crash,
    "elk": crash,
    "unfixable": crash_and_lose_prices,
}
