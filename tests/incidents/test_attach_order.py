"""The order of messages, and how often each comes, decide nothing."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfheal.incidents.attach import attach
from selfheal.intake.alertmanager import Reading, parse_body
from selfheal.store import open_store
from tests import alert_scene, stores
from tests.alert_scene import incidents, signal

REAL = [
    parse_body(raw, Reading(now=alert_scene.NOW)).signals
    for _, raw in sorted(alert_scene.real_bodies().items())
]
_tables = ("incidents", "alerts", "incident_events")
_open = {}


def outcome(store):
    """What must not depend on the order: which causes, over or not, with which alerts in which
    state.
    """
    found = {}
    for row in incidents(store):
        alerts = store.query(
            "SELECT fingerprint, starts_at, status, ends_at FROM alerts WHERE incident_id = ? "
            "ORDER BY fingerprint, starts_at",
            (row["id"],),
        )
        is_over = row["status"] == "resolved" or row["cleared_at"] is not None
        found.setdefault(row["group_key"], []).append(
            (
                row["severity"],
                row["alert_count"],
                row["reopened"],
                is_over,
                [tuple(alert.values()) for alert in alerts],
            )
        )
    return found


def after(url, batches):
    """The outcome of `batches`, in a store that was empty before."""
    if url not in _open:
        _open[url] = open_store(url, now=alert_scene.clock().now)
    store = _open[url]
    for table in _tables:
        store.execute("DELETE FROM %s" % table)
    for batch in batches:
        attach(store, batch)
    return outcome(store)


def check_real_bodies(url, order):
    expected = after(url, REAL)
    assert len(expected) == 5 and all(len(of_cause) == 1 for of_cause in expected.values())
    assert after(url, [REAL[number] for number in order]) == expected


twice = st.permutations(list(range(len(REAL))) * 2)
once_per_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=60,
)


@once_per_test
@given(order=twice)
def test_sixteen_real_bodies_twice_in_any_order_on_sqlite(tmp_path, order):
    check_real_bodies(stores.sqlite_url(tmp_path), order)


_postgresql = []


@settings(max_examples=25)
@given(order=twice)
def test_sixteen_real_bodies_twice_in_any_order_on_postgresql(order):
    if not _postgresql:
        _postgresql.append(stores.postgresql_url())
    check_real_bodies(_postgresql[0], order)


# Lives of an alert: it starts, ends, starts again; two alerts share the cause.
FACTS = [
    [signal("A", starts=-100.0, namespace="p", pod="web-1")],
    [signal("A", starts=-100.0, ends=-80.0, namespace="p", pod="web-1")],
    [signal("A", starts=-70.0, namespace="p", pod="web-1", severity="critical")],
    [signal("A", starts=-70.0, ends=-60.0, namespace="p", pod="web-1")],
    [signal("A", starts=-90.0, namespace="p", pod="web-2"), signal("B", starts=-5.0, instance="i")],
    [signal("A", starts=-90.0, ends=-10.0, namespace="p", pod="web-2")],
    [
        signal("B", starts=-5.0, ends=-1.0, instance="i"),
        signal("A", starts=-90.0, namespace="p", pod="web-2"),
    ],
]


@once_per_test
@given(chosen=st.lists(st.sampled_from(range(len(FACTS))), min_size=1, max_size=12), data=st.data())
def test_any_facts_in_any_order_give_the_same_incidents(tmp_path, chosen, data):
    url = stores.sqlite_url(tmp_path)
    order = data.draw(st.permutations(chosen))
    assert after(url, [FACTS[n] for n in order]) == after(url, [FACTS[n] for n in sorted(chosen)])


@once_per_test
@given(order=st.permutations(range(len(FACTS))), cut=st.integers(1, 6))
def test_how_messages_are_batched_does_not_matter(tmp_path, order, cut):
    url = stores.sqlite_url(tmp_path)
    parts = [order[:cut], order[cut:]]
    batched = [list(itertools.chain.from_iterable(FACTS[n] for n in part)) for part in parts]
    assert after(url, batched) == after(url, [FACTS[n] for n in order])
