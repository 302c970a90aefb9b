"""The unhealthy states that are told apart: what each is called, how bad it is, which of several
is the cause, and in words when it counts and when it is over.

The rows are what the documentation prints; the judging is in the modules named after what they
judge.
"""

from __future__ import annotations

from typing import Dict

from selfheal.records import dataclass


@dataclass(frozen=True)
class State:
    """One unhealthy state. The smaller `priority`, the nearer to the cause: of an image that cannot
    be pulled and replicas that are missing, the image is what is wrong.

    `seen` is where in the objects it shows, `counts` from when it counts, `settles` what ends it.
    """

    name: str
    alert_type: str
    severity: str
    priority: int
    seen: str
    counts: str
    settles: str


_GONE = "the pod is replaced or is well"

ROLLOUT_BROKEN = State(
    "rollout_broken",
    "RolloutBroken",
    "error",
    10,
    "More than half of the pods of the newest revision are sick (crash, OOM, image, configuration; "
    "not ready: after progressDeadlineSeconds) and the revision before it was fine: its pods run "
    "well, or it stood for longer than rollout_blame_minutes.",
    "At once, when the rollout began within rollout_blame_minutes and changed more of the template "
    "than its restart mark.",
    "No revision younger than rollout_blame_minutes has a majority of sick pods.",
)
NODE_NOT_READY = State(
    "node_not_ready",
    "NodeNotReady",
    "error",
    20,
    "The node's condition Ready is False or Unknown. Where `namespaces` are named: of a node that "
    "their pods are on.",
    "After unready_minutes; not for a node that an autoscaler removes.",
    "Ready is True; where `namespaces` are named, also when none of their pods is on it any more.",
)
NODE_PRESSURE = State(
    "node_pressure",
    "NodePressure",
    "warning",
    30,
    "MemoryPressure, DiskPressure, PIDPressure, NetworkUnavailable, KernelDeadlock or "
    "ReadonlyFilesystem is True.",
    "After settle_s.",
    "All of them are False or gone.",
)
POD_OOM_KILLED = State(
    "pod_oom_killed",
    "PodOOMKilled",
    "error",
    40,
    "A container's state or last state is terminated for OOMKilled.",
    "At once while it is down or in back-off; while it runs, if killed within "
    "restart_window_minutes.",
    "It runs and was not killed within restart_window_minutes, or the pod is replaced.",
)
POD_IMAGE_PULL_FAILED = State(
    "pod_image_pull_failed",
    "PodImagePullFailed",
    "error",
    50,
    "A container waits for ErrImagePull, ImagePullBackOff, InvalidImageName, ErrImageNeverPull ...",
    "After settle_s (a registry may hiccup); at once for a name that is none.",
    "The container starts, or the pod is replaced.",
)
POD_CONFIG_ERROR = State(
    "pod_config_error",
    "PodConfigError",
    "error",
    60,
    "A container waits for CreateContainerConfigError, CreateContainerError, RunContainerError ... "
    "or its command cannot be started (StartError, ContainerCannotRun).",
    "After settle_s (what it refers to may be created a moment later).",
    "The container starts, or the pod is replaced.",
)
VOLUME_CLAIM_PENDING = State(
    "volume_claim_pending",
    "VolumeClaimPending",
    "warning",
    70,
    "A PersistentVolumeClaim is Pending though a pod waits for it or its class binds at once; or "
    "it is Lost.",
    "After pending_minutes; Lost at once.",
    "The claim is Bound or gone.",
)
POD_CRASH_LOOPING = State(
    "pod_crash_looping",
    "PodCrashLooping",
    "error",
    80,
    "A container is in CrashLoopBackOff, or has just started again from it.",
    "From the third crash on.",
    "The container has run for settle_s, or the pod is replaced.",
)
POD_RESTARTING_OFTEN = State(
    "pod_restarting_often",
    "PodRestartingOften",
    "warning",
    90,
    "A container restarted more than max_restarts times within restart_window_minutes.",
    "At once; of a pod younger than the window all restarts count.",
    "Fewer restarts within the window, or the pod is replaced.",
)
POD_FAILED = State(
    "pod_failed",
    "PodFailed",
    "warning",
    100,
    "A pod's phase is Failed (not evicted, not of a Job, not shut down with its node).",
    "At once. A pod that a controller replaces counts for restart_window_minutes, a bare one for "
    "a day.",
    "The pod is gone, or that time has passed.",
)
POD_EVICTED = State(
    "pod_evicted",
    "PodEvicted",
    "warning",
    110,
    "The kubelet evicted the pod (reason Evicted).",
    "At once, for restart_window_minutes: its replacement runs elsewhere.",
    "The pod is gone, or that time has passed.",
)
POD_PENDING = State(
    "pod_pending",
    "PodPending",
    "warning",
    120,
    "A pod finds no node, or has one and its containers are not created. Not: gates of the "
    "scheduler, a priority below 0 (it only keeps room for others), init containers that run.",
    "After pending_minutes.",
    "Its containers start, or it is gone.",
)
POD_TERMINATING_STUCK = State(
    "pod_terminating_stuck",
    "PodTerminatingStuck",
    "warning",
    130,
    "A pod that is to be deleted is still there. Not on a node that is lost.",
    "terminating_minutes after its grace period.",
    "The pod is gone.",
)
POD_NOT_READY = State(
    "pod_not_ready",
    "PodNotReady",
    "warning",
    140,
    "A pod runs and is not Ready (probe, readiness gate). Not on a lost node, not a Job's.",
    "After unready_minutes; at its start not before the time that its probes give it is over.",
    "Ready is True.",
)
POD_DOWN = State(
    "pod_down",
    "PodDown",
    "error",
    145,
    "Prometheus cannot scrape the pod (query up).",
    "As long as the query gives a sample.",
    "The query gives none.",
)
JOB_FAILED = State(
    "job_failed",
    "JobFailed",
    "warning",
    150,
    "A Job has given up (condition Failed); of a CronJob the last Job that ended.",
    "At once, for a day. Pods that a Job retries do not count.",
    "The Job is gone, a later one of its CronJob succeeded, or the day has passed.",
)
AUTOSCALER_AT_MAXIMUM = State(
    "autoscaler_at_maximum",
    "AutoscalerAtMaximum",
    "warning",
    160,
    "A HorizontalPodAutoscaler has its maximum of replicas and wants more (condition "
    "ScalingLimited, TooManyReplicas).",
    "After short_minutes.",
    "It wants no more than its maximum.",
)
ROLLOUT_STUCK = State(
    "rollout_stuck",
    "RolloutStuck",
    "error",
    170,
    "A Deployment's rollout exceeded its progressDeadlineSeconds; one of a StatefulSet or a "
    "DaemonSet waits for a pod that is not ready. Not: paused, OnDelete, below the partition.",
    "At once; without a deadline of its own after 10 minutes.",
    "The rollout goes on or is complete.",
)
REPLICAS_NONE = State(
    "replicas_none",
    "ReplicasShort",
    "critical",
    180,
    "Not one of the wanted replicas is ready.",
    "After short_minutes; at once when all its pods are sick.",
    "A replica is ready.",
)
REPLICAS_SHORT = State(
    "replicas_short",
    "ReplicasShort",
    "warning",
    190,
    "Fewer replicas are ready than wanted, since pods are missing or have not become ready. Not: "
    "scaled to zero, a DaemonSet's pods on lost nodes.",
    "After short_minutes.",
    "All wanted replicas are ready.",
)
POD_MEMORY_HIGH = State(
    "pod_memory_high",
    "PodMemoryHigh",
    "warning",
    200,
    "Prometheus: memory close to the limit (query memory).",
    "As long as the query gives a sample.",
    "The query gives none.",
)
POD_CPU_HIGH = State(
    "pod_cpu_high",
    "PodCpuHigh",
    "warning",
    210,
    "Prometheus: CPU close to the limit (query cpu).",
    "As long as the query gives a sample.",
    "The query gives none.",
)
SERVICE_WITHOUT_ENDPOINTS = State(
    "service_without_endpoints",
    "ServiceWithoutEndpoints",
    "error",
    220,
    "A service with a selector has no ready address. Not: ExternalName, pods only of Jobs, "
    "workloads scaled to zero.",
    "After unready_minutes; one that matches no pod at all, for a day (then it was left over).",
    "An address is ready.",
)

STATES: Dict[str, State] = {
    state.name: state
    for state in (
        ROLLOUT_BROKEN,
        NODE_NOT_READY,
        NODE_PRESSURE,
        POD_OOM_KILLED,
        POD_IMAGE_PULL_FAILED,
        POD_CONFIG_ERROR,
        VOLUME_CLAIM_PENDING,
        POD_CRASH_LOOPING,
        POD_RESTARTING_OFTEN,
        POD_FAILED,
        POD_EVICTED,
        POD_PENDING,
        POD_TERMINATING_STUCK,
        POD_NOT_READY,
        POD_DOWN,
        JOB_FAILED,
        AUTOSCALER_AT_MAXIMUM,
        ROLLOUT_STUCK,
        REPLICAS_NONE,
        REPLICAS_SHORT,
        POD_MEMORY_HIGH,
        POD_CPU_HIGH,
        SERVICE_WITHOUT_ENDPOINTS,
    )
}
