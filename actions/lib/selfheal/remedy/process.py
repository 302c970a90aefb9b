"""One child process, run so that it can neither outlive its time nor its parent, nor see a shell it
did not ask for.

Text from outside arrives in its environment and nowhere else. It leads a process group of its own:
the deadline ends the whole group, and so does a `kill -9` of this process (the kernel's
parent-death signal for the child itself, a watcher on a pipe for what the child started). What it
leaves running after a regular end is its own business.
"""

from __future__ import annotations

import os
import selectors
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from typing import Any, Callable, Deque, Dict, Iterator, List, Mapping, Optional, Tuple

from selfheal.exceptions import ExternalError, InvalidInput
from selfheal.records import dataclass
from selfheal.remedy.model import Command

MAX_OUTPUT_BYTES = 32 * 1024  # of each stream: half from its start, half from its end
MAX_VALUE_BYTES = 100 * 1024  # Linux takes at most 128 KiB for one variable with its name
TERM_GRACE_S = 3.0
DRAIN_S = 1.0  # after the end of the child, for output that what it started may still hold open
_TICK_S = 0.1
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PR_SET_PDEATHSIG = 1
# Our own fixed text; the group's number is all it reads. End of file without `done` means that the
# parent is dead.
_WATCHER = (
    'read -r group || exit 0; read -r word && [ "$word" = done ] && exit 0; '
    'kill -TERM -"$group" 2>/dev/null || exit 0; sleep 2; kill -KILL -"$group" 2>/dev/null; exit 0'
)


@dataclass(frozen=True)
class Finished:
    """How a process ended. `exit_code` is negative for a signal, None when it was stopped:
    `stopped` says why.
    """

    exit_code: Optional[int]
    stdout: str
    stderr: str
    seconds: float
    stopped: str = ""


def environment(
    values: Mapping[str, str], base: Optional[Mapping[str, str]] = None
) -> Dict[bytes, bytes]:
    """The child's whole environment: a few of ours and `values`, byte for byte. Raises
    InvalidInput.

    Nothing else of this process's environment goes along: StackStorm's token is in it.
    """
    ours = os.environ if base is None else base
    found = {name: ours[name] for name in _PASSED_ON if name in ours}
    found["PATH"] = _search_path(found.get("PATH", ""))
    encoded = {name.encode("ascii"): os.fsencode(value) for name, value in found.items()}
    for name, value in values.items():
        encoded[name.encode("ascii")] = _encoded(name, value)
    return encoded


def _search_path(given: str) -> str:
    """Where programs are looked for: the absolute folders of `given` that not everybody may write
    to, so that a bare name means what it meant when it was judged.
    """
    kept = [folder for folder in given.split(":") if os.path.isabs(folder) and _is_ours(folder)]
    return ":".join(kept) or _DEFAULT_PATH


def _is_ours(folder: str) -> bool:
    try:
        return not os.stat(folder).st_mode & stat.S_IWOTH
    except OSError:
        return False


def _encoded(name: str, value: str) -> bytes:
    if "\x00" in value:
        raise InvalidInput(
            "the value of %s contains a NUL character, which no environment variable can hold"
            % name
        )
    try:
        data = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "the value of %s is not valid Unicode (%s) and cannot be handed to a process"
            % (name, error.reason)
        ) from error
    if len(data) > MAX_VALUE_BYTES:
        raise InvalidInput(
            "the value of %s is %d bytes long; an environment variable holds at most %d"
            % (name, len(data), MAX_VALUE_BYTES)
        )
    return data


def run(
    command: Command,
    env: Mapping[bytes, bytes],
    timeout_s: float,
    cwd: Optional[str] = None,
    should_stop: Optional[Callable[[], str]] = None,
) -> Finished:
    """Run `command` to its end, at most `timeout_s` seconds, or until `should_stop()` says why not.

    Raises ExternalError when it cannot be started at all.
    """
    started = time.monotonic()
    with _arguments(command) as (argv, files), _watcher() as watcher:
        try:
            child = subprocess.Popen(
                argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=files,
                start_new_session=True,
                preexec_fn=_before_the_program(watcher.fileno()),
            )
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            raise ExternalError(
                "cannot start %r: %s" % (argv[0], error), retryable=False
            ) from error
        try:
            stopped, outputs = _follow(child, started + timeout_s, should_stop)
        except BaseException:
            end_group(child)
            raise
    return Finished(
        exit_code=None if stopped else child.returncode,
        stdout=outputs[0],
        stderr=outputs[1],
        seconds=time.monotonic() - started,
        stopped=stopped,
    )


