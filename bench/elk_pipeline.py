"""How fast pages of log documents become stored errors, against json.loads of the same bytes.

    python bench/elk_pipeline.py [--quick] [--elastalert-python PATH] [--without postgresql]

One run measures: documents a second of each stage (parse the page, read, judge, store) on SQLite
and PostgreSQL; the memory that a poll of 100,000 errors adds; what the statements of a poll cost
with 1,000,000 stored documents against 10,000; and, where its interpreter is named, elastalert2's
FrequencyRule on the same bytes. Progress goes to stderr, the last line on stdout is one JSON
object. Other processes can only slow a stage down, so of several rounds the best counts.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "actions" / "lib"), str(ROOT), str(ROOT / "bench")]

import elk_documents
from elk_scene import NOW, WINDOW_S, Clock, Search, Silent, Stopwatch, new_store, say
from elk_statements import statements

from selfheal.config import Config
from selfheal.context import Context
from selfheal.errors.book import ErrorBook
from selfheal.errors.judge import Judge
from selfheal.intake.documents.reading import Reading, read
from selfheal.intake.elk import poll as elk
from selfheal.intake.garbage import rarely_collected

PAGE = 5000  # documents, the setting's default
# A poll judges each document as soon as it is read; a few are taken together only as looking at the
# clock costs as much as a document.
AT_ONCE = 50
BUDGET = {
    "without_database_per_s": 40_000,
    "with_database_per_s": 10_000,
    "memory_mb": 150,
    "statements_ratio": 1.5,
}
SIZES = {
    # rounds and pages of the stages; documents of the memory's poll; rows in the stores; polls
    "full": {
        "rounds": 3,
        "pages": 20,  # as many documents as one poll reads at most
        "page": PAGE,
        "memory": 100_000,
        "rows": (10_000, 1_000_000),
        "polls": 9,
        "poll": 5000,
    },
    "quick": {
        "rounds": 1,
        "pages": 2,
        "page": 250,
        "memory": 1000,
        "rows": (1000, 4000),
        "polls": 3,
        "poll": 200,
    },
}


def one_round(pages, kind):
    """The stopwatch of all pages from their bytes into a fresh store of `kind`."""
    watch_, store = Stopwatch(), new_store(kind)
    book = ErrorBook(store, Config().get("monitoring.scope_by"))
    judge, reading = Judge().judge, Reading("default", "", "@timestamp", NOW)
    stored = 0
    for hit in json.loads(pages[0])["hits"]["hits"]:
        judge(read(hit, reading))  # as a sensor that has been at work for a while has seen the like
    gc.collect()
    with rarely_collected():  # as poll() does
        for body in pages[1:]:
            with watch_.of("loads"):
                hits = json.loads(body)["hits"]["hits"]
            pairs = []
            for start in range(0, len(hits), AT_ONCE):
                with watch_.of("read"):
                    documents = [read(hit, reading) for hit in hits[start:start + AT_ONCE]]
                with watch_.of("judge"):
                    pairs += [(document, judge(document)) for document in documents]
            with watch_.of("store"):
                stored += book.store(pairs).new
    rows = store.value("SELECT COUNT(*) FROM error_logs")
    patterns = store.value("SELECT COUNT(*) FROM error_patterns")
    groups = store.value("SELECT COUNT(*) FROM error_groups")
    store.close()
    return watch_, {"stored": stored, "rows": rows, "patterns": patterns, "groups": groups}


def best_of(rounds, clock):
    """Least seconds of each stage over the rounds."""
    names = getattr(rounds[0], clock)
    return {name: min(getattr(one, clock)[name] for one in rounds) for name in names}


def stages(size, kind):
    """Documents a second, by stage and in all, for a store of `kind`."""
    count = size["pages"] * size["page"]
    source = elk_documents.Documents(1, NOW - WINDOW_S, count / WINDOW_S)
    pages = [source.page(size["page"]) for _ in range(size["pages"] + 1)]
    rounds = []
    for number in range(size["rounds"]):
        watch_, found = one_round(pages, kind)
        if found["rows"] != count or found["stored"] != count:
            raise SystemExit("%d documents went in, %s are there" % (count, found))
        rounds.append(watch_)
        say("%s, round %d: %s" % (kind, number + 1, json.dumps(rounded(watch_.cpu, 3))))
    cpu, wall = best_of(rounds, "cpu"), best_of(rounds, "wall")
    before_store = cpu["loads"] + cpu["read"] + cpu["judge"]
    return {
        "documents": count,
        "bytes_per_document": round(sum(map(len, pages[1:])) / count),
        "patterns": found["patterns"],
        "groups": found["groups"],
        "us_per_document_cpu": rounded({s: 1e6 * cpu[s] / count for s in cpu}, 2),
        "per_s_cpu": {stage: round(count / cpu[stage]) for stage in cpu},
        "loads_alone_per_s": round(count / cpu["loads"]),
        "without_database_per_s": round(count / before_store),
        "without_database_times_loads": round(before_store / cpu["loads"], 2),
        "with_database_per_s": round(count / sum(wall.values())),
        "with_database_per_cpu_s": round(count / sum(cpu.values())),
    }


def memory(size, kind):
    """Megabytes that one poll of many errors adds to the process, measured in a fresh one."""
    command = [sys.executable, __file__, "--memory-child", kind]
    command += ["--documents", str(size["memory"]), "--page", str(size["page"])]
    told = subprocess.run(command, stdout=subprocess.PIPE, timeout=900, check=True).stdout
    return json.loads(told.decode().splitlines()[-1])


def memory_child(kind, count, page):
    """The poll whose memory is measured: what the sensor does, with its answer."""
    context = Context(Config(), clock=Clock(), store=new_store(kind), platform=Silent())
    state = elk.PollState(judge=Judge())
    state.judge.judge(read({"_id": "1", "_index": "i", "_source": {"message": "x failed"}},
                           Reading("default")))
    gc.collect()
    before = resident_mb("VmRSS")
    answer = elk.poll(context, "default", Search(count, page), state)
    print(
        json.dumps(
            {
                "documents": answer["new"],
                "before_mb": round(before, 1),
                "added_mb": round(resident_mb("VmHWM") - before, 1),
                "incidents": context.store.value("SELECT COUNT(*) FROM incidents"),
            }
        )
    )


def resident_mb(which):
    """Megabytes of this program that are resident now (VmRSS), or were at most (VmHWM)."""
    with open("/proc/self/status", encoding="ascii") as status:
        found = next(line for line in status if line.startswith(which + ":"))
    return int(found.split()[1]) / 1024


def rounded(figures, digits):
    """A copy for people."""
    return {name: round(value, digits) for name, value in figures.items()}


ELASTALERT = """
import datetime, json, sys, time
from elastalert.elastalert import ElastAlerter
from elastalert.ruletypes import FrequencyRule
from elastalert.util import ts_to_dt
rule = {"name": "bench", "timestamp_field": "@timestamp", "num_events": 5, "ts_to_dt": ts_to_dt,
        "timeframe": datetime.timedelta(minutes=5), "_source_enabled": True,
        "query_key": "message", "index": "logstash-*", "use_local_time": False}
