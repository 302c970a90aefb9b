"""What each action is called with where its start is measured, and which calls of it there are."""

import kubernetes_api

NOOP = "noop"
ALERT = {
    "status": "firing",
    "labels": {
        "alertname": "ServiceDown",
        "severity": "critical",
        "instance": "127.0.0.1:9",
        "job": "bench",
        "namespace": "shop",
        "pod": "cart-5d4f8c7b9-abcde",
    },
    "annotations": {"summary": "The cart does not answer"},
    "startsAt": "2024-05-01T10:00:00Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://127.0.0.1:9/graph",
    "fingerprint": "0123456789abcdef",
}
BODY = {
    "version": "4",
    "groupKey": '{}:{alertname="ServiceDown"}',
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "selfheal",
    "groupLabels": {"alertname": "ServiceDown"},
    "commonLabels": ALERT["labels"],
    "commonAnnotations": ALERT["annotations"],
    "externalURL": "http://127.0.0.1:9",
    "alerts": [ALERT],
}
WORKLOAD_LABELS = {
    "alertname": "KubePodCrashLooping",
    "severity": "critical",
    "namespace": kubernetes_api.NAMESPACE,
    "deployment": kubernetes_api.NAME,
}
WORKLOAD_ALERT = dict(ALERT, labels=WORKLOAD_LABELS, fingerprint="fedcba9876543210")
WORKLOAD_BODY = dict(BODY, alerts=[WORKLOAD_ALERT])
SAMPLES = {"body": BODY, "payload": BODY, "alert_data": BODY}
# What an action of Kubernetes needs beyond its name; without a row: nothing.
CLUSTER_SAMPLES = {
    "k8s_apply_hpa": {"max_replicas": 20},
    "k8s_scale_workload": {"by": 1},
    "k8s_set_resources": {"container": "app", "memory": "1Gi"},
    "k8s_uncordon_node": {"name": kubernetes_api.CLOSED_NODE},
}
# What an action of a tracker is called with; ServiceNow has one ticket, Jira has two.
TRACKER_SAMPLES = {
    "ticket": "INC0010001",
    "title": "bench",
    "correlation_id": "bench-1",
    "name": "bench.txt",
    "content": "bench",
    "notes": "bench",
    "text": "bench",
    "summary": "bench",
    "issue": "OPS-1",
    "other": "OPS-2",
    "jql": "labels = bench",
    "to": "Done",
}
TRACKERS = ("servicenow_", "jira_")
WORKLOAD = "WORKLOAD"  # stands for the incident of the workload
# Further calls: what is measured of an action by its other ways.
CASES = {
    "k8s_delete_pod": {"dry run": {"dry_run": True}},
    "k8s_restart_workload": {"dry run": {"dry_run": True}},
    "analyze_incident": {"of a workload": {"incident_id": WORKLOAD}},
    "check_config": {"with a cluster": {}},
}


def cluster_parameters(name):
    """What the action `name` is given of the cluster; empty for what does not speak to one."""
    if not name.startswith("k8s_"):
        return {}
    place = {"namespace": kubernetes_api.NAMESPACE, "name": kubernetes_api.NAME}
    if name.endswith("_node"):
        place = {"name": kubernetes_api.NODE}
    return {**place, **CLUSTER_SAMPLES.get(name, {})}


def tracker_parameters(name):
    """What the action `name` is given of the tracker; empty for what does not speak to one."""
    more = {"jira_assign": {"to": "ann"}, "jira_attach": {"incident_id": ""}}.get(name, {})
    return {**TRACKER_SAMPLES, **more} if name.startswith(TRACKERS) else {}


def cases_of(actions):
    """{what it is called: (ref, parameters, what it speaks to: "", cluster or tracker)} for the
    do-nothing action and each of `actions`, some in several ways.
    """
    cases = {NOOP: (NOOP, {}, "")}
    for action in actions:
        speaks = "cluster" if action.name.startswith("k8s_") else ""
        speaks = "tracker" if action.name.startswith(TRACKERS) else speaks
        cases[action.ref] = (action.ref, {}, speaks)
        for words, given in CASES.get(action.name, {}).items():
            cases["%s (%s)" % (action.ref, words)] = (action.ref, given, "cluster")
    return cases
