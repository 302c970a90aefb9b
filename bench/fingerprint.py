"""How well, how fast and how steadily errors are grouped, on labelled logs of LogHub's layout.

`python bench/fingerprint.py --data DIR [--drain3-python PYTHON]` reads every *_2k.structured.csv in
DIR (columns Content, EventId), with one algorithm and no settings for any set. A table goes to
stderr; the last line on stdout is one JSON object. Drain3, when it is installed for PYTHON
(default: the Python that runs this), groups the same lines in the same run.

GA is the share of lines whose group holds exactly the lines of their event; FGA is F1 over groups
by the same identity. An event is an EventId; `by_template` counts EventIds of one EventTemplate as
one event, as some sets number one template several times.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUFFIX = "_2k.structured.csv"
SEED = 20261122
ROUNDS = 3
MASKS = (
    ("UUID", r"(?<![\w-])[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![\w-])"),
    ("IP", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.])"),
    ("HEX", r"(?<!\w)0[xX][0-9a-fA-F]+(?!\w)"),
    ("NUM", r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?![\w.])"),
)


def load(directory):
    """{set: [(message, event, template)]} of every set in `directory`."""
    csv.field_size_limit(1 << 24)
    sets = {}
    for path in sorted(Path(directory).glob("*" + SUFFIX)):
        with path.open(encoding="utf-8", errors="replace", newline="") as lines:
            sets[path.name[: -len(SUFFIX)]] = [
                (row["Content"] or "", row["EventId"], row.get("EventTemplate") or row["EventId"])
                for row in csv.DictReader(lines)
            ]
    if not sets:
        raise SystemExit("no *%s in %s" % (SUFFIX, directory))
    return sets


def groups_of(names):
    """The sets of line numbers that `names`, one for each line, make."""
    lines = defaultdict(list)
    for number, name in enumerate(names):
        lines[name].append(number)
    return {tuple(group) for group in lines.values()}


def score(predicted, truth):
    """GA, FGA and the numbers of groups of the names `predicted` against `truth`."""
    ours, theirs = groups_of(predicted), groups_of(truth)
    right = ours & theirs
    return {
        "ga": sum(map(len, right)) / len(truth) if truth else 1.0,
        "fga": 2 * len(right) / (len(ours) + len(theirs)) if truth else 1.0,
        "groups": len(ours),
        "true_groups": len(theirs),
    }


def fingerprints(messages):
    """Those of the pipeline, from an empty cache."""
    sys.path.insert(0, str(ROOT / "actions" / "lib"))
    from selfheal.errors.fingerprint import Fingerprinter

    of = Fingerprinter().of
    return [of(message)[0] for message in messages]


def differing(first, second):
    """The share of lines that two runs name differently."""
    return sum(a != b for a, b in zip(first, second)) / max(1, len(first))


def changes(messages, first):
    """The shares of lines whose fingerprint changes in another order, after a restart in the
    middle, and in another process.
    """
    order = list(range(len(messages)))
    random.Random(SEED).shuffle(order)
    shuffled = dict(zip(order, fingerprints([messages[number] for number in order])))
    half = len(messages) // 2
    restarted = fingerprints(messages[:half]) + fingerprints(messages[half:])
    answer = subprocess.run(
        [sys.executable, __file__, "--names"],
        input=json.dumps(messages).encode(),
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "random"},
    )
    return {
        "shuffle": differing(first, [shuffled[number] for number in range(len(messages))]),
        "restart": differing(first, restarted),
        "second_process": differing(first, json.loads(answer.stdout)),
    }


def median_rate(job, count):
    """Lines a second of this process' CPU time, the median of ROUNDS runs from empty caches."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        job()
        seconds.append(time.process_time() - began)
    return count / max(sorted(seconds)[ROUNDS // 2], 1e-9)


def mean(scores, figure):
    """The mean of `figure` over sets, all of one weight."""
    return round(sum(each[figure] for each in scores.values()) / len(scores), 4)


def measured(sets):
    """Accuracy by set, speed and steadiness of the pipeline's fingerprints."""
    by_set, by_template = {}, {}
    for name, rows in sets.items():
        predicted = fingerprints([row[0] for row in rows])
        by_set[name] = score(predicted, [row[1] for row in rows])
        by_template[name] = score(predicted, [row[2] for row in rows])
    messages = [row[0] for rows in sets.values() for row in rows]
    return {
        "sets": by_set,
        "mean_ga": mean(by_set, "ga"),
        "mean_fga": mean(by_set, "fga"),
        "by_template": {"mean_ga": mean(by_template, "ga"), "mean_fga": mean(by_template, "fga")},
        "cpu_lines_per_s": round(median_rate(lambda: fingerprints(messages), len(messages))),
        "changed_lines": changes(messages, fingerprints(messages)),
    }


def miner(is_masked):
    """A fresh Drain3."""
    from drain3 import TemplateMiner
    from drain3.masking import MaskingInstruction
    from drain3.template_miner_config import TemplateMinerConfig

    config = TemplateMinerConfig()
    config.profiling_enabled = False
    if is_masked:
        config.masking_instructions = [MaskingInstruction(regex, name) for name, regex in MASKS]
    return TemplateMiner(config=config)


def mined(messages, is_masked):
    """For each message the number of its cluster and the cluster's template at the end."""
    drain = miner(is_masked)
    numbers = [drain.add_log_message(message)["cluster_id"] for message in messages]
    templates = {cluster.cluster_id: cluster.get_template() for cluster in drain.drain.clusters}
    return numbers, [templates.get(number) for number in numbers]


def drain3(sets):
    """Drain3's figures, as it comes and with masks."""
    return {"default": drained(sets, False), "masks": drained(sets, True)}


def drained(sets, is_masked):
    """Drain3's figures with masks or without."""
    scores = {
        name: score(mined([row[0] for row in rows], is_masked)[0], [row[1] for row in rows])
        for name, rows in sets.items()
    }
    messages = [row[0] for rows in sets.values() for row in rows]
    order = list(range(len(messages)))
    random.Random(SEED).shuffle(order)
    shuffled = dict(zip(order, mined([messages[number] for number in order], is_masked)[1]))
    again = [shuffled[number] for number in range(len(messages))]
    return {
        "sets": scores,
        "mean_ga": mean(scores, "ga"),
        "mean_fga": mean(scores, "fga"),
        "cpu_lines_per_s": round(median_rate(lambda: mined(messages, is_masked), len(messages))),
        "changed_lines": {"shuffle": differing(mined(messages, is_masked)[1], again)},
    }


def compared(python, directory):
    """Drain3's figures from the interpreter `python`, or why there are none."""
    found = subprocess.run([python, "-c", "import drain3"], stderr=subprocess.PIPE)
    if found.returncode:
        return {"missing": "drain3 is not installed for %s" % python}
    answer = subprocess.run(
        [python, __file__, "--data", directory, "--only-drain3"],
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(answer.stdout.splitlines()[-1])


def table(result):
    """The figures as people read them."""
    columns = [("selfheal", result)]
    columns += [
        ("Drain3 " + kind, result["drain3"][kind])
        for kind in ("default", "masks")
        if kind in result["drain3"]
    ]
    lines = ["%-14s" % "" + "".join("%-28s" % name for name, _ in columns)]
    for name in result["sets"]:
        cells = [
            "GA %.3f FGA %.3f %4d/%-6d" % tuple(
                figures["sets"][name][key] for key in ("ga", "fga", "groups", "true_groups"))
            for _, figures in columns
        ]
        lines.append("%-14s" % name + "".join("%-28s" % cell for cell in cells))
    for label, cell in (
        ("mean", lambda one: "GA %.3f FGA %.3f" % (one["mean_ga"], one["mean_fga"])),
        ("CPU lines/s", lambda one: "%d" % one["cpu_lines_per_s"]),
        ("changed", lambda one: " ".join("%s %.4f" % x for x in one["changed_lines"].items())),
    ):
        lines.append("%-14s" % label + "".join("%-28s" % cell(one) for _, one in columns))
    if "missing" in result["drain3"]:
        lines.append(result["drain3"]["missing"])
    return "\n".join(lines)


def main():
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a directory of *%s files" % SUFFIX)
    parser.add_argument("--drain3-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--only-drain3", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--names", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.names:  # a second process: messages in, fingerprints out
        print(json.dumps(fingerprints(json.load(sys.stdin))))
        return
    if not options.data:
        parser.error("--data is missing")
    sets = load(options.data)
    if options.only_drain3:
        print(json.dumps(drain3(sets)))
        return
    result = measured(sets)
    result["drain3"] = compared(options.drain3_python, options.data)
    print(table(result), file=sys.stderr)
    budget = {"mean_ga": 0.9, "mean_fga": 0.9, "cpu_lines_per_s": 60000, "changed_lines": 0}
    lines = sum(map(len, sets.values()))
    print(json.dumps({"bench": "fingerprint", "lines": lines, **result, "budget": budget}))


if __name__ == "__main__":
    main()
