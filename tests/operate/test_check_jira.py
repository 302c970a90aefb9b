"""check_config says of each Jira what fits and what to do about what does not."""

import pytest

from selfheal.config import Config
from selfheal.context import Context
from selfheal.operate import check_jira, configuration
from selfheal.operate.check_config import check_config
from tests import scene
from tests.stub_jira import API_TOKEN, TOKEN


@pytest.fixture
def stub(jira_stub):
    yield jira_stub
    assert all(one["method"] == "GET" for one in jira_stub.requests)


@pytest.fixture
def rows(stub):
    """The rows for settings that differ in something."""

    def checked(**more):
        ctx = Context(Config({"jira": stub.settings(**more)}))
        return check_jira.lines(ctx, 60.0)

    return checked


def wrong(rows):
    """{what: (state, detail and advice)} of what is not on."""
    return {
        what: (state, "%s; %s" % (detail, do))
        for what, state, detail, do in rows if state not in ("on", "off")
    }


def test_a_jira_that_fits_is_on(stub, rows):
    found = rows()
    assert [(what, state) for what, state, _, _ in found] == [
        ("jira", "on"), ("jira: project OPS", "on")]
    assert "knows us as Selfheal" in found[0][2]
    assert ("Cloud" if stub.is_cloud else "Data Center 9.12.0") in found[0][2]


def test_the_wrong_flavour_is_an_error_that_names_the_setting(stub, rows):
    other = "datacenter" if stub.is_cloud else "cloud"
    ((what, (state, words)),) = wrong(rows(flavour=other)).items()
    assert (what, state) == ("jira", "error") and "jira.flavour" in words
    assert not stub.is_cloud or "set jira.flavour to cloud" in words


def test_without_a_url_it_is_off():
    assert [row[:2] for row in check_jira.lines(Context(Config({})), 5.0)] == [("jira", "off")]


@pytest.mark.parametrize("settings, what, state, words", [
    ({"password": "x", "token": "x"}, "jira", "error", "401"),
    ({"project": ""}, "jira: project ?", "error", "set jira.project"),
    ({"project": "NOPE"}, "jira: project NOPE", "error", "No project could be found"),
    ({"issue_type": "Epos"}, "jira: project OPS", "error", "Task, Bug, Idea; set jira.issue_type"),
    ({"priorities": {"critical": "P1"}}, "jira: project OPS: priorities", "warning",
     "no priority P1; there are: Highest"),
    ({"done_status": ["Fertig"]}, "jira: project OPS: statuses", "error",
     "no status Fertig; there are: To Do"),
    ({"reopen_status": ["Neu"]}, "jira: project OPS: statuses", "error", "set jira.reopen_status"),
    ({"issue_type": "Idea"}, "jira: project OPS: statuses", "warning", "set jira.done_status"),
    ({"link_type": "Blocks"}, "jira: links", "warning", "there are: Relates, Duplicate"),
    ({"fields": {"customfield_9": 1}}, "jira: project OPS: fields", "error",
     "create screen has no customfield_9"),
    ({"routes": [{"match": {"team": "x"}, "project": "GONE"}]}, "jira: project GONE", "error",
     "No project"),
    ({"routes": ["x"]}, "jira", "error", r"jira.routes[0] must be a map"),
    ({"routes": [{"projects": "x"}]}, "jira", "error", "jira.routes[0].projects is not a setting"),
    ({"labels": "x"}, "jira", "error", "jira.labels must be a list"),
])
def test_what_does_not_fit_is_said_with_what_to_do(rows, settings, what, state, words):
    found = wrong(rows(**settings))
    assert found[what][0] == state
    assert words in found[what][1]


def test_required_fields_are_named(stub, rows):
    stub.required["customfield_10010"] = "Team"
    state, words = wrong(rows())["jira: project OPS: fields"]
    assert state == "error" and "Team (customfield_10010)" in words and "jira.fields" in words
    assert wrong(rows(fields={"customfield_10010": {"value": "sre"}})) == {}


def test_a_screen_without_labels_is_an_error_and_one_without_priority_is_none(stub, rows):
    stub.screen -= {"labels", "priority"}
    found = wrong(rows())
    assert "found again by labels" in found["jira: project OPS: fields"][1]
    assert found["jira: project OPS: priorities"][0] == "warning"


@pytest.mark.parametrize("right, state, words", [
    ("create", "error", "grant CREATE_ISSUES"), ("comment", "error", "may not comment"),
    ("transition", "warning", "TRANSITION_ISSUES"), ("attach", "warning", "attach reports"),
])
def test_rights_that_are_missing_are_named(stub, rows, right, state, words):
    stub.forbidden.add(right)
    found = wrong(rows())["jira: project OPS: rights"]
    assert found[0] == state and words in found[1]


def test_a_jira_that_does_not_answer_is_an_error(stub, rows):
    stub.fail_next("drop_before")
    assert "outbox" in wrong(rows())["jira"][1]


def test_the_whole_table_holds_it_and_no_secret(stub, tmp_path):
    settings = stub.settings()
    ctx = scene.context(scene.store_url("sqlite", tmp_path), jira={"edge": settings})
    told = check_config(ctx)
    assert ["jira.edge", "jira.edge: project OPS"] == [
        line["what"] for line in told["table"] if line["what"].startswith("jira")]
    assert API_TOKEN not in str(told) and TOKEN not in str(told)


@pytest.mark.parametrize("section, words", [
    ({"url": "jira.example.net"}, "jira.url"), ({"url": "https://x", "project": 5}, "jira.project"),
    ({"url": "https://x", "flavour": "server"}, "jira.flavour must be one of"),
    ({"url": "https://x", "token": "t", "username": "u"}, "jira has both token and username"),
    ({"url": "https://x", "password": "t"}, "jira.username is not"),
    ({"url": "https://x", "priorities": {"kritical": "x"}}, "did you mean critical"),
    ({"edge": {"url": "https://x", "routes": {}}}, "jira.edge.routes"),
])
def test_mistakes_in_the_settings_are_named(section, words):
    found = configuration.problems({"jira": section}, Config({}).schema)
    assert any(words in one for one in found)


def test_maps_inside_of_a_jira_are_no_targets():
    section = {
        "url": "https://x", "fields": {"customfield_1": {"id": "5"}}, "priorities": {"info": "Low"},
        "transition_fields": {"worklog": {"timeSpent": "1m"}},
    }
    config = Config({"jira": section})
    assert set(config.targets("jira")) == {"default"}
    assert configuration.problems({"jira": section}, config.schema) == []
