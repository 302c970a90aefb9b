"""Values at a JSONPath, by the library that StackStorm itself uses for its criteria."""

from __future__ import annotations

import functools
from typing import Any, List


@functools.lru_cache(maxsize=1024)
def _parsed(path: str) -> Any:
    import jsonpath_rw

    return jsonpath_rw.parse(path)


def find(path: str, document: Any) -> List[Any]:
    """All values at `path`. Raises when the path does not parse."""
    return [match.value for match in _parsed(path).find(document)]
