"""Problems of config.schema.yaml and of the example that users copy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator, Mapping

from standalone import validation_schemas
from standalone.configuration import ConfigError, check_values
from standalone.packs import Pack, PackError, read_yaml

__all__ = ["problems"]


def problems(pack: Pack) -> Iterator[str]:
    """One line per problem."""
    schema_file = pack.root / "config.schema.yaml"
    found = list(validation_schemas.problems(str(schema_file) + ": ", pack.config_schema))
    yield from (line.replace(": .", ": ", 1) for line in found)
    examples = sorted(pack.root.glob("*.yaml.example"))
    wanted = pack.root / ("%s.yaml.example" % pack.ref)
    if not pack.config_schema and not examples:
        return
    if examples != [wanted]:
        yield "%s must be the only *.yaml.example, found %s" % (
            wanted,
            ", ".join(path.name for path in examples) or "none",
        )
    if wanted in examples and not found:
        yield from _example_problems(wanted, pack.config_schema)


def _example_problems(path: Path, schema: Mapping[str, Any]) -> Iterator[str]:
    try:
        values = read_yaml(path)
    except PackError:
        # Said where every file is parsed.
        return
    if not isinstance(values, dict):
        yield "%s must hold a mapping" % path
        return
    for key in values:
        if key not in schema:
            yield "%s: %s is no key of config.schema.yaml" % (path, key)
    try:
        check_values(schema, values, str(path))
    except ConfigError as error:
        yield str(error)
