"""The poll mends both ways, and a silent or young Alertmanager never closes anything."""

from __future__ import annotations

import json

import pytest

from selfheal.exceptions import ConfigError, ExternalError
from selfheal.incidents import registry
from selfheal.incidents.attach import attach
from selfheal.incidents.signal import time_text
from selfheal.intake import reconcile as reconciling
from selfheal.intake.alertmanager import Reading, parse_alert
from selfheal.intake.reconcile import reconcile, target_name_for
from tests import alert_scene, scene
from tests.alert_scene import alert, alert_states, incidents, signal


class Api:
    """An Alertmanager API whose answers a test sets: `alerts`, `started` (seconds from NOW), or a
    failure.
    """

    def __init__(self):
        self.alerts = []
        self.started = -100_000.0
        self.failure = None
        self.server = scene.Receiver((200, {}, b""))
        self.server.on_request = self._prepare
        self.target = {"url": self.server.url}

    def _prepare(self, request):
        if self.failure:
            self.server.answers = [self.failure]
            return
        content = (
            {"uptime": time_text(alert_scene.NOW + self.started)}
            if "status" in request["path"]
            else self.alerts
        )
        self.server.answers = [(200, {}, json.dumps(content).encode("utf-8"))]


def there(name="ServiceDown", updated=-1.0, state="active", receiver="selfheal", **more):
    """An alert as the API lists it."""
    raw = alert(name, **more)
    return {
        "labels": raw["labels"],
        "annotations": raw["annotations"],
        "startsAt": raw["startsAt"],
        "endsAt": time_text(alert_scene.NOW + 300),
        "updatedAt": time_text(alert_scene.NOW + updated),
        "fingerprint": raw["fingerprint"],
        "generatorURL": "",
        "receivers": [{"name": receiver}],
        "status": {"state": state, "silencedBy": [], "inhibitedBy": []},
    }


@pytest.fixture
def api():
    api = Api()
    yield api
    api.server.stop()


@pytest.fixture
def triggers():
    return alert_scene.Triggers()


@pytest.fixture
def clock():
    return alert_scene.clock()


@pytest.fixture
def ctx(url, api, clock, triggers):
    return alert_scene.context(url, clock, triggers, alertmanager={"url": api.target["url"]})


def look(ctx, api, after=0.0):
    ctx.clock.at += after
    return reconcile(ctx, "default", api.target)


def test_alert_whose_webhook_was_lost_opens_its_incident(ctx, api, triggers):
    api.alerts = [there("A"), there("B")]
    found = look(ctx, api)
    assert (found["active"], found["opened"], found["dispatched"]) == (2, 2, 2)
    assert sorted(triggers.ids("selfheal.alert")) == [row["id"] for row in incidents(ctx.store)]
    assert look(ctx, api, after=60)["opened"] == 0


def test_webhook_and_poll_see_one_alert_as_one(ctx, api):
    raw = there("A")
    webhook = dict(alert("A"), startsAt=raw["startsAt"].replace(".000Z", ".000483578Z"))
    attach(ctx.store, [parse_alert(webhook, Reading(now=alert_scene.NOW))])
    api.alerts = [raw]
    look(ctx, api, after=60)
    assert len(alert_states(ctx.store)) == len(incidents(ctx.store)) == 1


def test_alert_that_ended_unseen_is_resolved_at_the_second_miss(ctx, api, triggers):
    attach(ctx.store, [signal("A"), signal("B")])
    api.alerts = [there("B")]
    assert look(ctx, api, after=60)["resolved"] == 0
    found = look(ctx, api, after=60)
    assert (found["resolved"], found["cleared"]) == (1, 1)
    over = [row for row in incidents(ctx.store) if row["cleared_at"]]
    assert [row["alert_type"] for row in over] == ["A"]
    assert triggers.ids("selfheal.incident_resolved") == [over[0]["id"]]
    assert look(ctx, api, after=60)["resolved"] == 0


