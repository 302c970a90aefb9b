"""Writes the tables of the documentation from the pack's YAML: no fact stands in two places.

    python docs/generate.py            the pages named in `pages`, and the tables of README.md
    python docs/generate.py --check    writes nothing; exit 1 when one of them is stale

Sources: actions/*.yaml (what the user sees of an action), config.schema.yaml (settings, defaults),
actions/lib/selfheal/errors/rules.yaml (classification of errors), the unhealthy states of
actions/lib/selfheal/workloads/states.py, aliases/*.yaml (the commands of chat), and tests/fixtures
(recorded requests of integrations).
"""

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote_plus

import yaml

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "actions" / "lib" / "selfheal" / "errors" / "rules.yaml"
ANSWER_LINES = 10  # of a recorded answer
SHOWN = 4  # examples of what a rule looks for
HIDDEN = ("function",)  # plumbing: names the library function, immutable
RUNNER = {"timeout": "integer"}  # StackStorm's own; the YAML only changes the default
NOTE = "<!-- Written by `make docs` from %s; edit that, not this. -->\n\n"


def cell(text):
    """`text` as one cell of a Markdown table."""
    return re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|")


def code(value):
    """`value` as JSON in code quotes; empty for None."""
    return "" if value is None else "`%s`" % cell(json.dumps(value, ensure_ascii=False))


def table(headings, rows):
    """A Markdown table as text, ending in a newline."""
    lines = ["| %s |" % " | ".join(headings), "|%s" % ("---|" * len(headings))]
    lines += ["| %s |" % " | ".join(row) for row in rows]
    return "\n".join(lines) + "\n"


def load(path):
    """The YAML of `path`, {} when the file is empty or missing."""
    if not path.exists():
        return {}
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def actions():
    """Every action of the pack by name, enabled or not."""
    found = [load(path) for path in sorted((ROOT / "actions").glob("*.yaml"))]
    return sorted(found, key=lambda action: action["name"])


def kind(schema):
    """How a setting's or parameter's type reads: its type, choices and limits."""
    name = str(schema.get("type", "any"))
    if "enum" in schema:
        return cell(" / ".join(str(choice) for choice in schema["enum"]))
    if name == "array" and isinstance(schema.get("items"), dict) and "type" in schema["items"]:
        name = "array of %s" % schema["items"]["type"]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        name += " %s..%s" % (low, high)
    elif low is not None:
        name += " >= %s" % low
    elif high is not None:
        name += " <= %s" % high
    return name


def meaning(schema):
    """The description, with `required` and `secret` said where they hold."""
    marks = [mark for mark in ("required", "secret") if schema.get(mark) is True]
    text = cell(schema.get("description", ""))
    return "%s (%s)" % (text, ", ".join(marks)) if marks else text


def parameter_rows(action):
    """Table rows of the parameters that a caller may set, in the order one would type them."""
    named = [
        (name, schema or {})
        for name, schema in (action.get("parameters") or {}).items()
        if name not in HIDDEN and not (schema or {}).get("immutable")
    ]
    named.sort(key=lambda pair: (pair[0] in RUNNER, pair[1].get("position", len(named))))
    for name, schema in named:
        schema = dict({"type": RUNNER.get(name, "any")}, **schema)
        yield ["`%s`" % name, kind(schema), code(schema.get("default")), meaning(schema)]


def actions_page():
    """docs/actions.md."""
    parts = [
        "# Actions\n\n",
        NOTE % "actions/*.yaml",
        "Run one with `st2 run selfheal.NAME key=value ...`, ",
        "or without StackStorm with\n",
        "`.venv/bin/python -m standalone run selfheal.NAME key=value ...`.\n",
    ]
    for action in actions():
        runner = "workflow" if action["runner_type"] == "orquesta" else "action"
        state = "" if action.get("enabled", True) else ", disabled"
        parts.append(
            "\n## %s\n\n*%s%s.* %s\n"
            % (action["name"], runner, state, cell(action.get("description", "")))
        )
        rows = list(parameter_rows(action))
        if rows:
            parts.append("\n" + table(["parameter", "type", "default", "meaning"], rows))
    return "".join(parts)


