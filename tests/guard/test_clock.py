"""Clocks that step are not believed; clocks that are slewed, suspended or rebooted are."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.config import Config
from selfheal.context import Context
from selfheal.exceptions import InvalidInput
from selfheal.guard import budgets, clock
from selfheal.guard.clock import Anchor, Machine
from selfheal.store import open_store, status
from tests import scene
from tests.guard.permits import context, deed

SETTLE_S = 3600.0


class Computer:
    """A host whose wall clock, time since boot and boot are set by hand."""

    def __init__(self, url, host="web-1", boot="boot-1"):
        self.clock = scene.Clock()
        self.ctx = context(url, self.clock)
        self.host, self.boot, self.boottime, self.server_off = host, boot, 1000.0, None

    def passes(self, seconds):
        self.clock.at += seconds
        self.boottime += seconds

    def steps(self, seconds):
        self.clock.at += seconds

    def reboots(self, boot="boot-2", off_s=30.0):
        self.boot, self.boottime = boot, 5.0
        self.clock.at += off_s

    def ask(self):
        server = None if self.server_off is None else self.clock.at + self.server_off
        here = Machine(self.host, self.boot, self.boottime, server)
        return clock.objection(self.ctx, deed(), here)


@pytest.fixture
def computer(url):
    return Computer(url)


@pytest.fixture
def quick():
    """Where the database does not matter."""
    return Computer("sqlite:///:memory:")


def test_a_fresh_database_believes(computer):
    assert computer.ask() is None
    computer.passes(86400)
    assert computer.ask() is None


@pytest.mark.parametrize("by", [61.0, -61.0, 86400.0, -7 * 86400.0, 3e9])
def test_a_step_is_distrusted_until_it_has_really_settled(quick, by):
    quick.ask()
    quick.passes(600)
    quick.steps(by)
    refused = quick.ask()
    assert refused.rule == "clock" and "selfheal.resume scope=clock" in refused.advice
    assert refused.until == pytest.approx(quick.clock.at + SETTLE_S)
    assert refused.data["stepped_by_s"] == pytest.approx(by)
    quick.passes(SETTLE_S - 1)
    assert quick.ask() is not None
    quick.passes(1)
    assert quick.ask() is None
    assert status.status_of(quick.ctx.store, clock.COMPONENT) == status.OK


def test_stepping_on_does_not_settle_it(quick):
    quick.ask()
    quick.steps(7200)
    assert quick.ask() is not None
    quick.steps(SETTLE_S)
    refused = quick.ask()
    assert refused.until == pytest.approx(quick.clock.at + SETTLE_S)


@pytest.mark.parametrize("by", [59.0, -59.0])
def test_what_is_within_the_tolerance_is_believed(quick, by):
    quick.ask()
    quick.steps(by)
    assert quick.ask() is None


def test_small_corrections_do_not_add_up(quick):
    for _ in range(48):
        quick.passes(3600)
        quick.steps(5)
        assert quick.ask() is None


def test_a_suspended_machine_is_believed(quick):
    quick.ask()
    quick.passes(3 * 86400)  # the time since boot counts suspension, as the wall clock does
    assert quick.ask() is None


def test_a_reboot_is_believed_unless_time_ran_backwards(computer):
    computer.ask()
    computer.reboots(off_s=86400)
    assert computer.ask() is None
    computer.reboots("boot-3", off_s=-300)
    refused = computer.ask()
    assert "300 s short" in refused.reason
    computer.passes(SETTLE_S)
    assert computer.ask() is None


def test_a_reboot_does_not_end_distrust(computer):
    computer.ask()
    computer.steps(7200)
    assert computer.ask() is not None
    computer.reboots()
    assert computer.ask() is not None
    computer.passes(SETTLE_S - 10)
    assert computer.ask() is not None
    computer.passes(10)
    assert computer.ask() is None


def test_each_host_has_its_own_anchor(url):
    one, other = Computer(url), Computer(url, "web-2", "boot-9")
    other.boottime = 77.0
    assert one.ask() is None and other.ask() is None
    one.steps(7200)
    assert one.ask() is not None and other.ask() is None
    other.steps(-120)
    assert other.ask() is not None


def test_a_host_behind_what_another_has_written_is_not_believed(url):
    one, other = Computer(url), Computer(url, "web-2", "boot-9")
    one.ask()
    other.steps(-120)
    refused = other.ask()
    assert "host web-1 was at" in refused.reason
    assert refused.until == pytest.approx(scene.START - 60)
    other.passes(60)
    assert other.ask() is None


def test_a_container_with_a_new_name_inherits_the_anchor_of_its_machine(url):
    first, second = Computer(url, "pod-a"), Computer(url, "pod-b")
    first.ask()
    second.passes(300)
    second.steps(7200)
    assert "7200 s ahead" in second.ask().reason


def test_hosts_that_are_gone_are_forgotten(url):
    Computer(url, "old", "boot-0").ask()
    young = Computer(url, "young", "boot-9")
    young.passes(31 * 86400)
    young.ask()
    names = young.ctx.store.query("SELECT name FROM checkpoints")
    assert [row["name"] for row in names] == ["guard_clock:young"]


def test_the_servers_clock_is_compared(quick):
    quick.server_off = 59.0
    assert quick.ask() is None
    quick.server_off = -61.0
    refused = quick.ask()
    assert refused.rule == "clock" and "that of the database's server" in refused.reason
    assert refused.until is None


def test_a_person_ends_distrust_everywhere(url, monkeypatch):
    one, other = Computer(url), Computer(url, "web-2", "boot-9")
    one.ask(), other.ask()
    one.steps(-7200), other.steps(-7200)
    assert one.ask() is not None and other.ask() is not None
    here = Machine(one.host, one.boot, one.boottime)
    monkeypatch.setattr(clock, "machine_of", lambda _ctx: here)
    assert clock.trust(one.ctx, "  ann\x1b ")["hosts"] == ["web-1", "web-2"]
    assert one.ask() is None and other.ask() is None
    row = one.ctx.store.one("SELECT value FROM checkpoints WHERE name = 'guard_clock:web-1'")
    assert "ann\\u241b" in row["value"]
    assert status.of(one.ctx.store, clock.COMPONENT)["detail"] == {"trusted_by": "ann\u241b"}
    one.steps(7200)
    assert one.ask() is not None, "the next step is found as the first was"


def test_a_person_brings_what_is_dated_in_the_future_to_now(url):
    ctx = context(url)
    budgets.charge(ctx, deed("exe-1"))
    ctx.clock.at -= 7 * 86400
    assert clock.trust(ctx, "ann")["budgets"] == 6
    assert ctx.store.value("SELECT MAX(at) FROM budgets") == ctx.clock.at
    ahead = Computer(url, "ahead", "boot-9")
    ahead.ask()
    assert clock.objection(ctx, deed()) is not None
    assert clock.trust(ctx, "ann")["hosts"] == ["ahead"]
    assert clock.objection(ctx, deed()) is None


@pytest.mark.parametrize("who", ["", "  ", "\n"])
def test_somebody_must_say_so(who):
    with pytest.raises(InvalidInput, match="who"):
        clock.trust(context("sqlite:///:memory:"), who)


GARBAGE = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"boot": 1, "boottime_s": 1, "wall": 1}',
    '{"boot": "b", "boottime_s": "x", "wall": 1, "stepped_by": 0, "trusted_at": 0}',
    '{"boot": "b", "boottime_s": NaN, "wall": 1, "stepped_by": 0, "trusted_at": 0}',
    '{"boot": "b", "boottime_s": true, "wall": 1, "stepped_by": 0, "trusted_at": 0}',
    "[" * 100_000,
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_no_until_a_person_says_otherwise(quick, monkeypatch, garbage):
    quick.ask()
    quick.ctx.store.execute("UPDATE checkpoints SET value = ?", (garbage,))
    refused = quick.ask()
    assert refused.rule == "clock" and "no anchor" in refused.reason
    quick.passes(86400)
    assert quick.ask() is not None
    here = Machine(quick.host, quick.boot, quick.boottime)
    monkeypatch.setattr(clock, "machine_of", lambda _ctx: here)
    assert clock.trust(quick.ctx, "ann")["hosts"] == ["web-1"]
    assert quick.ask() is None


@pytest.mark.parametrize("wall", [float("nan"), float("inf"), 0.0, -5.0, 1e12])
def test_a_time_that_is_none_is_a_no(quick, wall):
    quick.clock.at = wall
    assert "shows no time" in quick.ask().reason


def test_a_database_that_is_gone_or_full_is_a_no(url, tmp_path):
    computer = Computer(url)
    computer.ctx.store.close()
    assert computer.ask().rule == "store"
    full = Computer("sqlite:///%s" % (tmp_path / "full.db"))
    store = full.ctx.store
    store.query("PRAGMA max_page_count = %d" % store.value("PRAGMA page_count"))
    with pytest.raises(Exception, match="full"):
        for number in range(10_000):
            store.insert("checkpoints", {"name": "n%d" % number, "value": "x", "updated_at": 0})
    refused = full.ask()
    assert refused.rule == "store" and "full" in refused.reason


def test_what_only_reads_is_not_asked(quick):
    quick.ask()
    quick.steps(7200)
    assert clock.objection(quick.ctx, deed(risk="read-only")) is None


def test_who_watches_without_a_deed_lets_a_step_settle_sooner(quick):
    quick.ask()
    quick.steps(7200)
    here = Machine(quick.host, quick.boot, quick.boottime)
    assert clock.problem(quick.ctx, here).rule == "clock"
    quick.passes(SETTLE_S)
    assert quick.ask() is None


def test_the_real_machine_is_believed_twice(url):
    ctx = Context(Config({"database": {"url": url}}), store=open_store(url))
    here = clock.machine_of(ctx)
    assert (here.server_s is not None) == url.startswith("postgresql")
    assert clock.objection(ctx, deed()) is None and clock.objection(ctx, deed()) is None
    assert here.boottime_s <= clock.machine_of(ctx).boottime_s
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert here.boot and here.boottime_s >= time.monotonic() - 60


def test_of_many_at_once_none_undoes_what_another_found(url):
    found = []

    def look():
        mine = Computer(url)
        mine.passes(600)
        mine.steps(7200)
        found.append(mine.ask())
        mine.ctx.close()

    Computer(url).ask()
    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert len(found) == 8 and None not in found
    late = Computer(url)
    late.passes(600)
    late.steps(7200)
    assert late.ask() is not None


def test_an_anchor_that_many_fight_over_is_a_no(quick, monkeypatch):
    monkeypatch.setattr(clock.kept, "swap", lambda *_: False)
    assert "kept up to date" in quick.ask().reason


HAPPENS = st.lists(
    st.tuples(st.sampled_from(["pass", "sleep", "slew", "reboot", "step"]), st.floats(0, 40_000)),
    max_size=25,
)


@given(HAPPENS, st.sampled_from([-1.0, 1.0]))
def test_steps_show_and_nothing_else_does(happens, sign):
    """Against a model: distrust is there exactly while a step is less than the settle time old."""
    anchor, boots, wall, boottime, stepped_at = None, 0, 1e9, 100.0, None
    for what, amount in happens:
        if what == "reboot":
            boots, boottime = boots + 1, 0.0
            wall += amount + 1
            stepped_at = None if stepped_at is None else 0.0
        elif what == "step":
            wall += sign * (61 + amount)
            stepped_at = boottime
        else:  # a clock that is slewed or sleeps takes the time since boot along
            wall, boottime = wall + amount, boottime + amount
        before = anchor
        anchor = clock.judge(anchor, Machine("h", "b%d" % boots, boottime), wall, 60.0)
        if before is None:
            stepped_at = None  # nothing to compare with
        assert anchor.stepped_at == stepped_at
        assert isinstance(anchor, Anchor) and anchor.wall == wall