def test_one_answer_without_an_alert_is_not_enough(ctx, api):
    attach(ctx.store, [signal("A")])
    for alerts in ([], [there("A")], [], [there("A")]):
        api.alerts = alerts
        assert look(ctx, api, after=60)["resolved"] == 0


def test_two_sensors_at_the_same_moment_are_one_look(ctx, api):
    attach(ctx.store, [signal("A")])
    assert look(ctx, api, after=60)["resolved"] == look(ctx, api, after=1)["resolved"] == 0
    assert look(ctx, api, after=60)["resolved"] == 1


def test_alertmanager_that_has_just_started_resolves_nothing_but_opens(ctx, api):
    attach(ctx.store, [signal("A")])
    api.started, api.alerts = -10.0, [there("B")]
    first, second = look(ctx, api, after=60), look(ctx, api, after=60)
    assert not first["settled"] and first["opened"] == 1 and second["resolved"] == 0
    ctx.clock.at += reconciling.SETTLED_S
    assert look(ctx, api)["settled"] and look(ctx, api, after=60)["resolved"] == 1


@pytest.mark.parametrize(
    "failure, error",
    [
        ((500, {}, b"x"), ExternalError),
        ((503, {}, b""), ExternalError),
        ((200, {}, b"<html>"), ExternalError),
        ((200, {}, b"{}"), ExternalError),
        ((200, {}, b"null"), ExternalError),
        ((200, {}, b"[5]"), ExternalError),
        ((401, {}, b""), ConfigError),
        ((403, {}, b""), ConfigError),
        ((404, {}, b""), ConfigError),
        ((302, {"Location": "/login"}, b""), ConfigError),
    ],
)
def test_failing_api_resolves_nothing_and_says_what_it_answered(ctx, api, failure, error):
    attach(ctx.store, [signal("A")])
    look(ctx, api, after=60)
    api.failure = failure
    for _ in range(3):
        with pytest.raises(error):
            look(ctx, api, after=60)
    assert incidents(ctx.store)[0]["cleared_at"] is None


def test_unreachable_api_resolves_nothing(ctx, api):
    attach(ctx.store, [signal("A")])
    api.server.stop()
    with pytest.raises(ExternalError):
        look(ctx, api, after=60)
    assert incidents(ctx.store)[0]["cleared_at"] is None


def test_silenced_alert_opens_nothing_and_resolves_nothing(ctx, api):
    attach(ctx.store, [signal("A")])
    api.alerts = [there("A", state="suppressed"), there("B", state="suppressed")]
    for _ in range(3):
        found = look(ctx, api, after=60)
        assert (found["muted"], found["opened"], found["resolved"]) == (2, 0, 0)


def test_end_whose_message_a_silence_swallowed_is_seen(ctx, api):
    attach(ctx.store, [signal("A")])
    api.alerts = [there("A", state="suppressed")]
    look(ctx, api, after=60)
    api.alerts = []
    assert look(ctx, api, after=60)["resolved"] == 0 and look(ctx, api, after=60)["resolved"] == 1


def test_alert_that_was_resolved_by_mistake_comes_back(ctx, api):
    attach(ctx.store, [signal("A")])
    look(ctx, api, after=60), look(ctx, api, after=60)
    incident_id = incidents(ctx.store)[0]["id"]
    registry.resolve(ctx.store, incident_id, "self_resolved", "closed")
    api.alerts = [there("A", updated=59.0)]
    assert look(ctx, api)["reopened"] == 0  # that word is older than the end
    api.alerts = [there("A", updated=170.0)]
    assert look(ctx, api, after=60)["reopened"] == 1
    assert incidents(ctx.store)[0]["id"] == incident_id


def test_alert_that_starts_anew_between_the_looks_is_no_late_message(ctx, api):
    attach(ctx.store, [signal("A")])
    look(ctx, api, after=60), look(ctx, api, after=60)
    assert attach(ctx.store, [signal("A", starts=119.0)]).attached
    assert incidents(ctx.store)[0]["cleared_at"] is None


