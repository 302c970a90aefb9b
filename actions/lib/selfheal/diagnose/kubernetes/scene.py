"""What a close look is about and what it has found so far: shared by the parts of a bundle."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

from selfheal.diagnose import record
from selfheal.diagnose.kubernetes.notebook import Notebook
from selfheal.records import dataclass
from selfheal.text import one_line
from selfheal.workloads import SOURCE
from selfheal.workloads.model import Finding, Health, Ref

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.context import Context


@dataclass
class Bundle:
    """What was found: of which object (None: it could not be looked at), what is wrong with it
    (`lasting`: and not only with pods that were replaced since), how it stands, which states the
    look would have shown, and all that was written down.
    """

    subject: Ref
    notes: Notebook
    ref: Optional[Ref] = None
    findings: Tuple[Finding, ...] = ()
    lasting: Tuple[Finding, ...] = ()
    health: Optional[Health] = None
    sees: FrozenSet[str] = frozenset()
    is_gone: bool = False
    target: str = ""
    took_s: float = 0.0

    def as_diagnosis(self) -> record.Diagnosis:
        """As the store keeps it."""
        content = self.notes.cleaned()  # before what was hidden is counted
        return record.Diagnosis(
            SOURCE,
            subject_words(self.ref or self.subject, self.target),
            self.notes.facts,
            self.notes.missing,
            self.notes.hidden,
            content,
            round(self.took_s, 3),
        )


@dataclass
class Scene:
    """What the parts look at: the object, its pods, revisions, and entries of its containers; `end`
    is when all must be over, on the monotonic clock.
    """

    ctx: Context
    client: Client
    cluster: Optional[str]
    bundle: Bundle
    now: float
    end: float
    workload: Any = None
    pods: Sequence[Any] = ()
    histories: Sequence[Any] = ()
    entries: List[Dict[str, Any]] = field(default_factory=list)

    @property
    def ref(self) -> Ref:
        return self.bundle.ref or self.bundle.subject

    @property
    def notes(self) -> Notebook:
        return self.bundle.notes


def subject_words(ref: Ref, target: str) -> str:
    """What a diagnosis is of, the same at every look."""
    return one_line("%s%s" % (ref, " of %s" % target if target else ""), 500)
