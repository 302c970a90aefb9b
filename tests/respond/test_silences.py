"""Silences by a person's hand, in a real Alertmanager: made once, made longer, ended; what is too
wide, too long or too much is refused; what cannot be reached waits.
"""

from __future__ import annotations

import json
import time

import pytest

from selfheal import door
from selfheal.exceptions import ConfigError, InvalidInput, NotFound, Refused
from selfheal.notify import silence_rows as rows
from selfheal.outbox import letters
from selfheal.respond import finish, telling
from selfheal.respond import silences_by_hand as silences
from tests import scene
from tests.alertmanager_proxy import Proxy
from tests.live_alertmanager import Alertmanager, get_json


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        running.post_alerts(
            [{"labels": {"alertname": "Disk", "instance": "web%d" % n}} for n in range(5)] +
            [{"labels": {"alertname": "Other", "instance": "web1"}}]
        )
        yield running


def context(url, server, clock=None, **sections):
    at = clock or scene.Clock(time.time())
    target = {"url": server.url, "timeout_s": 60}
    return scene.context(url, at, **{"alertmanager": target, **sections})


@pytest.fixture
def ctx(url, server):
    made = context(url, server, safety={"max_silenced_alerts": 3})
    yield made
    made.close()
    for one in living(server):
        server.unsilence(one["id"])


def living(server):
    """The silences that mute now."""
    found = get_json(server.url + "/api/v2/silences")
    return [one for one in found if one["status"]["state"] != "expired"]


def muted(server):
    alerts = get_json(server.url + "/api/v2/alerts?active=false&silenced=true&inhibited=true")
    return sorted(alert["labels"]["instance"] for alert in alerts)


def later(ctx, seconds):
    """Let so much time pass for the store and the letters; Alertmanager has its own."""
    ctx.clock.at += seconds


def test_silence_is_made_as_it_is_asked_for(ctx, server):
    answer = silences.silence_create(
        ctx, 'alertname="Disk",instance=~"web[01]"', minutes=30, comment="new disks", who="jane"
    )
    (there,) = living(server)
    assert there["id"] == answer["silence_id"]
    assert there["createdBy"] == "selfheal (jane)"
    assert there["comment"] == "new disks [%s]" % answer["id"]
    assert {m["name"]: m["value"] for m in there["matchers"]} == {
        "alertname": "Disk", "instance": "web[01]",
    }
    assert answer["status"] == "active" and answer["alerts"] == 2
    assert there["endsAt"][:19] == answer["ends_at"][:19]
    assert "silenced" in answer["summary"] and answer["id"] in answer["summary"]
    assert muted(server) == ["web0", "web1"]


def test_same_matchers_keep_one_silence_that_lasts_longer_and_never_shorter(ctx, server):
    first = silences.silence_create(ctx, 'instance="web1",alertname="Disk"', minutes=30)
    again = silences.silence_create(ctx, 'alertname="Disk", instance="web1"', minutes=90)
    shorter = silences.silence_create(ctx, '{alertname=Disk,instance=web1}', minutes=5)
    (there,) = living(server)
    assert first["silence_id"] == again["silence_id"] == shorter["silence_id"] == there["id"]
    assert again["ends_at"] == shorter["ends_at"] > first["ends_at"]
    assert there["endsAt"][:19] == again["ends_at"][:19]
    assert len(rows.known(ctx.store, "default")) == 1


def test_other_matchers_or_another_incident_are_another_silence(ctx, server):
    scene.incident(ctx.store)
    silences.silence_create(ctx, "alertname=Disk,instance=web1")
    silences.silence_create(ctx, "alertname=Disk,instance=web2")
    silences.silence_create(ctx, "alertname=Disk,instance=web1", incident_id="inc-1")
    assert len(living(server)) == 3


@pytest.mark.parametrize(
    "matchers", ["{}", 'alertname=~".*"', 'alertname=~".+"', "alertname!=Watchdog", 'x=""']
)
def test_what_would_silence_about_anything_is_refused(ctx, server, matchers):
    with pytest.raises(Refused):
        silences.silence_create(ctx, matchers)
    assert living(server) == [] and letters.pending_count(ctx.store) == 0


