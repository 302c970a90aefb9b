"""A whole standalone process for a test to kill: takes alerts, does its housekeeping, works.

Started as `python outage.py DIRECTORY ROUND`; the directory holds the configuration.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "actions" / "lib")]


def main(directory: Path, turn: str) -> None:
    """Work until killed."""
    from standalone.engine import Engine
    from tests.e2e.world import PACK, alert, body_of

    engine = Engine(PACK, config_path=directory / "selfheal.yaml", home=directory / "home").start()
    engine.run("selfheal.housekeeping", wait=False)
    every = ("Fixable", "Unfixable", "Asked", "Broken", "Unknown")
    names = [every[(int(turn) + n) % len(every)] for n in range(3)]
    # Each round has targets of its own, so that no remedy waits for another's.
    alerts = [alert(name, instance="%s-%s" % (name, turn)) for name in names]
    engine.post_webhook("prometheus_alert", body_of(*alerts))
    sys.stdout.write("at work\n")
    sys.stdout.flush()
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
