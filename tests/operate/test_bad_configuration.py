"""Wrong configuration, met by the actions themselves: each says which key, what was tried, what to
do.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from selfheal import door
from selfheal.store import open_store
from tests import scene

ROOT = Path(__file__).resolve().parents[2]
# What a parameter is given when an action requires it.
VALUES = {
    "incident_id": "inc-1",
    "payload": {
        "version": "4",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "X"},
                "annotations": {},
                "startsAt": "2023-11-14T22:13:20Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "",
                "fingerprint": "f" * 16,
            }
        ],
    },
    "alert_data": {"alertname": "X"},
    "approval_id": "apr-1",
    "answer": "no",
    "inquiry_id": "inq-1",
    "route": "selfheal.apr-1",
    "subject": "x",
    "status": "failed",
    "fingerprint": "v1:" + "0" * 20,
    "into": "v1:" + "1" * 20,
    "name": "prometheus",
    "state": "open",
    "reason": "x",
    "question": "apr-1",
    "scope": "global",
    "outbox_id": "msg-1",
}
# Not required by their YAML, as another parameter may stand for them.
NEEDED_TOO = ("into", "scope", "outbox_id")
# The first answers with a table instead of failing, the others need no store.
WITHOUT_STORE = {
    "check_config",
    "chat_help",
    "elk_search_errors",
    "error_explain",
    "runbook_list",
}
# These look for what is named, or who is to be asked, before they open the store.
OF_OTHERS = ("k8s_", "servicenow_", "jira_", "silence_")


def actions():
    """(name, function, required parameters) of every python action that needs the store."""
    for path in sorted((ROOT / "actions").glob("*.yaml")):
        described = yaml.safe_load(path.read_text())
        name = described["name"]
        is_tried = name not in WITHOUT_STORE and not name.startswith(OF_OTHERS)
        if described["runner_type"] == "python-script" and is_tried:
            parameters = described["parameters"]
            needed = {
                key: VALUES[key]
                for key, item in parameters.items()
                if key != "function" and (item.get("required") or key in NEEDED_TOO)
            }
            yield pytest.param(parameters["function"]["default"], needed, id=name)


ACTIONS = list(actions())


def failure(function, parameters, **database):
    succeeded, result = door.call(function, parameters, config={"database": database})
    assert not succeeded, result
    assert result["error_type"] in ("StoreError", "ConfigError"), result
    return result["error"]


def test_there_are_actions_to_try():
    assert len(ACTIONS) >= 15


@pytest.mark.parametrize(("function", "parameters"), ACTIONS)
def test_unusable_url_names_the_key_and_what_to_write(function, parameters):
    error = failure(function, parameters, url="mysql://me:s3cret@host/x")
    assert "database.url" in error and "sqlite:////" in error and "s3cret" not in error


@pytest.mark.parametrize(("function", "parameters"), ACTIONS)
def test_unreachable_server_names_the_key_and_what_was_tried(function, parameters):
    error = failure(
        function, parameters, url="postgresql://me@127.0.0.1:1/none", password="s3cret-pw"
    )
    assert "database.url" in error and "127.0.0.1" in error and "s3cret-pw" not in error
    assert "check the address" in error or "mend" in error


@pytest.mark.parametrize(("function", "parameters"), ACTIONS)
def test_newer_schema_says_what_to_upgrade(function, parameters, tmp_path):
    url = scene.store_url("sqlite", tmp_path)
    open_store(url).execute(
        "INSERT INTO schema_version VALUES (?, ?, ?)", (999, "0999_future", 0.0)
    )
    error = failure(function, parameters, url=url)
    assert "999" in error and "upgrade the pack" in error and "database.url" in error


@pytest.mark.parametrize(("function", "parameters"), ACTIONS)
def test_directory_that_cannot_be_made_names_the_key(function, parameters, tmp_path):
    (tmp_path / "file").write_text("")
    error = failure(function, parameters, url="sqlite:///%s/x/selfheal.db" % (tmp_path / "file"))
    assert "database.url" in error and str(tmp_path) in error


@pytest.mark.parametrize(
    "database",
    [
        {"url": "mysql://x"},
        {"url": "postgresql://me@127.0.0.1:1/none"},
        {"url": "sqlite:////proc/none/selfheal.db"},
    ],
)
def test_check_config_says_the_same_in_its_table(database):
    succeeded, result = door.call(
        "selfheal.operate.check_config.check_config", {}, config={"database": database}
    )
    assert succeeded and result["ok"] is False
    (line,) = (line for line in result["table"] if line["what"] == "store")
    assert line["state"] == "error" and "database.url" in line["detail"] + line["do"]
