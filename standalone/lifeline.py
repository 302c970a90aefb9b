"""No action outlives the engine that started it, even when the engine is killed.

The engine holds the writing end of one pipe for as long as it lives; every child gets the reading
end and a thread that waits for its end of file, then kills the child's whole process group and what
descends from it. Standard library only: children import it.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import List, Optional, Tuple

VARIABLE = "SELFHEAL_LIFELINE_FD"

_held: Optional[Tuple[int, int]] = None
_lock = threading.Lock()


def hold() -> int:
    """The reading end for children of this process. The pipe is made once and never closed."""
    global _held
    with _lock:
        if _held is None:
            _held = os.pipe()
        return _held[0]


def watch() -> None:
    """In a child: from now on this process and its group die with the engine. Does nothing without
    an engine.
    """
    number = os.environ.pop(VARIABLE, None)
    if number is None:
        return
    fd = int(number)
    os.set_inheritable(fd, False)
    threading.Thread(target=_wait, args=(fd,), name="lifeline", daemon=True).start()


def _wait(fd: int) -> None:
    try:
        while os.read(fd, 1):
            continue
    except OSError:
        return
    # What the action put into a session of its own is not in its group.
    for pid in _descendants(os.getpid()):
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _descendants(ancestor: int) -> List[int]:
    parents = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as stat:
                    parents[int(name)] = int(stat.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
    found = [ancestor]
    for one in found:
        found.extend(pid for pid, parent in parents.items() if parent == one)
    return found[1:]
