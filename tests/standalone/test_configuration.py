"""The configuration: defaults at every depth, templates to text, secrets, and clear refusals."""

import textwrap

import pytest

from standalone.configuration import ConfigError, load_config
from standalone.datastore import Datastore
from tests.standalone import minipack

SCHEMA = """\
    url: {type: string, default: "http://here"}
    count: {type: integer, default: 3}
    plain: {type: string}
    token: {type: string, secret: true}
    nested:
      type: object
      properties:
        a: {type: string, default: x}
        deep:
          type: object
          properties:
            is_on: {type: boolean, default: true}
            password: {type: string, secret: true}
    empty: {type: object}
    list:
      type: array
      items:
        type: object
        properties: {port: {type: integer, default: 80}, host: {type: string}}
    targets:
      type: object
      properties: {url: {type: string}}
      patternProperties:
        "^p_": {type: object, properties: {kind: {type: string, default: pattern}}}
      additionalProperties:
        type: object
        properties: {kind: {type: string, default: other}, url: {type: string}}
    """


def config_of(tmp_path, values=None, datastore=None, schema=SCHEMA):
    pack = minipack.load(tmp_path / "pack", {"config.schema.yaml": schema})
    path = tmp_path / "mini.yaml"
    if values is not None:
        path.write_text(textwrap.dedent(values))
    return load_config(pack, path, datastore)


def test_without_a_file_there_are_the_defaults_of_the_schema(tmp_path):
    assert config_of(tmp_path) == {
        "url": "http://here",
        "count": 3,
        "nested": {"a": "x", "deep": {"is_on": True}},
        "list": [],
        "targets": {},
    }
    pack = minipack.load(tmp_path / "pack", {})
    assert load_config(pack)["count"] == 3


@pytest.mark.parametrize("text", ["", "---\n", "{}\n"])
def test_an_empty_file_is_as_none(tmp_path, text):
    assert config_of(tmp_path, text) == config_of(tmp_path / "other")


def test_given_values_win_and_what_is_missing_beside_them_is_filled(tmp_path):
    found = config_of(
        tmp_path,
        """\
        count: 0
        nested: {deep: {is_on: false}}
        list: [{host: a}, {host: b, port: 81}]
        targets:
          url: u
          p_one: {}
          two: {url: v}
        unknown: kept
        """,
    )
    assert found["count"] == 0
    assert found["nested"] == {"a": "x", "deep": {"is_on": False}}
    assert found["list"] == [{"host": "a", "port": 80}, {"host": "b", "port": 81}]
    assert found["targets"] == {
        "url": "u",
        "p_one": {"kind": "pattern"},
        "two": {"url": "v", "kind": "other"},
    }
    assert found["unknown"] == "kept"


def test_defaults_of_one_load_are_not_those_of_the_next(tmp_path):
    schema = "o: {type: object, default: {a: []}}\n"
    config_of(tmp_path, schema=schema)["o"]["a"].append(1)
    assert config_of(tmp_path, schema=schema) == {"o": {"a": []}}


def test_templates_are_rendered_from_the_datastore_and_are_always_text(tmp_path):
    kv = Datastore(tmp_path / "kv.json")
    kv.set("port", 8080)
    kv.set("db.host", "h")
    found = config_of(
        tmp_path,
        """\
        plain: "{{ st2kv.system.port }}"
        nested: {a: "on {{ st2kv.system.db.host }}"}
        list: [{host: "{{ st2kv.system.db.host }}"}]
        """,
        kv,
    )
    assert found["plain"] == "8080"
    assert found["nested"]["a"] == "on h"
    assert found["list"][0]["host"] == "h"


def test_a_secret_is_decrypted_at_any_depth_and_by_the_filter_where_it_is_none(tmp_path):
    kv = Datastore(tmp_path / "kv.json")
    kv.set("s", "geheim", encrypt=True)
    found = config_of(
        tmp_path,
        """\
        token: "{{ st2kv.system.s }}"
        plain: "{{ st2kv.system.s | decrypt_kv }}"
        nested: {deep: {password: "{{ st2kv.system.s }}"}}
        """,
        kv,
    )
    assert found["token"] == found["plain"] == found["nested"]["deep"]["password"] == "geheim"


def test_a_secret_in_clear_text_is_taken_as_it_is(tmp_path):
    assert config_of(tmp_path, "token: geheim\n")["token"] == "geheim"


def test_a_missing_plain_key_is_null_with_a_warning(tmp_path, caplog):
    kv = Datastore(tmp_path / "kv.json")
    found = config_of(tmp_path, 'nested: {a: "{{ st2kv.system.nope }}"}\n', kv)
    assert found["nested"]["a"] is None
    assert "nested.a" in caplog.text
    assert "nope" in caplog.text


@pytest.mark.parametrize(
    "values, words",
    [
        ('token: "{{ st2kv.system.clear }}"\n', ['key "token"', "not encrypted"]),
        ('nested: {deep: {password: "{{ st2kv.system.clear }}"}}\n', ['"nested.deep.password"']),
        ('plain: "{{ st2kv.system.nope | decrypt_kv }}"\n', ['key "plain"', "st2kv.system.nope"]),
        ('list: [{host: "{{ undefined_name }}"}]\n', ['key "list.0.host"', "undefined_name"]),
        ('plain: "{{ broken"\n', ['key "plain"']),
        ('token: "{{ st2kv.system.clear | decrypt_kv }}"\n', ["token", "decrypted by themselves"]),
        ('count: "{{ st2kv.system.clear }}"\n', ["count", "is not of type 'integer'"]),
        ("count: many\n", ["mini.yaml", "count"]),
        ("nested: {deep: {is_on: 5}}\n", ["nested.deep.is_on"]),
        ("- a\n", ["must hold a mapping"]),
        ("a: [\n", ["mini.yaml is not YAML"]),
    ],
)
def test_the_whole_configuration_is_refused_and_the_key_is_named(tmp_path, values, words):
    kv = Datastore(tmp_path / "kv.json")
    kv.set("clear", "text")
    with pytest.raises(ConfigError) as caught:
        config_of(tmp_path, values, kv)
    for word in words:
        assert word in str(caught.value)


def test_a_required_value_without_default_is_missed(tmp_path):
    with pytest.raises(ConfigError, match="'a' is a required property"):
        config_of(tmp_path, "{}\n", schema="a: {type: string, required: true}\n")


def test_a_shared_part_of_the_schema_serves_every_place(tmp_path):
    schema = """\
        system:
          type: object
          properties: &one
            url: {type: string}
            wait: {type: integer, default: 5}
          additionalProperties: {type: object, properties: *one, additionalProperties: false}
        """
    found = config_of(tmp_path, "system: {edge: {url: u}}\n", schema=schema)
    assert found == {"system": {"edge": {"url": "u", "wait": 5}, "wait": 5}}
    with pytest.raises(ConfigError, match=r"system\.edge"):
        config_of(tmp_path, "system: {edge: {urk: u}}\n", schema=schema)
