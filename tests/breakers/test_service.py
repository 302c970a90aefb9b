"""The breaker before an external service: what counts as a failure, what it costs while all is
well, and that the store's trouble is not the service's.
"""

from __future__ import annotations

import logging

import pytest

from selfheal.breakers import service
from selfheal.context import Context
from selfheal.exceptions import ConfigError, DeadlineExceeded, ExternalError, NotFound, StoreError
from selfheal.http import HttpClient
from tests import scene

NAME = "prometheus"
OPEN_S = 30.0


@pytest.fixture
def ctx(url):
    return scene.context(url)


@pytest.fixture
def quick(tmp_path):
    """On SQLite alone: for what does not depend on the database."""
    return scene.context(scene.store_url("sqlite", tmp_path))


def again(ctx):
    """Another process: the same store and clock, nothing remembered."""
    return scene.context(str(ctx.config.get("database.url")), ctx.clock)


def failing(error):
    def fail():
        raise error

    return fail


def fail(ctx, times=5, name=NAME):
    for _ in range(times):
        with pytest.raises(ExternalError):
            service.call(ctx, name, failing(ExternalError("no answer")))


def state(ctx, name=NAME):
    return ctx.store.value("SELECT state FROM circuit_breakers WHERE name = ?", (name,))


def counting(ctx):
    """The statements that reach the store from now on, as a list that grows."""
    seen = []
    execute = ctx.store._execute

    def noted(cursor, sql, values):
        seen.append(sql)
        execute(cursor, sql, values)

    ctx.store._execute = noted
    return seen


def test_failing_service_is_left_alone_and_tried_again(ctx):
    fail(ctx)
    called = []
    with pytest.raises(service.LeftAlone) as refused:
        service.call(ctx, NAME, lambda: called.append(1))
    assert not called and refused.value.retryable
    assert refused.value.until == scene.START + OPEN_S
    for words in (
        "prometheus was not asked",
        "since 2023-11-14T22:13:20.000Z",
        "until 2023-11-14T22:13:50.000Z",
        "5 of 5 calls failed",
        "breaker_reset name=service-",
        "breaker_force name=service-",
    ):
        assert words in str(refused.value)
    ctx.clock.at += OPEN_S
    assert service.call(ctx, NAME, lambda: "well") == "well"
    assert state(ctx) == "closed"


def test_other_processes_see_it_open(ctx):
    fail(ctx)
    with pytest.raises(service.LeftAlone):
        service.call(again(ctx), NAME, lambda: 1)
    assert service.call(again(ctx), "alertmanager", lambda: 1) == 1


def test_failures_of_many_short_processes_add_up(ctx):
    for _ in range(5):
        fail(again(ctx), 1)
    assert state(ctx) == "open"


