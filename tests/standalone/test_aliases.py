"""Chat commands are matched as StackStorm matches them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standalone import aliases
from standalone.packs import Alias
from tests.standalone import minipack


@pytest.mark.parametrize(
    "form, text, parameters",
    [
        ("heal {{ id }}", "heal inc-1", {"id": "inc-1"}),
        ("heal {{id}}", "heal inc-1", {"id": "inc-1"}),
        ("heal {{ id }} now", "heal inc-1 now", {"id": "inc-1"}),
        ("heal {{ id }}", "  heal inc-1  ", {"id": "inc-1"}),
        # White space counts as it stands in the format; more of it goes to the value.
        ("heal {{ id }}", "heal   inc-1", {"id": "  inc-1"}),
        ("heal {{ id }}", "heal all of it", {"id": "all of it"}),
        (
            "heal {{ id }} {{ why }}",
            "heal inc-1 because it is broken",
            {"id": "inc-1", "why": "because it is broken"},
        ),
        (
            "heal {{ id }} {{ why }}",
            'heal "inc 1" "so it goes"',
            {"id": "inc 1", "why": "so it goes"},
        ),
        ("heal {{ id }} {{ why }}", "heal 'inc 1' it", {"id": "inc 1", "why": "it"}),
        ("heal {{ what }} end", 'heal {"a": [1, 2]} end', {"what": '{"a": [1, 2]}'}),
        ("list {{ limit=10 }}", "list", {"limit": "10"}),
        ("list {{ limit = 10 }}", "list 5", {"limit": "5"}),
        ('list {{ state="not closed" }}', "list", {"state": "not closed"}),
        ("list {{ state={'a': 1} }}", "list", {"state": "{'a': 1}"}),
        ("list", "list", {}),
        ("list", "list limit=5 state=open", {"limit": "5", "state": "open"}),
        ("heal {{ id }}", "heal inc-1 dry_run=false", {"id": "inc-1", "dry_run": "false"}),
        (
            "heal {{ id }}",
            'heal inc-1 why="it is down" x={"a":1}',
            {"id": "inc-1", "why": "it is down", "x": '{"a":1}'},
        ),
        ("heal {{ id }}", "heal inc-1 id=inc-2", {"id": "inc-2"}),
        ("(please )?heal {{ id }}[!.]?", "please heal inc-1!", {"id": "inc-1"}),
        (
            "heal {{ id }}( in {{ ns=default }})?[!.]?",
            "heal web in prod",
            {"id": "web", "ns": "prod"},
        ),
        ("heal {{ id }}( in {{ ns=default }})?[!.]?", "heal web", {"id": "web", "ns": "default"}),
        ("heal {{ id }}", "heal über", {"id": "über"}),
        ("heal {{ id }} on", "heal one\ntwo on", {"id": "one\ntwo"}),
        ("^heal {{ id }}", " heal x", None),
        ("heal {{ id }}", "please heal x", None),
        ("heal {{ id }} now", "heal x then", None),
        ("heal {{ id }}", "heal", None),
        ("list", "listing", None),
        ("HEAL {{ id }}", "heal x", None),
    ],
)
def test_a_format_against_a_text(form, text, parameters):
    if parameters is None:
        with pytest.raises(aliases.NoMatch, match="doesn't match format string"):
            aliases.extract(form, text)
    else:
        assert aliases.extract(form, text) == parameters


def alias_of(formats, **more):
    return Alias(
        ref="mini.a", name="a", pack="mini", action_ref="mini.act", formats=tuple(formats), **more
    )


def test_the_first_format_that_fits_is_taken():
    alias = alias_of(
        [
            {"display": "heal <id>", "representation": ["heal {{ id }} now", "heal {{ id }}"]},
            "mend {{ id }}",
        ]
    )
    assert aliases.format_strings(alias) == ["heal {{ id }} now", "heal {{ id }}", "mend {{ id }}"]
    assert aliases.match(alias, "heal x now") == ("heal {{ id }} now", {"id": "x"})
    assert aliases.match(alias, "mend x") == ("mend {{ id }}", {"id": "x"})
    assert aliases.match(alias, "sing") is None


def test_a_format_with_display_only_matches_nothing():
    assert aliases.match(alias_of([{"display": "hello"}]), "hello") is None


def test_frozen_parameters_are_added_rendered_and_may_not_be_typed():
    alias = alias_of(["x"], immutable_parameters={"dry_run": True, "by": "{{ api_user }}"})
    assert aliases.freeze(alias, {"id": "1"}, context={"api_user": "ann"}) == {
        "id": "1",
        "dry_run": True,
        "by": "ann",
    }
    with pytest.raises(ValueError, match="cannot be overriden: dry_run"):
        aliases.freeze(alias, {"dry_run": "false"}, context={"api_user": "ann"})
    assert aliases.freeze(alias_of(["x"]), {"a": 1}) == {"a": 1}


words = st.text(st.characters(whitelist_categories=("L", "N")), min_size=1)


@given(words, words)
def test_words_come_out_as_they_were_typed(first, second):
    found = aliases.extract("heal {{ id }} for {{ who }}", "heal %s for %s" % (first, second))
    assert found == {"id": first, "who": second}


@given(st.text())
def test_any_text_matches_or_does_not(text):
    alias = alias_of(["heal {{ id }}( in {{ ns=default }})?", "list {{ limit=5 }}"])
    found = aliases.match(alias, text)
    assert found is None or found[0] in aliases.format_strings(alias)


def test_the_test_base_class_of_stackstorm_has_a_stand_in(tmp_path):
    minipack.load(
        tmp_path,
        {
            "aliases/heal.yaml": """\
        name: heal
        action_ref: mini.act
        formats: ["heal {{ id }}", "mend {{ id }}"]
        """,
            "tests/__init__.py": "",
        },
    )
    (tmp_path / "tests" / "test_alias_of_mini.py").write_text(
        "from st2tests.base import BaseActionAliasTestCase\n"
        "class HealTest(BaseActionAliasTestCase):\n"
        "    action_alias_name = 'heal'\n"
        "    def test_heal(self):\n"
        "        formats = self.action_alias_db.get_format_strings()\n"
        "        self.assertCommandMatchesExactlyOneFormatString(formats, 'mend x')\n"
        "        self.assertExtractedParametersMatch(formats[0], 'heal x', {'id': 'x'})\n"
        "        with self.assertRaises(AssertionError):\n"
        "            self.assertExtractedParametersMatch(formats[0], 'heal x', {'id': 'y'})\n"
        "        with self.assertRaises(AssertionError):\n"
        "            self.assertCommandMatchesExactlyOneFormatString(formats, 'sing')\n"
        "        self.assertIn('name: heal', self._get_base_pack_path() and open(\n"
        "            self._get_base_pack_path() + '/aliases/heal.yaml').read())\n"
    )
    import importlib.util
    import unittest

    spec = importlib.util.spec_from_file_location(
        "test_alias_of_mini", str(tmp_path / "tests" / "test_alias_of_mini.py")
    )
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["test_alias_of_mini"] = module
    spec.loader.exec_module(module)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(module).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
