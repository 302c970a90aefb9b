"""What one container's status says: image, configuration, out of memory, crashing, restarting.

At most one state per container, the one nearest to the cause. A lifetime's count of restarts says
nothing by itself: what counts is how many there were of late, and whether it crashes right now.
"""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Tuple

from selfheal.records import dataclass
from selfheal.workloads import owners, shape, states
from selfheal.workloads.model import Finding, Ref, Thresholds
from selfheal.workloads.states import State

OOM_KILLED = "OOMKilled"
_CRASH_LOOP = "CrashLoopBackOff"
_NO_IMAGE_EVER = ("InvalidImageName", "ErrImageNeverPull")
_NO_IMAGE = (
    *_NO_IMAGE_EVER,
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_NO_CONFIG = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PreCreateHookError",
    "PreStartHookError",
)
# The command is not in the image, is no program, or may not be run.
_NO_START = ("StartError", "ContainerCannotRun")
# The kubelet starts it again at once after the first crash, and forgets its crashes once it has run
# for ten minutes. The second crash is the first that it backs off from, and may be a dependency
# that was not up yet.
_CRASHES = 2
_FORGOTTEN_AFTER_S = 600.0
_MESSAGE_LIMIT = 500
_REASON_LIMIT = 100


@dataclass(frozen=True)
class Container:
    """One entry of a pod's containerStatuses or initContainerStatuses. `is_step` is an init
    container that has to end before the next one begins; a sidecar is none.
    """

    name: str
    status: shape.Json
    is_step: bool

    def state(self, of: str) -> shape.Json:
        """The state `of`: waiting, running or terminated; empty when it is another."""
        return shape.mapping(self.status, "state", of)

    @property
    def last(self) -> shape.Json:
        """How it ended the last time; empty when it never did."""
        return shape.mapping(self.status, "lastState", "terminated")

    @property
    def restarts(self) -> int:
        return shape.number(self.status, "restartCount")

    @property
    def is_done(self) -> bool:
        """Whether it ended well."""
        ended = self.state("terminated")
        return bool(ended) and shape.optional_number(ended, "exitCode") == 0


@dataclass(frozen=True)
class Scene:
    """The pod around its containers, read once. `begun` is when the kubelet took the pod up.

    `is_task`: it is to end, and who made it sees to failures. `is_endless`: whatever ends in it is
    started again, even what ended well.
    """

    pod: shape.Json
    owner: Ref
    name: str
    node: str
    is_task: bool
    is_endless: bool
    begun: float
    now: float
    thresholds: Thresholds

    def finding(self, state: State, words: str, since: float = 0.0, **more: Any) -> Finding:
        """A finding about this pod; `since` is not in the future, whatever clocks say."""
        at = min(since, self.now)
        return Finding(state, self.owner, self.name, node=self.node, since=at, words=words, **more)


def scene(pod: Any, owner: Ref, now: float, thresholds: Thresholds) -> Scene:
    """What all judgements of one pod need."""
    spec = shape.mapping(pod, "spec")
    begun = shape.moment(shape.mapping(pod, "status"), "startTime")
    return Scene(
        pod,
        owner,
        shape.place(pod)[1],
        shape.line(spec, "nodeName", shape.NAME_LIMIT),
        owners.is_task(pod),
        shape.text(spec, "restartPolicy") not in ("Never", "OnFailure"),
        begun or shape.moment(shape.metadata(pod), "creationTimestamp"),
        now,
        thresholds,
    )


def containers_of(pod: Any) -> List[Container]:
    """The containers of a pod in the order in which they start. Ephemeral ones are people at
    work and left out.
    """
    status = shape.mapping(pod, "status")
    found = [
        Container(shape.line(one, "name", shape.NAME_LIMIT), one, False)
        for one in shape.mappings(status, "containerStatuses")
    ]
    first = shape.mappings(status, "initContainerStatuses")
    if not first:
        return found
    sidecars = {
        shape.text(one, "name")
        for one in shape.mappings(shape.mapping(pod, "spec"), "initContainers")
        if one.get("restartPolicy") == "Always"
    }
    return [
        Container(
            shape.line(one, "name", shape.NAME_LIMIT),
            one,
            shape.text(one, "name") not in sidecars,
        )
        for one in first
    ] + found


def findings_of(
    scene: Scene, containers: List[Container], recent_restarts: Optional[Mapping[str, int]]
) -> Tuple[Finding, ...]:
    """What is wrong with each container of a pod that is to run. `recent_restarts` are those within
    restart_window_minutes by container, None when nobody has counted.
    """
    waiting_since = _waiting_since(scene, containers)
    found = []
    for container in containers:
        if container.is_step and container.is_done:
            continue  # however often it crashed before
        finding = _waits(scene, container, waiting_since) or (
            None if scene.is_task else _crashes(scene, container, recent_restarts)
        )
        if finding is not None:
            found.append(finding)
    return tuple(found)