def test_rare_failures_among_many_short_processes_open_nothing(quick):
    for number in range(80):
        quick.clock.at += 1
        process = again(quick)
        if number % 10 == 9:
            fail(process, 1)
        else:
            service.call(process, NAME, lambda: 1)
        process.close()
    assert state(quick) == "closed"


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (ExternalError("no answer"), True),
        (ExternalError("answered 400", retryable=False), False),
        (ConfigError("answered 401"), False),
        (DeadlineExceeded("too long"), True),
        (NotFound("ours"), False),
        (StoreError("ours"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_what_counts_as_a_failure(quick, error, counts):
    for _ in range(5):
        with pytest.raises(type(error)):
            service.call(quick, NAME, failing(error))
    assert (service.refusal(quick, NAME) is not None) is counts


def test_what_says_nothing_of_the_service_gives_the_probe_back(quick):
    fail(quick)
    quick.clock.at += OPEN_S
    with pytest.raises(KeyboardInterrupt):
        service.call(quick, NAME, failing(KeyboardInterrupt()))
    assert state(quick) == "half_open"
    assert service.call(quick, NAME, lambda: 1) == 1
    assert state(quick) == "closed"


def test_refusal_by_a_service_that_answers_ends_the_trial(quick):
    fail(quick)
    quick.clock.at += OPEN_S
    with pytest.raises(ConfigError):
        service.call(quick, NAME, failing(ConfigError("answered 401")))
    assert state(quick) == "closed"


def test_healthy_service_costs_next_to_nothing(quick):
    service.call(quick, NAME, lambda: 1)
    seen = counting(quick)
    for _ in range(720):  # an hour of looks, five seconds apart
        quick.clock.at += 5
        service.call(quick, NAME, lambda: 1)
    writes = [sql for sql in seen if not sql.startswith("SELECT")]
    assert len(writes) <= 121 and all(sql.startswith("UPDATE") for sql in writes)
    del seen[:]
    for _ in range(1000):  # at once
        service.call(quick, NAME, lambda: 1)
    assert not [sql for sql in seen if not sql.startswith("SELECT")][10:]
    assert len(seen) < 10


def test_one_healthy_call_is_at_most_one_write(quick):
    for _ in range(3):
        quick.clock.at += 40
        process = again(quick)
        seen = counting(process)
        service.call(process, NAME, lambda: 1)
        assert len([sql for sql in seen if not sql.startswith("SELECT")]) <= 1


def test_kept_successes_count_once_something_fails(quick):
    for _ in range(20):
        service.call(quick, NAME, lambda: 1)
    fail(quick, 9)
    assert state(quick) == "closed"
    fail(quick, 11)
    assert state(quick) == "open"


def test_learns_what_is_slow_and_says_so(quick, caplog):
    def taking(seconds):
        def work():
            quick.clock.at += seconds

        return work

    for _ in range(200):
        quick.clock.at += 10
        service.call(quick, NAME, taking(0.4))
    with caplog.at_level(logging.WARNING), pytest.raises(service.LeftAlone, match="on average"):
        for _ in range(30):
            service.call(quick, NAME, taking(9.0))
    assert "closed -> open" in caplog.text


def test_urgent_call_goes_through_and_closes_it(quick):
    fail(quick)
    with pytest.raises(ExternalError, match="still"):
        service.call(quick, NAME, failing(ExternalError("still")), is_urgent=True)
    assert state(quick) == "open"
    assert service.call(quick, NAME, lambda: "taken", is_urgent=True) == "taken"
    assert state(quick) == "closed"


def test_looking_takes_nothing(quick):
    assert service.refusal(quick, NAME) is None
    fail(quick)
    quick.clock.at += OPEN_S
    assert service.refusal(quick, NAME) is None
    assert state(quick) == "open"


def test_call_goes_ahead_without_a_store(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    from selfheal.config import Config

    config = Config({"database": {"url": "sqlite:///%s/x.db" % blocked}})
    ctx = Context(config, clock=scene.Clock(), http=HttpClient())
    assert [service.call(ctx, NAME, lambda: 7) for _ in range(3)] == [7] * 3
    fail(ctx, 20)
    assert service.refusal(ctx, NAME) is None
    assert caplog.text.count("is not asked") == 1  # and the store is left in peace meanwhile


def test_call_goes_ahead_when_the_row_is_garbage_or_settings_are(quick):
    fail(quick)
    quick.store.execute("UPDATE circuit_breakers SET data = '{'")
    assert service.call(again(quick), NAME, lambda: 1) == 1
    url = str(quick.config.get("database.url"))
    wrong = scene.context(url, quick.clock, safety={"service_breaker": {"min_calls": -1}})
    assert service.call(wrong, NAME, lambda: 1) == 1


def test_store_that_comes_back_is_used_again(quick):
    store = quick.store
    quick._store = None
    quick.config.values["database"]["url"] = "sqlite:////proc/nowhere/x.db"
    assert service.call(quick, NAME, lambda: 1) == 1
    quick._store = store
    fail(quick)
    assert state(quick) is None
    quick.clock.at += 31
    fail(quick)
    assert state(quick) == "open"


def test_targets_are_told_apart_by_name():
    ctx = scene.context(
        "sqlite:///:memory:",
        prometheus={"default": {"url": "http://a"}, "edge": {"url": "http://b"}},
    )
    named = [
        service.name_of(ctx.config, "prometheus", ctx.config.target_for("prometheus", cluster))
        for cluster in ("edge", "other", None)
    ]
    assert named == ["prometheus.edge", "prometheus", "prometheus"]
