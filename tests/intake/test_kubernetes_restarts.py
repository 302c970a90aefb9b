"""A rate of restarts comes from what was seen between two looks, survives the sensor, and is not
made up of what nobody saw.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.intake.kubernetes.restarts import Restarts, Step, counts_of, recent
from selfheal.store import open_store
from tests import scene

NOW = 1_800_000_000.0
MINUTE = 60.0
WINDOW = 10 * MINUTE
OLD = NOW - 90 * 86400


@pytest.fixture(params=scene.BOTH)
def store(request, tmp_path):
    return open_store(scene.store_url(request.param, tmp_path))


class Sensor:
    """Looks each minute at containers of pod "u1", whose counts the test sets."""

    def __init__(self, store, target="default"):
        self.store = store
        self.target = target
        self.now = NOW
        self.looked_at = None
        self.restart()

    def restart(self):
        """Another process: nothing is remembered."""
        self.restarts = Restarts(self.target)

    def look(self, count, after_s=MINUTE, created=OLD, uid="u1"):
        self.now += after_s
        self.restarts.load(self.store)
        found = self.restarts.seen(uid, {"app": count}, created, self.looked_at, self.now, WINDOW)
        self.restarts.save(self.store)
        self.looked_at = self.now
        return found.get("app", 0)


@pytest.fixture
def sensor(store):
    return Sensor(store)


def rows(store):
    found = store.query("SELECT restarts FROM kubernetes_restarts ORDER BY restarts")
    return [row["restarts"] for row in found]


def test_restarts_of_a_lifetime_are_no_rate(sensor):
    assert sensor.look(700) == 0
    assert sensor.look(700) == 0


def test_growth_between_two_looks_counts_until_the_window_has_passed(sensor):
    sensor.look(700)
    assert sensor.look(703) == 3
    assert sensor.look(704) == 4
    assert [sensor.look(704) for _ in range(8)] == [4] * 8
    assert sensor.look(704) == 1 and sensor.look(704) == 0


def test_all_restarts_of_a_new_pod_count(sensor):
    sensor.look(0, uid="other")
    assert sensor.look(4, created=sensor.now + 5) == 4


def test_young_pod_counts_from_its_creation_on_the_first_look_of_all(sensor):
    assert sensor.look(6, created=NOW - 2 * MINUTE) == 6


def test_pod_that_comes_into_view_with_many_restarts_is_no_storm(sensor):
    sensor.look(0, uid="other")
    assert sensor.look(50) == 0
    assert sensor.look(51) == 1


def test_counts_survive_the_sensor(sensor):
    sensor.look(0)
    sensor.look(3)
    sensor.restart()
    assert sensor.look(6) == 6


def test_restarts_while_nobody_looked_for_hours_count_by_their_share(sensor):
    sensor.look(0)
    sensor.restart()
    assert sensor.look(60, after_s=100 * MINUTE) == 6  # one each 100 s, of which ten minutes count


def test_two_sensors_of_one_cluster_count_nothing_twice(store):
    one, other = Sensor(store), Sensor(store)
    for sensor in (one, other):
        sensor.look(5)
    assert one.look(8) == 3 and other.look(8) == 3
    other.restart()
    assert other.look(9) == 4
    assert rows(store) == [5, 8, 9]


def test_count_that_falls_begins_anew(sensor, store):
    sensor.look(40)
    sensor.look(44)
    assert sensor.look(1) == 0  # the node forgot its dead containers
    assert sensor.look(3) == 2
    sensor.restart()
    assert sensor.look(3) == 2 and rows(store) == [1, 3]


def test_only_what_the_window_needs_is_kept(sensor, store):
    for count in range(200):
        sensor.look(count)
    assert len(rows(store)) <= 12
    for count in range(200, 400):
        sensor.look(count, after_s=1)
    assert len(rows(store)) <= 62
    assert 55 <= sensor.look(400) <= 62  # of more it says that it is many


def test_pods_that_are_gone_are_forgotten_after_a_whole_list_only(sensor, store):
    sensor.look(1, uid="gone")
    sensor.restarts.begin_list()
    sensor.look(1, uid="here")
    assert rows(store) == [1, 1]
    sensor.restarts.end_list(store)
    assert rows(store) == [1]
    assert store.value("SELECT pod_uid FROM kubernetes_restarts") == "here"


def test_targets_are_apart(store):
    one, other = Sensor(store, "one"), Sensor(store, "other")
    one.look(3)
    other.look(9)
    assert one.look(4) == 1 and other.look(9) == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0.5, 900)), max_size=20))
def test_never_more_than_there_were(steps):
    count, at, made = 0, NOW, [Step(0, NOW, NOW)]
    for more, later in steps:
        count, before, at = count + more, at, at + later
        if more:
            made.append(Step(count, before, at))
    found = recent(made, at - WINDOW)
    assert 0 <= found <= count


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"status": None},
        {"status": {"containerStatuses": "x"}},
        {"status": {"containerStatuses": [None, 3, {"name": 5, "restartCount": 1}]}},
        {"status": {"containerStatuses": [{"name": "a", "restartCount": "7"}]}},
        {"status": {"containerStatuses": [{"name": "a", "restartCount": -1}]}},
        {"status": {"containerStatuses": [{"name": "a", "restartCount": 10**30}]}},
    ],
)
def test_malformed_status_counts_nothing(pod):
    assert counts_of(pod) == {}


def test_counts_of_init_containers_are_counts_too():
    status = {
        "initContainerStatuses": [{"name": "setup", "restartCount": 2}],
        "containerStatuses": [{"name": "app", "restartCount": 0}],
    }
    assert counts_of({"status": status}) == {"setup": 2, "app": 0}
