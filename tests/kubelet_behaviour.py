"""How a container of the test bed behaves, told by its image or by the pod's annotation (or label)
`test/behaviour`, and what a kubelet would write into the pod's status for it.

Pure: a pod and its life so far in, a status out. The words are listed at `kind_of`; an image that
is not one of them (nginx:1.25) runs and is ready. live_kubelet.py writes what is decided here.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

BEHAVIOUR = "test/behaviour"

RUNS, UNREADY, SLOW, CRASHES, OOM, FLAPS, MISSING, MISCONFIGURED, DONE, FAILED, EVICTED = (
    "runs unready slow crashes oom flaps missing misconfigured done failed evicted".split()
)
ENDS = (DONE, FAILED, EVICTED)

_SUFFIXES = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_SUFFIXES.update({"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "": 1.0})


@dataclass
class Life:
    """What is known of one pod: its place among the pods of its owner, and how far it has come."""

    number: int  # the how manieth pod of its owner (of its owner on this node for a DaemonSet)
    is_first_generation: bool  # nothing of its owner was replaced before it
    ip: str
    words: tuple = ()
    step: int = 0
    restarts: int = 0
    exit_code: int = 1
    is_written: bool = False
    is_confirmed: bool = False
    events: dict = field(default_factory=dict)


def quantity(text) -> float:
    """A Kubernetes quantity as a number: "500m" is 0.5, "1Gi" 2**30."""
    number, suffix = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    return float(number) * _SUFFIXES[suffix]


def requested(pod, resource: str) -> float:
    """What a pod's containers ask of "cpu" (cores) or "memory" (bytes) together."""
    wanted = 0.0
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        limits = resources.get("limits") or {}
        wanted += quantity((resources.get("requests") or limits).get(resource, 0))
    return wanted


