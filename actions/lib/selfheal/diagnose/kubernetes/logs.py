"""The last lines that sick containers wrote, those of the run that ended where there is one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from selfheal.apis.kubernetes.failures import Missing, Unprocessable
from selfheal.diagnose.kubernetes.notebook import Notebook
from selfheal.exceptions import SelfhealError
from selfheal.text import one_line, truncate

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client

MOST_LOGS = 2
TAIL_LINES = 120
LIMIT_BYTES = 262144
KEPT_CHARACTERS = 24000
_NEVER_STARTED = frozenset(
    "ErrImagePull ImagePullBackOff InvalidImageName ErrImageNeverPull ImageInspectError "
    "CreateContainerConfigError CreateContainerError PodInitializing ContainerCreating".split()
)
_TELLING = re.compile(
    r"(?i)error|exception|fatal|panic|critical|traceback|refused|denied|killed|failed|cannot|abort"
)
_FRAME = re.compile(r"\s+(?:at |File \"|\.\.\.|in )|\s*(?:goroutine |\^+\s*\Z)")


def write(
    notes: Notebook, client: Client, namespace: str, containers: Sequence[Dict[str, Any]]
) -> None:
    """Ask for the logs of the worst of `containers` (entries of `containers.of_pod`, the worst
    first), one pod of each container's name.
    """
    logs: List[Dict[str, Any]] = []
    problems: List[str] = []
    for entry in chosen(containers):
        where = "%s of pod %s" % (entry["container"], entry["pod"])
        try:
            text, is_previous = _read(client, namespace, entry)
        except (Missing, Unprocessable) as error:
            problems.append("%s: %s" % (where, error))
            continue
        except SelfhealError as error:
            problems.append("%s: %s" % (where, error))
            break  # no right, or no time: the next would end the same
        lines = tail(notes, text)
        logs.append(
            {
                "pod": entry["pod"],
                "container": entry["container"],
                "previous": is_previous,
                "lines": lines,
            }
        )
        run = "the run before" if is_previous else "this run"
        notes.fact("log of %s (%s)" % (where, run), telling(lines) or "nothing was written")
    notes.content["logs"] = logs
    for problem in problems:
        notes.lacks("logs", problem)


def chosen(containers: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The containers whose logs may tell something: at most MOST_LOGS, of different names."""
    found: Dict[str, Dict[str, Any]] = {}
    for entry in containers:
        has_run = entry["last_end"] or entry["state"] in ("running", "terminated")
        is_well = entry["state"] == "running" and entry["is_ready"] and not entry["restarts"]
        is_done = entry["state"] == "terminated" and entry["exit_code"] == 0
        is_new = entry["reason"] in _NEVER_STARTED and not entry["last_end"]
        if has_run and not (is_well or is_done or is_new):
            found.setdefault(entry["container"], entry)
    return list(found.values())[:MOST_LOGS]


def _read(client: Client, namespace: str, entry: Dict[str, Any]) -> Tuple[str, bool]:
    """The log, and whether it is that of the run before."""
    pod, container = entry["pod"], entry["container"]
    if entry["last_end"] and entry["state"] != "terminated":
        try:
            text = client.logs(namespace, pod, container, True, TAIL_LINES, LIMIT_BYTES)
            if text.strip():
                return text, True
        except Unprocessable:
            pass  # the node has dropped it
    return client.logs(namespace, pod, container, False, TAIL_LINES, LIMIT_BYTES), False


def tail(notes: Notebook, text: str) -> List[str]:
    """The last lines of `text` without secrets. Where too much was written the beginning goes, at
    the end of a line: what is cut within one might lose the name that says that a value is secret.
    """
    cut = max(0, len(text) - 2 * KEPT_CHARACTERS)
    if cut:
        line_end = text.find("\n", cut)
        text = text[line_end + 1:] if line_end >= 0 else text
    lines = notes.clean(text).splitlines()
    kept: List[str] = []
    size = 0
    for line in reversed(lines):
        line = truncate(line, 2000)
        size += len(line) + 1
        if size > KEPT_CHARACTERS or len(kept) >= TAIL_LINES:
            break
        kept.append(line)
    return kept[::-1]


def telling(lines: Sequence[str]) -> str:
    """The line that tells most: the last that speaks of an error and is no frame of a stack, else
    the last one.
    """
    written = [line for line in lines if line.strip()]
    for line in reversed(written[-50:]):
        if _TELLING.search(line[:2000]) and not _FRAME.match(line[:2000]):
            return one_line(line, 300)
    return one_line(written[-1], 300) if written else ""
