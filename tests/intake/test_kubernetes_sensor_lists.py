"""How the Kubernetes sensor reads a cluster: page by page, only what is its business, by watches
that break off, are told that they are too old, or are silent.
"""

from __future__ import annotations

import pytest

from selfheal.intake.kubernetes import listing
from selfheal.store import open_store
from tests import stores
from tests.kubernetes_watchman import MINUTE, Watchman, pod
from tests.stub_kubernetes import status


@pytest.fixture
def url(tmp_path):
    return stores.sqlite_url(tmp_path)


def test_list_that_breaks_off_begins_what_it_showed_and_ends_nothing(man, server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 2)
    server.objects["pods"] = [pod("cart-1")]
    man.poll()
    server.objects["pods"] = [
        pod("shop-%d" % number, app="shop") for number in range(6)
    ]
    real = server._page
    server._page = lambda plural, query, parts: (
        (500, status(500, "InternalError"))
        if plural == "pods" and query.get("continue") == "2"
        else real(plural, query, parts)
    )
    man.poll(times=5)
    found = {row["workload"]: row for row in man.incidents()}
    assert set(found) == {"cart", "shop"}  # what the first page showed
    assert found["cart"]["cleared_at"] is None and man.state()[0] == "degraded"
    server._page = real
    man.poll(times=3)
    found = {row["workload"]: row for row in man.incidents()}
    assert found["cart"]["cleared_at"] is not None and found["shop"]["cleared_at"] is None


def test_list_that_begins_anew_counts_nothing_twice(man, server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 2)
    server.objects["pods"] = [pod("cart-%d" % number) for number in range(7)]
    server.gone_after = 4
    man.poll()
    (told,) = man.service.of("selfheal.pod_unhealthy")
    assert told["restarts"] == 7 * 9 and man.state()[1]["pods"] == 7


def test_fifty_pages_are_read_page_by_page(man, server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE", 10)
    server.objects["pods"] = [pod("cart-%d" % number, "", 0) for number in range(500)]
    man.poll()
    assert man.state()[1]["pods"] == 500
    limits = {query["limit"] for kind, query in server.asked if kind == "pods"}
    assert limits == {"10"} and sum(1 for kind, _ in server.asked if kind == "pods") == 50


def test_server_leaves_out_what_is_none_of_our_business(url, server, monkeypatch):
    target = {"label_selector": "team=shop", "protected_namespaces": ["vault", "ci-*"]}
    man = Watchman(url, {"default": server}, monkeypatch, target)
    server.objects["pods"] = [
        pod("cart-1", namespace=where, labels={"team": "shop"})
        for where in ("kube-system", "vault", "ci-1")
    ]
    man.poll()
    (query,) = [query for kind, query in server.asked if kind == "pods"]
    fields = query["fieldSelector"].split(",")
    assert "status.phase!=Succeeded" in fields and "metadata.namespace!=kube-system" in fields
    assert "metadata.namespace!=vault" in fields and query["labelSelector"] == "team=shop"
    assert man.incidents() == []


def test_namespace_that_is_not_there_is_told_and_the_others_are_looked_at(
    url, server, monkeypatch
):
    man = Watchman(url, {"default": server}, monkeypatch, {"namespaces": ["shop", "gone"]})
    server.objects["namespaces"] = [{"metadata": {"name": "shop"}}]
    server.objects["pods"] = [pod("cart-1")]
    man.poll()
    state, detail = man.state()
    assert state == "degraded" and "/namespaces/gone" in detail["because"][0]
    assert [row["workload"] for row in man.incidents()] == ["cart"]


def test_labels_that_the_server_cannot_read_are_a_failure_that_says_so(man, server):
    refusal = status(400, "BadRequest", "unable to parse requirement: found '=', expected: in")
    server.fails["pods"] = (400, refusal)
    man.poll()
    state, detail = man.state()
    assert state == "failing" and "unable to parse requirement" in detail["error"]


def test_watch_that_is_told_gone_lists_at_once(url, server, monkeypatch):
    man = Watchman(url, {"default": server}, monkeypatch, {"watch": True})
    server.watches = [(410, status(410, "Expired"))]
    server.objects["pods"] = [pod("cart-1", "", 0)]
    real, lists = server._watch, []

    def watched():
        lists.append(server.times("pods"))
        server.objects["pods"] = [pod("cart-1", restarts=3)]
        return real()

    server._watch = watched
    man.poll()
    assert lists[0] == 1 and server.times("pods") == 2
    assert [row["alert_type"] for row in man.incidents()] == ["PodCrashLooping"]
    rows = open_store(url).query("SELECT restarts FROM kubernetes_restarts ORDER BY restarts")
    assert [row["restarts"] for row in rows] == [0, 3]


def test_server_that_always_forgets_is_not_asked_for_all_again_and_again(
    url, server, monkeypatch
):
    man = Watchman(url, {"default": server}, monkeypatch, {"watch": True})
    server._watch = lambda: (410, status(410, "Expired"))
    man.poll(times=3)
    assert server.times("pods") == 6 and man.state()[0] == "ok"


def test_watch_that_was_silent_for_long_is_no_proof_that_nothing_is_there(
    url, server, monkeypatch
):
    man = Watchman(url, {"default": server}, monkeypatch, {"watch": True, "resync_s": 86400})
    server.objects["pods"] = [pod("cart-1")]
    man.poll()
    man.poll()
    assert server.times("pods") == 1
    server._watch = lambda: (500, status(500, "InternalError"))
    man.poll(times=8)
    assert server.times("pods") >= 2 and man.firing() >= 1


@pytest.mark.parametrize("code", [410, 500])
def test_error_within_a_watch_loses_nothing(url, server, monkeypatch, code):
    man = Watchman(url, {"default": server}, monkeypatch, {"watch": True})
    event = {"type": "ADDED", "object": pod("cart-1", resourceVersion="101")}
    error = {"type": "ERROR", "object": status(code, "Expired")}
    server.watches = [[event, error]]
    man.poll()
    assert [row["alert_type"] for row in man.incidents()] == ["PodCrashLooping"]
    if code == 500:
        assert man.state()[0] == "failing"
        server.objects["pods"] = [event["object"]]
        man.poll()
        # On from the event that came, not from the list before it.
        versions = [query["resourceVersion"] for kind, query in server.asked if "watch" in query]
        assert versions[:2] == ["100", "101"]
    assert len(man.incidents()) == 1 and man.state()[0] == "ok"


def test_bookmarks_move_the_place_to_go_on_from(url, server, monkeypatch):
    man = Watchman(url, {"default": server}, monkeypatch, {"watch": True})
    bookmark = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "900"}}}
    server.watches = [[bookmark]]
    man.poll()
    watches = [query for _, query in server.asked if "watch" in query]
    assert watches[0]["allowWatchBookmarks"] == "true"
    assert [query["resourceVersion"] for query in watches[:2]] == ["100", "900"]


def test_watching_is_bounded_by_the_interval(url, server, monkeypatch):
    man = Watchman(url, {"default": server}, monkeypatch, {"watch": True})
    began = man.clock.at + MINUTE
    man.poll()
    spent = man.clock.at - began
    assert 40 <= spent <= 60 and man.sensor.get_poll_interval() == pytest.approx(60 - spent)
