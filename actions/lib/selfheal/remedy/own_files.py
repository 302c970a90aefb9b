"""The files beside a runbook that its commands name, such as scripts/on_host.sh.

They are read with the runbook: what they hold is part of its digest, so of what is decided and
approved, and is looked at once more just before a command that names them begins.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import List, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.remedy.model import Act, Command, Runbook, Step

File = Tuple[str, str]


def bound(runbook: Runbook) -> Runbook:
    """`runbook` whose commands know the files that they name, and whose digest covers those. Raises
    InvalidInput when one cannot be read.
    """
    folder = os.path.dirname(runbook.path) or "."
    try:
        steps = tuple(_bound_step(step, folder) for step in runbook.steps)
    except OSError as error:
        raise InvalidInput(
            "runbook %s: cannot read the file %s that a command names: %s"
            % (runbook.path, error.filename, error.strerror)
        ) from error
    files = {file for step in steps for act in _acts(step) for file in act.files}
    if not files:
        return runbook
    whole = hashlib.sha256(runbook.digest.encode("ascii"))
    inside = os.path.realpath(folder)
    for path, digest in sorted(files):
        name = os.fsencode(os.path.relpath(path, inside))
        whole.update(b"%s %d %s" % (digest.encode("ascii"), len(name), name))
    return replace(runbook, steps=steps, digest=whole.hexdigest())


def named(words: Sequence[str], folder: str) -> Tuple[File, ...]:
    """The files of `folder`, or below it, that `words` name: (real path, SHA-256). Raises OSError.

    A link that leads out of `folder` names none of its files.
    """
    found: List[File] = []
    for word in words:
        path = inside(word, folder)
        if path:
            found.append((path, _digest(path)))
    return tuple(found)


def inside(word: str, folder: str) -> str:
    """The real path of the file of `folder` that `word` names, or empty when it names none."""
    path = os.path.join(folder, word)
    if not word or not os.path.isfile(path):
        return ""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return real if real.startswith(root.rstrip("/") + "/") else ""


def still_named(files: Sequence[File], words: Sequence[str], folder: str) -> Tuple[File, ...]:
    """Those of `files` that `words` name: a value may be written otherwise than it was."""
    paths = {inside(word, folder) for word in words}
    return tuple(file for file in files if file[0] in paths)


def changed(command: Command, folder: str) -> str:
    """Which file no longer holds what it held when the command was decided on, or is no longer the
    one that its words name in `folder`; empty when none.
    """
    known = [path for path, _digest_then in command.files]
    named_now = [inside(word, folder) for word in command.argv or command.interpreter]
    if known and [path for path in named_now if path in known] != known:
        return (
            "its words name other files than %s now, as they did when it was decided on, so "
            "nothing was run; analyze the incident again, or do it by hand"
            % ", ".join(sorted(set(known)))
        )
    for path, digest in command.files:
        try:
            is_same = _digest(path) == digest
        except OSError as error:
            return "cannot read %s: %s; nothing was run" % (path, error.strerror)
        if not is_same:
            return (
                "%s has changed since it was decided on, so nothing was run; "
                "analyze the incident again, or do it by hand" % path
            )
    return ""


def _bound_step(step: Step, folder: str) -> Step:
    undo = step.undo
    if undo is not None and isinstance(undo.act, Command):
        undo = replace(undo, act=_bound_command(undo.act, folder))
    act: Act = step.act
    if isinstance(act, Command):
        act = _bound_command(act, folder)
    return replace(step, act=act, undo=undo)


def _bound_command(command: Command, folder: str) -> Command:
    return replace(command, files=named(command.argv or command.interpreter, folder))


def _acts(step: Step) -> List[Command]:
    acts = [step.act, step.undo.act if step.undo else None]
    return [act for act in acts if isinstance(act, Command)]


def _digest(path: str) -> str:
    whole = hashlib.sha256()
    with open(path, "rb") as source:
        for part in iter(lambda: source.read(1 << 20), b""):
            whole.update(part)
    return whole.hexdigest()
