"""What a runbook is, as frozen values: which incidents it is for, its steps, and how success is
proven.

Parsing and its rules are in `remedy.parsing`; carrying one out is in `remedy.execute`.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple, Union

from selfheal.records import dataclass

READ_ONLY = "read-only"
REVERSIBLE = "reversible"
DISRUPTIVE = "disruptive"
DESTRUCTIVE = "destructive"
RISKS = (READ_ONLY, REVERSIBLE, DISRUPTIVE, DESTRUCTIVE)  # from harmless to beyond repair

DEFAULT_CONFIDENCE = 0.5
STOP = "stop"
FAIL = "fail"
OTHERWISE = (STOP, FAIL)
OPERATORS = (
    "equals",
    "not_equals",
    "contains",
    "not_contains",
    "starts_with",
    "ends_with",
    "less_than",
    "greater_than",
    "empty",
    "not_empty",
)
WITHOUT_OPERAND = ("empty", "not_empty")
STEP_FIELDS = ("exit_code", "stdout", "stderr", "status", "body")
INCIDENT_FIELDS = (
    "id",
    "alert_type",
    "title",
    "severity",
    "source",
    "cluster",
    "namespace",
    "workload",
    "instance",
    "service",
)


@dataclass(frozen=True)
class Reference:
    """Where a value comes from: ("labels", "service"), ("incident", "namespace"), ("steps",
    "check", "stdout").
    """

    parts: Tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.parts)

    @property
    def step(self) -> Optional[str]:
        """The step whose outcome it reads, or None when it is known before the first step."""
        return self.parts[1] if self.parts[0] == "steps" else None


@dataclass(frozen=True)
class Command:
    """A process: a fixed argument list, or a script handed to an interpreter. Never text put
    together at run time. `files` are the files beside the runbook that it names: (absolute path,
    SHA-256 of what they held when it was decided on).
    """

    argv: Tuple[str, ...] = ()
    script: str = ""
    interpreter: Tuple[str, ...] = ()
    files: Tuple[Tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ApiCall:
    """One HTTP request, fixed when the runbook was written."""

    method: str
    url: str
    json: Any = None
    headers: Tuple[Tuple[str, str], ...] = ()
    expect_status: Tuple[int, ...] = ()

    def accepts(self, status: int) -> bool:
        """Whether `status` counts as success; any 2xx does when none is named."""
        return status in self.expect_status if self.expect_status else 200 <= status < 300


@dataclass(frozen=True)
class Wait:
    """A pause of `seconds`, or until `url` answers `status`, at most `timeout_s` seconds."""

    seconds: float = 0.0
    url: str = ""
    status: int = 200
    timeout_s: float = 60.0


@dataclass(frozen=True)
class Condition:
    """Go on only if `value` stands in relation `operator` to `operand`; else `otherwise` (stop:
    done; fail: failed).
    """

    value: Reference
    operator: str
    operand: str
    otherwise: str


@dataclass(frozen=True)
class KubernetesAct:
    """An operation of remedy.kubernetes.operations on the incident's own workload, with constants
    as options; what it would take back is computed when it is done.
    """

    do: str
    options: Tuple[Tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class KubernetesUndo:
    """What takes the operation `do` back: `record` is the undo record's action, complete."""

    do: str
    record: Mapping[str, Any]


Act = Union[Command, ApiCall, Wait, Condition, KubernetesAct, KubernetesUndo]
KINDS: Dict[str, str] = {
    "command": "a process",
    "api_call": "an HTTP request",
    "wait": "a pause",
    "condition": "a decision",
    "kubernetes": "a change in Kubernetes",
}


@dataclass(frozen=True)
class Undo:
    """What takes a step back. It may be carried out more than once, so it must stand being
    repeated.
    """

    act: Union[Command, ApiCall]
    timeout_s: Optional[float] = None


@dataclass(frozen=True)
class Step:
    """One step. `timeout_s` None means what is left of the runbook's own time."""

    name: str
    kind: str
    act: Act
    timeout_s: Optional[float] = None
    expect_exit: Tuple[int, ...] = (0,)
    undo: Optional[Undo] = None


@dataclass(frozen=True)
class Runbook:
    """A whole runbook. `digest` is the SHA-256 of its file and of the files beside it that its
    commands name; `verify` is the list of checks as written.
    """

    name: str
    path: str
    digest: str
    description: str
    alert_types: Tuple[str, ...]
    severities: Tuple[str, ...]
    labels: Tuple[Tuple[str, str], ...]
    risk: str
    confidence: float
    timeout_s: Optional[float]
    values: Tuple[Tuple[str, Reference], ...]
    steps: Tuple[Step, ...]
    verify: Tuple[Dict[str, Any], ...]

    @property
    def acts_in_kubernetes(self) -> bool:
        """Whether a step of it changes something in Kubernetes."""
        return any(isinstance(step.act, KubernetesAct) for step in self.steps)
