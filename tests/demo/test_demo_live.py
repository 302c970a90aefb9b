"""The demo with a real Prometheus and a real Alertmanager: the alert fires, arrives, and its end
closes the incident.
"""

import itertools
import re

import pytest

from standalone.demo import live
from standalone.demo.shop import Shop
from tests import needs


def test_the_alert_fires_by_itself_and_alertmanagers_own_message_closes_the_incident(demo):
    needs.tool("prometheus")
    needs.tool("prometheus-alertmanager", "alertmanager")
    run = demo("--live").finish()
    assert run.code == 0, run.text
    assert run.result["status"] == "resolved"
    posts = re.findall(r"prometheus_alert: (\w+) \((Alertmanager/[\d.]+)\)", run.text)
    # Alertmanager says again what was not taken in time.
    told = [status for status, _again in itertools.groupby(status for status, _agent in posts)]
    assert told == ["firing", "resolved"]
    assert "incident_resolved starts close_incident" in run.text
    assert re.search("alert_resolved", run.text.split("Timeline of")[1])
    assert re.search("Prometheus: demo_up", run.text)
    assert "resolved (remediated)" in run.text
    assert run.is_gone()


def test_a_missing_program_is_named_with_the_way_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(live.ToolMissing, match="prometheus is not installed .*apt-get install"):
        live.Live(tmp_path, Shop(tmp_path), "http://127.0.0.1:1/hook", "Alert")
