"""Pods that are sick and pods that only look so: rows of what kubelets write."""

from __future__ import annotations

from tests.workloads.objects import (
    DAY,
    HOUR,
    MINUTE,
    ago,
    condition,
    container,
    crashing,
    owned,
    pod,
    running,
    terminated,
    unready,
    waiting,
)

JOB = owned("Job", "import", api="batch/v1")
OOM = terminated("OOMKilled", 137, ran=200)
SIDECAR = [{"name": "proxy", "restartPolicy": "Always"}]
START_PROBE = {"containers": [{"name": "app", "startupProbe": {"failureThreshold": 60}}]}


def pending(*containers, age=HOUR, **more):
    return pod(*containers, phase="Pending", age=age, ready=False, ready_since=age, **more)


def unscheduled(since, reason="Unschedulable", message="0/3 nodes are available"):
    value = pending(age=since, node="")
    value["status"]["conditions"] = [condition("PodScheduled", "False", since, reason, message)]
    value["status"]["containerStatuses"] = []
    return value


def failed(reason="", ended=MINUTE, **more):
    return pod(
        container(terminated(ended=ended), name="app"),
        phase="Failed",
        ready=False,
        status={"reason": reason, "message": "what the kubelet says"},
        **more
    )


def disrupted(reason, status="True"):
    value = failed()
    value["status"]["conditions"].append(condition("DisruptionTarget", status, MINUTE, reason))
    return value


def deleted(due, **more):
    return pod(deletionTimestamp=ago(due), deletionGracePeriodSeconds=30, **more)


SICK = {
    "backed off from after three crashes": (crashing(2), "PodCrashLooping"),
    "backed off from though it ended with 0": (
        pod(container(waiting("CrashLoopBackOff"), terminated("Completed", 0), 3), ready=False),
        "PodCrashLooping",
    ),
    "runs for a moment between two crashes": (
        pod(container(running(20), terminated(ended=60), 3), ready_since=20),
        "PodCrashLooping",
    ),
    "has just crashed again": (
        pod(container(terminated(ended=1), terminated(ended=40), 3), ready=False),
        "PodCrashLooping",
    ),
    "has just ended well again, and is not to end": (
        pod(
            container(terminated("Completed", 0, ended=1), terminated("Completed", 0), 3),
            ready=False,
            ready_since=1,
        ),
        "PodCrashLooping",
    ),
    "init container has just crashed again": (
        pending(
            container(waiting("PodInitializing")),
            init=[container(terminated(ended=1), terminated(), 4, name="migrate")],
            age=3 * MINUTE,
        ),
        "PodCrashLooping",
    ),
    "init container crashes": (
        pending(
            container(waiting("PodInitializing")),
            init=[container(waiting("CrashLoopBackOff"), terminated(), 4, name="migrate")],
            age=3 * MINUTE,
        ),
        "PodCrashLooping",
    ),
    "sidecar crashes": (
        pod(
            init=[container(waiting("CrashLoopBackOff"), terminated(), 4, name="proxy")],
            init_specs=SIDECAR,
            ready=False,
            ready_since=30,
        ),
        "PodCrashLooping",
    ),
    "out of memory and backed off from": (
        pod(container(waiting("CrashLoopBackOff"), OOM, 1), ready=False, ready_since=9),
        "PodOOMKilled",
    ),
    "out of memory right now": (
        pod(container(OOM), ready=False, ready_since=9),
        "PodOOMKilled",
    ),
    "out of memory minutes ago, and runs again": (
        pod(container(running(200), terminated("OOMKilled", 137, ended=201), 1)),
        "PodOOMKilled",
    ),
    "image is not there": (
        pending(container(waiting("ImagePullBackOff")), age=2 * MINUTE),
        "PodImagePullFailed",
    ),
    "image name is none": (
        pending(container(waiting("InvalidImageName")), age=1),
        "PodImagePullFailed",
    ),
    "image of a running pod was changed for the worse": (
        pod(container(waiting("ErrImagePull"), terminated(ended=100), 1), ready=False),
        "PodImagePullFailed",
    ),
    "a job's image is not there": (
        pending(
            container(waiting("ErrImagePull")),
            owner=JOB,
            spec={"restartPolicy": "Never"},
        ),
        "PodImagePullFailed",
    ),
    "its secret is not there": (
        pending(container(waiting("CreateContainerConfigError")), age=2 * MINUTE),
        "PodConfigError",
    ),
    "its command is no program": (
        pod(
            container(waiting("CrashLoopBackOff"), terminated("StartError", 128), 3),
            ready=False,
            ready_since=9,
        ),
        "PodConfigError",
    ),
    "failed though it is to run for ever": (failed("UnexpectedAdmissionError"), "PodFailed"),
    "bare and failed hours ago": (
        failed(ended=5 * HOUR, owner=None, spec={"restartPolicy": "Never"}),
        "PodFailed",
    ),
    "evicted": (failed("Evicted"), "PodEvicted"),
    "was to be disrupted, and was not": (disrupted("DeletionByPodGC", "False"), "PodFailed"),
    "bare, and shut down with its node": (failed("Terminated", owner=None), "PodFailed"),
    "finds no node": (unscheduled(6 * MINUTE), "PodPending"),
    "no scheduler looks at it": (unscheduled(6 * MINUTE, ""), "PodPending"),
    "its volume is not mounted": (
        pending(container(waiting("ContainerCreating")), age=6 * MINUTE),
        "PodPending",
    ),
    "its sidecar runs and nothing else begins": (
        pending(
            container(waiting("PodInitializing")),
            init=[container(running(HOUR), name="proxy")],
            init_specs=SIDECAR,
        ),
        "PodPending",
    ),
    "its kubelet does not begin": (
        pending(age=6 * MINUTE, status={"containerStatuses": [], "startTime": None}),
        "PodPending",
    ),
    "not deleted": (deleted(6 * MINUTE), "PodTerminatingStuck"),
    "not ready": (unready(6 * MINUTE), "PodNotReady"),
    "a readiness gate is closed": (
        pod(ready=False, ready_since=6 * MINUTE),
        "PodNotReady",
    ),
    "not ready after its startup probe": (
        pod(
            container(running(11 * MINUTE), ready=False, started=False),
            ready=False,
            ready_since=11 * MINUTE,
            spec=START_PROBE,
        ),
        "PodNotReady",
    ),
    "not ready again after its startup probe succeeded": (
        pod(
            container(running(8 * MINUTE), ready=False, started=True),
            ready=False,
            ready_since=6 * MINUTE,
            spec=START_PROBE,
        ),
        "PodNotReady",
    ),
    "its node is unknown": (
        pod(phase="Unknown", ready=False, ready_since=6 * MINUTE),
        "PodNotReady",
    ),
    "young, and restarted six times": (
        pod(container(running(61), terminated(ended=62), 6), age=8 * MINUTE),
        "PodRestartingOften",
    ),
}