kind, count, began = FrequencyRule(rule), 0, time.process_time()
for line in open(sys.argv[1], "rb"):
    hits = json.loads(line)["hits"]["hits"]
    count += len(hits)
    kind.add_data(ElastAlerter.process_hits(rule, hits))
print(json.dumps({"per_s_cpu": round(count / (time.process_time() - began)),
                  "matches": len(kind.matches)}))
"""


def elastalert(size, python):
    """Documents a second through elastalert2's FrequencyRule from the same bytes: equal messages
    counted in memory, without patterns, types or a store.
    """
    count = size["pages"] * size["page"]
    source = elk_documents.Documents(1, NOW - WINDOW_S, count / WINDOW_S)
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as file:
        for _ in range(size["pages"]):
            file.write(source.page(size["page"]) + b"\n")
        file.flush()
        told = subprocess.run(
            [python, "-W", "ignore", "-c", ELASTALERT, file.name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=600,
        )
    if told.returncode:
        return "did not run: %s" % told.stderr.decode(errors="replace").strip()[-300:]
    return json.loads(told.stdout.decode().splitlines()[-1])


def within(result):
    """Which budgets hold, in every store that was measured."""
    sides = [result[kind] for kind in result["stores"]]
    return {
        "without_database": all(
            side["without_database_per_s"] >= BUDGET["without_database_per_s"] for side in sides
        ),
        "with_database": all(
            side["with_database_per_s"] >= BUDGET["with_database_per_s"] for side in sides
        ),
        "memory": all(side["memory"]["added_mb"] <= BUDGET["memory_mb"] for side in sides),
        "statements": all(
            side["statements"]["ratio"] <= BUDGET["statements_ratio"] for side in sides
        ),
    }


def main():
    """Reads the options, measures, prints."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    options.add_argument("--without", action="append", default=[], help="leave out this store")
    options.add_argument("--elastalert-python", help="an interpreter that has elastalert2")
    options.add_argument("--only", choices=("stages", "memory", "statements"), help="just this")
    options.add_argument("--memory-child", help=argparse.SUPPRESS)
    options.add_argument("--documents", type=int, help=argparse.SUPPRESS)
    options.add_argument("--page", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.memory_child:
        return memory_child(given.memory_child, given.documents, given.page)
    size = SIZES["quick" if given.quick else "full"]
    parts = {"memory": memory, "statements": statements}
    result = {"bench": "elk_pipeline", "quick": given.quick, "stores": []}
    for kind in ("sqlite", "postgresql"):
        if kind in given.without:
            continue
        result["stores"].append(kind)
        result[kind] = stages(size, kind) if given.only in (None, "stages") else {}
        for name, part in parts.items():
            if given.only in (None, name):
                result[kind][name] = part(size, kind)
                say("%s, %s: %s" % (kind, name, json.dumps(result[kind][name])))
    result["elastalert2"] = "not asked for (--elastalert-python)"
    if given.elastalert_python:
        result["elastalert2"] = elastalert(size, given.elastalert_python)
    if not given.only:
        result.update(budget=BUDGET, within_budget=within(result))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
