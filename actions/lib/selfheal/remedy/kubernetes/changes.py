"""One change of one object: as it is planned, as the undo record holds it, as it is carried out and
found again.

A change is either edits of parts of an object that is there, or an object that is made. Whether it
was made is always told by the object itself, never remembered.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Tuple

from selfheal.apis.kubernetes.failures import Changed, Missing, NotServed
from selfheal.apis.kubernetes.paths import collection, path
from selfheal.records import dataclass
from selfheal.remedy.kubernetes import edits as parts
from selfheal.remedy.kubernetes.edits import AFTER, BEFORE, OTHER, Edit
from selfheal.workloads import shape

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client


@dataclass(frozen=True)
class Change:
    """`edits` of the object of this kind and name that has this uid; or, with a `body`, that object
    made anew (its edits then tell its spec). `version` is the API's, "" for the kind's only one.
    """

    kind: str
    namespace: str
    name: str
    uid: str = ""
    edits: Tuple[Edit, ...] = ()
    version: str = ""
    body: Optional[Mapping[str, Any]] = field(default=None)

    @property
    def path(self) -> str:
        return path(self.kind, self.namespace, self.name, version=self.version)

    def __str__(self) -> str:
        where = "%s/%s" % (self.namespace, self.name) if self.namespace else self.name
        return "%s %s" % (self.kind, where)

    def as_dict(self) -> Dict[str, Any]:
        """As undo records hold it."""
        return {
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
            "version": self.version,
            "uid": self.uid,
            "is_made": self.body is not None,
            "edits": [one.as_dict() for one in self.edits],
        }


def from_dict(found: Mapping[str, Any]) -> Change:
    """The change of a record. Raises LookupError, TypeError, InvalidInput."""
    change = Change(
        found["kind"],
        found["namespace"],
        found["name"],
        found["uid"],
        tuple(parts.from_dict(one) for one in found["edits"]),
        found["version"],
        {} if found["is_made"] else None,
    )
    if not isinstance(change.uid, str) or not change.edits or not change.path:
        raise TypeError("a change without edits")
    return change


def is_replaced(change: Change, live: Optional[Mapping[str, Any]]) -> bool:
    """Whether `live` is another object than the one that was changed, or none at all."""
    uid = shape.text(shape.metadata(live), "uid")
    return live is None or (bool(change.uid) and uid != change.uid)


def read(client: Client, change: Change) -> Optional[Dict[str, Any]]:
    """The object as it is now; None when there is none."""
    try:
        return client.get(change.path)
    except NotServed:
        raise  # an API that is gone tells nothing of the object
    except Missing:
        return None


def stand(change: Change, live: Optional[Mapping[str, Any]]) -> str:
    """BEFORE, AFTER or OTHER: how `live` stands to the change."""
    if change.body is not None:
        return BEFORE if live is None else parts.stand(live, change.edits)
    if live is None or is_replaced(change, live):
        return OTHER
    return parts.stand(live, change.edits)


def rehearse(client: Client, change: Change, live: Optional[Mapping[str, Any]]) -> Change:
    """The change as the server would make it (server-side dry run): it refuses here what it would
    refuse then, and fills in its defaults.
    """
    stored = apply(client, change, live, dry_run=True)
    return replace(change, edits=parts.settled(change.edits, stored))


def as_stored(change: Change, stored: Mapping[str, Any]) -> Change:
    """The change as `stored`, the server's answer to it, shows it; of a new object with its uid."""
    uid = change.uid or shape.text(shape.metadata(stored), "uid")
    return replace(change, uid=uid, edits=parts.settled(change.edits, stored))


def apply(
    client: Client, change: Change, live: Optional[Mapping[str, Any]], dry_run: bool = False
) -> Dict[str, Any]:
    """Carry the change out on the object as it was read, and only on that version of it; what the
    server made of it. Raises Changed, Unsure and the like.
    """
    if change.body is not None:
        where = collection(change.kind, change.namespace, change.version)
        return client.create(where, dict(change.body), dry_run=dry_run)
    assert live is not None
    return client.patch(change.path, parts.patch(live, change.edits), "json", dry_run=dry_run)


def take_back(client: Client, change: Change, live: Mapping[str, Any]) -> None:
    """Put back what was there before, provided that `live` is still the version that was read.
    Raises Changed, also when it was deleted just now.
    """
    try:
        _take_back(client, change, live)
    except NotServed:
        raise
    except Missing as error:
        raise Changed(str(error)) from error


def _take_back(client: Client, change: Change, live: Mapping[str, Any]) -> None:
    if change.body is not None:
        about = shape.metadata(live)
        version = shape.text(about, "resourceVersion")
        client.delete(change.path, shape.text(about, "uid"), version)
        return
    reverse = tuple(Edit(one.path, one.after, one.before) for one in reversed(change.edits))
    client.patch(change.path, parts.patch(live, reverse), "json")


__all__ = ["AFTER", "BEFORE", "OTHER", "Change"]
