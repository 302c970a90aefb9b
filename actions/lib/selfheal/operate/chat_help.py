"""Which commands there are in chat: read from the pack's own aliases, so that help and commands
never differ. Each alias names its topic (`extra.topic`).
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Tuple

from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

PACK_ALIASES = Path(__file__).resolve().parents[4] / "aliases"
# In the order in which somebody at work needs them; others follow by name.
TOPICS = (
    "incidents", "approvals", "runbooks", "kubernetes", "guard", "silences", "tickets",
    "operations",
)
OTHERS = "others"
_MOST = 20

Command = Tuple[str, Tuple[str, ...], str]  # topic, how it is typed, what it does


def chat_help(ctx: Context, topic: str = "") -> Dict[str, Any]:
    """{"topic", "topics": [names], "commands": [{"topic", "shown", "description"}], "lines" (for
    chat), "next" (a chat command)}.

    `topic` is a topic, or a word of a command; empty for what there is in all. One that is neither
    is answered with the nearest.
    """
    found = commands(PACK_ALIASES)
    topics = topics_of(found)
    wanted = one_line(topic, 80).strip().lower()
    if wanted.startswith("heal "):
        wanted = wanted[5:].strip()
    chosen = _chosen(found, wanted) if wanted else []
    if chosen:
        lines = [
            "%s - %s" % (" | ".join(shown), description) for _, shown, description in chosen[:_MOST]
        ]
    else:
        lines = ["%s: %s" % (name, ", ".join(_words(found, name))) for name in topics]
        if wanted:
            near = difflib.get_close_matches(wanted, [*topics, *_words(found)], 1, 0.5)
            hint = "; did you mean %s?" % near[0] if near else ""
            lines.insert(0, "There is no topic or command %r%s" % (wanted, hint))
    return {
        "topic": wanted,
        "topics": topics,
        "commands": [
            {"topic": name, "shown": list(shown), "description": description}
            for name, shown, description in (chosen or ([] if wanted else found))
        ],
        "lines": lines,
        "next": "heal help" if chosen else "heal help %s" % (topics[0] if topics else "help"),
    }


def commands(directory: Path) -> List[Command]:
    """The commands of all aliases in `directory` that are enabled; a file that cannot be read is
    left out.
    """
    import yaml  # only help reads YAML here

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: List[Command] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            alias = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
        except (OSError, ValueError, yaml.YAMLError):
            continue
        if isinstance(alias, dict) and alias.get("enabled", True):
            topic = str((alias.get("extra") or {}).get("topic") or OTHERS)
            shown = tuple(_shown(one) for one in alias.get("formats") or ())
            description = one_line(str(alias.get("description") or ""), 300)
            found.append((topic, shown, description))
    return found


def _shown(form: Any) -> str:
    """How a person types the format: its parameters as capital words."""
    text = str(form.get("display") or "") if isinstance(form, dict) else str(form)
    for part in text.split("{{")[1:]:
        inner, closed, _ = part.partition("}}")
        if closed:
            word = inner.split("=")[0].strip().upper()
            text = text.replace("{{%s}}" % inner, "ID" if word == "INCIDENT_ID" else word, 1)
    return text


def topics_of(found: List[Command]) -> List[str]:
    """The topics of the commands, in the order in which they are shown."""
    there = {topic for topic, _, _ in found}
    known = [name for name in TOPICS if name in there]
    return known + sorted(there - set(known))


def _words(found: List[Command], topic: str = "") -> List[str]:
    """The words after `heal`, each once."""
    words = [
        shown[0].split()[1]
        for name, shown, _ in found
        if shown and len(shown[0].split()) > 1 and topic in ("", name)
    ]
    return list(dict.fromkeys(words))


def _chosen(found: List[Command], wanted: str) -> List[Command]:
    """The commands of a topic, or those that begin with the words."""
    by_topic = [one for one in found if one[0] == wanted]
    if by_topic:
        return by_topic
    return [
        one for one in found
        if any((text + " ").startswith("heal %s " % wanted) for text in one[1])
    ]
