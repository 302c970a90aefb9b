"""Each thing that StackStorm or the Exchange refuses is found, alone and by name."""


import pytest

from standalone import validation
from tests.standalone import minipack, soundpack


@pytest.fixture
def pack(tmp_path):
    return soundpack.write(tmp_path)


def problems(root, *changes):
    """Problems after replacing, in each named file, one text by another (or all of it)."""
    for name, old, new in changes:
        path = root / name
        if old is None:
            minipack.write(root, {name: new})
            continue
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, "%r is %d times in %s" % (old, text.count(old), name)
        path.write_text(text.replace(old, new), encoding="utf-8")
    return validation.problems_of(root)


def test_a_sound_pack_has_no_problems(pack):
    assert validation.problems_of(pack) == []


MANIFEST = [
    ("version: 0.1.0", "version: '1.0'", "version: '1.0' does not match"),
    ("version: 0.1.0", "version: v1.0.0", "version: 'v1.0.0' does not match"),
    ("version: 0.1.0", "version: 1.0.0-RC1", "version: '1.0.0-RC1' does not match"),
    ("'>=3.8.0'", "'>=3.8'", "stackstorm_version: '>=3.8' does not match"),
    ("['3']", "['3.10']", "python_versions may hold"),
    ("['3']", "[3]", "python_versions may hold"),
    ("['3']", "[]", "python_versions may hold"),
    ("author: Somebody", "contributors: [%s]\nauthor: S" % ("x" * 101), "contributors: no entry"),
    ("author: Somebody", "author: 5", "author must be a string"),
    ("author: Somebody", "keywords: heal\nauthor: S", "keywords must be a list"),
    ("author: Somebody", "keywords: [5]\nauthor: S", "keywords must be a list"),
]


@pytest.mark.parametrize("old, new, words", MANIFEST)
def test_pack_yaml(pack, old, new, words):
    text = (pack / "pack.yaml").read_text(encoding="utf-8").replace('"', "'")
    (pack / "pack.yaml").write_text(text, encoding="utf-8")
    found = problems(pack, ("pack.yaml", old, new))
    assert len(found) == 1, found
    assert found[0].startswith("pack.yaml: ")
    assert words in found[0]


@pytest.mark.parametrize("key", ["description", "author", "version"])
def test_pack_yaml_without_a_key(pack, key):
    lines = (pack / "pack.yaml").read_text(encoding="utf-8").splitlines()
    (pack / "pack.yaml").write_text("\n".join(one for one in lines if not one.startswith(key)))
    assert any("%s must be a string" % key in line for line in validation.problems_of(pack))


@pytest.mark.parametrize("ref", ["core", "packs", "linux"])
def test_a_reserved_reference(tmp_path, ref):
    root = soundpack.write(tmp_path)
    found = problems(root, ("pack.yaml", "ref: mini", "ref: %s" % ref))
    assert "pack.yaml: ref: %s is reserved by StackStorm" % ref in found


