"""The pack's own runbooks, carried out for real against stand-ins of ssh, sudo and systemctl that
log what they were told.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from selfheal.remedy import catalogue
from selfheal.respond.analyze import analyze_incident
from selfheal.respond.remediate import remediate, undo_remediation
from tests import needs
from tests.remedy import scenes

FAKE_SSH = """#!/bin/sh
while [ "$1" != -- ]; do shift; done
shift
echo "$1" >> {home}/hosts
shift
PATH={home}/bin:$PATH exec sh -c "$*"
"""
FAKE_SYSTEMCTL = """#!/bin/sh
echo "$*" >> {home}/told
case $1 in
    is-active) cat {home}/state ;;
    start) echo active > {home}/state ;;
    stop) echo inactive > {home}/state ;;
esac
"""
FAKE_SUDO = """#!/bin/sh
shift
PATH={home}/bin:$PATH exec "$@"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for name, text in (("ssh", FAKE_SSH), ("systemctl", FAKE_SYSTEMCTL), ("sudo", FAKE_SUDO)):
        path = tmp_path / "bin" / name
        path.write_text(text.format(home=tmp_path))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", "%s:%s" % (tmp_path / "bin", os.environ["PATH"]))
    shutil.copytree(str(catalogue.PACK_RUNBOOKS), str(tmp_path / "runbooks"))
    for path in (tmp_path / "runbooks").glob("*.yaml"):  # the stand-ins answer at once, or late
        path.write_text(re.sub(r"timeout_s: \d+", "timeout_s: 600", path.read_text()))
    script = tmp_path / "runbooks" / "scripts" / "on_host.sh"
    script.write_text(
        script.read_text().replace(
            "/opt/stackstorm/configs/selfheal-hosts.allow", str(tmp_path / "allowed")
        )
    )
    (tmp_path / "allowed").write_text("web1 nginx.service\nweb1 rotated-logs\nweb1 diagnostics\n")
    (tmp_path / "state").write_text("failed\n")
    return tmp_path


@pytest.fixture
def ctx(home):
    context = scenes.context_for(home)
    yield context
    context.close()


def told(home: Path) -> list:
    return (home / "told").read_text().splitlines() if (home / "told").exists() else []


def remedied(ctx, **labels):
    incident_id = scenes.add_incident(ctx.store, labels=labels, alert_type=labels["alertname"])
    assert analyze_incident(ctx, incident_id)["has_plan"]
    return incident_id, remediate(ctx, incident_id)


def test_a_failed_unit_is_started_and_can_be_stopped_again(ctx, home):
    incident_id, answer = remedied(
        ctx, alertname="SystemdUnitFailed", instance="web1:9100", name="nginx.service"
    )
    assert answer["outcome"] == "done"
    assert told(home) == [
        "is-active nginx.service",
        "reset-failed nginx.service",
        "start nginx.service",
        "is-active nginx.service",
    ]
    assert set((home / "hosts").read_text().split()) == {"web1"}
    assert undo_remediation(ctx, incident_id)["outcome"] == "undone"
    assert told(home)[-1] == "stop nginx.service"


def test_a_running_unit_is_left_alone(ctx, home):
    (home / "state").write_text("active\n")
    _incident, answer = remedied(
        ctx, alertname="SystemdUnitFailed", instance="web1:9100", name="nginx.service"
    )
    assert answer["outcome"] == "done"
    assert told(home) == ["is-active nginx.service"]


@pytest.mark.parametrize(
    "labels",
    [
        {"instance": "web1", "name": "sshd.service"},
        {"instance": "web2", "name": "nginx.service"},
        {"instance": "web1", "name": "nginx.service; reboot"},
        {"instance": "-oProxyCommand=reboot", "name": "nginx.service"},
        {"instance": "web1", "name": "x\nweb1 nginx.service"},
        {"instance": "", "name": "nginx.service"},
        {"instance": "web1", "name": "$(reboot)"},
        {"instance": "x\nweb1", "name": "nginx.service"},
        {"instance": "web1", "name": "diagnostics"},
        {"instance": "web1", "name": "rotated-logs"},
    ],
)
def test_what_the_list_does_not_have_reaches_no_host(ctx, home, labels):
    _incident, answer = remedied(ctx, alertname="SystemdUnitFailed", **labels)
    assert answer["outcome"] == "failed"
    assert told(home) == [] and not (home / "hosts").exists()


def test_without_a_list_nothing_is_done_and_it_says_which_list(ctx, home):
    (home / "allowed").unlink()
    incident_id, answer = remedied(
        ctx, alertname="SystemdUnitFailed", instance="web1", name="nginx.service"
    )
    assert answer["outcome"] == "failed" and told(home) == []
    step = scenes.timeline_of(ctx.store, incident_id, "remediation_step")[0]
    assert "there is no allow-list" in step["data"]["stderr"]


def test_diagnostics_are_kept_on_the_timeline(ctx, home):
    needs.tool("uptime")
    incident_id, answer = remedied(ctx, alertname="HostHighCpuLoad", instance="web1:9100")
    assert answer["outcome"] == "done"
    step = scenes.timeline_of(ctx.store, incident_id, "remediation_step")[0]
    assert "load average" in step["data"]["stdout"]


def test_only_old_rotated_logs_are_deleted(ctx, home):
    logs = home / "log"
    logs.mkdir()
    for name in ("app.log", "app.log.1", "app.log.2.gz", "app.log-20240101", "fresh.log.1"):
        (logs / name).write_text("x")
        os.utime(str(logs / name), (1, 1) if name != "fresh.log.1" else None)
    script = home / "runbooks" / "scripts" / "on_host.sh"
    script.write_text(script.read_text().replace("/var/log", str(logs)))
    _incident, answer = remedied(
        ctx, alertname="NodeFilesystemAlmostOutOfSpace", instance="web1", mountpoint="/var/log"
    )
    assert answer["outcome"] == "done"
    assert sorted(path.name for path in logs.iterdir()) == ["app.log", "fresh.log.1"]
