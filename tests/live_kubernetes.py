"""A real Kubernetes for tests: etcd, kube-apiserver and kube-controller-manager on free loopback
ports. No kubelet: live_kubelet.py plays one.

`Kubernetes(directory).start()` answers once the API is ready. `shared(directory, pid)` is one
cluster for all processes of a test run, kept by a process of its own that stops it when `pid` has
gone. Nothing outlives who started it, however that ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests import needs, tls
from tests.kubernetes_access import ADMIN, USERS, Access, Refused
from tests.live_server import free_port

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 300.0
VERSION = "1.20.2"
CONTROLLERS = (
    "clusterrole-aggregation cronjob daemonset deployment disruption endpoint endpointslice "
    "garbagecollector job namespace podgc replicaset resourcequota statefulset"
).split()
WORKER = "PYTEST_XDIST_WORKER"  # in the environment of pytest-xdist's processes only
_PR_SET_PDEATHSIG = 1


def binaries() -> Path:
    """The folder of the three servers, as `.ci/kubernetes` leaves it; skips the test (CI: fails
    it) when they are not there.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = os.environ.get("SELFHEAL_KUBERNETES") or os.path.join(
        cache, "selfheal", "kubernetes-" + VERSION
    )
    folder = Path(place, "bin")
    for name in ("etcd", "kube-apiserver", "kube-controller-manager"):
        if not os.access(str(folder / name), os.X_OK):
            needs.missing("%s is not there (.ci/kubernetes builds it)" % (folder / name))
    return folder


