"""Problems of sensors: the class that the metadata names, and its methods."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Dict, Iterator, Set, Tuple

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
    base, methods = _shape(classes[sensor.class_name])
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


def _shape(node: ast.ClassDef) -> Tuple[str, Set[str]]:
    names = [
        base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        for base in node.bases
    ]
    known = [name for name in names if name in _OWN]
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    return (known[0] if known else ""), methods
