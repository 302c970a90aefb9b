"""Manifests that tests of Kubernetes start from; each is a plain dictionary to change as needed.

Images are behaviours (kubelet_behaviour.py). Keywords go into the object's `spec`, `pod` into the
pod template's `spec`, `notes` into its annotations.
"""

from __future__ import annotations


def _object(version, kind, namespace, name, spec=None, labels=None, **more):
    about = {"name": name, "namespace": namespace, "labels": labels or {"app": name}}
    made = {"apiVersion": version, "kind": kind, "metadata": about, **more}
    if spec is not None:
        made["spec"] = spec
    return made


def _template(name, image, pod, notes):
    return {
        "metadata": {"labels": {"app": name}, "annotations": dict(notes or {})},
        "spec": _pod_spec(image, pod),
    }


def _pod_spec(image, more):
    return {"containers": [{"name": "main", "image": image}], **(more or {})}


def memory(image, limit, request=None):
    """A pod's `spec` with a memory limit, such as "128Mi", and a request."""
    resources = {"limits": {"memory": limit}, "requests": {"memory": request or limit}}
    return {"containers": [{"name": "main", "image": image, "resources": resources}]}


def pod(namespace, name="web", image="good:1", notes=None, **spec):
    """A bare pod, which nobody replaces."""
    made = _object("v1", "Pod", namespace, name, _pod_spec(image, spec))
    made["metadata"]["annotations"] = dict(notes or {})
    return made


def deployment(namespace, name="web", image="good:1", replicas=1, pod=None, notes=None, **spec):
    """A Deployment whose pods carry the label app=name."""
    return _workload("Deployment", namespace, name, image, pod, notes, spec, replicas=replicas)


def statefulset(namespace, name="db", image="good:1", replicas=1, pod=None, notes=None, **spec):
    """A StatefulSet, its pods one after the other."""
    spec.setdefault("serviceName", name)
    return _workload("StatefulSet", namespace, name, image, pod, notes, spec, replicas=replicas)


def daemonset(namespace, selector, name="agent", image="good:1", pod=None, notes=None, **spec):
    """A DaemonSet on the nodes of `selector`: take the kubelet's."""
    pod = dict(pod or {}, nodeSelector=dict(selector))
    return _workload("DaemonSet", namespace, name, image, pod, notes, spec)


def _workload(kind, namespace, name, image, pod, notes, spec, **more):
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": _template(name, image, pod, notes),
        **more,
        **spec,
    }
    return _object("apps/v1", kind, namespace, name, spec)


def job(namespace, name="once", image="job:ok", pod=None, notes=None, **spec):
    """A Job whose pods are not restarted in place."""
    template = _template(name, image, {"restartPolicy": "Never", **(pod or {})}, notes)
    return _object("batch/v1", "Job", namespace, name, {"template": template, **spec})


def cronjob(namespace, name="nightly", image="job:ok", schedule="0 3 * * *", **spec):
    """A CronJob of the version that 1.20 serves."""
    inner = job(namespace, name, image)["spec"]
    spec = {"schedule": schedule, "jobTemplate": {"spec": inner}, **spec}
    return _object("batch/v1beta1", "CronJob", namespace, name, spec)


def service(namespace, name="web", port=80, **spec):
    """A Service in front of the pods app=name."""
    spec = {"selector": {"app": name}, "ports": [{"port": port}], **spec}
    return _object("v1", "Service", namespace, name, spec)


def budget(namespace, name="web", **spec):
    """A PodDisruptionBudget for the pods app=name: minAvailable or maxUnavailable."""
    spec = {"selector": {"matchLabels": {"app": name}}, **spec}
    return _object("policy/v1beta1", "PodDisruptionBudget", namespace, name, spec)


def configmap(namespace, name="settings", **data):
    """A ConfigMap."""
    return _object("v1", "ConfigMap", namespace, name, data=data)