def timestamp() -> str:
    """Now, as Kubernetes writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def words_of(pod) -> tuple:
    """The behaviour of each container (init containers first), such as ("bad:crash",)."""
    about = pod["metadata"]
    told = (about.get("annotations") or {}).get(BEHAVIOUR) or (about.get("labels") or {}).get(
        BEHAVIOUR, ""
    )
    if told and ":" not in told:
        told = told.replace(".", ":", 1)  # a label cannot hold a colon
    inits = [_word(one["image"]) for one in pod["spec"].get("initContainers", ())]
    return tuple(inits + [told or _word(one["image"]) for one in pod["spec"]["containers"]])


def _word(image: str) -> str:
    return image.rpartition("/")[2]


def kind_of(word: str, container, pod, life: Life, node: str) -> str:
    """What becomes of a container that is told `word`:

    good:*            runs and is ready          slow:2      ready after 2 s
    bad:crash         CrashLoopBackOff           bad:flap    ready for a second, crashes, again
    bad:oom-512Mi     OOMKilled unless the memory limit is that much (bad:oom: 256Mi)
    bad:missing       ImagePullBackOff           bad:config  CreateContainerConfigError
    bad:unready       runs, never ready          bad:stuck   runs, its deletion is never confirmed
    bad:exit          Failed; a pod that is always restarted crashes instead, and a pod that is
                      never restarted is Failed where another would crash
    bad:evicted-3     the first 3 pods of the owner are Evicted (bad:evicted: one), then it runs
    sick:once         the first pod of the owner crashes, every other one runs
    sick:start        crashes until a pod of the owner is deleted or the pod template changes
    sick:node-a       crashes on nodes whose names begin with node-a
    job:ok, job:fail  Succeeded, Failed          job:hang    runs
    """
    name, _, tag = word.partition(":")
    if name == "slow":
        return SLOW
    policy = pod["spec"].get("restartPolicy", "Always")
    crashes = FAILED if policy == "Never" else CRASHES
    if name == "sick":
        return crashes if _is_sick(tag, life, node) else RUNS
    if name == "job":
        return {"ok": DONE, "fail": FAILED}.get(tag, RUNS)
    if name != "bad":
        return RUNS
    tag, _, amount = tag.partition("-")
    if tag == "oom":
        limits = (container.get("resources") or {}).get("limits") or {}
        return OOM if quantity(limits.get("memory", 0)) < quantity(amount or "256Mi") else RUNS
    if tag == "exit":
        return CRASHES if policy == "Always" else FAILED
    if tag == "evicted":
        return EVICTED if life.number <= int(amount or 1) else RUNS
    kinds = {"crash": crashes, "flap": FLAPS, "missing": MISSING, "config": MISCONFIGURED}
    return kinds.get(tag, UNREADY if tag == "unready" else RUNS)


def _is_sick(tag: str, life: Life, node: str) -> bool:
    if tag == "once":
        return life.number == 1
    if tag == "start":
        return life.is_first_generation
    return node.startswith(tag)


def next_step_in(word: str, kind: str, step: int):
    """Seconds until a container of this kind changes by itself; None when it does not."""
    if kind in (CRASHES, OOM):
        return min(0.5 * 2**step, 8.0)
    if kind == FLAPS:
        return 1.0
    if step == 0 and kind in (MISSING, SLOW):
        return 0.3 if kind == MISSING else float(word.partition(":")[2])
    return None


def is_ready(kind: str, step: int) -> bool:
    """Whether a container of this kind is ready at this step."""
    return kind == RUNS or (kind == SLOW and step > 0) or (kind == FLAPS and step % 2 == 0)


def restarts_of(kind: str, life: Life) -> int:
    """How often the container was started again."""
    if kind in (CRASHES, OOM):
        return life.restarts + life.step + 1
    return life.restarts + ((life.step + 1) // 2 if kind == FLAPS else 0)


def turn(life: Life, kind: str) -> None:
    """A container that was of `kind` is told to behave otherwise from now on."""
    has_crashed = kind in (CRASHES, OOM, FLAPS)
    life.restarts = restarts_of(kind, life) + has_crashed
    life.exit_code = 137 if kind == OOM else 1
    life.step = 0


def container_status(container, word: str, kind: str, life: Life, pod_name: str):
    """One entry of containerStatuses."""
    now, name, image = timestamp(), container["name"], container["image"]
    restarts = restarts_of(kind, life)
    state, last = {"running": {"startedAt": now}}, {}
    if restarts:
        last = {"terminated": _terminated(137 if kind == OOM else life.exit_code, now)}
    if kind in (CRASHES, OOM) or (kind == FLAPS and life.step % 2):
        why = "back-off %ds restarting failed container=%s pod=%s" % (
            min(10 * 2**restarts, 300),
            name,
            pod_name,
        )
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
    elif kind == MISSING:
        reason = "ErrImagePull" if life.step == 0 else "ImagePullBackOff"
        why = _no_image(image) if life.step == 0 else 'Back-off pulling image "%s"' % image
        state = {"waiting": {"reason": reason, "message": why}}
    elif kind == MISCONFIGURED:
        why = 'configmap "settings" not found'
        state = {"waiting": {"reason": "CreateContainerConfigError", "message": why}}
    elif kind in (DONE, FAILED):
        state = {"terminated": _terminated(0 if kind == DONE else 1, now)}
    ready = is_ready(kind, life.step)
    return {
        "name": name,
        "image": image,
        "imageID": "" if kind == MISSING else "test://" + word,
        "containerID": "test://%s-%s-%d" % (pod_name, name, restarts),
        "ready": ready,
        "started": "running" in state,
        "restartCount": restarts,
        "state": state,
        "lastState": last,
    }


def _terminated(code: int, now: str):
    reason = {0: "Completed", 137: "OOMKilled"}.get(code, "Error")
    return {"exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now}


def _no_image(image: str) -> str:
    return (
        'rpc error: code = NotFound desc = failed to pull and unpack image "%s": not found' % image
    )


def pod_status(pod, kinds, life: Life):
    """The status a kubelet writes for a pod whose containers are of `kinds` (init ones first)."""
    about, spec = pod["metadata"], pod["spec"]
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    inits = len(containers) - len(spec["containers"])
    name = about["name"]
    if EVICTED in kinds:
        why = "The node was low on resource: memory. "
        conditions = _conditions(pod, True, False, [FAILED])
        started = {"startTime": timestamp(), "containerStatuses": None}
        return dict(
            started, phase="Failed", reason="Evicted", message=why, conditions=conditions
        )
    # An init container that runs has ended well as soon as one looks.
    kinds = [DONE if n < inits and kind == RUNS else kind for n, kind in enumerate(kinds)]
    entries = [
        container_status(one, word, kind, life, name)
        for one, word, kind in zip(containers, life.words, kinds)
    ]
    is_initialized = all(kind == DONE for kind in kinds[:inits])
    for entry in entries[:inits]:
        entry["ready"] = is_initialized
    if not is_initialized:
        for entry in entries[inits:]:
            entry.update(ready=False, started=False, restartCount=0, lastState={})
            entry["state"] = {"waiting": {"reason": "PodInitializing"}}
    ready = is_initialized and all(entry["ready"] for entry in entries[inits:])
    status = {
        "phase": _phase(kinds[inits:], is_initialized),
        "hostIP": "127.0.0.1",
        "podIP": life.ip,
        "podIPs": [{"ip": life.ip}],
        "startTime": (pod.get("status") or {}).get("startTime") or timestamp(),
        "containerStatuses": entries[inits:],
        "conditions": _conditions(pod, is_initialized, ready, kinds[inits:]),
    }
    if inits:
        status["initContainerStatuses"] = entries[:inits]
    return status


def _phase(kinds, is_initialized: bool) -> str:
    if not is_initialized or MISSING in kinds or MISCONFIGURED in kinds:
        return "Pending"
    if all(kind in ENDS for kind in kinds):
        return "Failed" if FAILED in kinds else "Succeeded"
    return "Running"


def _conditions(pod, is_initialized: bool, ready: bool, kinds):
    before = {one["type"]: one for one in (pod.get("status") or {}).get("conditions", ())}
    ended = all(kind in ENDS for kind in kinds)
    reason = "PodCompleted" if ended and FAILED not in kinds else "ContainersNotReady"
    wanted = [("Initialized", is_initialized), ("ContainersReady", ready), ("Ready", ready)]
    conditions = []
    for kind, holds in wanted:
        status = "True" if holds else "False"
        old = before.get(kind) or {}
        is_same = old.get("status") == status and old.get("lastTransitionTime")
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": None if holds else reason,
                "message": None if holds else "containers with unready status",
                "lastTransitionTime": old["lastTransitionTime"] if is_same else timestamp(),
            }
        )
    return conditions


def events_of(container, kind: str, life: Life):
    """(type, reason, message) of what a kubelet tells of the container in events."""
    if kind in (CRASHES, OOM) or (kind == FLAPS and life.step % 2):
        return [("Warning", "BackOff", "Back-off restarting failed container")]
    if kind == MISSING:
        image = container["image"]
        if life.step:
            return [("Normal", "BackOff", 'Back-off pulling image "%s"' % image)]
        told = 'Failed to pull image "%s": %s' % (image, _no_image(image))
        return [("Warning", "Failed", told), ("Warning", "Failed", "Error: ErrImagePull")]
    if kind == MISCONFIGURED:
        return [("Warning", "Failed", 'Error: configmap "settings" not found')]
    if kind == UNREADY:
        why = "Readiness probe failed: HTTP probe failed with statuscode: 503"
        return [("Warning", "Unhealthy", why)]
    if kind == EVICTED:
        return [("Warning", "Evicted", "The node was low on resource: memory. ")]
    return [("Normal", "Started", "Started container %s" % container["name"])]


def event(pod, kind: str, reason: str, message: str):
    """An Event about a pod, told for the first time."""
    about, node = pod["metadata"], pod["spec"].get("nodeName")
    source = {"component": "kubelet", "host": node} if node else {"component": "default-scheduler"}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": "%s.%x" % (about["name"], time.time_ns()),
            "namespace": about["namespace"],
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": about["name"],
            "namespace": about["namespace"],
            "uid": about["uid"],
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": source,
        "count": 1,
        "firstTimestamp": timestamp(),
        "lastTimestamp": timestamp(),
    }
