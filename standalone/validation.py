"""What StackStorm, or the Exchange's checks, would refuse in a pack, found without either.

Promises one line per problem, naming file and key, and an empty list for a pack that would
register and start. What a pack does when it runs is left to its tests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, List

from standalone import (
    validation_config,
    validation_files,
    validation_functions,
    validation_metadata,
    validation_rules,
    validation_sensors,
    validation_workflows,
)
from standalone.packs import Pack, PackError, load_pack

__all__ = ["problems_of"]


def problems_of(root: Path) -> List[str]:
    """Everything that is wrong with the pack in this directory, sorted, without repetitions."""
    root = Path(root).resolve()
    found = list(validation_files.problems(root))
    found.extend(validation_metadata.problems(root))
    try:
        pack = load_pack(root)
    except PackError as error:
        found.append(str(error))
    else:
        found.extend(_problems_of_parts(pack))
    return sorted({_relative(problem, root) for problem in found})


def _problems_of_parts(pack: Pack) -> Iterator[str]:
    yield from validation_config.problems(pack)
    yield from validation_functions.problems(pack)
    yield from validation_rules.problems(pack)
    yield from validation_sensors.problems(pack)
    yield from validation_workflows.problems(pack)


def _relative(problem: str, root: Path) -> str:
    return problem.replace(str(root) + "/", "")