def test_too_many_alerts_are_refused_with_their_names(ctx, server):
    with pytest.raises(Refused) as caught:
        silences.silence_create(ctx, "alertname=Disk")
    assert "5 alerts" in str(caught.value) and "Disk: 5" in str(caught.value)
    assert "safety.max_silenced_alerts" in str(caught.value)
    assert living(server) == [] and letters.pending_count(ctx.store) == 0
    narrower = silences.silence_create(ctx, "alertname=Disk,instance=~web[012]")
    assert narrower["alerts"] == 3  # as many as may be


def test_alerts_are_counted_as_alertmanager_judges_them(ctx, server):
    answer = silences.silence_create(ctx, 'alertname="Disk",instance!~"web[123]",nope=""')
    assert answer["alerts"] == 2 and muted(server) == ["web0", "web4"]
    assert living(server)[0]["matchers"][1]["isEqual"] is False


def test_nothing_may_fire_yet(ctx, server):
    assert silences.silence_create(ctx, 'alertname="NotYet"')["alerts"] == 0
    assert len(living(server)) == 1


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), True, "60"])
def test_length_that_is_none_is_an_error(ctx, minutes):
    with pytest.raises(InvalidInput):
        silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=minutes)


def test_too_long_is_refused_naming_the_setting(ctx, server):
    with pytest.raises(Refused, match="safety.max_silence_hours"):
        silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=24 * 60 + 1)
    assert silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=24 * 60)


def test_what_alertmanager_cannot_read_is_refused_in_its_words(ctx, server):
    with pytest.raises(Refused, match="missing closing"):
        silences.silence_create(ctx, 'alertname="Disk",instance=~"web("')
    with pytest.raises(Refused, match="Alertmanager refused"):
        silences.silence_create(ctx, '"ü"="a"')  # names beyond ASCII: 0.27 and later
    assert living(server) == []


def test_refused_extension_leaves_the_silence_as_it_was(ctx, server, url):
    first = silences.silence_create(ctx, 'alertname="Disk",instance=~"web[01]"', minutes=10)
    stricter = context(url, server, ctx.clock, safety={"max_silenced_alerts": 1})
    with pytest.raises(Refused):
        silences.silence_create(stricter, 'alertname="Disk",instance=~"web[01]"', minutes=60)
    stricter.close()
    (there,) = living(server)
    assert there["endsAt"][:19] == first["ends_at"][:19]
    kept = rows.get(ctx.store, first["id"])
    assert kept.is_living and abs(kept.ends_at - ctx.clock.now() - 600) < 2


def test_silence_of_an_incident_matches_its_own_alerts_and_ends_with_it(ctx, server):
    labels = {"alertname": "Disk", "instance": "web3"}
    scene.incident(ctx.store, signal={"labels": labels})
    answer = silences.silence_create(ctx, incident_id="inc-1")
    assert muted(server) == ["web3"] and answer["matchers"] == 'alertname="Disk",instance="web3"'
    assert "inc-1" in living(server)[0]["comment"]
    finish.close_incident(ctx, "inc-1")
    telling.deliver(ctx)
    assert living(server) == []
    assert [k for k in scene.kinds(ctx.store) if k.startswith("silence")] == [
        "silenced", "silence_ended",
    ]
    with pytest.raises(Refused, match="closed"):
        silences.silence_create(ctx, incident_id="inc-1")


def test_silence_is_ended_by_our_id_and_by_alertmanagers(ctx, server):
    one = silences.silence_create(ctx, "alertname=Disk,instance=web1")
    two = silences.silence_create(ctx, "alertname=Disk,instance=web2")
    assert silences.silence_expire(ctx, one["id"], who="jane")["ended"] == [one["id"]]
    assert silences.silence_expire(ctx, two["silence_id"])["ended"] == [two["id"]]
    assert living(server) == []
    again = silences.silence_expire(ctx, two["silence_id"])
    assert again["summary"]
    new = silences.silence_create(ctx, "alertname=Disk,instance=web2")
    assert new["id"] != two["id"] and len(living(server)) == 1


def test_all_of_an_incident_are_ended(ctx, server):
    scene.incident(ctx.store)
    for number in (1, 2):
        matchers = "alertname=Disk,instance=web%d" % number
        silences.silence_create(ctx, matchers, incident_id="inc-1")
    silences.silence_create(ctx, "alertname=Disk,instance=web3")
    assert len(silences.silence_expire(ctx, incident_id="inc-1")["ended"]) == 2
    assert muted(server) == ["web3"]
    assert silences.silence_expire(ctx, incident_id="inc-1")["ended"] == []


