"""Chat commands: which action a line of chat means, with which parameters, and what it cannot."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import jsonschema
import pytest

from standalone import aliases
from standalone.packs import load_pack
from standalone.rendering import ParamError, render_task_input
from standalone.runner_types import RUNNER_PARAMETERS
from tests.aliases.chat_lines import (
    ALERT,
    HARMLESS,
    INCIDENT,
    LINES,
    MATCHERS,
    MAY_ADD,
    QUESTION,
)

PACK = load_pack(Path(__file__).resolve().parents[2])
ALIASES = sorted(PACK.aliases.values(), key=lambda alias: alias.name)
NAMES = [alias.name for alias in ALIASES]
FORMATS = [(alias, text) for alias in ALIASES for text in aliases.format_strings(alias)]
FROZEN = ("env", "content_version")
CHANGING = {"heal_run", "heal_undo"} | {
    alias.name for alias in ALIASES if alias.action_ref.startswith("selfheal.k8s_")
}


def takers(text):
    """[(alias, format, parameters)] of all formats that take the line: StackStorm wants one."""
    found = []
    for alias, form in FORMATS:
        try:
            found.append((alias, form, aliases.extract(form, text)))
        except aliases.NoMatch:
            continue
    return found


def understood(text):
    """(alias, parameters before freezing) of the only format that takes the line."""
    found = takers(text)
    assert len(found) == 1, "%r is taken by %s" % (text, [form for _, form, _ in found])
    return found[0][0], found[0][2]


def meant(text):
    """(action, parameters) that a line of chat starts."""
    alias, parameters = understood(text)
    return alias.action_ref, aliases.freeze(alias, parameters)


def accepted(text):
    """The parameters as StackStorm hands them to the action; ParamError when it refuses them."""
    action, parameters = meant(text)
    context = {"user": "bot", "api_user": "ada"}
    return render_task_input(PACK.actions[action], parameters, {}, None, None, context)


@pytest.mark.parametrize(("text", "alias", "parameters"), LINES, ids=[one[0] for one in LINES])
def test_one_format_takes_the_line_with_its_parameters(text, alias, parameters):
    taken, given = understood(text)
    assert (taken.name, given) == (alias, parameters)


@pytest.mark.parametrize("text", [one[0] for one in LINES])
def test_the_action_accepts_what_the_line_gives(text):
    accepted(text)


def test_every_format_has_a_line_that_it_takes():
    used = {form for text, _, _ in LINES for _, form, _ in takers(text)}
    assert [form for _, form in FORMATS if form not in used] == []


def test_no_line_of_one_command_is_taken_by_another_with_any_words_behind():
    """Free text at the end of a line (a comment, a reason) never makes it another command."""
    tails = ["", "please", "for inc-1", "to 5", "apr-1 bcdfgh", "global", "list open", "help me"]
    for (text, name, _), tail in itertools.product(LINES, tails):
        found = takers(("%s %s" % (text, tail)).strip())
        assert {alias.name for alias, _, _ in found} <= {name}, (text, tail)
        assert len(found) <= 1, (text, tail)


def test_a_command_is_the_beginning_of_no_other_word():
    for text, name, _ in LINES:
        words = text.split(" ")
        longer = " ".join([words[0], words[1] + "x", *words[2:]])
        assert name not in {alias.name for alias, _, _ in takers(longer)}, longer


@pytest.mark.parametrize(("word", "dry_run"), [("alert", "false"), ("try", "true")])
def test_alert_typed_in_chat_arrives_as_an_object(word, dry_run):
    action, parameters = meant("heal %s %s" % (word, ALERT))
    assert action == "selfheal.prometheus_alert_handler"
    assert json.loads(parameters["alert_data"]) == json.loads(ALERT)
    assert parameters["dry_run"] == dry_run


# What the end of a line may not say.


@pytest.mark.parametrize("name", NAMES)
def test_extra_words_of_a_line_set_only_what_is_meant_to_be_set(name):
    """Every parameter of the action and of its runner is a place in the format, one that may be
    added, frozen by the alias, or frozen in the action.
    """
    alias = PACK.aliases["selfheal." + name]
    action = PACK.actions[alias.action_ref]
    declared = {**RUNNER_PARAMETERS[action.runner_type], **action.parameters}
    places = {
        place for form in aliases.format_strings(alias) for place in aliases.parameters_of(form)
    }
    open_ = {
        parameter for parameter, schema in declared.items()
        if parameter not in alias.immutable_parameters and not schema.get("immutable")
    }
    free = HARMLESS[action.runner_type] - set(alias.immutable_parameters)
    assert open_ == places | free | MAY_ADD.get(name, set())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("heal try %s dry_run=false" % ALERT, "dry_run"),
        ("heal alert %s dry_run=true" % ALERT, "dry_run"),
        ("heal close %s resolution=remediated" % INCIDENT, "resolution"),
        ("heal close %s run_id=6740a1b2c3d4e5f601234567" % INCIDENT, "run_id"),
        ("heal escalate %s reason=storm" % INCIDENT, "reason"),
        ("heal undo %s run_id=6740a1b2c3d4e5f601234567" % INCIDENT, "run_id"),
        ("heal undo %s timeout=1" % INCIDENT, "timeout"),
        ("heal restart deployment shop/cart timeout=1", "timeout"),
        ("heal run start_failed_unit for %s timeout=1" % INCIDENT, "timeout"),
        ("heal breaker reset restart_web forget=true", "forget"),
        ('heal check env={"LD_PRELOAD": "/tmp/x.so"}', "env"),
        ("heal status content_version=an-old-branch", "content_version"),
    ],
)
def test_dangerous_extra_word_is_refused(text, name):
    alias, parameters = understood(text)
    with pytest.raises(ValueError, match=name):
        aliases.freeze(alias, parameters)


@pytest.mark.parametrize("name", NAMES)
def test_no_line_brings_its_own_environment_or_another_version_of_the_pack(name):
    alias = PACK.aliases["selfheal." + name]
    action = PACK.actions[alias.action_ref]
    if action.runner_type == "python-script":
        assert [alias.immutable_parameters.get(one) for one in FROZEN] == [{}, ""]


@pytest.mark.parametrize("name", sorted(CHANGING))
def test_nobody_cuts_a_remedy_short_from_chat(name):
    alias = PACK.aliases["selfheal." + name]
    declared = PACK.actions[alias.action_ref].parameters["timeout"]
    assert alias.immutable_parameters["timeout"] == declared["default"]


@pytest.mark.parametrize("text", [one[0] for one in LINES])
@pytest.mark.parametrize("extra", ["who=alice", "via=cli", "function=os.system"])
def test_nobody_says_in_chat_who_they_are_or_what_is_run(text, extra):
    """Where the parameter is there it is frozen, and where it is not it is unknown."""
    with pytest.raises(ParamError, match=extra.partition("=")[0]):
        accepted("%s %s" % (text, extra))


def test_the_name_of_a_person_is_the_one_that_the_bot_gives():
    for text, _, _ in LINES:
        given = accepted(text)
        assert given.get("who", "ada") == "ada"


def test_a_yes_in_chat_is_known_to_come_from_chat():
    action, parameters = meant("heal approve " + QUESTION)
    context = {"user": "bot", "api_user": "ada", "action_alias_ref": {"name": "heal_approve"}}
    given = render_task_input(PACK.actions[action], parameters, {}, None, None, context)
    assert given["via"] == "chat"
    given = render_task_input(PACK.actions[action], parameters, {}, None, None, {"user": "bot"})
    assert given["via"] == ""


@pytest.mark.parametrize(
    "text",
    [
        "heal restart deployment shop/../kube-system/deployments/x",
        "heal restart deployment ../kube-system/cart",
        "heal restart deployment Shop/cart",
        "heal restart secret shop/cart",
        "heal restart deployment shop/cart cluster=../x",
        "heal scale deployment shop/cart to -1",
        "heal scale deployment shop/cart to many",
        "heal cordon *",
        "heal incident *",
        "heal run ../../etc/passwd for " + INCIDENT,
        "heal run restart for *",
        "heal silence %s for ever" % MATCHERS,
        "heal unsilence *",
        "heal approve * bcdfgh",
    ],
)
def test_what_is_no_name_starts_nothing(text):
    """The schemas of the actions refuse it; the library would do so once more."""
    with pytest.raises(ParamError):
        accepted(text)


def test_library_function_cannot_be_named_from_chat():
    for alias in ALIASES:
        declared = PACK.actions[alias.action_ref].parameters
        if "function" in declared:
            assert declared["function"]["immutable"] is True


@pytest.mark.parametrize("name", NAMES)
def test_every_alias_has_a_topic_and_shows_how_it_is_typed(name):
    alias = PACK.aliases["selfheal." + name]
    assert alias.extra["topic"] and alias.description and alias.enabled
    for form in alias.formats:
        shown = form["display"] if isinstance(form, dict) else form
        assert shown.startswith("heal ") and "<" not in shown


@pytest.mark.parametrize("typed", ["{{ st2kv.system.token | decrypt_kv }}", "{% set x = 1 %}"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_typed_is_evaluated_by_stackstorm(name, typed):
    """It renders parameters with all that the datastore holds, and answers show some of them: what
    could be a template is refused by the action's schema, before anything is rendered.
    """
    action = PACK.actions[PACK.aliases["selfheal." + name].action_ref]
    for schema in action.parameters.values():
        if schema.get("type") == "string" and not schema.get("immutable"):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(
                    "x %s" % typed,
                    {key: schema[key] for key in ("type", "enum", "pattern") if key in schema},
                )