WELL = {
    "ready": pod(),
    "ready, restarted hundreds of times over the months": pod(
        container(running(5 * HOUR), terminated(ended=5 * HOUR), 412), age=300 * DAY
    ),
    "restarted once a minute ago": pod(
        container(running(20), terminated("Error", 143, ran=9 * DAY, ended=25), 7), age=30 * DAY
    ),
    "crashed once as it came up": pod(
        container(running(10), terminated(ran=2, ended=12), 1), age=20, ready_since=5
    ),
    "backed off from for the first time": pod(
        container(waiting("CrashLoopBackOff"), terminated(ended=5), 1),
        ready=False,
        ready_since=5,
        age=MINUTE,
    ),
    "has run well for long enough after its crashes": pod(
        container(running(61), terminated(ended=90), 4), ready_since=61
    ),
    "out of memory yesterday": pod(
        container(running(DAY), terminated("OOMKilled", 137, ended=DAY), 1)
    ),
    "just created": pending(container(waiting("ContainerCreating")), age=20),
    "just bound to its node": pending(
        age=20, status={"containerStatuses": [], "startTime": None}
    ),
    "registry hiccups": pending(container(waiting("ErrImagePull")), age=20),
    "image is pulled after long init containers": pending(
        container(waiting("ErrImagePull")),
        init=[container(terminated("Completed", 0, ran=900, ended=5), name="migrate")],
        age=20 * MINUTE,
    ),
    "its secret comes a moment later": pending(
        container(waiting("CreateContainerConfigError")), age=20
    ),
    "init container works": pending(
        container(waiting("PodInitializing")),
        init=[container(running(40 * MINUTE), name="migrate")],
    ),
    "init container crashed before it succeeded": pod(
        init=[container(terminated("Completed", 0), terminated(), 9, name="migrate")]
    ),
    "gated from scheduling": unscheduled(DAY, "SchedulingGated"),
    "waits for a node that is being made": unscheduled(4 * MINUTE),
    "starts within its startup probe": pod(
        container(running(8 * MINUTE), ready=False, started=False),
        ready=False,
        ready_since=8 * MINUTE,
        spec=START_PROBE,
    ),
    "is first asked after six minutes": pod(
        container(running(8 * MINUTE), ready=False),
        ready=False,
        ready_since=8 * MINUTE,
        spec={"containers": [{"name": "app", "readinessProbe": {"initialDelaySeconds": 360}}]},
    ),
    "not ready for a moment": unready(2 * MINUTE),
    "being deleted within its grace": deleted(-20 * MINUTE, name="slow"),
    "being deleted just now, crashing": crashing(deletionTimestamp=ago(10)),
    "completed": pod(
        container(terminated("Completed", 0), ready=False),
        phase="Succeeded",
        ready=False,
        ready_since=DAY,
        owner=JOB,
    ),
    "failed, and its job tries again": failed(owner=JOB, spec={"restartPolicy": "Never"}),
    "crashing, and its job counts": crashing(owner=JOB, spec={"restartPolicy": "OnFailure"}),
    "a job's that is never ready": pod(
        container(ready=False),
        ready=False,
        owner=JOB,
        spec={"restartPolicy": "Never"},
    ),
    "bare, one container done and the other at work": pod(
        container(terminated("Completed", 0), ready=False),
        container(name="other"),
        ready=False,
        owner=None,
        spec={"restartPolicy": "OnFailure"},
    ),
    "bare, done after it failed some times": pod(
        container(terminated("Completed", 0, ended=5), terminated(), 3, ready=False),
        container(name="other"),
        ready=False,
        ready_since=HOUR,
        owner=None,
        spec={"restartPolicy": "OnFailure"},
    ),
    "evicted long ago, its replacement runs": failed("Evicted", ended=DAY),
    "bare and failed days ago": failed(ended=2 * DAY, owner=None),
    "shut down with its node": failed("Terminated"),
    "preempted": failed("Preempting"),
    "left by a node that was taken away": disrupted("DeletionByPodGC"),
}