def settings(schema, prefix=""):
    """(dotted key, description) of every leaf; `<name>` stands for names that the user chooses."""
    for key, described in schema.items():
        described = described or {}
        path = prefix + key
        inner = described.get("properties")
        named = described.get("additionalProperties")
        if not isinstance(named, dict):
            named = next(iter((described.get("patternProperties") or {}).values()), None)
        items = described.get("items") if isinstance(described.get("items"), dict) else {}
        if not inner and not (named and named.get("properties")) and not items.get("properties"):
            yield path, described
        yield from settings(inner or {}, path + ".")
        if named and named.get("properties") and not inner:
            yield from settings(named["properties"], path + ".<name>.")
        yield from settings(items.get("properties") or {}, path + "[].")


def configuration_page():
    """docs/configuration.md: one table for each group of settings."""
    parts = [
        "# Configuration\n\n",
        NOTE % "config.schema.yaml",
        "Settings live in `/opt/stackstorm/configs/selfheal.yaml`; ",
        "`selfheal.yaml.example` is one to start from. ",
        "A default is used where nothing is said.\n",
        "`st2 run selfheal.check_config` tells what is on, reachable and permitted, ",
        "and names unknown keys.\n",
    ]
    for group, described in load(ROOT / "config.schema.yaml").items():
        parts.append("\n## %s\n\n%s\n\n" % (group, cell(described.get("description", ""))))
        rows = [
            ["`%s`" % key, kind(schema), code(schema.get("default")), meaning(schema)]
            for key, schema in settings({group: described})
        ]
        parts.append(table(["setting", "type", "default", "meaning"], rows))
    return "".join(parts)


def looks_for(rule):
    """What a classification rule looks for, in words: its first few examples and its conditions."""
    found = [code(text) for key in ("text", "classes", "regex") for text in rule.get(key, ())]
    words = ", ".join(found[:SHOWN])
    if len(found) > SHOWN:
        words += " and %d more" % (len(found) - SHOWN)
    for key in ("programs", "levels", "unless"):
        if key in rule:
            words += "; %s %s" % (key, ", ".join(code(item) for item in rule[key]))
    if "kubernetes" in rule:
        words += "; only %s Kubernetes" % ("within" if rule["kubernetes"] else "outside of")
    return words.lstrip("; ")


def classification_page():
    """docs/classification.md: the rules in the order in which they are asked."""
    rules = load(RULES).get("rules", [])
    rows = [
        [str(number), "`%s`" % r["name"], r["type"], r.get("severity", "by level"), looks_for(r)]
        for number, r in enumerate(rules, 1)
    ]
    return "".join(
        [
            "# Classification of errors\n\n",
            NOTE % "actions/lib/selfheal/errors/rules.yaml",
            "The first rule that matches gives an error its type and severity. ",
            "Without a severity the log level decides; without a level it is a warning.\n",
            "How to write rules of your own stands at the head of that file; ",
            "name yours in `monitoring.classification_paths`.\n\n",
            table(["", "rule", "type", "severity", "looks for"], rows),
        ]
    )


def actions_table():
    """The short table of README.md."""
    rows = [
        ["[`%s`](docs/actions.md#%s)" % (a["name"], a["name"]), cell(a.get("description", ""))]
        for a in actions()
    ]
    return table(["action", "what it does"], rows)


def configuration_table():
    """The short table of README.md: the groups of settings."""
    rows = [
        ["[`%s`](docs/configuration.md#%s)" % (key, key), cell(group.get("description", ""))]
        for key, group in load(ROOT / "config.schema.yaml").items()
    ]
    return table(["settings", "about"], rows)


def states_table():
    """The unhealthy states of Kubernetes, in order from the cause to what follows from it."""
    sys.path.insert(0, str(ROOT / "actions" / "lib"))
    from selfheal.workloads.states import STATES

    found = sorted(STATES.values(), key=lambda state: (state.priority, state.name))
    rows = [
        ["`%s`" % s.alert_type, s.severity, cell(s.seen), cell(s.counts), cell(s.settles)]
        for s in found
    ]
    return table(["state", "severity", "what is seen", "counts", "is over when"], rows)


