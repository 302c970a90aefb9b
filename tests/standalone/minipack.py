"""Writes small packs for tests: a mapping of file names to text becomes a directory."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

from standalone import packs

MANIFEST = """\
    name: mini
    ref: mini
    description: A pack for tests.
    version: 0.1.0
    author: Somebody
    email: somebody@example.com
    python_versions: ["3"]
    stackstorm_version: ">=3.8.0"
    """


def write(root: Path, files: Mapping[str, Optional[str]]) -> Path:
    """Write the files (None removes one); text is dedented. The directory, for chaining."""
    for name, text in files.items():
        path = root / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return root


def load(root: Path, files: Mapping[str, Optional[str]]) -> packs.Pack:
    """A pack of these files and a manifest."""
    return packs.load_pack(write(root, {"pack.yaml": MANIFEST, **files}))


def action(parameters: Dict[str, Dict[str, Any]], **more: Any) -> packs.Action:
    """An action with these parameters, not on any disk."""
    fields: Dict[str, Any] = {
        "ref": "mini.act",
        "name": "act",
        "pack": "mini",
        "runner_type": "python-script",
        "entry_point": "/nowhere/act.py",
    }
    fields.update(more)
    return packs.Action(parameters=parameters, **fields)


def rule(criteria: Mapping[str, Any], **more: Any) -> packs.Rule:
    """An enabled rule with these criteria, not on any disk."""
    fields: Dict[str, Any] = {
        "ref": "mini.rule",
        "name": "rule",
        "pack": "mini",
        "trigger_type": "mini.event",
        "trigger_parameters": {},
        "action_ref": "mini.act",
        "action_parameters": {},
        "enabled": True,
    }
    fields.update(more)
    return packs.Rule(criteria=dict(criteria), **fields)
