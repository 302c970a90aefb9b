"""Problems of sensors: the class that the metadata names, and its methods."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, Optional, Set, Tuple

from standalone.packs import Pack, Sensor

__all__ = ["problems"]

_ALWAYS = {"setup", "cleanup", "add_trigger", "update_trigger", "remove_trigger"}
_OWN: Dict[str, str] = {"PollingSensor": "poll", "Sensor": "run"}


def problems(pack: Pack) -> Iterator[str]:
    """One line per problem. The file is read, not imported."""
    for sensor in pack.sensors.values():
        path = Path(sensor.entry_point)
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except OSError:
            yield "%s: entry_point: there is no file %s" % (sensor.metadata_file, path)
        except (SyntaxError, ValueError) as error:
            yield "%s cannot be read as Python: %s" % (path, error)
        else:
            yield from _class_problems(sensor, path, tree)


def _class_problems(sensor: Sensor, path: Path, tree: ast.Module) -> Iterator[str]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    if sensor.class_name not in classes:
        yield "%s: class_name: %s has no class %s" % (sensor.metadata_file, path, sensor.class_name)
        return
    base, methods = _shape(classes[sensor.class_name], tree, path.parent)
    if base not in _OWN:
        yield "%s: %s must be a PollingSensor or a Sensor" % (path, sensor.class_name)
        return
    for missing in sorted((_ALWAYS | {_OWN[base]}) - methods):
        yield "%s: %s has no %s()" % (path, sensor.class_name, missing)
    if base == "PollingSensor" and "run" in methods:
        yield "%s: %s is polled and must not have a run() of its own" % (path, sensor.class_name)
    if base == "PollingSensor" and sensor.poll_interval is None:
        yield "%s: poll_interval is missing for a polling sensor" % sensor.metadata_file
    if base == "Sensor" and sensor.poll_interval is not None:
        yield "%s: poll_interval means nothing to a sensor without poll()" % sensor.metadata_file


def _shape(node: ast.ClassDef, tree: ast.Module, folder: Path) -> Tuple[str, Set[str]]:
    """The class of StackStorm's that a sensor derives from, and the methods that it has, also by a
    class of a module beside it.
    """
    names = [
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in node.bases
    ]
    own = next((name for name in names if name in _OWN), "")
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    for name in names:
        found = _beside(name, tree, folder)
        if found is not None:
            base, more = _shape(found[0], found[1], folder)
            own, methods = own or base, methods | more
    return own, methods


def _beside(
    name: str, tree: ast.Module, folder: Path
) -> Optional[Tuple[ast.ClassDef, ast.Module]]:
    """The class `name` that `tree` imports from a module in the same folder, and that module."""
    for item in tree.body:
        if isinstance(item, ast.ImportFrom) and any(one.name == name for one in item.names):
            try:
                text = (folder / ("%s.py" % item.module)).read_text(encoding="utf-8")
                module = ast.parse(text)
            except (OSError, SyntaxError, ValueError):
                return None
            for node in module.body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return node, module
    return None
