"""The demo machine's service manager: what a runbook calls to look at a service, restart it, or set
its lock aside.

    servicectl COMMAND [NAME]       status, start, stop, restart, unlock, relock
                                    NAME may come in the variable SERVICE, as runbooks pass values

Services are the directories under $SERVICES; a name that is none of them is refused, so no text
from an alert becomes a path. Every command may be repeated. Exit 0: done (or nothing to do), 1: it
did not work, 2: refused. Standard library only.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

STOP_S = 3.0
START_S = 60.0
POLL_S = 0.01
SETTINGS, PID, LOCK, ASIDE = "service.json", "orders.pid", "orders.lock", "orders.lock.aside"
LOG = "service.log"
_PROGRAM = Path(__file__).resolve().parent / "service.py"


class Refused(Exception):
    """The command must not be carried out; the message says why."""


def is_running(pid):
    """Whether that process lives. A zombie does not."""
    if not Path("/proc/self/stat").exists():  # not Linux: take its word
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        state = Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def number_in(path):
    """The process id written in a file, or None."""
    try:
        return int(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def status(directory):
    """One line a person and a runbook's condition can read."""
    pid, holder = number_in(directory / PID), number_in(directory / LOCK)
    parts = ["running as process %d" % pid if pid and is_running(pid) else "not running"]
    if holder is None:
        parts.append("no lock")
    elif is_running(holder):
        parts.append("lock held by process %d" % holder)
    else:
        parts.append("stale lock of process %d, which is gone" % holder)
    return "%s: %s" % (directory.name, "; ".join(parts))


def start(directory):
    """Starts the service unless it runs, and waits until it answers."""
    pid = number_in(directory / PID)
    if pid and is_running(pid):
        return "%s runs already as process %d" % (directory.name, pid)
    with open(str(directory / LOG), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(_PROGRAM), str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    (directory / (PID + ".new")).write_text("%d\n" % process.pid)
    os.replace(str(directory / (PID + ".new")), str(directory / PID))
    url = "http://127.0.0.1:%d/" % json.loads((directory / SETTINGS).read_text())["port"]
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(
                "%s ended at once (exit %d); see service.log" % (directory.name, process.returncode)
            )
        if _answers(url):
            process.returncode = 0  # it is meant to outlive us: no warning about that
            return "%s started as process %d" % (directory.name, process.pid)
        time.sleep(POLL_S)
    raise RuntimeError("%s does not answer at %s" % (directory.name, url))


def stop(directory):
    """Stops the service: politely, then by force."""
    pid = number_in(directory / PID)
    if not pid or not is_running(pid):
        return "%s does not run" % directory.name
    for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + patience_s
        while is_running(pid) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        if not is_running(pid):
            return "%s stopped (process %d)" % (directory.name, pid)
    if is_running(pid):
        raise RuntimeError("process %d does not end" % pid)
    return "%s stopped (process %d)" % (directory.name, pid)


def restart(directory):
    """Stops and starts."""
    return "%s; %s" % (stop(directory), start(directory))


def unlock(directory):
    """Moves the lock of a dead process aside. Refuses while its holder lives."""
    holder = number_in(directory / LOCK)
    if not (directory / LOCK).exists():
        return "%s has no lock" % directory.name
    if holder and is_running(holder):
        raise Refused("process %d holds the lock and lives" % holder)
    os.replace(str(directory / LOCK), str(directory / ASIDE))
    return "lock of dead process %s set aside" % holder


def relock(directory):
    """Puts the lock that was set aside back, as it was found."""
    if not (directory / ASIDE).exists():
        return "%s has no lock set aside" % directory.name
    os.replace(str(directory / ASIDE), str(directory / LOCK))
    return "lock of process %s put back" % number_in(directory / LOCK)


COMMANDS = {
    "status": status,
    "start": start,
    "stop": stop,
    "restart": restart,
    "unlock": unlock,
    "relock": relock,
}


def _answers(url):
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def main(arguments, environment):
    """Carries one command out."""
    if not arguments or arguments[0] not in COMMANDS:
        sys.stderr.write("usage: servicectl %s [NAME]\n" % "|".join(COMMANDS))
        return 2
    name = arguments[1] if len(arguments) > 1 else environment.get("SERVICE", "")
    directory = Path(environment.get("SERVICES", "")) / name
    try:
        if not re.match(r"[a-z][a-z0-9-]*\Z", name) or not (directory / SETTINGS).is_file():
            raise Refused("there is no service %r on this machine" % name[:80])
        print(COMMANDS[arguments[0]](directory))
    except Refused as refusal:
        sys.stderr.write("refused: %s\n" % refusal)
        return 2
    except (OSError, RuntimeError) as error:
        sys.stderr.write("%s\n" % error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
