"""The actions k8s_*: operations on Kubernetes that a person starts by hand.

Each names one object; what is then checked, asked, recorded and taken back is in `by_hand`, and
what every one of them returns and raises is said at `by_hand.carry_out`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Optional

from selfheal.respond.by_hand import Hand, carry_out

if TYPE_CHECKING:
    from selfheal.context import Context


def restart_workload(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Restart all pods of the workload by its own rollout."""
    return _on_workload(ctx, "restart_workload", namespace, name, kind, cluster, dry_run, who)


def delete_pod(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    most: Optional[int] = None,
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Delete sick pods of the workload, at most `most`, or the sick pod of that name."""
    return _on_workload(
        ctx, "delete_pod", namespace, name, kind, cluster, dry_run, who, most=most
    )


def evict_pod(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    most: Optional[int] = None,
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Evict sick pods of the workload as far as disruption budgets allow, at most `most`."""
    return _on_workload(ctx, "evict_pod", namespace, name, kind, cluster, dry_run, who, most=most)


def reschedule_pod(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    most: Optional[int] = None,
    avoid_node: bool = False,
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Evict sick pods until their replacements are ready, with `avoid_node` on another node."""
    return _on_workload(
        ctx, "reschedule_pod", namespace, name, kind, cluster, dry_run, who,
        most=most, avoid_node=avoid_node or None,
    )


def scale_workload(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    to: Optional[int] = None,
    by: Optional[int] = None,
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Set the number of replicas `to` that many, or change it `by` so many."""
    return _on_workload(
        ctx, "scale_workload", namespace, name, kind, cluster, dry_run, who, to=to, by=by
    )


def rollback_workload(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Put back the pod template of the revision before."""
    return _on_workload(ctx, "rollback_workload", namespace, name, kind, cluster, dry_run, who)


def set_resources(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    container: str = "",
    memory: str = "",
    cpu: str = "",
    memory_request: str = "",
    cpu_request: str = "",
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Change the limits and requests of the workload's containers, or of one of them."""
    return _on_workload(
        ctx, "set_resources", namespace, name, kind, cluster, dry_run, who,
        container=container or None,
        memory=memory or None,
        cpu=cpu or None,
        memory_request=memory_request or None,
        cpu_request=cpu_request or None,
    )


def apply_hpa(
    ctx: Context,
    namespace: str,
    name: str,
    kind: str = "any",
    cluster: str = "",
    min_replicas: Optional[int] = None,
    max_replicas: Optional[int] = None,
    cpu_percent: Optional[int] = None,
    memory_percent: Optional[int] = None,
    queue_length: str = "",
    request_seconds: str = "",
    dry_run: bool = False,
    who: str = "",
) -> Dict[str, Any]:
    """Create the workload's horizontal pod autoscaler, or replace what it has."""
    return _on_workload(
        ctx, "apply_hpa", namespace, name, kind, cluster, dry_run, who,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        cpu_percent=cpu_percent,
        memory_percent=memory_percent,
        queue_length=queue_length or None,
        request_seconds=request_seconds or None,
    )


def cordon_node(
    ctx: Context, name: str, cluster: str = "", dry_run: bool = False, who: str = ""
) -> Dict[str, Any]:
    """Let no new pods onto the node."""
    return carry_out(ctx, Hand("cordon_node", name, cluster=cluster, dry_run=dry_run, who=who))


def uncordon_node(
    ctx: Context, name: str, cluster: str = "", dry_run: bool = False, who: str = ""
) -> Dict[str, Any]:
    """Let new pods onto the node again."""
    return carry_out(ctx, Hand("uncordon_node", name, cluster=cluster, dry_run=dry_run, who=who))


def _on_workload(
    ctx: Context,
    do: str,
    namespace: str,
    name: str,
    kind: str,
    cluster: str,
    dry_run: bool,
    who: str,
    **options: Any,
) -> Dict[str, Any]:
    return carry_out(ctx, Hand(do, name, namespace, kind, cluster, options, dry_run, who))