def chat_table():
    """The commands of chat by topic, as `heal help` shows them."""
    sys.path.insert(0, str(ROOT / "actions" / "lib"))
    from selfheal.operate import chat_help

    found = chat_help.commands(chat_help.PACK_ALIASES)
    parts = []
    for topic in chat_help.topics_of(found):
        rows = [
            ["<br>".join("`%s`" % cell(one) for one in shown), cell(description)]
            for name, shown, description in found
            if name == topic
        ]
        parts.append("**%s**\n\n%s\n" % (topic, table(["command", "what it does"], rows)))
    return "\n" + "".join(parts)


def written(body):
    """The lines of a recorded body."""
    is_json = isinstance(body, (dict, list))
    text = json.dumps(body, indent=2, ensure_ascii=False) if is_json else str(body or "")
    return text.splitlines()


def exchange(one):
    """One recorded request and its answer, as somebody who tries it with curl would write them."""
    request, response = one["request"], one["response"]
    path, _, query = request["path"].partition("?")
    lines = ["%s %s" % (request["method"], path)]
    lines += ["    %s%s" % ("&" if n else "?", unquote_plus(part).strip())
              for n, part in enumerate(query.split("&")) if part]
    lines += ["", *written(request["body"])] if request["body"] else []
    answer = written(response["body"])
    rest = len(answer) - ANSWER_LINES
    lines += ["", "-> %s" % response["status"], *answer[:ANSWER_LINES]]
    lines += ["... and %d more lines" % rest] if rest > 0 else []
    return "```\n%s\n```\n" % "\n".join(lines)


def integration_requests(system):
    """What goes over the wire to `system`, by the exchanges that its tests recorded."""
    parts = []
    for path in sorted((ROOT / "tests" / "fixtures" / system).glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        parts.append("\n<details>\n<summary>%s</summary>\n" % path.stem.replace("_", " "))
        parts += ["\n" + exchange(one) for one in found]
        parts.append("\n</details>\n")
    return "".join(parts) + "\n"


def integrations():
    """Path -> text of the pages of docs/integrations that show recorded requests."""
    found = {}
    for path in sorted((ROOT / "docs" / "integrations").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if "<!-- requests -->" in text:
            found[path] = between_markers(text, "requests", integration_requests(path.stem))
    return found


def between_markers(text, name, content):
    """`text` with `content` between `<!-- name -->` and `<!-- /name -->`."""
    pattern = re.compile(r"(<!-- %s -->\n).*?(<!-- /%s -->)" % (name, name), re.DOTALL)
    if not pattern.search(text):
        raise SystemExit("a page lacks the markers <!-- %s --> and <!-- /%s -->" % (name, name))
    return pattern.sub(lambda match: match.group(1) + content + match.group(2), text)


def pages():
    """Path -> text of every generated file."""
    readme = ROOT / "README.md"
    text = between_markers(readme.read_text(encoding="utf-8"), "actions", actions_table())
    kubernetes = ROOT / "docs" / "kubernetes.md"
    chat = ROOT / "docs" / "chatops.md"
    return {
        chat: between_markers(chat.read_text(encoding="utf-8"), "chat", chat_table()),
        kubernetes: between_markers(
            kubernetes.read_text(encoding="utf-8"), "states", states_table()
        ),
        readme: between_markers(text, "configuration", configuration_table()),
        ROOT / "docs" / "actions.md": actions_page(),
        ROOT / "docs" / "configuration.md": configuration_page(),
        ROOT / "docs" / "classification.md": classification_page(),
        **integrations(),
    }


def main(arguments):
    """Writes or checks; returns the exit code."""
    stale = [
        (path, text)
        for path, text in pages().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    names = ", ".join(str(path.relative_to(ROOT)) for path, _ in stale)
    if "--check" in arguments:
        if stale:
            print("stale: %s; run `make docs`" % names, file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale:
        path.write_text(text, encoding="utf-8")
    print("written: %s" % names if stale else "everything was up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
