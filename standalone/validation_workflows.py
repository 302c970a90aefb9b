"""Problems of workflows: what orquesta finds, and what only shows when they run.

Orquesta is imported at the first workflow, which takes a third of a second.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterator, List

from standalone.packs import Action, Pack, PackError, read_yaml, yaml_files
from standalone.validation_rules import action_of

__all__ = ["problems"]


def problems(pack: Pack) -> Iterator[str]:
    """One line per problem."""
    used = set()
    for action in pack.actions.values():
        if action.runner_type == "orquesta" and Path(action.entry_point).is_file():
            used.add(Path(action.entry_point).resolve())
            yield from _workflow_problems(pack, action)
    for path in yaml_files(pack.root / "actions" / "workflows"):
        if path.resolve() not in used:
            yield "%s: no action has this workflow as its entry_point" % path


def _workflow_problems(pack: Pack, action: Action) -> Iterator[str]:
    from standalone import inspection, orquesta_compat

    path = Path(action.entry_point)
    try:
        document = read_yaml(path)
        spec = orquesta_compat.load_workflow(path)
    except (PackError, orquesta_compat.WorkflowFileError) as error:
        yield str(error)
        return
    for found in inspection.errors_of(spec, lambda ref: action_of(pack, ref)):
        yield "%s: %s: %s" % (path, found.get("spec_path", ""), found.get("message", ""))
    yield from _inline_problems(path, document)
    yield from _input_problems(path, document, action)


def _inline_problems(path: Path, document: Dict[str, Any]) -> Iterator[str]:
    """`a=b` in one line: bare words and objects in it are dropped in silence."""
    for key in ("input", "vars", "output"):
        if isinstance(document.get(key), str):
            yield "%s: %s: write a list of mappings, not text" % (path, key)
    for name, task in (document.get("tasks") or {}).items():
        place = "%s: tasks.%s" % (path, name)
        if not isinstance(task, dict):
            continue
        reference = task.get("action")
        if not isinstance(reference, str) or reference.startswith(("<%", "{{")):
            reference = ""
        if "=" in reference:
            yield "%s.action: parameters in the line of the action; use input" % place
        transitions = task.get("next") or []
        for transition in transitions if isinstance(transitions, list) else []:
            if isinstance(transition, dict) and isinstance(transition.get("publish"), str):
                yield "%s.next.publish: write a list of mappings, not %r" % (
                    place,
                    transition["publish"],
                )


def _input_problems(path: Path, document: Dict[str, Any], action: Action) -> Iterator[str]:
    inputs: List[str] = []
    for item in document.get("input") or []:
        inputs.extend(item if isinstance(item, dict) else [str(item)])
    declared = [name for name in action.parameters if name not in action.runner_parameters]
    for name in inputs:
        if name not in declared:
            yield "%s: input: %s is not declared in %s" % (path, name, action.metadata_file)
    for name in declared:
        if name not in inputs:
            yield "%s: parameters.%s: the workflow has no such input" % (action.metadata_file, name)
