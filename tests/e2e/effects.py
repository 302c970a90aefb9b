"""Every effect of every process that the engine starts, as Python itself reports it.

A `sitecustomize` on PYTHONPATH puts an audit hook into each of them before any other code runs. It
cannot be taken off, and hears what libraries do as well. What SQLite does with its own file is not
heard: that is for the caller to compare.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, List, Tuple

_HOOK = '''
import json, os, sys
_names = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
          "os.forkpty", "os.kill", "os.killpg", "os.remove", "os.rename", "os.rmdir", "os.mkdir",
          "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate", "os.utime",
          "socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind", "sqlite3.connect",
          "ctypes.dlopen")
_fd = os.open(%(path)r, os.O_WRONLY | os.O_APPEND)
def _hear(event, given):
    if event == "open":
        mode, flags = given[1], given[2] or 0
        writes = set(mode) & set("wax+") if isinstance(mode, str) else flags & (
            os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if not writes or given[0] == "/dev/null":
            return
    elif event not in _names:
        return
    words = [str(one) for one in given]
    os.write(_fd, (json.dumps([os.getpid(), event, words]) + "\\n").encode())
sys.addaudithook(_hear)
os.write(_fd, (json.dumps([os.getpid(), "began", sys.argv[:1]]) + "\\n").encode())
'''


class Effects:
    """What the processes did since `forget`. Pass `monkeypatch` before the engine starts any."""

    def __init__(self, directory: Path, monkeypatch: Any) -> None:
        self._path = directory / "effects.jsonl"
        self._path.touch()
        hook = directory / "hook"
        hook.mkdir()
        (hook / "sitecustomize.py").write_text(_HOOK % {"path": str(self._path)})
        monkeypatch.setenv("PYTHONPATH", str(hook))
        monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    def forget(self) -> None:
        """Begin anew."""
        os.truncate(str(self._path), 0)

    def heard(self) -> List[Tuple[str, List[str]]]:
        """(event, its arguments as text), in order."""
        lines = self._path.read_text().splitlines()
        return [(event, words) for _, event, words in map(json.loads, lines)]

    def processes(self) -> int:
        """How many processes were listened to."""
        return sum(1 for event, _ in self.heard() if event == "began")

    def beyond(self, database: Path, port: int) -> List[Tuple[str, List[str]]]:
        """All but what every action does: its own database, and the API of the platform."""
        return [
            (event, words)
            for event, words in self.heard()
            if event != "began" and
            not (event == "sqlite3.connect" and str(database) in words[0]) and
            not (event == "socket.connect" and words[-1] == str(("127.0.0.1", port)))
        ]
