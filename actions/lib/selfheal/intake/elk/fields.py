"""Which fields of a document are fetched from the search: those that `documents` reads."""

from __future__ import annotations

from typing import Dict, List, Sequence

from selfheal.intake.documents.meanings import DETAIL, MEANINGS

# Large, in nearly every document of Elastic's shippers, and never read.
_EXCLUDED = (
    "host.architecture",
    "host.containerized",
    "host.id",
    "host.mac",
    "host.os",
    "kubernetes.annotations",
    "kubernetes.namespace_labels",
    "kubernetes.namespace_uid",
    "kubernetes.node.labels",
    "kubernetes.node.uid",
)


def source_filter(more: Sequence[str] = ()) -> Dict[str, List[str]]:
    """The value of `_source` in a search: what `documents.read` knows, and `more`."""
    names = {"kubernetes", *more}
    for paths in (*MEANINGS.values(), *DETAIL.values()):
        names.update(paths.split())
    return {"includes": sorted(names), "excludes": list(_EXCLUDED)}
