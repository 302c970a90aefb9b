"""A made cluster as its API server would list it: pods with what a real one carries (managed
fields, environment, volumes, conditions), and all that stands around them.
"""

import json

TIME = "2026-09-21T13:%02d:%02dZ"
PODS_EACH = 10  # of a Deployment
NAMESPACES = 20


def about(kind, name, namespace="", **more):
    """Metadata with the bulk that the server adds."""
    fields = {
        "manager": "kube-controller-manager",
        "operation": "Update",
        "apiVersion": "v1",
        "time": TIME % (0, 0),
        "fieldsType": "FieldsV1",
        "fieldsV1": {
            "f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:pod-template-hash": {}}},
            "f:spec": {
                "f:containers": {
                    'k:{"name":"%s"}' % part: {
                        ".": {}, "f:env": {".": {}}, "f:image": {}, "f:imagePullPolicy": {},
                        "f:livenessProbe": {"f:httpGet": {"f:path": {}, "f:port": {}}},
                        "f:resources": {"f:limits": {"f:cpu": {}, "f:memory": {}}},
                        "f:terminationMessagePath": {}, "f:volumeMounts": {".": {}},
                    }
                    for part in ("app", "proxy")
                },
                "f:dnsPolicy": {}, "f:restartPolicy": {}, "f:schedulerName": {},
            },
        },
    }
    found = {
        "name": name,
        "uid": "%s-%s-%s" % (kind, namespace, name),
        "resourceVersion": "123456",
        "creationTimestamp": TIME % (1, 0),
        "managedFields": [fields, dict(fields, manager="kubelet")],
        **more,
    }
    return dict(found, namespace=namespace) if namespace else found


def namespace_of(number):
    """The namespace of workload `number`."""
    return "team-%02d" % (number % NAMESPACES)


def pod(number, is_sick):
    """Pod `number`: two containers, of the Deployment app-(number // 10)."""
    workload = number // PODS_EACH
    name, digest = "app-%04d" % workload, "6d4cf56db6"
    labels = {"app": name, "pod-template-hash": digest, "tier": "backend", "team": "shop"}
    owner = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "%s-%s" % (name, digest),
        "uid": "rs-%d" % workload, "controller": True, "blockOwnerDeletion": True,
    }
    return {
        "metadata": about(
            "pod", "%s-%s-%05d" % (name, digest, number), namespace_of(workload), labels=labels,
            ownerReferences=[owner], generateName="%s-%s-" % (name, digest),
            annotations={"prometheus.io/scrape": "true", "checksum/config": "ab" * 32},
        ),
        "spec": {
            "nodeName": "node-%03d" % (number % 100),
            "restartPolicy": "Always",
            "serviceAccountName": name,
            "containers": [container(part, name) for part in ("app", "proxy")],
            "tolerations": [
                {"key": "node.kubernetes.io/%s" % key, "operator": "Exists", "effect": "NoExecute"}
                for key in ("not-ready", "unreachable", "memory-pressure")
            ],
            "volumes": [
                {"name": "config", "configMap": {"name": name, "defaultMode": 420}},
                {"name": "token", "projected": {"sources": [{"serviceAccountToken": {}}]}},
            ],
        },
        "status": status(number, is_sick),
    }


def container(part, name):
    """One container of a pod's spec."""
    return {
        "name": part,
        "image": "registry.example/shop/%s:1.2.3" % name,
        "env": [
            {"name": "SETTING_%d" % one, "value": "value-%d-of-%s" % (one, name)}
            for one in range(15)
        ],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "resources": {
            "limits": {"cpu": "1", "memory": "512Mi"},
            "requests": {"cpu": "100m", "memory": "256Mi"},
        },
        "livenessProbe": {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


def status(number, is_sick):
    """What the kubelet says of a pod: well, or its first container in CrashLoopBackOff."""
    ready = "False" if is_sick else "True"
    crashed = {
        "waiting": {
            "reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container",
        }
    }
    ended = {
        "terminated": {
            "exitCode": 1, "reason": "Error",
            "startedAt": TIME % (5, 0), "finishedAt": TIME % (6, 0),
        }
    }
    return {
        "phase": "Running",
        "hostIP": "10.0.%d.%d" % (number % 250, number // 250),
        "podIP": "10.1.%d.%d" % (number % 250, number // 250),
        "qosClass": "Burstable",
        "startTime": TIME % (1, 5),
        "conditions": [
            {"type": kind, "status": ready if kind in ("Ready", "ContainersReady") else "True",
             "lastProbeTime": None, "lastTransitionTime": TIME % (2, 0)}
            for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ],
        "containerStatuses": [
            {
                "name": part,
                "ready": not (is_sick and part == "app"),
                "started": True,
                # Some have restarted at some time in their lives, as pods do.
                "restartCount": 9 if is_sick and part == "app" else int(number % 7 == 0),
                "image": "registry.example/shop/app:1.2.3",
                "imageID": "registry.example/shop/app@sha256:%064x" % number,
                "containerID": "containerd://%064x" % number,
                "state": crashed if is_sick and part == "app" else
                {"running": {"startedAt": TIME % (1, 30)}},
                "lastState": ended if is_sick and part == "app" else {},
            }
            for part in ("app", "proxy")
        ],
    }


def deployment(number, sick):
    """Deployment `number`, of whose pods `sick` are sick."""
    name = "app-%04d" % number
    template = pod(number * PODS_EACH, False)
    return {
        "metadata": about(
            "deployment", name, namespace_of(number), labels={"app": name}, generation=3,
            annotations={
                "deployment.kubernetes.io/revision": "3",
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps(template["spec"]),
            },
        ),
        "spec": {
            "replicas": PODS_EACH,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": template["spec"]},
        },
        "status": {
            "observedGeneration": 3, "replicas": PODS_EACH, "updatedReplicas": PODS_EACH,
            "readyReplicas": PODS_EACH - sick, "availableReplicas": PODS_EACH - sick,
            "conditions": [
                {"type": "Available", "status": "True", "lastTransitionTime": TIME % (2, 0)},
                {"type": "Progressing", "status": "True", "lastTransitionTime": TIME % (2, 0)},
            ],
        },
    }


def lists(pods, share):
    """{the last word of a path: objects} of a cluster of `pods` pods, of which `share` are sick,
    all of some Deployments.
    """
    workloads = pods // PODS_EACH
    sick = round(workloads * share)
    names = [("app-%04d" % number, namespace_of(number)) for number in range(workloads)]
    endpoints = [{"addresses": [{"ip": "10.1.0.%d" % one} for one in range(PODS_EACH)]}]
    return {
        "pods": (pod(number, number // PODS_EACH < sick) for number in range(pods)),
        "deployments": (
            deployment(number, PODS_EACH if number < sick else 0) for number in range(workloads)
        ),
        "statefulsets": (),
        "daemonsets": (),
        "jobs": (),
        "cronjobs": (),
        "replicasets": (),
        "controllerrevisions": (),
        "horizontalpodautoscalers": (),
        "persistentvolumeclaims": (),
        "namespaces": (
            {"metadata": about("namespace", namespace_of(number))} for number in range(NAMESPACES)
        ),
        "nodes": (
            {
                "metadata": about("node", "node-%03d" % number),
                "spec": {},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
            for number in range(100)
        ),
        "services": (
            {"metadata": about("service", name, where), "spec": {"selector": {"app": name}}}
            for name, where in names
        ),
        "endpoints": (
            {"metadata": about("endpoints", name, where),
             "subsets": [] if number < sick else endpoints}
            for number, (name, where) in enumerate(names)
        ),
    }