def _waiting_since(scene: Scene, containers: List[Container]) -> float:
    """Since when the kubelet has been able to work on the container that is next: the start of the
    pod, or the end of the init containers before it.
    """
    steps = [one.state("terminated") for one in containers if one.is_step]
    return max([scene.begun, *(shape.moment(ended, "finishedAt") for ended in steps)])


def waits_since(scene: Scene, containers: List[Container], container: Container) -> float:
    """Since when `container` waits for what it waits for now."""
    return max(_waiting_since(scene, containers), _end(container.last))


def _waits(scene: Scene, container: Container, waiting_since: float) -> Optional[Finding]:
    waiting = container.state("waiting")
    reason = shape.text(waiting, "reason")
    since = max(waiting_since, _end(container.last))
    has_lasted = scene.now - since >= scene.thresholds.settle_s
    if reason in _NO_IMAGE and (has_lasted or reason in _NO_IMAGE_EVER):
        words = "cannot start: its image cannot be pulled"
        return _found(scene, container, states.POD_IMAGE_PULL_FAILED, waiting, since, words)
    if reason in _NO_CONFIG and has_lasted:
        words = "cannot be created from its configuration"
        return _found(scene, container, states.POD_CONFIG_ERROR, waiting, since, words)
    return None


def _crashes(
    scene: Scene, container: Container, recent_restarts: Optional[Mapping[str, int]]
) -> Optional[Finding]:
    ended = container.state("terminated") or container.last
    if ended and (scene.is_endless or not container.is_done):
        found = _crash(scene, container, ended)
        if found is not None:
            state, words = found
            return _found(scene, container, state, ended, _end(ended), words)
    recent = _recent(scene, container, recent_restarts)
    if recent <= scene.thresholds.max_restarts:
        return None
    words = "restarted %d times within %g minutes" % (
        recent,
        scene.thresholds.restart_window_s / 60,
    )
    return _found(scene, container, states.POD_RESTARTING_OFTEN, ended, _end(ended), words, recent)


def _crash(scene: Scene, container: Container, ended: shape.Json) -> Optional[Tuple[State, str]]:
    is_crashing = container.restarts >= _CRASHES and _is_crashing(scene, container, ended)
    reason = shape.text(ended, "reason")
    if reason == OOM_KILLED and (is_crashing or _is_fresh_kill(scene, container, ended)):
        return states.POD_OOM_KILLED, "ran out of memory"
    if is_crashing and reason in _NO_START:
        return states.POD_CONFIG_ERROR, "cannot start: its command does not run"
    return (states.POD_CRASH_LOOPING, "crashes again and again") if is_crashing else None


def _is_crashing(scene: Scene, container: Container, ended: shape.Json) -> bool:
    if shape.text(container.state("waiting"), "reason") == _CRASH_LOOP:
        return True
    began, end = shape.moment(ended, "startedAt"), _end(ended)
    if not began or not end or end - began >= _FORGOTTEN_AFTER_S:
        return False
    if container.state("terminated"):
        return True  # just ended, and not yet backed off from
    running = container.state("running")
    started = shape.moment(running, "startedAt")
    return bool(running) and scene.now - started < scene.thresholds.settle_s


def _is_fresh_kill(scene: Scene, container: Container, ended: shape.Json) -> bool:
    is_down = not container.state("running")
    return is_down or scene.now - _end(ended) <= scene.thresholds.restart_window_s


def _recent(
    scene: Scene, container: Container, recent_restarts: Optional[Mapping[str, int]]
) -> int:
    if scene.begun and scene.now - scene.begun <= scene.thresholds.restart_window_s:
        return container.restarts
    return (recent_restarts or {}).get(container.name, 0)


def _end(ended: shape.Json) -> float:
    return shape.moment(ended, "finishedAt")


def _found(
    scene: Scene,
    container: Container,
    state: State,
    told_by: shape.Json,
    since: float,
    what: str,
    recent: int = 0,
) -> Finding:
    kind = "init container" if container.is_step else "container"
    return scene.finding(
        state,
        "%s %s %s" % (kind, container.name, what),
        since,
        container=container.name,
        reason=shape.line(told_by, "reason", _REASON_LIMIT),
        message=shape.line(told_by, "message", _MESSAGE_LIMIT),
        exit_code=shape.optional_number(told_by, "exitCode"),
        restarts=recent or container.restarts,
    )