def test_what_others_made_is_ended_only_when_that_is_said(ctx, server):
    theirs = server.silence("instance", "web4")
    with pytest.raises(Refused, match="others"):
        silences.silence_expire(ctx, theirs)
    assert len(living(server)) == 1
    assert silences.silence_expire(ctx, theirs, others=True)["ended"] == [theirs]
    assert living(server) == []
    assert "over already" in silences.silence_expire(ctx, theirs, others=True)["summary"]


def test_what_is_to_be_silenced_must_be_said(ctx):
    for nothing in ("", "  ", "alertname"):
        with pytest.raises(InvalidInput):
            silences.silence_create(ctx, nothing)


def test_what_is_to_end_must_be_named_and_there(ctx):
    for given in ({}, {"silence_id": "a", "incident_id": "b"}):
        with pytest.raises(InvalidInput):
            silences.silence_expire(ctx, **given)
    for unknown in ("sil-none", "11111111-1111-1111-1111-111111111111", "none"):
        with pytest.raises(NotFound):
            silences.silence_expire(ctx, unknown)
    with pytest.raises(NotFound):
        silences.silence_expire(ctx, incident_id="inc-none")


def test_list_tells_whose_they_are_and_what_they_mute(ctx, server):
    scene.incident(ctx.store)
    ours = silences.silence_create(ctx, "alertname=Disk,instance=web1", 30, incident_id="inc-1")
    theirs = server.silence("instance", "web4", seconds=600)
    found = silences.silence_list(ctx)
    assert [one["silence_id"] for one in found["silences"]] == [theirs, ours["silence_id"]]
    assert [one["is_ours"] for one in found["silences"]] == [False, True]
    assert [one["alerts"] for one in found["silences"]] == [1, 1]
    mine = found["silences"][1]
    assert mine["incident_id"] == "inc-1" and mine["id"] == ours["id"]
    assert mine["matchers"] == 'alertname="Disk",instance="web1"'
    assert "2 active silences" in found["summary"] and theirs in found["summary"]
    assert silences.silence_list(ctx, incident_id="inc-1")["count"] == 1
    silences.silence_expire(ctx, ours["id"])
    assert silences.silence_list(ctx)["count"] == 1
    over = [one["silence_id"] for one in silences.silence_list(ctx, "expired")["silences"]]
    assert ours["silence_id"] in over
    with pytest.raises(InvalidInput):
        silences.silence_list(ctx, "silent")


def test_alertmanager_that_is_away_gets_the_silence_later_unless_it_is_called_off(
    tmp_path, url
):
    server = Alertmanager(tmp_path / "am")
    ctx = context(url, server)
    waiting = silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=30)
    off = silences.silence_create(ctx, "alertname=Disk,instance=web2", minutes=30)
    assert waiting["status"] == off["status"] == "asked"
    assert "not silenced yet" in waiting["summary"]
    assert silences.silence_expire(ctx, off["id"])["waiting"] == [off["id"]]
    scene.incident(ctx.store)
    own = silences.silence_create(ctx, "alertname=Disk", incident_id="inc-1")["id"]
    for _ in range(2):  # it is not over because somebody has asked for its end
        assert silences.silence_expire(ctx, incident_id="inc-1")["waiting"] == [own]
    with server.start():
        for _ in range(20):
            later(ctx, 60)
            telling.deliver(ctx)
        (there,) = living(server)
        assert waiting["id"] in there["comment"]
        assert rows.get(ctx.store, off["id"]).status == rows.ENDED
        assert letters.pending_count(ctx.store) == 0
    ctx.close()


def test_silence_whose_time_is_over_before_it_could_be_made_is_not_made(tmp_path, url):
    server = Alertmanager(tmp_path / "am")
    ctx = context(url, server)
    late = silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=5)
    with server.start():
        later(ctx, 360)
        telling.deliver(ctx)
        assert living(server) == []
        assert rows.get(ctx.store, late["id"]).status == rows.ENDED
        assert letters.pending_count(ctx.store) == 0
    ctx.close()


