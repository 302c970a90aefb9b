"""How often containers have restarted lately: their counts as they were seen, in memory and in the
store.

A count is one over a lifetime, so only its growth between two looks says anything of a rate. What
was seen survives the sensor, and two sensors of one cluster write the same rows. Restarts of a time
in which nobody looked count in proportion to the part of it that lies within the window.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set, Tuple

from selfheal.store import Store
from selfheal.workloads import shape

_COLUMNS = ("target", "pod_uid", "container", "restarts", "before_at", "seen_at")
_NOTHING = "ON CONFLICT (target, pod_uid, container, restarts) DO NOTHING"
_MOST_STEPS = 60  # of one container: a window of minutes does not hold more looks that matter

Key = Tuple[str, str]  # (uid of the pod, name of the container)


class Step(NamedTuple):
    """The container came to `total` restarts after `before` and was seen there at `at` (epoch s).
    """

    total: int
    before: float
    at: float


class Restarts:
    """The counts of one target's containers. Losing it costs a query, never a restart."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._known: Optional[Dict[Key, List[Step]]] = None
        self._new: List[Tuple[Key, Step]] = []
        self._dropped: List[Tuple[Key, int]] = []
        self._listed: Set[Key] = set()

    def load(self, store: Store) -> None:
        """Read what is stored, unless that is known already. Raises StoreError."""
        if self._known is not None:
            return
        known: Dict[Key, List[Step]] = {}
        for row in store.query(
            "SELECT pod_uid, container, restarts, before_at, seen_at FROM kubernetes_restarts "
            "WHERE target = ? ORDER BY restarts",
            (self._target,),
        ):
            key = (str(row["pod_uid"]), str(row["container"]))
            step = Step(int(row["restarts"]), float(row["before_at"]), float(row["seen_at"]))
            known.setdefault(key, []).append(step)
        self._known = known

    def forget(self) -> None:
        """After a failure: rely on the store alone."""
        self._known = None
        self._new, self._dropped = [], []
        self._listed = set()

    def seen(
        self,
        uid: str,
        counts: Mapping[str, int],
        created_at: Optional[float],
        looked_at: Optional[float],
        now: float,
        window_s: float,
    ) -> Dict[str, int]:
        """Take in the counts of a pod's containers; {container: restarts within the window}.

        `created_at` is when the pod was made, `looked_at` when its cluster was looked at the last
        time before now; both None when not known. A pod that is older than that and unknown has
        come into view: how often it restarted before says nothing.
        """
        known = self._known
        if known is None:
            raise RuntimeError("load() comes before seen()")
        found = {}
        for container, count in counts.items():
            key = (uid, container)
            self._listed.add(key)
            steps = known.get(key)
            if steps is None:
                steps = known[key] = self._first(key, count, created_at, looked_at, now, window_s)
            elif count != steps[-1].total:
                self._next(key, steps, count, looked_at, now, now - window_s)
            if len(steps) > 1:
                found[container] = recent(steps, now - window_s)
        return found

    def save(self, store: Store) -> None:
        """Store what is new. Raises StoreError; then it is tried again with the next."""
        if self._dropped:
            store.execute_many(
                "DELETE FROM kubernetes_restarts WHERE target = ? AND pod_uid = ? AND "
                "container = ? AND restarts = ?",
                [(self._target, *key, count) for key, count in self._dropped],
            )
            self._dropped = []
        known = self._known or {}
        rows = [
            (self._target, *key, *step) for key, step in self._new if step in known.get(key, ())
        ]
        store.insert_many("kubernetes_restarts", _COLUMNS, rows, _NOTHING)
        self._new = []

    def begin_list(self) -> None:
        """A list of all pods begins: see `end_list`."""
        self._listed = set()

    def end_list(self, store: Store) -> None:
        """The list was complete: pods that were not in it are gone. Raises StoreError."""
        gone = [key for key in self._known or () if key not in self._listed]
        self.drop(store, {uid for uid, _ in gone})
        self._listed = set()

    def drop(self, store: Store, uids: Iterable[str]) -> None:
        """Forget pods that are gone."""
        gone = set(uids)
        if not gone or self._known is None:
            return
        for key in [key for key in self._known if key[0] in gone]:
            del self._known[key]
        store.execute_many(
            "DELETE FROM kubernetes_restarts WHERE target = ? AND pod_uid = ?",
            [(self._target, uid) for uid in sorted(gone)],
        )

    def _first(
        self,
        key: Key,
        count: int,
        created_at: Optional[float],
        looked_at: Optional[float],
        now: float,
        window_s: float,
    ) -> List[Step]:
        is_new = created_at is not None and (
            now - created_at <= window_s or (looked_at is not None and created_at >= looked_at)
        )
        if created_at is None or not is_new:
            return [self._noted(key, Step(count, now, now))]
        began = min(created_at, now)
        steps = [self._noted(key, Step(0, began, began))]
        return steps + ([self._noted(key, Step(count, began, now))] if count > 0 else [])

    def _next(
        self,
        key: Key,
        steps: List[Step],
        count: int,
        looked_at: Optional[float],
        now: float,
        start: float,
    ) -> None:
        if count < steps[-1].total:  # the node has lost its dead containers and counts anew
            self._dropped += [(key, step.total) for step in steps]
            steps[:] = [self._noted(key, Step(count, now, now))]
            return
        before = steps[-1].at if looked_at is None else min(max(looked_at, steps[-1].at), now)
        steps.append(self._noted(key, Step(count, before, now)))
        # Of what lies before the window only the last count matters.
        old = sum(1 for step in steps if step.at <= start) - 1
        needless = max(old, len(steps) - _MOST_STEPS, 0)
        self._dropped += [(key, step.total) for step in steps[:needless]]
        del steps[:needless]

    def _noted(self, key: Key, step: Step) -> Step:
        self._new.append((key, step))
        return step


def recent(steps: List[Step], start: float) -> int:
    """How many restarts of `steps` came after `start`, rounded where their time is known by half
    only.
    """
    total = 0.0
    for one, other in zip(steps, steps[1:]):
        if other.at <= start:
            continue
        length = other.at - other.before
        within = min(length, other.at - start)
        share = within / length if length > 0 else 1.0
        total += (other.total - one.total) * share
    return int(total + 0.5)


def counts_of(pod: Mapping[str, Any]) -> Dict[str, int]:
    """The restart count of each container of a pod, as its status says; what is malformed is left
    out. Names are those of workloads.containers: printable and bounded.
    """
    status = shape.mapping(pod, "status")
    found: Dict[str, int] = {}
    for field in ("initContainerStatuses", "containerStatuses"):
        for entry in shape.mappings(status, field):
            name = shape.line(entry, "name", shape.NAME_LIMIT)
            count = shape.optional_number(entry, "restartCount")
            if name and count is not None and count < 2**31:
                found[name] = count
    return found
