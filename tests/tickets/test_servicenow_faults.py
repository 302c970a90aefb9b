"""Letters to ServiceNow while it fails at random: each arrives, is seen once, and in order."""

from __future__ import annotations

import random

import pytest

from selfheal.context import Context
from selfheal.outbox import carrying, letters
from tests import scene
from tests.stub_servicenow import Stub

CARRIERS = {"servicenow": "selfheal.tickets.servicenow_carrier"}
TICKETS, NOTES = 12, 3
KINDS = ("429", "500", "drop_before", "drop_after")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everything_arrives_once(tmp_path, seed):
    dice = random.Random(seed)
    clock = scene.Clock()
    with Stub(now=clock.now) as stub:
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, clock, servicenow=stub.settings(caller="ann"))
        stub.chance = lambda _request: dice.choice(KINDS) if dice.random() < 0.3 else ""
        for number in range(TICKETS):
            post(ctx, number, "create", title="t", description="d", severity="error",
                 correlation_id="c-%d" % number, fingerprint="", work_notes="", chosen={},
                 fields={})
            for note in range(NOTES):
                post(ctx, number, "work_note", ticket="INC%07d" % (10001 + number),
                     text="note %d" % note)
        deadline = 400
        while letters.pending_count(ctx.store) and deadline:
            carrying.deliver(ctx, CARRIERS)
            clock.at += 600
            deadline -= 1
        assert letters.pending_count(ctx.store) == 0
        assert letters.dead_count(ctx.store) == 0
        Context.close(ctx)
        assert stub.violations == []
        there = stub.tickets()
    assert sorted(one["correlation"] for one in there) == sorted(
        "c-%d" % number for number in range(TICKETS)
    )
    wanted = ["note %d" % note for note in range(NOTES)]
    for one in there:
        assert [text.partition("\n")[0] for text in one["comments"]] == wanted


def post(ctx, number, op, **payload):
    """A letter; all are of one queue, so that the numbers of the tickets are known before."""
    letters.post(
        ctx.store, "servicenow_%s" % op, None, "%d:%s:%s" % (number, op, payload.get("text")),
        {"op": op, **payload, "is_base": op == "create"},
        channel="servicenow:default", queue="all",
    )
