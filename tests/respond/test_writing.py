"""Writing by a person's hand: the answer at once, an error where it is theirs to mend."""

from __future__ import annotations

import pytest

from selfheal.exceptions import ConfigError, ExternalError, NotFound
from selfheal.outbox import claims, letters
from selfheal.outbox.carrying import NotTaken
from selfheal.respond.writing import write_now
from tests import letter_world, scene


@pytest.fixture
def ctx(tmp_path):
    made = scene.context(scene.store_url("sqlite", tmp_path))
    yield made
    made.close()


@pytest.fixture
def says(monkeypatch):
    """Makes the carrier raise or answer each of these in turn, the last for ever; what it got."""
    carriers, answers, got = letter_world.saying(monkeypatch, lambda one: one.payload["text"])
    monkeypatch.setattr("selfheal.respond.telling.CARRIERS", carriers)

    def say(*given):
        answers[:] = given
        return got

    return say


def write(ctx, text="a", **more):
    return write_now(ctx, channel="world", kind="note", payload={"text": text}, **more)


def test_answer_comes_back_at_once(ctx, says):
    says({"number": "INC7"})
    done = write(ctx)
    assert (done["delivered"], done["answer"], done["waits"]) == (True, {"number": "INC7"}, False)
    assert letters.is_delivered(ctx.store, done["outbox_id"])


def test_the_same_wish_is_carried_out_once(ctx, says):
    got = says({"number": "INC7"})
    first = write(ctx, key="k")
    assert write(ctx, "b", key="k") == first
    assert got == ["a"]
    write(ctx, "c")
    write(ctx, "c")
    assert got == ["a", "c", "c"]


@pytest.mark.parametrize(
    "error",
    [NotFound("no such ticket"), NotTaken("no such field", is_final=True), ConfigError("no right")],
)
def test_what_is_refused_for_good_is_the_error_of_who_asked(ctx, says, error):
    got = says(error, {"number": "INC7"})
    with pytest.raises(type(error), match=str(error)):
        write(ctx, key="k")
    assert letters.pending_count(ctx.store) == letters.dead_count(ctx.store) == 0
    assert write(ctx, "again", key="k")["delivered"]
    assert got == ["a", "again"]


def test_what_cannot_be_reached_is_carried_later(ctx, says):
    says(ExternalError("no connection"))
    done = write(ctx)
    assert (done["delivered"], done["waits"]) == (False, True)
    assert "no connection" in done["error"]
    assert letters.pending_count(ctx.store) == 1


def test_what_waits_behind_another_says_so(ctx, says):
    got = says(ExternalError("no connection"))
    first = write(ctx, "a", queue="q")
    second = write(ctx, "b", queue="q")
    assert first["outbox_id"] in second["error"] and "no connection" in second["error"]
    assert second["waits"] and got == ["a"]


def test_system_that_is_not_configured_is_named(ctx, says, monkeypatch):
    says({})
    monkeypatch.setattr(
        "selfheal.respond.telling.CARRIERS",
        letter_world.carriers(monkeypatch, carry=None, problem=lambda *_: "set world.url"),
    )
    with pytest.raises(ConfigError, match="set world.url"):
        write(ctx)
    assert letters.pending_count(ctx.store) == 0


def test_letter_that_another_worker_took_first_is_waited_for(ctx, says, monkeypatch):
    says({})
    url = str(ctx.config.get("database.url"))
    other = scene.context(url, ctx.clock)
    post = letters.post

    def post_and_lose(store, *given, **more):
        outbox_id = post(store, *given, **more)
        assert claims.take(other.store, outbox_id)[0] == claims.TAKEN
        return outbox_id

    def sleep(_seconds):
        row = other.store.one("SELECT * FROM outbox")
        claims.arrived(other.store, str(row["id"]), {"number": "INC7"})

    monkeypatch.setattr(letters, "post", post_and_lose)
    monkeypatch.setattr(ctx.clock, "sleep", sleep)
    done = write(ctx)
    other.close()
    assert (done["delivered"], done["answer"]) == (True, {"number": "INC7"})