def test_incident_closed_while_its_alert_goes_on_firing_is_reopened(ctx, api):
    attach(ctx.store, [signal("A")])
    registry.resolve(ctx.store, incidents(ctx.store)[0]["id"], "remediated", "closed")
    api.alerts = [there("A")]
    assert look(ctx, api, after=60)["reopened"] == 0
    assert look(ctx, api, after=300)["reopened"] == 1


def test_alerts_raised_by_hand_are_not_alertmanagers_to_end(ctx, api):
    attach(ctx.store, [parse_alert(alert("A"), Reading(now=alert_scene.NOW, source="manual"))])
    look(ctx, api, after=60), look(ctx, api, after=60)
    assert incidents(ctx.store)[0]["cleared_at"] is None


def test_each_alertmanager_answers_for_its_own_cluster_only(url, api, clock):
    other = {"url": "http://127.0.0.1:1"}
    ctx = alert_scene.context(url, clock, alertmanager={"eu": api.target, "us": other})
    attach(ctx.store, [signal("A", cluster="eu"), signal("A", cluster="us"), signal("A")])
    for _ in range(2):
        clock.at += 60
        reconcile(ctx, "eu", api.target)
    assert [row["cluster"] for row in incidents(ctx.store) if row["cleared_at"]] == ["eu"]


def test_names_of_targets_follow_the_configurations_choice():
    from selfheal.config import Config

    two = Config({"alertmanager": {"eu": {"url": "http://a"}, "us": {"url": "http://b"}}})
    assert [target_name_for(two, cluster) for cluster in ("eu", "us", "asia", None)] == [
        "eu",
        "us",
        None,
        None,
    ]
    flat = Config({"alertmanager": {"url": "http://a", "us": {"url": "http://b"}}})
    assert [target_name_for(flat, cluster) for cluster in ("eu", "us", None)] == [
        "default",
        "us",
        "default",
    ]
    assert target_name_for(Config({"alertmanager": {"eu": {"url": "http://a"}}}), None) == "eu"


def test_only_alerts_routed_to_our_receiver_count_when_it_is_named(ctx, api):
    api.alerts = [there("A"), there("Watchdog", receiver="dead-man")]
    reconcile(ctx, "default", {**api.target, "receiver": "selfheal"})
    assert [row["alert_type"] for row in incidents(ctx.store)] == ["A"]


def test_webhook_that_comes_during_the_look_wins(ctx, api, clock):
    attach(ctx.store, [signal("A")])
    look(ctx, api, after=60)
    seen_later = clock.at + 61

    def arrive(request):
        api._prepare(request)
        if "status" not in request["path"]:
            clock.at = seen_later

    ctx.clock.at += 60
    api.server.on_request = arrive
    attach(ctx.store, [signal("A")])
    assert reconcile(ctx, "default", api.target)["resolved"] == 0


def test_unusable_alerts_of_the_api_are_kept_and_cost_no_neighbour(ctx, api):
    api.alerts = [{"labels": {}}, there("A")]
    assert look(ctx, api)["opened"] == 1
    assert len(ctx.store.query("SELECT * FROM rejected_signals")) == 1


def test_clock_that_is_set_back_does_not_hide_an_end(ctx, api):
    attach(ctx.store, [signal("A")])
    assert look(ctx, api, after=60)["resolved"] == 0
    api.started -= 3 * 3600
    assert look(ctx, api, after=-3 * 3600)["resolved"] == 0  # two looks again, by the new clock
    assert look(ctx, api, after=60)["resolved"] == 1


def test_clock_that_is_set_back_does_not_hide_an_alert_that_goes_on_firing(ctx, api):
    attach(ctx.store, [signal("A")])
    (row,) = incidents(ctx.store)
    registry.resolve(ctx.store, row["id"], "remediated", "closed")
    api.alerts = [there("A")]
    assert look(ctx, api, after=-3 * 3600)["reopened"] == 1
