"""The demo's service breaks for real, and only what its runbook does mends it."""

import json
import os
import subprocess
import sys

import pytest

from standalone.demo import faults, loopback, service, servicectl
from standalone.demo.shop import NAME, Customers, Health, Shop, processes_of, wait_for


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path)
    made.prepare()
    yield made
    made.stop()
    assert processes_of(tmp_path) == []


def is_healthy(shop):
    return wait_for(lambda: shop.health().is_healthy, 180)


def servicectl_run(shop, *arguments, **environment):
    return subprocess.run(
        [str(shop.bin / "servicectl"), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
    )


def test_orders_are_worked_off(shop):
    shop.control("start")
    assert is_healthy(shop)
    assert loopback.request("POST", shop.url + "/orders", {"item": "tea"})[0] == 202
    assert wait_for(lambda: shop.ledger() == 1, 180)
    line = json.loads((shop.directory / service.LEDGER).read_text())
    assert (line["item"], line["price"]) == ("tea", 250)
    assert shop.health().waiting == 0


def test_crash_leaves_the_service_locked_out_and_restarting_alone_does_not_help(shop):
    shop.control("start")
    assert is_healthy(shop)
    dead = shop.pid()
    faults.crash(shop)
    loopback.request("POST", shop.url + "/orders", {"item": "tea"})
    shop.control("restart")
    health = shop.health()
    assert health.status == 503
    assert health.problem == "the spool is locked by process %d" % dead
    assert health.waiting == 1


def test_removing_the_stale_lock_and_restarting_mends_it_and_no_order_is_lost(shop):
    shop.control("start")
    assert is_healthy(shop)
    customers = Customers(shop)
    customers.start()
    faults.crash(shop)
    assert wait_for(lambda: shop.health().waiting >= 2, 180)
    assert "stale lock" in shop.control("status")
    why = shop.health().problem
    shop.control("unlock")
    assert shop.health().problem == why  # it never looks again, nor logs another error; so: restart
    shop.control("restart")
    assert is_healthy(shop)
    customers.stop()
    assert wait_for(lambda: shop.ledger() == customers.placed, 180)


def test_undo_puts_the_fault_back_as_it_was(shop):
    shop.control("start")
    assert is_healthy(shop)
    dead = shop.pid()
    faults.crash(shop)
    shop.control("unlock")
    shop.control("restart")
    assert is_healthy(shop)
    for _twice in range(2):
        shop.control("relock")
        assert shop.health().problem == "the spool is locked by process %d" % dead


def test_without_its_price_list_no_restart_mends_it(shop):
    shop.control("start")
    assert is_healthy(shop)
    faults.FAULTS["unfixable"](shop)
    shop.control("unlock")
    shop.control("restart")
    assert shop.health().problem == "the price list prices.json is missing"
    shop.write_prices()
    assert is_healthy(shop)


def test_the_lock_of_a_living_process_is_not_touched(shop):
    shop.control("start")
    assert is_healthy(shop)
    refused = servicectl_run(shop, "unlock", SERVICE=NAME)
    assert refused.returncode == 2
    assert b"lives" in refused.stderr
    assert shop.health().is_healthy


@pytest.mark.parametrize("name", ["", "../orders", "$(reboot)", "orders\n", "unknown", "/etc"])
def test_a_name_that_is_no_service_is_refused(shop, name):
    assert servicectl_run(shop, "restart", SERVICE=name).returncode == 2


def test_commands_may_be_repeated(shop):
    for command in ("start", "start", "stop", "stop", "unlock", "relock", "status"):
        assert servicectl_run(shop, command, NAME).returncode == 0


def test_a_full_spool_takes_no_more_orders(shop):
    settings = shop.directory / service.SETTINGS
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "spool_limit": 2}))
    (shop.directory / service.LOCK).write_text("1\n")
    shop.control("start")
    answers = [loopback.request("POST", shop.url + "/orders", {"item": "tea"})[0] for _ in range(4)]
    assert answers == [202, 202, 503, 503]


def test_metrics_are_prometheus_text_and_follow_the_health(shop):
    shop.control("start")
    assert is_healthy(shop)
    status, text = loopback.request("GET", shop.url + "/metrics")
    assert status == 200
    assert "# TYPE demo_up gauge\ndemo_up 1\n" in text
    faults.crash(shop)
    assert "\ndemo_up 0\n" in loopback.request("GET", shop.url + "/metrics")[1]


@pytest.mark.parametrize("body", [None, [], {"no": "item"}, "text"])
def test_what_is_no_order_is_refused(shop, body):
    shop.control("start")
    assert loopback.request("POST", shop.url + "/orders", body)[0] == 400


def test_the_service_ends_when_its_owner_is_gone(shop):
    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    settings = shop.directory / service.SETTINGS
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "owner_pid": owner.pid}))
    shop.control("start")
    pid = shop.pid()
    owner.communicate(b"\n")
    assert wait_for(lambda: not servicectl.is_running(pid), 180)


def test_closing_the_shop_finds_a_process_that_nobody_wrote_down(shop):
    shop.control("start")
    pid = shop.pid()
    (shop.directory / servicectl.PID).unlink()
    shop.stop()
    assert wait_for(lambda: not servicectl.is_running(pid), 180)


def test_health_reads_as_a_sentence():
    assert (
        str(Health(503, "the spool is full", waiting=1)) == "503 the spool is full; 1 order waiting"
    )
    assert str(Health(200, "", waiting=0)) == "200 0 orders waiting"
    assert str(Health(0, "connection refused")) == "no answer (connection refused)"
