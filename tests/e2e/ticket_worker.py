"""A worker that carries letters in a process of its own, to be killed while it does."""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(argument):
    """`argument`: {"url": of the store, "sections": of the configuration, "at": its time}."""
    from selfheal.respond import telling, ticketing
    from tests import scene

    given = json.loads(argument)
    ctx = scene.context(given["url"], clock=scene.Clock(given["at"]), **given["sections"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    ticketing.follow_all(ctx)
    while telling.deliver(ctx, limit=500):
        pass


if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    sys.path[:0] = [str(root), str(root / "actions" / "lib")]
    main(sys.argv[1])
