"""Text that wants to be evaluated, in every label and annotation, key and value: it stays text.

The engine renders every input once more, as StackStorm does; the last part shows that it would.
"""

from __future__ import annotations

import contextlib
import json

from selfheal.store import load
from standalone import wrapper
from tests.e2e.world import CANARY, SECRET, World, alert

# A product that no record holds by chance.
PRODUCT = str(7919 * 7907)


def hostile_texts(directory):
    """What an attacker, a Helm chart or a terminal may have left in a label."""
    touch = "touch %s/pwned" % directory
    return [
        "{{ config_context.notify.webhook.headers.canary }}",
        "{{ config_context.jira_password }}",
        "{{ config_context.notify.webhook.token }} {{ config_context }} {{ st2kv.system.x }}",
        "{{ .Values.x }}",
        "{{ 7919*7907 }} <% 7919*7907 %>",
        "<% ctx() %>",
        "<%= erb %>",
        "{% raw %}",
        "{% for x in range(9) %}{{ x }}{% endfor %}",
        "{# gone #}",
        "{{",
        "$(%s) `%s` '; %s #" % (touch, touch, touch),
        "\x1b[31mred\x1b[0m\x1b]0;title\x07 \u202egnp.exe",
        'a "quoted" \\ text\nover two lines\r\n\' OR 1=1; DROP TABLE incidents; --%s %(x)s {0} {x}',
        "nul \x00 inside",
        "lone \ud800 surrogate",
        wrapper.DELIMITER,
    ]


def hostile_alert(number, text):
    """An alert with the text in every place."""
    names = ("service", "namespace", "pod", "job", "cluster", "severity")
    labels = {"alertname": "Hostile " + text, "instance": "%d %s" % (number, text), text: text}
    labels.update((name, text) for name in names)
    annotations = {"summary": text, "description": text, "runbook_url": text, text: text}
    made = alert("x")
    return dict(made, labels=labels, annotations=annotations, generatorURL=text)


@contextlib.contextmanager
def aftermath(directory):
    """(world, alerts) after all of them were answered."""
    with World(directory) as world:
        world.configure({"safety": {"max_responses_per_batch": 100}})
        (directory / "ok").touch()
        world.write_runbook(
            "Hostile",
            {
                "name": "hostile",
                "metadata": {"alert_type": "Hostile*"},
                "risk": "reversible",
                "confidence": 0.95,
                "values": {"SERVICE": "labels.service", "INCIDENT": "incident.id"},
                "steps": [
                    {
                        "name": "write",
                        "command": {
                            "script": 'printf %%s "$SERVICE" > %s/got-$INCIDENT' % directory,
                            "interpreter": ["/bin/sh"],
                        },
                    }
                ],
                "verify": [{"http": {"url": world.outside.url + "/ok", "status": 200}}],
            },
        )
        alerts = [hostile_alert(n, text) for n, text in enumerate(hostile_texts(directory))]
        world.post(*alerts)
        texts = {text: text for text in hostile_texts(directory)}
        labels = dict(texts, alertname="Everything", severity="critical")
        world.post(dict(alert("Everything"), labels=labels, annotations=texts))
        world.settle()
        yield world, alerts


def fits_environment(sent):
    """Whether its texts can be handed to a process: neither NUL nor lone surrogates."""
    return not {"\x00", "\ud800"} & set(sent["labels"]["service"])


def by_number(world):
    """The incidents of the hostile alerts by number."""
    found = {}
    for incident in world.incidents():
        if incident.labels["alertname"] != "Everything":
            found[int(incident.labels["instance"].split()[0])] = incident
    return found


def records(world):
    """Everything that StackStorm would keep or show: executions, and what people are told."""
    shown = [one.as_json() for one in world.engine.executions()]
    return json.dumps(shown, default=str) + json.dumps(world.outside.messages)