@pytest.mark.parametrize("lost", [1, 3])
def test_lost_answers_make_no_second_silence(url, server, lost):
    with Proxy(server) as proxy:
        ctx = context(url, proxy)
        proxy.lose = lost
        answer = silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=120)
        assert answer["status"] == "asked"
        for _ in range(40):
            later(ctx, 60)
            telling.deliver(ctx)
        (there,) = living(server)
        assert answer["id"] in there["comment"] and proxy.lose == 0
        assert rows.get(ctx.store, answer["id"]).silence_id == there["id"]
        assert silences.silence_expire(ctx, answer["id"])["ended"] == [answer["id"]]
        assert living(server) == []
        ctx.close()


def test_silence_whose_answer_was_lost_is_ended_all_the_same(url, server):
    with Proxy(server) as proxy:
        ctx = context(url, proxy)
        proxy.lose = 1
        answer = silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=120)
        assert len(living(server)) == 1
        silences.silence_expire(ctx, answer["id"])
        for _ in range(5):
            later(ctx, 60)
            telling.deliver(ctx)
        assert living(server) == []
        ctx.close()


def test_old_alertmanager_that_takes_unequal_for_equal_makes_nothing_that_stays(url):
    made = {
        "id": "s-1", "status": {"state": "active"}, "createdBy": "selfheal", "comment": "",
        "startsAt": "2026-01-01T00:00:00.000Z", "endsAt": "2026-01-01T01:00:00.000Z",
        "matchers": [
            {"name": "alertname", "value": "Disk", "isRegex": False},
            {"name": "instance", "value": "web1", "isRegex": False},
        ],
    }
    answers = [b"[]", b"[]", b'{"silenceID": "s-1"}', json.dumps(made).encode(), b""]
    with scene.Receiver(*((200, {}, body) for body in answers)) as old:
        ctx = context(url, old)
        with pytest.raises(Refused, match="0.22"):
            silences.silence_create(ctx, "alertname=Disk,instance!=web1")
        ctx.close()
    assert old.requests[-1]["method"] == "DELETE"
    assert old.requests[-1]["path"] == "/api/v2/silence/s-1"


def test_without_an_alertmanager_there_is_nothing_to_silence(url):
    ctx = scene.context(url)
    with pytest.raises(ConfigError, match="alertmanager.url"):
        silences.silence_create(ctx, "alertname=Disk,instance=web1")
    ctx.close()


def test_named_alertmanager_is_chosen_by_cluster(url, server):
    ctx = context(url, server, alertmanager={"edge": {"url": server.url}, "b": {"url": "http://x"}})
    answer = silences.silence_create(ctx, "alertname=Disk,instance=web1", cluster="edge")
    assert rows.get(ctx.store, answer["id"]).target == "edge"
    assert silences.silence_list(ctx, cluster="edge")["count"] == 1
    with pytest.raises(InvalidInput, match="edge"):
        silences.silence_create(ctx, "alertname=Disk,instance=web1", cluster="nowhere")
    assert silences.silence_expire(ctx, answer["silence_id"], cluster="edge")["ended"]
    ctx.close()


def test_actions_answer_through_the_door(ctx):
    close, ctx.close = ctx.close, lambda: None
    given = {"matchers": 'alertname="Disk",instance="{{ x }}"', "who": "jane"}
    ok, answer = door.call("selfheal.respond.silences_by_hand.silence_create", given, context=ctx)
    assert ok and "{{" not in json.dumps(answer)
    ok, refused = door.call(
        "selfheal.respond.silences_by_hand.silence_create", {"matchers": "a!=b"}, context=ctx
    )
    assert not ok and refused["error_type"] == "Refused"
    ok, listed = door.call("selfheal.respond.silences_by_hand.silence_list", {}, context=ctx)
    assert ok and listed["count"] == 1
    ctx.close = close


class Killed(BaseException):
    """The worker is gone."""


def test_worker_that_dies_between_writing_and_marking_leaves_one_silence(
    ctx, server, monkeypatch
):
    def die(*_given):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(rows, "made", die)
        with pytest.raises(Killed):
            silences.silence_create(ctx, "alertname=Disk,instance=web1", minutes=120)
    (there,) = living(server)
    assert rows.known(ctx.store, "default") == []
    later(ctx, 600)  # its lease is over
    telling.deliver(ctx)
    (again,) = living(server)
    assert again["id"] == there["id"]
    assert [one.silence_id for one in rows.known(ctx.store, "default")] == [there["id"]]
    assert letters.pending_count(ctx.store) == 0