# file, old text (None: the whole file), new text, words of the one problem
BROKEN = [
    # --- actions
    ("actions/act.yaml", "enabled: true", "enabled: true\ncolour: red", "unknown key colour"),
    ("actions/act.yaml", "python-script", "python-scripts", "'python-scripts' is not one of"),
    ("actions/act.yaml", "entry_point: run.py", "entry_point: ran.py", "there is no file ran.py"),
    (
        "actions/act.yaml",
        "{type: integer, default: 3",
        "{type: [integer, 'null'], default: 3",
        "parameters.count: type: ['integer', 'null'] has the wrong type",
    ),
    ("actions/act.yaml", "minimum: 0", "format: int32", "count: format is no keyword"),
    ("actions/act.yaml", "minimum: 0", "examples: [5]", "count: examples is no keyword"),
    ("actions/act.yaml", "minimum: 0", "const: 5", "count: const is no keyword"),
    ("actions/act.yaml", "minimum: 0", "$ref: '#/x'", "count: $ref is no keyword"),
    ("actions/act.yaml", "minimum: 0", "required: [a]", "count: required: ['a'] has the wrong"),
    ("actions/act.yaml", "minimum: 0", "colour: red", "count: colour is no keyword"),
    ("actions/act.yaml", "minimum: 0", "exclusiveMinimum: true", "needs minimum beside it"),
    ("actions/act.yaml", "minimum: 0", "minLength: -1", "minLength: -1 must not be negative"),
    ("actions/act.yaml", "minimum: 0", "pattern: '('", "'(' is no regular expression"),
    ("actions/act.yaml", "secret: true", "enum: []", "enum must not be empty"),
    ("actions/act.yaml", "minimum: 0", "enum: [3, 3]", "enum: a value comes twice"),
    ("actions/act.yaml", "minimum: 0", "minimum: 4", "count: default does not fit"),
    ("actions/act.yaml", "minimum: 0", "anyOf: [5]", "anyOf: must be a schema, got 5"),
    (
        "actions/act.yaml",
        "{type: string, secret: true}",
        "{type: object, properties: {a: {type: string, format: x}}}",
        "note.properties.a: format is no keyword",
    ),
    (
        "actions/act.yaml",
        "{type: string, secret: true}",
        "{type: array, items: {type: string, required: [a]}}",
        "note.items: required",
    ),
    (
        "actions/act.yaml",
        "{type: string, secret: true}",
        "{type: object, patternProperties: {'^a': {type: text}}}",
        "'text' is not one of",
    ),
    ("actions/act.yaml", "position: 1", "position: 0", "two have the same position"),
    ("actions/act.yaml", "position: 1", "position: 2", "leave a gap"),
    (
        "actions/act.yaml",
        "timeout: {default: 120}",
        "timeout: {type: string, default: '5'}",
        "timeout: type of a parameter of the runner cannot be overridden",
    ),
    (
        "actions/act.yaml",
        "timeout: {default: 120}",
        "timeout: {default: 120, position: 2}",
        "timeout: position of a parameter of the runner",
    ),
    (
        "actions/act.yaml",
        "timeout: {default: 120}",
        "timeout: {default: 120}\noutput_schema: {properties: {a: {format: x}}}",
        "output_schema.a: format is no keyword",
    ),
    # --- the function behind an action
    (
        "actions/act.yaml",
        "immutable: true, default: minilib.work.act",
        "default: minilib.work.act",
        "parameters.function must be an immutable string",
    ),
    (
        "actions/act.yaml",
        "default: minilib.work.act",
        "default: act",
        "parameters.function must be an immutable string",
    ),
    ("actions/act.yaml", "minilib.work.act", "minilib.work.react", "cannot be imported: Attribute"),
    ("actions/act.yaml", "minilib.work.act", "minilib.play.act", "cannot be imported: ModuleNot"),
    (
        "actions/lib/minilib/work.py",
        None,
        "def act(ctx, target, count=3): return {}\n",
        "does not take the declared parameter note",
    ),
    (
        "actions/lib/minilib/work.py",
        None,
        "def act(ctx, target, count=3, note=None, more=None): return {}\n",
        "takes more, which the action does not declare",
    ),
    (
        "actions/lib/minilib/work.py",
        None,
        "def act(target, count=3, note=None): return {}\n",
        "must take ctx first",
    ),
    (
        "actions/lib/minilib/work.py",
        None,
        "def act(ctx, target, count=3, note=None, **more): return {}\n",
        "takes *more",
    ),
    (
        "actions/lib/minilib/work.py",
        None,
        "def act(ctx, target, count=4, note=None): return {}\n",
        "count defaults to 4 in Python, but StackStorm passes 3",
    ),
    (
        "actions/lib/minilib/work.py",
        None,
        "def act(ctx, target, count=3, note=''): return {}\n",
        "note defaults to '' in Python, but StackStorm passes None",
    ),
    ("actions/lib/minilib/work.py", None, "1 / 0\n", "cannot be imported: ZeroDivisionError"),
    (
        "actions/run.py",
        "class Run(Action)",
        "class Helper:\n    pass\n\n\nclass Run(Action)",
        "must define exactly one class, has Helper, Run",
    ),
    ("actions/run.py", "def run(", "def walk(", "class Run has no run()"),
    ("actions/run.py", "class Run(Action):", "class Run(Action:", "cannot be read as Python"),
    # --- workflows
    (
        "actions/workflows/flow.yaml",
        "action: mini.act",
        "action: mini.nope",
        'The action "mini.nope" is not registered',
    ),
    (
        "actions/workflows/flow.yaml",
        "      target: <% ctx().target %>\n",
        "      target: <% ctx().target %>\n      more: 1\n",
        'has unexpected input "more"',
    ),
    ("actions/workflows/flow.yaml", "ctx().target %>", "ctx().nope %>", 'Variable "nope"'),
    ("actions/workflows/flow.yaml", "do: last", "do: lost", "lost"),
    (
        "actions/workflows/flow.yaml",
        "  - target\nvars",
        "  - target\n  - more\nvars",
        "input: more is not declared in actions/flow.yaml",
    ),
    (
        "actions/flow.yaml",
        "target: {type: string, required: true}",
        "target: {type: string, required: true}\n  more: {type: string}",
        "parameters.more: the workflow has no such input",
    ),
    (
        "actions/workflows/flow.yaml",
        "publish:\n          - done: true\n",
        "publish: done=true\n",
        "next.publish: write a list of mappings",
    ),
    (
        "actions/workflows/flow.yaml",
        "action: mini.act",
        "action: mini.act target=1",
        "parameters in the line of the action",
    ),
    (
        "actions/workflows/other.yaml",
        None,
        "version: 1.0\ntasks: {a: {action: core.noop}}\n",
        "no action has this workflow as its entry_point",
    ),
    # --- rules
    ("rules/own.yaml", "name: own", "name: own\ncolour: red", "unknown key colour"),
    ("rules/own.yaml", "mini.event", "other.event", "neither a trigger of this pack nor"),
    ("rules/own.yaml", "mini.event", "mini.nope", "neither a trigger of this pack nor"),
    ("rules/own.yaml", "ref: mini.act", "ref: mini.nope", "there is no action mini.nope"),
    ("rules/own.yaml", '{target: "{{ trigger.target }}"}', "{}", "mini.act needs target"),
    ("rules/own.yaml", "{target: ", "{more: 1, target: ", "mini.act has no such parameter"),
    ("rules/own.yaml", "{target: ", "{function: os.system, target: ", "is immutable in mini.act"),
    (
        "rules/own.yaml",
        '"{{ trigger.target }}"',
        '["{{ trigger.target }}"]',
        "a template inside a structure",
    ),
    ("rules/own.yaml", "{{ trigger.target }}", "{{ trigger.target", "is no template"),
    ("rules/own.yaml", "{{ trigger.target }}", "{{ trigger.target | sing }}", "is no template"),
    ("rules/own.yaml", "action: {ref", "action: {colour: red, ref", "action: unknown key colour"),
    (
        "rules/own.yaml",
        "name: own",
        "name: own\ntype: {ref: standard, colour: red}",
        "type: unknown key colour",
    ),
    ("rules/hook.yaml", "{url: hook}", "{urk: hook}", "'urk' was unexpected"),
    ("rules/hook.yaml", "{url: hook}", "{}", "'url' is a required property"),
    ("rules/hook.yaml", "type: equals", "type: like", "type: 'like' is no operator"),
    ("rules/hook.yaml", "{type: exists, pattern: true}", "{type: exists}", "pattern is missing"),
    ("rules/hook.yaml", "{type: exists, pattern: true}", "yes", "must be a mapping with type"),
    ("rules/hook.yaml", "pattern: firing", "pattern: firing, colour: red", "unknown key colour"),
    ("rules/hook.yaml", "trigger.body.status#2", "trigger.[", "is no JSONPath"),
    ("rules/hook.yaml", "trigger.body.status#2", "body.status", "must start with trigger."),
    ("rules/hook.yaml", "condition: any", "condition: some", "condition must be one of"),
    ("rules/hook.yaml", "type: iregex", "type: like", "pattern.item.name: type: 'like'"),
    ("rules/hook.yaml", "item.name", "trigger.name", "must start with item."),
    ("rules/hook.yaml", '"^web"', '"(web"', "'(web' is no regular expression"),
    ("rules/hook.yaml", "pattern: firing", 'pattern: "{{ trigger.x"', "is no template"),
    (
        "rules/hook.yaml",
        "pattern: firing",
        'pattern: "{{ st2kv.system.a.b }}"',
        "a bare datastore key never matches",
    ),
    # --- triggers
    ("triggers/event.yaml", "name: event", "name: event\ncolour: red", "unknown key colour"),
    (
        "triggers/event.yaml",
        "additionalProperties: true",
        "additionalProperties: false",
        "drops every payload with a new key",
    ),
    ("triggers/event.yaml", "{type: string}", "{type: string, enum: [a]}", "enum drops every"),
    ("triggers/event.yaml", "{type: string}", "{type: string, required: true}", "required drops"),
    ("triggers/event.yaml", "{type: string}", "{type: string, format: x}", "format is no keyword"),
    # --- sensors
    ("sensors/look.yaml", "poll_interval: 30", "poll_interval: 3", "at least 4, got 3"),
    ("sensors/look.yaml", "poll_interval: 30", "poll_interval: 30.5", "at least 4, got 30.5"),
    ("sensors/look.yaml", "poll_interval: 30\n", "", "poll_interval is missing"),
    ("sensors/look.yaml", "class_name: Look", "class_name: See", "has no class See"),
    ("sensors/look.yaml", "look.py", "see.py", "entry_point: there is no file"),
    ("sensors/look.yaml", "name: seen", "colour: red, name: seen", "unknown key colour"),
    ("sensors/look.yaml", "description: Looks.", "colour: red", "unknown key colour"),
    (
        "sensors/look.py",
        "    def remove_trigger(self, trigger): pass\n",
        "",
        "Look has no remove_trigger()",
    ),
    ("sensors/look.py", "def poll(", "def pull(", "Look has no poll()"),
    (
        "sensors/look.py",
        "def poll(self)",
        "def run(self): pass\n    def poll(self)",
        "must not have a run() of its own",
    ),
    (
        "sensors/look.py",
        "class Look(PollingSensor)",
        "class Look(object)",
        "must be a PollingSensor or a Sensor",
    ),
    (
        "sensors/look.py",
        "class Look(PollingSensor):",
        "class Look(PollingSensor:",
        "cannot be read as Python",
    ),
    # --- policies
    ("policies/act.yaml", "name: act.one", "name: act.one\ncolour: red", "unknown key colour"),
    ("policies/act.yaml", "resource_ref: mini.act", "resource_ref: mini.nope", "no action mini"),
    ("policies/act.yaml", "concurrency.attr", "concurrency.attribute", "is not one of"),
    ("policies/act.yaml", "threshold: 1", "threshold: one", "is not of type 'integer'"),
    ("policies/act.yaml", "threshold: 1, ", "", "'threshold' is a required property"),
    ("policies/act.yaml", "action: delay", "action: wait", "'wait' is not one of"),
    ("policies/act.yaml", "[target]", "[colour]", "mini.act has no parameter colour"),
    ("policies/act.yaml", "[target]", "['{{ x }}', target]", "renders no templates"),
    # --- aliases
    ("aliases/act.yaml", "name: act", "name: act\ncolour: red", "unknown key colour"),
    ("aliases/act.yaml", "action_ref: mini.act", "action_ref: mini.nope", "there is no action"),
    ("aliases/act.yaml", "act on {{ target }}", "act on {{ colour }}", "has no parameter colour"),
    ("aliases/act.yaml", "act on {{ target }}", "act (on {{ target }}", "no regular expression"),
    ("aliases/act.yaml", "{note: chat}", "{colour: red}", "has no parameter colour"),
    ("aliases/act.yaml", "display: act", "colour: red\n    display: act", "needs display and a"),
    ("aliases/act.yaml", "{enabled: true, format", "{colour: red, format", "ack: unknown key"),
    ("aliases/act.yaml", '- "act on {{ target }}"', "- 5", "must be text or a mapping, got 5"),
    # --- configuration
    (
        "config.schema.yaml",
        'url: {type: string, default: "http://here"}',
        "url: {type: string, format: uri}",
        "url: format is no keyword",
    ),
    (
        "config.schema.yaml",
        "token: {type: string",
        "token: {type: [string]",
        "token: type: ['string'] has the wrong type",
    ),
    ("config.schema.yaml", "{type: integer, default: 1}", "{$ref: '#/url'}", "$ref is no keyword"),
    (
        "config.schema.yaml",
        "{type: integer, default: 1}",
        "{type: integer, required: [a]}",
        "targets.properties.count: required",
    ),
    ("config.schema.yaml", "{count: ", "{the-count: ", "letters, digits and underscores only"),
    ("config.schema.yaml", "default: 1}", "default: one}", "count: default does not fit"),
    ("mini.yaml.example", "url: http://there", "urk: x", "urk is no key of config.schema.yaml"),
    ("mini.yaml.example", "url: http://there", "url: 5", "5 is not of type 'string'"),
    (
        "mini.yaml.example",
        "st2kv.system.token }}",
        "st2kv.system.token | decrypt_kv }}",
        "decrypted by themselves",
    ),
    ("other.yaml.example", None, "a: 1\n", "must be the only *.yaml.example"),
    # --- files
    ("docs/x.yaml", None, "a: [\n", "docs/x.yaml does not parse"),
    ("docs/x.yml", None, "{{ braces }}: 1\n", "docs/x.yml does not parse"),
    ("docs/x.json", None, "{'a': 1}\n", "docs/x.json does not parse"),
    ("docs/x.yaml", None, "a: 1\nb: {c: 1, c: 2}\n", "the key 'c' comes twice"),
    ("LICENSE", "Version 2.0", "Version 3.0", "LICENSE: the Exchange looks for 'Version 2.0'"),
]


@pytest.mark.parametrize(
    "name, old, new, words", BROKEN, ids=["%s-%s" % (case[0], case[3][:40]) for case in BROKEN]
)
def test_one_thing_broken_is_the_one_problem_found(pack, name, old, new, words):
    found = problems(pack, (name, old, new))
    assert len(found) == 1, found
    assert words in found[0]
    assert str(pack) not in found[0]