def every_incident_runs_to_its_end(world, alerts):
    ended = by_number(world)
    assert sorted(ended) == list(range(len(alerts)))
    for number, incident in ended.items():
        # What cannot stand in an environment cannot be given to a runbook: a person is told.
        wanted = "resolved" if fits_environment(alerts[number]) else "escalated"
        assert incident.status == wanted, (alerts[number]["labels"]["service"], incident.status)
    [everything] = [one for one in world.incidents() if one.alert_type == "Everything"]
    assert everything.status == "escalated"
    assert {one.status for one in world.runs("incident_response")} == {"succeeded"}
    assert {one.status for one in world.runs("ingest_alertmanager")} == {"succeeded"}


def text_is_in_the_store_as_it_came(world, alerts):
    rows = world.rows("SELECT incident_id, labels, annotations, generator_url FROM alerts")
    stored = {row["incident_id"]: row for row in rows}
    for number, incident in by_number(world).items():
        sent = alerts[number]
        assert incident.labels == sent["labels"]
        assert incident.annotations == sent["annotations"]
        assert load(stored[incident.id]["labels"]) == sent["labels"]
        assert load(stored[incident.id]["annotations"]) == sent["annotations"]


def runbook_was_given_the_text_byte_for_byte(world, alerts):
    for number, incident in by_number(world).items():
        text = alerts[number]["labels"]["service"]
        if fits_environment(alerts[number]):
            got = (world.directory / ("got-%s" % incident.id)).read_bytes()
            assert got == text.encode("utf-8"), text


def nothing_was_evaluated(world, _alerts):
    kept = records(world)
    everything = world.rows("SELECT * FROM incident_events") + world.rows("SELECT * FROM outbox")
    everything += world.rows("SELECT * FROM incidents") + world.rows("SELECT * FROM alerts")
    kept += json.dumps(everything, default=str)
    assert [word for word in (SECRET, CANARY, PRODUCT) if word in kept] == []
    assert not (world.directory / "pwned").exists()


def only_ids_and_words_were_given_to_tasks(world, alerts):
    texts = [one["labels"]["service"] for one in alerts]
    for execution in world.engine.executions():
        if execution.action_ref != "selfheal.ingest_alertmanager":
            given = json.dumps(dict(execution.parameters), default=str, ensure_ascii=False)
            assert not [text for text in texts if text in given], execution.action_ref


def engineer_reads_the_text_as_it_came(world, _alerts):
    [message] = [
        one for one in world.told("escalation") if one["incident"]["alert_type"] == "Everything"
    ]
    labels = message["incident"]["labels"]
    assert labels["{{ config_context.jira_password }}"] == "{{ config_context.jira_password }}"


def queries_show_the_text_so_that_nothing_can_evaluate_it(world, _alerts):
    [everything] = [one for one in world.incidents() if one.alert_type == "Everything"]
    for action in ("incident_get", "incident_timeline"):
        shown = json.dumps(world.act(action, incident_id=everything.id), ensure_ascii=False)
        assert [marker for marker in ("{{", "{%", "{#", "<%") if marker in shown] == []
    shown = json.dumps(world.act("incident_get", incident_id=everything.id), ensure_ascii=False)
    assert "config_context" in shown


def engine_would_evaluate_such_text_if_it_came_through(world, _alerts):
    text = "{{ config_context.notify.webhook.headers.canary }} {{ 7919*7907 }}"
    world.act("report_failure", subject="control", status=text)
    [message] = [one for one in world.told("failure") if one["subject"] == "control"]
    assert CANARY in message["status"] and PRODUCT in message["status"]


def test_hostile_text_stays_text_wherever_it_goes(tmp_path):
    """One test, since the world is dear: all that must hold after all of it was answered."""
    parts = (
        every_incident_runs_to_its_end,
        text_is_in_the_store_as_it_came,
        runbook_was_given_the_text_byte_for_byte,
        nothing_was_evaluated,
        only_ids_and_words_were_given_to_tasks,
        engineer_reads_the_text_as_it_came,
        queries_show_the_text_so_that_nothing_can_evaluate_it,
        engine_would_evaluate_such_text_if_it_came_through,
    )
    with aftermath(tmp_path) as (world, alerts):
        for part in parts:
            part(world, alerts)
