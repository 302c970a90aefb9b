"""Counting instead of reading, against real servers: the counts add up."""

from __future__ import annotations

from collections import Counter

from tests.apis.search_scene import FEW, NOW, document, ids
from tests.apis.search_scene import live as search


def storm_of(count):
    return [
        document(
            n,
            NOW + n % 240,
            "error %s" % ("disk" if n % 4 else "net"),
            program="p%d" % (n % 3),
            host={"name": "h%d" % (n % 2)},
            **(
                {"kubernetes": {"namespace": "shop", "pod": {"name": "web-%d" % (n % 5)}}}
                if n % 3 == 0
                else {}
            ),
        )
        for n in range(count)
    ]


def check_storm(one, count, start=NOW):
    buckets = list(one.minutes(start, start + 240))
    by_minute = Counter()
    for bucket in buckets:
        assert bucket.minute % 60 == 0 and 0 < bucket.documents and bucket.samples
        assert len(bucket.samples) <= min(bucket.documents, 80)
        by_minute[bucket.minute] += bucket.documents
        for hit in bucket.samples:
            assert (
                bucket.minute * 1000 <= hit["_source"]["@timestamp"] < bucket.minute * 1000 + 60000
            )
    assert sum(by_minute.values()) == count
    for minute, documents in by_minute.items():
        assert documents == one.count(minute, minute + 60)
    assert len({(b.minute, b.key) for b in buckets}) == len(buckets)
    return buckets


def test_storm_is_counted_exactly_by_minute_and_source(server, index):
    server.index(storm_of(4000), index)
    buckets = check_storm(search(server, index=index, keywords=FEW), 4000)
    assert {"p0", "p1", "p2"} <= {b.key.partition("program=")[2][:2] for b in buckets}
    for bucket in buckets:
        wanted = bucket.key.partition("program=")[2][:2]
        assert {hit["_source"]["program"] for hit in bucket.samples} == {wanted}


def test_second_opinion_counts_a_storm_the_same(other):
    server, flavour = other
    name = "storm-%s" % flavour
    server.create(name)
    server.index(storm_of(4000), name)
    one = search(server, index=name, flavour=flavour)
    assert "opensearch" in one.health()["version"]
    buckets = check_storm(one, 4000)
    keys = {bucket.key for bucket in buckets}
    assert any(
        "kubernetes.pod.name=web-" in key and "kubernetes.namespace=shop" in key for key in keys
    )
    assert any("host.name=h1" in key and "pod" not in key for key in keys)
    assert len(ids(one.pages(NOW, NOW + 240))) == 4000


def test_storm_of_countless_sources_is_bounded_and_still_exact(server, index):
    server.index([document(n, NOW, program="p%d" % n) for n in range(500)], index)
    buckets = check_storm(search(server, index=index, keywords=FEW), 500)
    assert len(buckets) <= 41 and buckets[-1].key == "(others)"
    assert sum(len(bucket.samples) for bucket in buckets) <= 600


def test_document_with_several_values_is_counted_once(server, index):
    server.index([document(n, NOW, program=["a", "b"]) for n in range(101)], index)
    check_storm(search(server, index=index, keywords=FEW), 101)


def test_minutes_are_whole_minutes(server, index):
    start = NOW - NOW % 60
    server.index([document(n, start + n) for n in range(120)], index)
    one = search(server, index=index, keywords=FEW)
    assert [b.documents for b in one.minutes(start + 30, start + 90)] == [60, 60]
    assert list(one.minutes(start + 600, start + 700)) == []
