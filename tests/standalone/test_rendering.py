"""Parameters are rendered as StackStorm renders them, its dangerous second pass included."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone.datastore import Datastore
from standalone.rendering import ParamError, render_rule_parameters, render_task_input
from tests.standalone import minipack

ANY = {
    "s": {"type": "string"},
    "i": {"type": "integer"},
    "b": {"type": "boolean"},
    "n": {"type": "number"},
    "o": {"type": "object"},
    "a": {"type": "array"},
    "x": {},
}
SECRET = {"jira_password": "s3cret"}


def by_rule(parameters, payload, declared=ANY, **more):
    return render_rule_parameters(minipack.action(declared), parameters, payload, None, **more)


def by_task(parameters, declared=ANY, config=SECRET, kv=None, **more):
    return render_task_input(minipack.action(declared), parameters, config, kv, **more)


# --- what a rule does with the trigger's payload


@pytest.mark.parametrize(
    "name, template, payload, value",
    [
        (
            "o",
            "{{ trigger.body }}",
            {"body": {"t": True, "n": None, "l": [1]}},
            {"t": True, "n": None, "l": [1]},
        ),
        ("i", "{{ trigger.n }}", {"n": 7}, 7),
        ("b", "{{ trigger.n }}", {"n": False}, False),
        ("a", "{{ trigger.n }}", {"n": [1, "x"]}, [1, "x"]),
        ("n", "{{ trigger.n }}", {"n": 1.5}, 1.5),
        ("s", "{{ trigger.none }}", {"none": None}, "None"),
        ("s", "{{ trigger.none | use_none }}", {"none": None}, None),
        ("s", "{{ trigger.nope | default('') }}", {}, ""),
        ("s", "{{ trigger.a }}-{{ trigger.b }}", {"a": 1, "b": 2}, "1-2"),
        ("x", "{{ trigger.n }}", {"n": 5}, "5"),
        ("b", "true", {}, True),
        ("o", '{"k": 1}', {}, {"k": 1}),
        ("o", {"m": "{{ trigger.msg | json_escape }}"}, {"msg": 'a "b"\nc'}, {"m": 'a "b"\nc'}),
        ("o", {"m": "{{ trigger.n }}"}, {"n": 5}, {"m": "5"}),
        ("a", ["{{ trigger.n }}", 3], {"n": 5}, ["5", 3]),
        ("o", {"{{ trigger.k }}": 1}, {"k": "key"}, {"key": 1}),
        ("o", {"m": "{{trigger}}"}, {"n": [1]}, {"m": {"n": [1]}}),
    ],
)
def test_a_rule_parameter(name, template, payload, value):
    assert by_rule({name: template}, payload)[name] == value


@pytest.mark.parametrize(
    "parameters, payload, words",
    [
        ({"s": "{{ trigger.nope }}"}, {}, 'Failed to render parameter "s"'),
        ({"s": "{{ other }}"}, {}, 'Dependency unsatisfied in variable "other"'),
        ({"o": {"m": "{{ trigger.msg }}"}}, {"msg": 'a "b"'}, 'Failed to render parameter "o"'),
        ({"o": {"m": "{{ trigger.msg }}"}}, {"msg": "a\nb"}, 'Failed to render parameter "o"'),
        ({"s": 5}, {}, 'Value "5" must either be a string or None. Got "int".'),
        ({"i": "{{ trigger.n }}"}, {"n": "seven"}, 'Failed to cast parameter "i"'),
        ({"i": "{{ trigger.n }}"}, {"n": None}, 'Failed to cast parameter "i"'),
        ({"o": "{{ trigger.n }}"}, {"n": "not json ("}, 'Failed to cast parameter "o"'),
        ({"s": "{{ ''.__class__.__mro__ }}"}, {}, 'Failed to render parameter "s"'),
    ],
)
def test_a_rule_parameter_that_is_refused(parameters, payload, words):
    with pytest.raises(ParamError) as caught:
        by_rule(parameters, payload)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ config_context.jira_password }}",
        "{{ .Values.x }}",
        "<% 6*7 %>",
        "{{ 1+1 }}",
        "{% raw %}",
    ],
)
def test_the_payloads_own_text_is_not_rendered_at_this_hop(text):
    assert by_rule({"s": "{{ trigger.t }}"}, {"t": text}, config=SECRET)["s"] == text


# --- the second pass over the input of a task


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("s", "boom {{ config_context.jira_password }}", "boom s3cret"),
        ("s", "{{ 1+1 }}", "2"),
        (
            "o",
            {"deep": {"er": ["{{ config_context.jira_password }}"]}},
            {"deep": {"er": ["s3cret"]}},
        ),
        ("o", {"{{ config_context.jira_password }}": 1}, {"s3cret": 1}),
        ("a", ["{{ config_context.jira_password }}"], ["s3cret"]),
        ("s", "{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("s", "{{ '{{' }} 1 }}", "{{ 1 }}"),
        # What is no Jinja stays as it is.
        ("s", "{{ .Values.x }}", "{{ .Values.x }}"),
        ("s", "<% ctx() %>", "<% ctx() %>"),
        ("s", "<%= erb %>", "<%= erb %>"),
        ("s", "{# a comment #} alone", "{# a comment #} alone"),
        ("s", "{% nonsense %}", "{% nonsense %}"),
        ("o", {"k": "{{ .Values.x }}"}, {"k": "{{ .Values.x }}"}),
    ],
)
def test_text_in_a_task_input_is_evaluated_as_on_stackstorm(name, value, expected):
    assert by_task({name: value})[name] == expected


def test_the_datastore_is_within_reach_of_a_task_input(tmp_path):
    kv = Datastore(tmp_path / "kv.json")
    kv.set("a.b", "clear")
    kv.set("s", "geheim", encrypt=True)
    assert by_task({"s": "{{ st2kv.system.a.b }}"}, kv=kv)["s"] == "clear"
    assert by_task({"s": "{{ st2kv.system.s | decrypt_kv }}"}, kv=kv)["s"] == "geheim"
    assert by_task({"s": "{{ st2kv.system.nope }}"}, kv=kv)["s"] == ""


def test_the_context_of_the_execution_is_within_reach():
    found = by_task(
        {
            "s": "{{ action_context.parent.pack }}/{{ action_context.user }}/"
            "{{ action_context.task }}"
        },
        parent_context={"pack": "mini", "user": "ann"},
        context={"task": "t1"},
    )
    assert found["s"] == "mini/ann/t1"


def test_a_name_nobody_knows_fails_the_task():
    with pytest.raises(ParamError, match='Dependency unsatisfied in variable "foo"'):
        by_task({"s": "err {{ foo }}"})


def test_one_parameter_may_refer_to_another_in_any_order():
    found = by_task({"s": "{{ i }}-{{ x }}", "x": "{{ i }}", "i": 4})
    assert (found["s"], found["x"]) == ("4-4", "4")


def test_a_reference_keeps_its_type_only_when_it_stands_alone_without_spaces_in_a_structure():
    found = by_task({"o": {"bare": "{{i}}", "spaced": "{{ i }}"}, "i": 4})
    assert found["o"] == {"bare": 4, "spaced": "4"}


@pytest.mark.parametrize(
    "parameters, names",
    [
        ({"s": "{{ s }}"}, "s"),
        ({"s": "{{ x }}", "x": "{{ s }}"}, "s, x"),
        ({"s": "{{ x }}", "x": "{{ x }}"}, "x"),
    ],
)
def test_a_circle_is_refused(parameters, names):
    with pytest.raises(
        ParamError, match="Cyclic dependency found in the following variables: %s. " % names
    ):
        by_task(parameters)


# --- what is declared


DECLARED = {
    "function": {"type": "string", "immutable": True, "default": "a.b"},
    "need": {"type": "string", "required": True},
    "some": {"type": "integer", "default": 3},
    "plain": {"type": "string"},
    "level": {"type": "string", "enum": ["a", "b"], "default": "a"},
}


def test_every_declared_parameter_arrives_with_its_default_or_none():
    found = by_task({"need": "x"}, DECLARED)
    assert found == {"function": "a.b", "need": "x", "some": 3, "plain": None, "level": "a"}
    assert found.live == {"need": "x"}
    assert found.runner["timeout"] == 600


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({}, "'need' is a required property"),
        ({"need": "x", "zzz": 1}, "'zzz' was unexpected"),
        (
            {"need": "x", "function": "os.system"},
            r"Override of immutable parameter\(s\) \['function'\] is unsupported",
        ),
        ({"need": "x", "function": "a.b"}, "Override of immutable"),
        ({"need": "x", "level": "c"}, "'c' is not one of"),
        ({"need": "x", "debug": "{{ '5' }}"}, "5 is not of type 'boolean'"),
        ({"need": None}, "None is not of type 'string'"),
    ],
)
def test_a_request_is_refused(parameters, words):
    with pytest.raises(ParamError, match=words):
        by_task(parameters, DECLARED)


def test_optional_parameters_may_be_null():
    assert by_task({"need": "x", "plain": None, "some": None}, DECLARED)["some"] == 3


def test_a_parameter_of_the_runner_is_accepted_and_kept_apart():
    found = by_task({"need": "x", "timeout": "{{ 5 }}"}, DECLARED)
    assert found.runner["timeout"] == 5
    assert "timeout" not in found


def test_a_default_of_the_runner_may_be_changed_in_the_metadata():
    declared = {"timeout": {"default": 120}}
    assert by_task({}, declared).runner["timeout"] == 120


def test_a_default_may_be_a_template():
    declared = {
        "who": {"type": "string", "default": "{{ config_context.name }}"},
        "kv": {"type": "string", "default": "{{ st2kv.system.nope }}"},
    }
    found = by_task({}, declared, {"name": "ann"})
    assert found == {"who": "ann", "kv": ""}
    assert found.live == {"who": "ann", "kv": ""}
    assert by_task({"who": "bob"}, declared, {"name": "ann"})["who"] == "bob"


def test_a_frozen_default_may_be_a_template_and_is_never_live():
    default = "{{ config_context.name }}"
    declared = {"who": {"type": "string", "immutable": True, "default": default}}
    found = by_task({}, declared, {"name": "ann"})
    assert (found, found.live) == ({"who": "ann"}, {})


def test_a_rendered_value_is_not_rendered_again_when_defaults_are_filled():
    assert by_task({"s": "{{ '{{ 1+1 }}' }}"})["s"] == "{{ 1+1 }}"


def test_a_disabled_action_is_refused():
    action = minipack.action({}, enabled=False)
    with pytest.raises(ParamError, match="is disabled"):
        render_task_input(action, {}, {}, None)


def test_an_inquiry_has_its_runners_defaults():
    ask = minipack.action({}, ref="core.ask", runner_type="inquirer")
    found = render_task_input(ask, {"route": "{{ 'a' }}b"}, {}, None)
    assert found == {}
    assert found.runner["route"] == "ab"
    assert found.runner["ttl"] == 1440
    assert found.runner["schema"]["type"] == "object"


def test_what_is_given_is_not_changed():
    given_ = {"o": {"m": "{{ 1 }}"}}
    by_task(given_)
    assert given_ == {"o": {"m": "{{ 1 }}"}}


# --- properties

plain = st.text().filter(lambda text: "{{" not in text and "{%" not in text)
structures = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | plain,
    lambda inner: st.lists(inner) | st.dictionaries(plain, inner),
    max_leaves=8,
)


@given(plain)
def test_text_without_markers_reaches_the_action_unchanged(text):
    if text != "%*****__%NONE%__*****%":
        assert by_task({"s": text})["s"] == text


@given(st.dictionaries(plain, structures))
def test_structures_without_markers_reach_the_action_unchanged(value):
    if "{{" not in str(value) and "{%" not in str(value):
        assert by_task({"o": value})["o"] == value


@given(st.dictionaries(st.text(), structures))
def test_a_whole_body_survives_the_hop_from_trigger_to_parameter(body):
    try:
        json.dumps(body).encode("utf-8")
        found = by_rule({"o": "{{ trigger.body }}"}, {"body": body})["o"]
    except ParamError as error:
        # Python's own text of a mapping is all that crosses; only text that looks like JSON or the
        # mark for None can differ, and neither can come from a mapping.
        raise AssertionError("refused %r: %s" % (body, error)) from error
    assert found == body


@given(st.text())
def test_hostile_text_is_evaluated_or_left_alone_never_half(text):
    try:
        found = by_task({"s": text})["s"]
    except ParamError:
        assert "{{" in text or "{%" in text
        return
    assert isinstance(found, str) or found is None