class Kubernetes(Access):
    """Three servers that keep their data in `directory`."""

    def __init__(self, directory) -> None:
        needs.linux()
        self.binaries = binaries()
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        _, certificate = tls.self_signed(self.directory, "IP:127.0.0.1")
        super().__init__("", certificate)
        self._choose_ports()
        users = ['%s,admin,1,"system:masters"' % ADMIN]
        users += ["%s,%s,%d" % (self.token_for(user), user, n) for n, user in enumerate(USERS, 2)]
        (self.directory / "tokens.csv").write_text("\n".join(users) + "\n")
        self._processes = {}
        self._has_started = False  # from then on the ports stay
        # A server is killed when the thread that started it ends: this one lives as long as we do.
        self._starter = ThreadPoolExecutor(1)
        self._is_over = threading.Event()
        if WORKER in os.environ:
            threading.Thread(target=self._end_with, args=(os.getppid(),), daemon=True).start()

    def start(self):
        """Start what does not run and wait until the API is ready; returns self."""
        try:
            self._start_all()
        except RuntimeError as error:
            if self._has_started or "address already in use" not in str(error):
                raise
            shutil.rmtree(str(self.directory / "etcd"), ignore_errors=True)
            self._choose_ports()  # somebody was quicker than the servers, which take seconds
            self._start_all()
        self._has_started = True
        return self

    def stop(self) -> None:
        """Kill all servers; their data stay."""
        for name in list(self._processes):
            self._kill(name)

    def kill_api(self) -> None:
        """Kill the API server: connections break, then nobody listens on its port."""
        self._kill("api")

    def start_api(self) -> None:
        """Start the API server again on the same port and data; returns when it is ready."""
        self._spawn("api")
        self._wait("api", self._is_ready)
        self.keep_up()

    def kill_controllers(self) -> None:
        """Kill the controller manager: what is written stays written, and nothing follows."""
        self._kill("controllers")

    def start_controllers(self) -> None:
        """Start the controller manager again."""
        self._spawn("controllers")

    def keep_up(self) -> None:
        """Start the controller manager again should it have ended by itself: it does where the API
        does not answer it for ten seconds as it starts.
        """
        process = self._processes.get("controllers")
        if process is not None and process.poll() is not None:
            self._kill("controllers")
            self._spawn("controllers")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error) -> None:
        self._is_over.set()
        self.stop()
        self._starter.shutdown()
        shutil.rmtree(str(self.directory / "etcd"), ignore_errors=True)  # 128 MB at least

    def _end_with(self, parent: int) -> None:
        """Stop when a killed pytest leaves its worker behind, which first ends its test."""
        while not self._is_over.wait(0.2):
            if os.getppid() != parent:
                self.stop()
                return

    def _choose_ports(self) -> None:
        self.port, self._etcd, self._peer, self._health = (free_port() for _ in range(4))
        self.url = "https://127.0.0.1:%d" % self.port

    def _start_all(self) -> None:
        for name in ("etcd", "api"):
            self._spawn(name)
        self._wait("api", self._is_ready)
        self._spawn("controllers")
        self.keep_up()

    def command(self, name: str):
        """The program and the arguments of `etcd`, `api` or `controllers`."""
        return [str(part) for part in getattr(self, "_command_of_" + name)()]

    def _command_of_etcd(self):
        client, peer = ("http://127.0.0.1:%d" % port for port in (self._etcd, self._peer))
        return [
            self.binaries / "etcd",
            "--data-dir=%s" % (self.directory / "etcd"),
            "--listen-client-urls=" + client,
            "--advertise-client-urls=" + client,
            "--listen-peer-urls=" + peer,
            "--initial-advertise-peer-urls=" + peer,
            "--initial-cluster=default=" + peer,
            "--unsafe-no-fsync",
        ]

    def _command_of_api(self):
        key = self.directory / "key.pem"
        return [
            self.binaries / "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:%d" % self._etcd,
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--secure-port=%d" % self.port,
            "--insecure-port=0",
            "--tls-cert-file=%s" % self.ca_file,
            "--tls-private-key-file=%s" % key,
            "--cert-dir=%s" % (self.directory / "certs"),
            "--service-account-issuer=https://kubernetes.test",
            "--service-account-signing-key-file=%s" % key,
            "--service-account-key-file=%s" % key,
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            "--token-auth-file=%s" % (self.directory / "tokens.csv"),
            # A pod without a service account needs no controller that makes one first.
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",
            "--allow-privileged=true",
            "--profiling=false",
        ]

    def _command_of_controllers(self):
        config = self.kubeconfig(self.directory / "controllers.kubeconfig")
        return [
            self.binaries / "kube-controller-manager",
            "--kubeconfig=" + config,
            "--controllers=" + ",".join(CONTROLLERS),
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            "--address=127.0.0.1",
            "--port=%d" % self._health,
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--deployment-controller-sync-period=2s",
            "--namespace-sync-period=5s",
            "--resource-quota-sync-period=2s",
            "--profiling=false",
        ]

    def _spawn(self, name: str) -> None:
        if name not in self._processes:
            self._processes[name] = self._starter.submit(self._popen, name).result()

    def _popen(self, name: str):
        prctl = ctypes.CDLL(None).prctl  # found before the fork: afterwards only plain calls

        def die_with_us():
            prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))

        with open(str(self.directory / (name + ".log")), "ab") as log:
            return subprocess.Popen(
                self.command(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=str(self.directory),
                preexec_fn=die_with_us,
                env=dict(os.environ, ETCD_UNSUPPORTED_ARCH="arm64"),  # it runs there if told so
            )

    def _kill(self, name: str) -> None:
        process = self._processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait(180)

    def _wait(self, name: str, is_ready) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not is_ready():
            ended = [one for one, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                self.stop()
                log = self.directory / ((ended or [name])[0] + ".log")
                raise RuntimeError("%s did not start:\n%s" % (log.stem, log.read_text()[-2000:]))
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz", timeout_s=30) == "ok"
        except (Refused, OSError):
            return False


def of_this_run(base) -> Access:
    """The cluster that all processes of this test run share; `base` is pytest's base directory."""
    is_worker = WORKER in os.environ
    directory = (Path(base).parent if is_worker else Path(base)) / "kubernetes"
    return shared(directory, os.getppid() if is_worker else os.getpid())


def shared(directory, pid: int) -> Access:
    """The cluster of `directory`, started by whichever process asks first, stopped soon after
    process `pid` has ended.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    details = directory / "details.json"
    binaries()
    with open(str(directory / "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not details.exists():
            _start_keeper(directory, pid, details)
    known = json.loads(details.read_text())
    return Access(known["url"], known["ca_file"])


def _start_keeper(directory: Path, pid: int, details: Path) -> None:
    log = directory / "keeper.log"
    with open(str(log), "ab") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.live_kubernetes", str(directory), str(pid)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=str(ROOT),
            env={name: value for name, value in os.environ.items() if name != WORKER},
            start_new_session=True,  # Ctrl-C is for pytest, which still has things to end
        )
    while not details.exists():
        if keeper.poll() is not None:
            raise RuntimeError("no cluster to share:\n%s" % log.read_text()[-3000:])
        time.sleep(0.05)


def _started_at(pid: int) -> str:
    """What tells a process from a later one of the same number; empty when it has ended."""
    try:
        fields = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def keep(directory: str, pid: int) -> None:
    """Run the cluster of `directory` as long as process `pid` lives."""
    started_at = _started_at(pid)
    with Kubernetes(directory) as cluster:
        details = Path(directory, "details.json")
        known = {"url": cluster.url, "ca_file": cluster.ca_file, "keeper": os.getpid()}
        Path(directory, "details.new").write_text(json.dumps(known))
        os.replace(str(Path(directory, "details.new")), str(details))
        while started_at and _started_at(pid) == started_at:
            cluster.keep_up()
            time.sleep(0.2)
    with contextlib.suppress(OSError):
        details.unlink()


if __name__ == "__main__":
    keep(sys.argv[1], int(sys.argv[2]))
