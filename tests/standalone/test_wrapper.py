"""The action wrapper in real processes: classes, status, results, failures, stand-ins."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from standalone import wrapper

ROOT = Path(__file__).resolve().parents[2]
BASE = "from st2common.runners.base_action import Action\n"


class Ran:
    """What a process left behind."""

    def __init__(self, process):
        self.code = process.returncode
        self.stderr = process.stderr
        self.raw = process.stdout
        self.stdout, self.result, self.status = None, None, None
        if self.raw.count(wrapper.DELIMITER) in (0, 2):
            self.stdout, self.result, self.status = wrapper.split_output(self.raw)


def run_file(path, parameters=None, config=None, stdin=None, arguments=(), env=None):
    command = [
        sys.executable,
        "-u",
        str(ROOT / "standalone" / "wrapper.py"),
        "--pack=mini",
        "--file-path=%s" % path,
    ]
    if parameters is not None:
        command.append("--parameters=%s" % json.dumps(parameters))
    if config is not None:
        command.append("--config=%s" % json.dumps(config))
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    clean.update(env or {})
    return Ran(
        subprocess.run(
            command + list(arguments),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=clean,
            timeout=300,
        )
    )


@pytest.fixture
def run(tmp_path):
    def run_code(code, *arguments, **more):
        path = tmp_path / "entry.py"
        path.write_text(textwrap.dedent(code), encoding="utf-8")
        return run_file(path, *arguments, **more)

    return run_code


@pytest.fixture
def returns(run):
    def run_expression(expression, before=""):
        return run(BASE + before + "class A(Action):\n    def run(self): return %s\n" % expression)

    return run_expression


# --- what run() returns


@pytest.mark.parametrize(
    "expression, result, status",
    [
        ("(True, {'a': 1})", {"a": 1}, True),
        ("(False, 'why')", "why", False),
        ("(None, 5)", 5, None),
        ("None", None, None),
        ("0", 0, None),
        ("[1, 2]", [1, 2], None),
        ("(1, 2, 3)", [1, 2, 3], None),
        ("(True,)", [True], None),
        ("(True, ('a', 'b'))", ["a", "b"], True),
        ("(True, float('nan'))", None, True),
        ("(True, {1, 2})", "{1, 2}", True),
        ("(True, {1: 'a'})", "{1: 'a'}", True),
        ("(True, b'x')", "b'x'", True),
        ("(True, 2 ** 70)", str(2**70), True),
        ("(True, '\\u00fc\\u2028')", "\u00fc\u2028", True),
    ],
)
def test_a_returned_value(returns, expression, result, status):
    ran = returns(expression)
    assert (ran.code, ran.result, ran.status, ran.stderr) == (0, result, status, "")


def test_a_pair_that_starts_with_neither_boolean_nor_none_fails_with_its_own_code(returns):
    ran = returns("('host', 5)")
    assert ran.code == 220
    assert "must either be True or False, got: host" in ran.stderr
    assert ran.result == "None"


def test_an_exception_leaves_a_traceback_and_no_result(returns):
    ran = returns("1 / 0")
    assert (ran.code, ran.result, ran.status) == (1, "None", None)
    assert "ZeroDivisionError" in ran.stderr


def test_leaving_early_is_a_success_without_result(returns):
    ran = returns("__import__('sys').exit(0)")
    assert (ran.code, ran.result, ran.status) == (0, "None", None)


def test_a_value_that_json_lacks_without_status_becomes_python_text(returns):
    ran = returns("{1, 2}")
    assert (ran.code, ran.status) == (0, None)
    assert ran.result.startswith("{1, 2}")


def test_a_lone_surrogate_loses_the_status(returns):
    ran = returns("(False, '\\ud800')")
    assert (ran.code, ran.status) == (0, None)
    assert ran.result == "'\\ud800', 'status': False}"


def test_what_the_action_prints_is_kept_apart(returns):
    ran = returns("(print('hello'), (True, 1))[1]")
    assert (ran.stdout, ran.result) == ("hello\n", 1)


def test_an_action_that_prints_the_delimiter_is_found_out(returns):
    ran = returns("(print(%r), (True, 1))[1]" % wrapper.DELIMITER)
    with pytest.raises(ValueError, match="should be 3, was 4"):
        wrapper.split_output(ran.raw)


# --- which class, how it is built


def test_the_first_class_by_name_that_has_run_is_taken(run):
    ran = run(
        BASE +
        textwrap.dedent("""\
        class AHelper:
            pass
        class BHelper:
            def run(self, **kw): return "the helper"
            def __init__(self, config, action_service): pass
        class Zed(Action):
            def run(self): return "the action"
        """)
    )
    assert ran.result == "the helper"
    assert "AHelper" in ran.stderr


def test_imported_classes_do_not_count(run):
    assert run(BASE + "class Zed(Action):\n    def run(self): return 'zed'\n").result == "zed"


@pytest.mark.parametrize(
    "code, words",
    [
        ("x = 1\n", "Found no classes in plugin file"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("def broken(:\n", "SyntaxError"),
        # Dataclasses with postponed annotations want the module in sys.modules, where it is not.
        (
            (
                "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\n"
                "class A:\n    x: int\n"
            ),
            "Error",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded(run, code, words):
    ran = run(code)
    assert ran.code == 1
    assert words in ran.stderr


def test_a_constructor_without_action_service_gets_it_later(run):
    ran = run(
        BASE +
        textwrap.dedent("""\
        class Old(Action):
            def __init__(self, config):
                super(Old, self).__init__(config)
                self.then = self.action_service
            def run(self): return [self.then is None, self.action_service is not None]
        """)
    )
    assert ran.result == [True, True]


def test_configuration_and_logger(run):
    ran = run(
        BASE +
        textwrap.dedent("""\
        class A(Action):
            def run(self):
                self.logger.info("hello %s", self.config.get("nope"))
                try:
                    self.config["nope"]
                except ValueError as error:
                    return [self.config["a"], str(error)]
        """),
        config={"a": {"b": 1}},
    )
    assert ran.result[0] == {"b": 1}
    assert 'pack "mini" is missing key "nope"' in ran.result[1]
    assert ran.stderr == "st2.actions.python.A: INFO     hello None\n"


def test_the_log_level_can_be_raised(run):
    code = BASE + "class A(Action):\n    def run(self): self.logger.info('quiet')\n"
    assert run(code, arguments=["--log-level=ERROR"]).stderr == ""


def test_parameters_come_as_an_argument_or_through_stdin(run):
    code = BASE + "class A(Action):\n    def run(self, **kw): return kw\n"
    assert run(code, {"a": [1, None, "\u00fc"]}).result == {"a": [1, None, "\u00fc"]}
    big = {"a": "x" * 200000}
    line = json.dumps({"parameters": big}) + "\n"
    assert run(code, stdin=line, arguments=["--stdin-parameters"]).result == big


@pytest.mark.parametrize(
    "stdin, words",
    [
        ("\n", "no valid parameters"),
        ("nonsense\n", "Failed to parse parameters from stdin"),
        ("[1]\n", "Failed to parse parameters from stdin"),
    ],
)
def test_stdin_that_holds_no_parameters(run, stdin, words):
    code = BASE + "class A(Action):\n    def run(self, **kw): return kw\n"
    ran = run(code, stdin=stdin, arguments=["--stdin-parameters"])
    assert ran.code == 1
    assert words in ran.stderr


def test_unknown_parameters_of_run_are_an_exception(run):
    ran = run(BASE + "class A(Action):\n    def run(self, a): return a\n", {"a": 1, "b": 2})
    assert ran.code == 1
    assert "unexpected keyword argument 'b'" in ran.stderr


@pytest.mark.parametrize(
    "arguments, words",
    [(["--nonsense=1"], "unknown argument --nonsense"), (["--config"], "--config needs a value")],
)
def test_wrong_arguments_are_named(run, arguments, words):
    assert words in run(BASE, arguments=arguments).stderr


# --- what can be imported


def test_the_path_is_that_of_production(tmp_path):
    lib = tmp_path / "actions" / "lib"
    lib.mkdir(parents=True)
    entry = tmp_path / "actions" / "entry.py"
    entry.write_text(
        BASE +
        textwrap.dedent("""\
        import sys
        class A(Action):
            def run(self): return sys.path
        """)
    )
    found = run_file(entry, env={"PYTHONPATH": str(lib)}).result
    assert found[0].endswith("site-packages")
    assert str(ROOT) not in found
    assert str(ROOT / "standalone") not in found
    assert found.index(str(lib)) < found.index(str(ROOT / "standalone" / "stand_ins"))
    assert found[-1] == str(tmp_path / "actions")


def test_a_real_st2common_wins_over_the_stand_in(tmp_path):
    real = tmp_path / "st2common" / "runners"
    real.mkdir(parents=True)
    (tmp_path / "st2common" / "__init__.py").write_text("")
    (real / "__init__.py").write_text("")
    (real / "base_action.py").write_text(
        "class Action:\n    def __init__(self, config=None, action_service=None): pass\n"
        "    where = 'real'\n"
    )
    entry = tmp_path / "entry.py"
    entry.write_text(BASE + "class A(Action):\n    def run(self): return self.where\n")
    assert run_file(entry, env={"PYTHONPATH": str(tmp_path)}).result == "real"


def test_the_wrapper_imports_little():
    code = (
        "import runpy, sys; before = set(sys.modules); sys.argv = ['w', '--pack=m', "
        "'--file-path=' + sys.argv[1]]; sys.path.insert(0, sys.argv[0])\n"
        "import standalone.wrapper; print(sorted(set(sys.modules) - before))"
    )
    found = subprocess.run(
        [sys.executable, "-S", "-c", code, "x"],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    for heavy in ("typing", "logging", "argparse", "inspect", "yaml", "jinja2", "subprocess"):
        assert "'%s'" % heavy not in found
