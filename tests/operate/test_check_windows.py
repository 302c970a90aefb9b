"""What check_config says of windows, quiet hours and pauses."""

from __future__ import annotations

from datetime import datetime

import pytest

from selfheal.guard import pause
from selfheal.operate.check_windows import lines
from tests import needs, scene

NIGHT = datetime.fromisoformat("2026-11-27T22:30:00+01:00").timestamp()
DAILY = {"cron": "0 22 * * *", "minutes": 480, "timezone": "Europe/Berlin"}


@pytest.fixture
def rows(tmp_path):
    """Asks with these windows and quiet hours, and with scopes paused."""
    needs.module("cronsim")

    def asked(windows=(), quiet_hours=(), paused=(), at=NIGHT):
        safety = {"windows": list(windows), "quiet_hours": list(quiet_hours)}
        url = scene.store_url("sqlite", tmp_path)
        ctx = scene.context(url, scene.Clock(at), safety=safety)
        for words in paused:
            pause.begin(ctx.store, pause.scope_of(words), "ada", "fire", None, False)
        return lines(ctx)

    return asked


def test_nothing_is_said_where_there_is_nothing(rows):
    assert rows() == []


def test_each_tells_when_it_is_open_or_comes_next(rows):
    freeze = {"name": "nights", "kind": "freeze", **DAILY}
    single = {
        "name": "move",
        "kind": "maintenance",
        "start": "2026-11-01 10:00",
        "end": "2026-11-01 11:00",
        "timezone": "UTC",
    }
    found = rows([freeze, single], [{"severities": ["info"], **DAILY, "cron": "0 9 * * *"}])
    assert [one[:2] for one in found] == [
        ("freeze window nights", "on"),
        ("maintenance window move", "warning"),
        ("quiet hours for info", "on"),
    ]
    assert found[0][2].endswith("open now, until 2026-11-28T05:00:00.000Z")
    assert found[1][2].endswith("it is over") and "remove it" in found[1][3]
    assert found[2][2].endswith("next at 2026-11-28T08:00:00.000Z")


def test_each_mistake_is_an_error_by_its_place(rows):
    found = rows(
        [{"name": "a", "kind": "freeze", **DAILY, "cron": "x"}, "b"],
        [{"severities": ["sev1"], **DAILY}, {"severities": ["info"]}],
    )
    errors = [(what, detail.split(" ")[0]) for what, state, detail, _ in found if state == "error"]
    assert errors == [
        ("safety.windows", "safety.windows[0].cron"),
        ("safety.windows", "safety.windows[1]"),
        ("safety.quiet_hours", "safety.quiet_hours[0].severities"),
        ("safety.quiet_hours", "safety.quiet_hours[1]"),
    ]


def test_pause_is_a_warning_with_the_way_out(rows):
    [(what, state, detail, do)] = rows(paused=["namespace=shop"])
    assert (what, state) == ("pause", "warning")
    assert detail.startswith("namespace=shop is paused by ada") and "selfheal.resume" in do
