"""The one way in: whatever happens inside comes out as (bool, plain JSON)."""

from __future__ import annotations

import json
import logging
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal import door, exceptions
from selfheal.config import Config
from selfheal.context import Context
from tests import scene

SECRET = "s3cret-value"
CONFIG = {"database": {"password": SECRET}}


@pytest.fixture
def library(monkeypatch):
    """A module of the library whose function `work` a test may set."""
    module = types.ModuleType("selfheal.trial")
    monkeypatch.setitem(sys.modules, "selfheal.trial", module)
    return module


def call(library, work, **parameters):
    library.work = work
    return door.call("selfheal.trial.work", parameters, config=CONFIG)


def raising(error):
    def work(_ctx):
        raise error

    return work


def test_result_and_parameters_go_through(library):
    assert call(library, lambda ctx, a, b=2: {"sum": a + b, "n": None}, a=1) == (
        True,
        {"sum": 3, "n": None},
    )


ERRORS = [
    item
    for item in vars(exceptions).values()
    if isinstance(item, type) and issubclass(item, exceptions.SelfhealError)
]


@pytest.mark.parametrize("kind", ERRORS)
def test_foreseen_failure_is_typed(library, kind):
    assert call(library, raising(kind("what to do"))) == (
        False,
        {"error_type": kind.__name__, "error": "what to do", "retryable": kind.retryable},
    )
    assert call(library, raising(kind("x", retryable=True)))[1]["retryable"] is True


@pytest.mark.parametrize(
    "error", [ValueError("bad"), KeyError("k"), ZeroDivisionError(), RecursionError("deep")]
)
def test_defect_is_an_internal_error_with_its_traceback_in_the_log(library, caplog, error):
    with caplog.at_level(logging.ERROR):
        succeeded, result = call(library, raising(error))
    assert not succeeded
    assert result["error_type"] == "InternalError" and result["retryable"] is False
    assert type(error).__name__ in result["error"] and "selfheal.trial.work" in result["error"]
    assert "Traceback" in caplog.text


@pytest.mark.parametrize(
    "function",
    [
        "os.system",
        "selfheal.",
        "selfheal.nothing.here",
        "selfheal.text.nothing",
        "",
        "selfheal",
        "builtins.eval",
    ],
)
def test_only_functions_of_the_library_are_called(function):
    succeeded, result = door.call(function, {}, config={})
    assert not succeeded and result["error_type"] == "InternalError"


def test_unknown_parameter_is_a_failure_not_a_crash(library):
    assert call(library, lambda ctx: {}, surprise=1)[1]["error_type"] == "InternalError"


@pytest.mark.parametrize(
    "result", [None, [1], "text", {"x": {1, 2}}, {"x": b"bytes"}, {"x": object()}]
)
def test_result_that_is_no_plain_json_is_a_failure(library, result):
    succeeded, failure = call(library, lambda ctx: result)
    assert not succeeded and failure["error_type"] == "InternalError"


def test_secrets_do_not_leave(library, caplog):
    for work in (
        lambda ctx: {"a %s" % SECRET: [SECRET]},
        raising(exceptions.StoreError("with " + SECRET)),
        raising(ValueError(SECRET)),
    ):
        with caplog.at_level(logging.ERROR):
            assert SECRET not in json.dumps(call(library, work))
    assert SECRET not in caplog.text


def test_what_is_logged_is_as_harmless_as_a_result(library, caplog):
    def work(ctx):
        ctx.log.warning("it says %s", "{{ x }} \x1b[31m " + SECRET)
        try:
            raise ValueError("<% ctx() %> \x1b[31m " + SECRET)
        except ValueError:
            ctx.log.error("failed", exc_info=True)
        raise KeyError("{{ x }} " + SECRET)

    with caplog.at_level(logging.WARNING):
        call(library, work)
    assert "it says {" in caplog.text and "ValueError" in caplog.text and "KeyError" in caplog.text
    for hostile in (SECRET, "{{", "<%", "\x1b"):
        assert hostile not in caplog.text
    assert not logging.getLogger("selfheal").filters  # nothing is left behind


def test_text_is_neutral_in_results_and_errors(library):
    hostile = "{{ config_context.x }} <% ctx() %> \x1b[31m"
    for work in (
        lambda ctx: {hostile: hostile},
        raising(exceptions.InvalidInput(hostile)),
        raising(ValueError(hostile)),
    ):
        for found in scene.strings(call(library, work)[1]):
            assert not any(marker in found for marker in ("{{", "}}", "<%", "%>", "\x1b"))


@pytest.mark.parametrize(
    "result",
    [
        {"list": ["x" * 100] * 100_000},
        {"text": "x" * 5_000_000},
        {str(n): "y" * 50 for n in range(50_000)},
        {"deep": [[["z" * 1000] * 20] * 20] * 20},
    ],
)
def test_huge_result_is_cut_and_marked(library, result):
    succeeded, cut = call(library, lambda ctx: result)
    assert succeeded and cut["truncated"] is True
    assert len(json.dumps(cut)) <= door.MAX_RESULT_CHARACTERS


def test_long_error_is_cut(library):
    assert len(call(library, raising(exceptions.InvalidInput("x" * 100_000)))[1]["error"]) == 4000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), JSON))
def test_presentable_is_always_a_storable_map(result):
    shown = door.presentable(result, Config())
    assert isinstance(shown, dict)
    json.dumps(shown, ensure_ascii=False).encode("utf-8")


def test_context_is_closed_whatever_happened(library, tmp_path):
    for work in (lambda ctx: {"n": ctx.store.value("SELECT 1")}, raising(ValueError())):
        ctx = scene.context(scene.store_url("sqlite", tmp_path))
        library.work = work
        store = ctx.store
        door.call("selfheal.trial.work", {}, context=ctx)
        with pytest.raises(exceptions.StoreError):
            store.query("SELECT 1")


def test_result_is_a_copy(library):
    kept = {"a": ["{{ x }}"]}
    call(library, lambda ctx: kept)
    assert kept == {"a": ["{{ x }}"]}


def test_missing_configuration_is_none(library):
    library.work = lambda ctx: {"timeout": ctx.config.get("resolver.timeout")}
    assert door.call("selfheal.trial.work", {}, config=None) == (True, {"timeout": 300})
    assert isinstance(Context().config, Config)
