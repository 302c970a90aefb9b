"""What a dataclass costs to define, to make and to compare: the pack's own decorator against the
standard library's, in one run, as ratios.

    python bench/records.py [--classes 300] [--rounds 9]

The last line on stdout is one JSON object: "define", "make" and "compare" are the standard
library's time over ours, the best of the rounds taken on both sides; microseconds stand beside.
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "actions" / "lib"))

from selfheal import records

CLASS = '''
@dataclass(frozen=True)
class Made%d:
    """Six fields, two of them given in most calls by name."""

    name: str
    number: int
    text: str = ""
    several: tuple = ()
    share: float = 0.0
    labels: dict = field(default_factory=dict)
'''


def timed(code, names, repeats=1):
    """(microseconds of one of `repeats` runs of `code`, the names it left)."""
    started = time.process_time()
    for _ in range(repeats):
        exec(code, names)
    return (time.process_time() - started) / repeats * 1e6, names


def measure(decorator, classes):
    """{"define", "make", "compare"} in microseconds, for `decorator`."""
    source = "from __future__ import annotations\n" + "".join(CLASS % n for n in range(classes))
    code = compile(source, "classes", "exec")
    define, names = timed(code, {"dataclass": decorator, "field": dataclasses.field})
    make = compile("for _ in range(1000): Made0('a', 1, text='b', share=0.5)", "make", "exec")
    compare = compile("for _ in range(1000): one == two", "compare", "exec")
    names.update(one=names["Made0"]("a", 1), two=names["Made0"]("a", 1))
    return {
        "define": define / classes,
        "make": timed(make, names, 20)[0] / 1000,
        "compare": timed(compare, names, 20)[0] / 1000,
    }


def main():
    """Reads the options, measures, reports."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--classes", type=int, default=300)
    options.add_argument("--rounds", type=int, default=9)
    given = options.parse_args()
    seen = {"standard": [], "own": []}
    decorators = {"standard": dataclasses.dataclass, "own": records.dataclass}
    for number in range(given.rounds):
        for name in sorted(decorators, reverse=bool(number % 2)):
            seen[name].append(measure(decorators[name], given.classes))
    best = {
        name: {key: min(one[key] for one in found) for key in found[0]}
        for name, found in seen.items()
    }
    ratios = {key: round(best["standard"][key] / best["own"][key], 2) for key in best["own"]}
    micros = {
        name: {key: round(value, 2) for key, value in found.items()} for name, found in best.items()
    }
    print(json.dumps({"bench": "records", **ratios, "microseconds": micros}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
