"""What the validation says of files that are missing, odd, hidden or fine."""

import json

import pytest

from standalone import operators, validation
from tests.standalone import minipack, soundpack
from tests.standalone.test_validation import BROKEN, problems


@pytest.fixture
def pack(tmp_path):
    return soundpack.write(tmp_path)


def test_every_message_names_a_file(pack):
    for name, old, new, _ in BROKEN[:5]:
        path = pack / name
        before = path.read_text(encoding="utf-8")
        assert problems(pack, (name, old, new))[0].startswith(name)
        path.write_text(before, encoding="utf-8")


def test_a_missing_action_for_a_rule_is_missed(pack):
    (pack / "actions" / "flow.yaml").unlink()
    found = validation.problems_of(pack)
    assert [line for line in found if line.startswith("rules/hook.yaml")] == [
        "rules/hook.yaml: action.ref: there is no action mini.flow"
    ]


@pytest.mark.parametrize(
    "name, words",
    [
        ("LICENSE", "LICENSE is missing"),
        ("icon.png", "icon.png is missing"),
        ("mini.yaml.example", "must be the only *.yaml.example, found none"),
    ],
)
def test_a_missing_file(pack, name, words):
    (pack / name).unlink()
    found = validation.problems_of(pack)
    assert len(found) == 1, found
    assert words in found[0]


@pytest.mark.parametrize(
    "content, words",
    [
        (b"GIF89a", "is no PNG"),
        (b"", "is no PNG"),
        (soundpack.icon(65, 64), "must be 64x64, is 65x64"),
    ],
)
def test_an_icon_of_another_kind(pack, content, words):
    (pack / "icon.png").write_bytes(content)
    found = validation.problems_of(pack)
    assert len(found) == 1, found
    assert words in found[0]


def test_a_pack_that_cannot_be_loaded_still_gets_its_other_problems(pack):
    found = problems(pack, ("actions/act.yaml", None, "name: [\n"), ("LICENSE", None, "mine\n"))
    assert any("actions/act.yaml does not parse" in line for line in found)
    assert any(line.startswith("LICENSE") for line in found)


def test_no_directory_at_all(tmp_path):
    assert any("pack.yaml does not exist" in line for line in validation.problems_of(tmp_path))


@pytest.mark.parametrize("name", sorted(set(operators.OPERATORS) - {"search"}))
def test_every_operator_may_be_used(pack, name):
    assert problems(pack, ("rules/hook.yaml", "type: equals", "type: %s" % name)) == []


@pytest.mark.parametrize(
    "text",
    [
        "a: &one {b: 1}\nc: {<<: *one, d: 2}\n",
        "- 1\n- 2\n",
        "---\na: 1\n---\na: 2\n",
        "",
        "a: 1\nb: {a: 1}\n",
    ],
)
def test_yaml_that_is_fine(pack, text):
    assert problems(pack, ("docs/x.yaml", None, text)) == []


def test_hidden_directories_are_not_looked_into(pack):
    minipack.write(
        pack, {".venv/x.yaml": "a: [\n", ".cache/y.json": "{", "x/__pycache__/z.json": "{"}
    )
    assert validation.problems_of(pack) == []
    minipack.write(pack, {".github/workflows/x.yaml": "a: [\n"})
    assert len(validation.problems_of(pack)) == 1


def test_a_sensor_that_is_not_polled(pack):
    changes = [
        ("sensors/look.py", "PollingSensor\n\n", "Sensor\n\n"),
        ("sensors/look.py", "(PollingSensor)", "(Sensor)"),
        ("sensors/look.py", "def poll(", "def run("),
    ]
    assert problems(pack, *changes) == [
        "sensors/look.yaml: poll_interval means nothing to a sensor without poll()"
    ]
    assert problems(pack, ("sensors/look.yaml", "poll_interval: 30\n", "")) == []


def test_a_rule_on_a_timer(pack):
    timer = "trigger: {type: core.st2.IntervalTimer, parameters: {unit: %s, delta: 60}}"
    event = "trigger: {type: mini.event}"
    assert problems(pack, ("rules/own.yaml", event, timer % "seconds")) == []
    assert "'moons' is not one of" in problems(pack, ("rules/own.yaml", "seconds", "moons"))[0]


def test_problems_are_plain_text(pack):
    found = problems(pack, ("actions/act.yaml", "minimum: 0", "colour: red"))
    assert json.loads(json.dumps(found)) == found