def end_group(child: subprocess.Popen[bytes]) -> None:
    """TERM to the child's whole group, a grace, then KILL for whoever is left."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sign)
        except (ProcessLookupError, PermissionError):
            pass  # gone already, or become another user's: nothing more we can do
        if _is_gone_within(child, TERM_GRACE_S):
            return


def _is_gone_within(child: subprocess.Popen[bytes], seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        if child.poll() is not None and not _has_living_member(child.pid):
            return True
        time.sleep(0.02)
    return False


def _has_living_member(group: int) -> bool:
    """Whether a process of `group` runs. Zombies that nobody collects (no init in a container) do
    not count.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/%s/stat" % entry, "rb") as source:
                    state, _parent, its_group = source.read().rpartition(b")")[2].split()[:3]
            except (OSError, ValueError):
                continue  # it ended while we looked
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False


class _Capture:
    """The start and the end of a stream, whatever its length."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail: Deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0

    def add(self, data: bytes) -> None:
        room = MAX_OUTPUT_BYTES // 2 - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        if data:
            self._tail.append(data)
            self._tail_bytes += len(data)
        while self._tail_bytes > MAX_OUTPUT_BYTES // 2:
            excess = self._tail_bytes - MAX_OUTPUT_BYTES // 2
            first = self._tail.popleft()
            if len(first) > excess:
                self._tail.appendleft(first[excess:])
            gone = min(len(first), excess)
            self._tail_bytes -= gone
            self._dropped += gone

    def text(self) -> str:
        tail = b"".join(self._tail)
        mark = b"\n[... %d bytes left out ...]\n" % self._dropped if self._dropped else b""
        return (bytes(self._head) + mark + tail).decode("utf-8", "replace")


def _follow(
    child: subprocess.Popen[bytes], deadline: float, should_stop: Optional[Callable[[], str]]
) -> Tuple[str, List[str]]:
    """Reads the child's output until it ends; (why it was stopped or "", [stdout, stderr])."""
    captures = [_Capture(), _Capture()]
    stopped = ""
    drain_until: Optional[float] = None
    assert child.stdout is not None and child.stderr is not None
    with selectors.DefaultSelector() as selector, child.stdout as out, child.stderr as err:
        for stream, capture in ((out, captures[0]), (err, captures[1])):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, capture)
        while True:
            _read_available(selector, child)
            now = time.monotonic()
            if child.poll() is not None:
                drain_until = now + DRAIN_S if drain_until is None else drain_until
                if not selector.get_map() or now >= drain_until:
                    return stopped, [capture.text() for capture in captures]
            elif not stopped:
                stopped = "timeout" if now >= deadline else (should_stop() if should_stop else "")
                if stopped:
                    end_group(child)
                    drain_until = time.monotonic() + DRAIN_S
            elif drain_until is not None and now >= drain_until:
                # Not even KILL ends it: that is left to the kernel.
                return stopped, [capture.text() for capture in captures]


def _read_available(selector: selectors.BaseSelector, child: subprocess.Popen[bytes]) -> None:
    if not selector.get_map():
        try:
            child.wait(_TICK_S)
        except subprocess.TimeoutExpired:
            pass
        return
    for key, _events in selector.select(_TICK_S):
        try:
            data = os.read(key.fd, 65536)
        except BlockingIOError:
            continue
        if data:
            key.data.add(data)
        else:
            selector.unregister(key.fileobj)


@contextmanager
def _arguments(command: Command) -> Iterator[Tuple[List[str], Tuple[int, ...]]]:
    """The argument list and the descriptors it needs. A script has no name on disk, so none can be
    left behind.
    """
    if command.argv:
        yield list(command.argv), ()
        return
    with tempfile.TemporaryFile() as script:
        script.write(command.script.encode("utf-8"))
        script.flush()
        yield [*command.interpreter, "/proc/self/fd/%d" % script.fileno()], (script.fileno(),)


@contextmanager
def _watcher() -> Iterator[Any]:
    """A process that ends the group it is told of when this process dies before it says `done`."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WATCHER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={"PATH": _DEFAULT_PATH},
        cwd="/",
    )
    try:
        yield watcher.stdin
    finally:
        try:
            watcher.communicate(b"done\n")
        except BrokenPipeError:
            watcher.wait()  # somebody killed it; the parent-death signal still held


def _before_the_program(watcher: int) -> Callable[[], None]:
    """What the child does before it becomes the program: whatever that starts is then watched."""
    parent = os.getpid()
    libc: Any = None
    if sys.platform.startswith("linux"):
        import ctypes

        libc = ctypes.CDLL(None)

    def prepare() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.write(watcher, b"%d\n" % os.getpid())
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(1)

    return prepare
