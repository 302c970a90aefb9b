"""A pack directory becomes frozen values; what cannot be read names its file and key."""

import dataclasses

import pytest

from standalone import packs
from tests.standalone import minipack

FULL = {
    "actions/act.yaml": """\
        name: act
        runner_type: python-script
        entry_point: run.py
        description: Does it.
        parameters:
          zeta: {type: string}
          function: {type: string, immutable: true, default: x.y}
          alpha: {type: integer, default: 3}
        """,
    "actions/workflows/flow.yaml": "version: 1.0\ntasks: {}\n",
    "rules/hook.yaml": """\
        name: hook
        pack: mini
        trigger: {type: core.st2.webhook, parameters: {url: hook}}
        criteria: {trigger.body.status: {type: equals, pattern: firing}}
        action: {ref: mini.act, parameters: {zeta: "{{ trigger.body.z }}"}}
        """,
    "rules/rest.yaml": """\
        name: rest
        enabled: true
        type: {ref: backstop}
        trigger: {type: mini.event}
        action: {ref: mini.act}
        """,
    "triggers/event.yaml": "name: event\npayload_schema: {type: object}\n",
    "sensors/look.yaml": """\
        class_name: Look
        entry_point: look.py
        poll_interval: 30
        trigger_types: [{name: seen, payload_schema: {type: object}}]
        """,
    "aliases/say.yaml": "name: say\naction_ref: mini.act\nformats: ['say {{ zeta }}']\n",
    "policies/one.yaml": """\
        name: one
        resource_ref: mini.act
        policy_type: action.concurrency
        parameters: {threshold: 1}
        """,
    "config.schema.yaml": "url: {type: string}\n",
}


def test_every_kind_is_found_by_reference(tmp_path):
    pack = minipack.load(tmp_path, FULL)
    assert (pack.ref, pack.name, pack.version, pack.root) == ("mini", "mini", "0.1.0", tmp_path)
    assert list(pack.actions) == ["mini.act"]
    assert list(pack.rules) == ["mini.hook", "mini.rest"]
    assert sorted(pack.triggers) == ["mini.event", "mini.seen"]
    assert list(pack.sensors) == ["mini.Look"]
    assert list(pack.aliases) == ["mini.say"]
    assert list(pack.policies) == ["mini.one"]
    assert pack.config_schema == {"url": {"type": "string"}}


def test_an_action_keeps_the_order_of_its_parameters_and_an_absolute_entry_point(tmp_path):
    action = minipack.load(tmp_path, FULL).actions["mini.act"]
    assert list(action.parameters) == ["zeta", "function", "alpha"]
    assert action.entry_point == str(tmp_path / "actions" / "run.py")
    assert action.enabled
    assert action.runner_parameters["timeout"]["default"] == 600


def test_a_rule_is_off_unless_it_says_otherwise(tmp_path):
    rules = minipack.load(tmp_path, FULL).rules
    assert not rules["mini.hook"].enabled
    assert rules["mini.hook"].trigger_parameters == {"url": "hook"}
    assert rules["mini.rest"].enabled
    assert rules["mini.rest"].is_backstop
    assert not rules["mini.hook"].is_backstop


def test_a_sensor_lists_its_trigger_types_by_reference(tmp_path):
    sensor = minipack.load(tmp_path, FULL).sensors["mini.Look"]
    assert sensor.trigger_types == ("mini.seen",)
    assert sensor.poll_interval == 30
    assert sensor.entry_point == str(tmp_path / "sensors" / "look.py")


def test_the_name_serves_where_there_is_no_ref(tmp_path):
    manifest = "name: other\nversion: 1.0.0\ndescription: d\nauthor: a\n"
    assert packs.load_pack(minipack.write(tmp_path, {"pack.yaml": manifest})).ref == "other"


def test_values_are_frozen(tmp_path):
    pack = minipack.load(tmp_path, FULL)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pack.actions["mini.act"].name = "other"


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("actions/a.yaml", "runner_type: python-script\n", ["actions/a.yaml", "name is missing"]),
        ("actions/a.yaml", "name: a\n", ["actions/a.yaml", "runner_type is missing"]),
        ("actions/a.yaml", "name: [a]\nrunner_type: x\n", ["actions/a.yaml", "name must be a str"]),
        ("actions/a.yaml", "name: a\nrunner_type: x\nparameters: {p: 5}\n", ["parameters.p"]),
        (
            "actions/a.yaml",
            "name: a\npack: other\nrunner_type: x\n",
            ["a.yaml", "pack: says 'other'"],
        ),
        ("actions/a.yaml", "- name\n", ["actions/a.yaml", "must hold a mapping"]),
        ("actions/a.yaml", "name: [\n", ["actions/a.yaml is not YAML", "line"]),
        ("rules/r.yaml", "name: r\ntrigger: {}\naction: {ref: x.y}\n", ["r.yaml", "trigger.type"]),
        ("rules/r.yaml", "name: r\ntrigger: {type: x.y}\naction: {}\n", ["r.yaml", "action.ref"]),
        (
            "rules/r.yaml",
            "name: r\nenabled: 'yes'\ntrigger: {type: x.y}\naction: {ref: x.y}\n",
            ["enabled must be a bool"],
        ),
        ("sensors/s.yaml", "class_name: S\n", ["s.yaml", "entry_point is missing"]),
        (
            "sensors/s.yaml",
            "class_name: S\nentry_point: s.py\npoll_interval: often\n",
            ["poll_interval must be a number"],
        ),
        (
            "sensors/s.yaml",
            "class_name: S\nentry_point: s.py\ntrigger_types: [x]\n",
            ["trigger_types must hold mappings"],
        ),
        ("policies/p.yaml", "name: p\nresource_ref: x.y\n", ["policy_type is missing"]),
        ("aliases/a.yaml", "name: a\nformats: [x]\n", ["action_ref is missing"]),
    ],
)
def test_what_cannot_be_read_names_file_and_key(tmp_path, name, text, words):
    with pytest.raises(packs.PackError) as caught:
        minipack.load(tmp_path, {name: text})
    for word in words:
        assert word in str(caught.value)


def test_two_files_with_one_name_are_refused(tmp_path):
    text = "name: a\nrunner_type: noop\n"
    with pytest.raises(packs.PackError, match=r"b\.yaml: name: mini\.a is already taken by .*a\."):
        minipack.load(tmp_path, {"actions/a.yaml": text, "actions/b.yaml": text})


def test_a_directory_without_manifest_is_no_pack(tmp_path):
    with pytest.raises(packs.PackError, match=r"pack\.yaml does not exist"):
        packs.load_pack(tmp_path)


@pytest.mark.parametrize("ref", ["Mini", "mini-pack", "mi.ni"])
def test_a_reference_with_other_characters_is_refused(tmp_path, ref):
    with pytest.raises(packs.PackError, match="ref must match"):
        packs.load_pack(minipack.write(tmp_path, {"pack.yaml": "name: x\nref: %s\n" % ref}))
