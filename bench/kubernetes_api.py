"""A stand-in for the API of a cluster that can be changed: one Deployment of made pods, of which
one crashes, with what stands around it. What an action changes is carried out at once, so that
what is measured is the action, not the waiting.
"""

import copy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from kubernetes_objects import PODS_EACH, TIME, about, deployment, namespace_of, pod

NAMESPACE, NAME = namespace_of(0), "app-0000"
NODE, CLOSED_NODE = "node-000", "node-001"
SETTINGS = {"token": "bench", "settle_s": 0, "min_ready_nodes": "0%"}
VERSIONS = {"apps": "v1", "autoscaling": "v2", "batch": "v1", "policy": "v1"}
KINDS = (
    "pods pods/eviction namespaces nodes services endpoints persistentvolumeclaims deployments "
    "statefulsets daemonsets replicasets controllerrevisions jobs cronjobs "
    "horizontalpodautoscalers"
).split()
LOG = b"ConnectionRefusedError: [Errno 111] Connection refused\n" * 100
SICK = 3  # the number of the pod that crashes


class Cluster:
    """The objects by (plural, name); all of them are in one namespace, or in none."""

    def __init__(self):
        self.reset()
        cluster = self

        class Answers(BaseHTTPRequestHandler):
            """One request of an action."""

            protocol_version = "HTTP/1.1"
            wbufsize = 65536  # head and body in one piece: else each answer waits for an ACK

            def do_GET(self):
                """Whatever is asked: the verb decides what becomes of it."""
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                code, answer = cluster.answer(self.command, self.path, body)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_arguments):
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.server.daemon_threads = True
        self.url = "http://127.0.0.1:%d" % self.server.server_port

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_error):
        self.server.shutdown()
        self.server.server_close()

    def reset(self):
        """As it was in the beginning."""
        workload = deployment(0, 1)
        owner = {
            "apiVersion": "apps/v1", "kind": "Deployment", "name": NAME,
            "uid": workload["metadata"]["uid"], "controller": True,
        }
        self.objects = {("deployments", NAME): workload}
        self._replica_set(3, "6d4cf56db6", "rs-0", PODS_EACH, owner)
        self._replica_set(2, "5c7d8b9f64", "rs-old", 0, owner)
        for number in range(PODS_EACH):
            one = pod(number, number == SICK)
            self.objects["pods", one["metadata"]["name"]] = one
            node = "node-%03d" % number
            self.objects["nodes", node] = {
                "metadata": about("node", node),
                "spec": {"unschedulable": True} if node == CLOSED_NODE else {},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
        self.objects["namespaces", NAMESPACE] = {"metadata": about("namespace", NAMESPACE)}
        self.objects["services", NAME] = {
            "metadata": about("service", NAME, NAMESPACE),
            "spec": {"selector": {"app": NAME}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
        self.objects["endpoints", NAME] = {
            "metadata": about("endpoints", NAME, NAMESPACE),
            "subsets": [{"addresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 8080}]}],
        }
        for number in range(50):
            self._event(number)

    def _replica_set(self, revision, digest, uid, replicas, owner):
        """That of one revision; each has an image of its own."""
        name = "%s-%s" % (NAME, digest)
        spec = copy.deepcopy(self.objects["deployments", NAME]["spec"])
        labels = {"app": NAME, "pod-template-hash": digest}
        if not replicas:
            spec["template"]["spec"]["containers"][0]["image"] += "-%d" % revision
        spec["template"]["metadata"]["labels"] = labels
        self.objects["replicasets", name] = {
            "metadata": about(
                "replicaset", name, NAMESPACE, labels=labels, ownerReferences=[owner], uid=uid,
                annotations={"deployment.kubernetes.io/revision": str(revision)},
            ),
            "spec": dict(spec, replicas=replicas),
            "status": {"replicas": replicas},
        }

    def _event(self, number):
        name = "%s.%d" % (NAME, number)
        crashed = pod(SICK, True)["metadata"]
        self.objects["events", name] = {
            "metadata": about("event", name, NAMESPACE),
            "involvedObject": {
                "kind": "Pod", "name": crashed["name"], "namespace": NAMESPACE,
                "uid": crashed["uid"],
            },
            "type": "Warning", "reason": "BackOff", "count": number,
            "message": "Back-off restarting failed container",
            "lastTimestamp": TIME % (6, number),
        }

    def answer(self, method, path, body):
        """(status, document) of one request."""
        parts = urlsplit(path)
        words = parts.path.strip("/").split("/")
        is_dry = "dryRun" in parse_qs(parts.query) or "dryRun" in str(body)
        if words[0] == "version":
            return 200, {"gitVersion": "v1.29.4"}
        if words[:2] == ["apis", "authorization.k8s.io"]:
            return 201, {"status": {"allowed": True}}
        rest = words[2:] if words[0] == "api" else words[3:]
        if len(words) == 2 and words[0] == "apis":
            return 200, {"versions": [{"version": VERSIONS.get(words[1], "v1")}]}
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        if not rest:
            return 200, {"resources": [{"name": kind} for kind in KINDS]}
        return self._of_object(method, rest, body, is_dry)

    def _of_object(self, method, rest, body, is_dry):
        kind, name, part = (*rest, "", "")[:3]
        if part == "log":
            return 200, LOG
        if method == "GET" and not name:
            found = [one for (plural, _), one in self.objects.items() if plural == kind]
            return 200, {"metadata": {"resourceVersion": "9"}, "items": found}
        if method == "POST" and not name:
            name = body["metadata"]["name"]
            made = dict(body, metadata=dict(about(kind, name, NAMESPACE), **body["metadata"]))
            if not is_dry:
                self.objects[kind, name] = made
            return 201, made
        if (kind, name) not in self.objects:
            return 404, {"kind": "Status", "code": 404, "reason": "NotFound", "message": "no",
                         "details": {"name": name}}
        if method == "PATCH":
            return 200, self._patched(kind, name, body, is_dry)
        if method == "DELETE" or part == "eviction":
            return 200, self._deleted(kind, name, is_dry)
        return 200, self.objects[kind, name]

    def _patched(self, kind, name, edits, is_dry):
        """The object by a JSON patch, its rollout done at once."""
        changed = copy.deepcopy(self.objects[kind, name])
        for edit in edits:
            *way, last = [
                word.replace("~1", "/").replace("~0", "~") for word in edit["path"].split("/")[1:]
            ]
            place = changed
            for word in way:
                place = place[int(word) if isinstance(place, list) else word]
            last = int(last) if isinstance(place, list) else last
            if edit["op"] == "remove":
                del place[last]
            elif edit["op"] != "test":
                place[last] = edit["value"]
        if not is_dry:
            meta = changed["metadata"]
            meta["resourceVersion"] = str(int(meta["resourceVersion"]) + 1)
            if kind == "deployments":
                self._roll_out(changed)
            self.objects[kind, name] = changed
        return changed

    def _roll_out(self, workload):
        """All pods as the Deployment wants them, and well."""
        wanted = workload["spec"]["replicas"]
        workload["metadata"]["generation"] += 1
        workload["status"].update(
            observedGeneration=workload["metadata"]["generation"], replicas=wanted,
            updatedReplicas=wanted, readyReplicas=wanted, availableReplicas=wanted,
        )
        for key in [key for key in self.objects if key[0] == "pods"]:
            del self.objects[key]
        for number in range(wanted):
            self._new_pod(number)

    def _new_pod(self, number):
        """Pod `number` of the workload, made anew and well."""
        made = pod(number, False)
        made["metadata"]["name"] += "-new"
        made["metadata"]["uid"] += "-new"
        made["spec"]["nodeName"] = NODE
        self.objects["pods", made["metadata"]["name"]] = made

    def _deleted(self, kind, name, is_dry):
        gone = self.objects[kind, name]
        if not is_dry:
            del self.objects[kind, name]
            if kind == "pods":
                self._new_pod(SICK)
                self.objects["deployments", NAME]["status"].update(
                    readyReplicas=PODS_EACH, availableReplicas=PODS_EACH
                )
        return gone
