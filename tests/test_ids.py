"""Identifiers rise with time and never repeat."""

from __future__ import annotations

import json
import multiprocessing
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from selfheal.ids import new_id

LIBRARY = Path(__file__).resolve().parents[1] / "actions" / "lib"
FORM = re.compile(r"^inc-[0-9a-hjkmnp-tv-z]{10}-[0-9a-hjkmnp-tv-z]{6}$")


def test_form_is_safe_anywhere():
    assert FORM.match(new_id("inc", 1_700_000_000.0))


def test_ids_of_one_instant_rise_and_differ():
    made = [new_id("inc", 1_700_000_000.0) for _ in range(5000)]
    assert made == sorted(made) and len(set(made)) == 5000


@given(st.lists(st.floats(1.6e9, 4e9), min_size=2, max_size=20))
def test_ids_rise_even_when_the_clock_steps_back(times):
    made = [new_id("evt", at) for at in times]
    assert made == sorted(made) and len(set(made)) == len(made)


MAKER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from selfheal.ids import new_id
print(json.dumps([new_id("inc", float(at)) for at in sys.argv[2:]]))
"""


def ids_of_another_process(*times):
    answer = subprocess.run(
        [sys.executable, "-c", MAKER, str(LIBRARY), *map(str, times)],
        check=True,
        stdout=subprocess.PIPE,
    )
    return json.loads(answer.stdout)


def test_forked_processes_do_not_count_on_from_their_parent():
    new_id("inc", 4_100_000_000.0)  # whose clock was ahead then
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        made = pool.starmap(new_id, [("inc", 1_700_000_000.0)] * 40, chunksize=10)
    assert len(set(made)) == 40


def test_order_of_ids_is_order_of_time_across_processes():
    early, late = ids_of_another_process(1_700_000_000.0), ids_of_another_process(1_700_000_000.002)
    assert early < late
    assert ids_of_another_process(1_700_000_000.0) != early
