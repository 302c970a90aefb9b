"""Why an error has its fingerprint: which rule replaced what, what was kept, which frames count.

Walks the steps of `fingerprint` once more with an eye on each, so it costs more and is for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Tuple

from selfheal.errors import codes, phrases, tokens
from selfheal.errors.fingerprint import (
    FOLDED,
    HEAD,
    VERSION,
    Fingerprinter,
    classes_of,
    considered,
    unfolded,
)
from selfheal.errors.stacks import Trace, read
from selfheal.exceptions import InvalidInput, NotFound
from selfheal.store import load
from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.context import Context

MAX_STEPS = 200
_SEARCHED = 50  # groups, and documents of each


def error_explain(
    ctx: Context, message: str = "", stack: str = "", fingerprint: str = ""
) -> Dict[str, Any]:
    """Explains the fingerprint of `message` and `stack`, or of the last error stored under
    `fingerprint`: see `explain`. Raises InvalidInput when there is nothing to explain,
    NotFound when nothing is stored under it.
    """
    if fingerprint:
        if message or stack:
            raise InvalidInput("give either a message (with a stack) or a fingerprint, not both")
        row = _stored(ctx, fingerprint)
        explained = explain(row["message"], row["stack"], row["error_class"])
        return {"document_id": row["document_id"], **explained}
    if not message and not stack:
        raise InvalidInput("give a message, a stack or a fingerprint to explain")
    return explain(message, stack)


def explain(message: str, stack: str = "", error_class: str = "") -> Dict[str, Any]:
    """How the fingerprint of an error comes about.

    {"version", "fingerprint", "template", "key" (what is hashed of the template), "line" (the text
    that counted), "left_out" (what did not), "steps": [{"rule", "found", "became"}], "kept":
    [{"rule", "text"}], "exceptions": [class], "frames": [...], "frames_are_own": bool or None}.
    """
    fingerprint, template = Fingerprinter().of(message, stack, error_class)
    line, trace = _heard(message, stack)
    steps: List[Dict[str, str]] = []
    kept: List[Dict[str, str]] = []
    arranged = _walk(line, steps, kept)
    return {
        "version": VERSION,
        "fingerprint": fingerprint,
        "template": template,
        "key": phrases.key_of(arranged),
        "line": line,
        "left_out": _left_out(message, stack, line, trace),
        "steps": steps[:MAX_STEPS],
        "kept": kept[:MAX_STEPS],
        "exceptions": list(classes_of(trace, error_class)),
        "frames": list(trace.frames) if trace else [],
        "frames_are_own": trace.is_own if trace else None,
    }


def _heard(message: str, stack: str) -> Tuple[str, Optional[Trace]]:
    line, trace_text = considered(message, stack)
    if FOLDED.search(line):
        line, trace_text = considered(unfolded(message), stack)
    trace = read(trace_text) if trace_text else None
    if not line.strip() and trace is not None:
        line = considered(trace.message, "")[0]
    return " ".join(line.split()), trace


def _walk(line: str, steps: List[Dict[str, str]], kept: List[Dict[str, str]]) -> str:
    """The template of `line`, each step written down."""

    def note(rule: str, found: str, became: str) -> None:
        found, became = codes.reveal(found), codes.reveal(became)
        if rule.endswith("kept"):
            kept.append({"rule": rule, "text": found})
        else:
            steps.append({"rule": rule, "found": found, "became": became})

    for found in codes.found(line):
        note("number with a meaning, kept", found, found)
    words = [tokens.mask(word, note) for word in codes.protect(line).split()]
    return codes.reveal(phrases.arrange(" ".join(words), note))


def _left_out(message: str, stack: str, line: str, trace: Optional[Trace]) -> List[str]:
    notes = []
    if len(message) > HEAD:
        notes.append("all but the first %d of %d characters of the message" % (HEAD, len(message)))
    if "\n" in message.strip() or FOLDED.search(message[:HEAD]):
        notes.append("lines of the message after the first that says something")
    if stack and trace is None:
        notes.append("the stack: no trace of a known language was found in it")
    if trace is not None:
        notes.append("line numbers, addresses and generated names of the trace")
        if trace.is_own:
            notes.append("frames of the runtime and of libraries, as there are own ones")
    return notes


def _stored(ctx: Context, fingerprint: str) -> Dict[str, str]:
    """The latest document of the pattern in the groups that were busy last."""
    groups = ctx.store.query(
        "SELECT group_key FROM error_groups WHERE fingerprint = ? OR fingerprint = (SELECT"
        " merged_into FROM error_patterns WHERE fingerprint = ?)"
        " ORDER BY last_logged_at DESC LIMIT %d" % _SEARCHED,
        (fingerprint, fingerprint),
    )
    for group in groups:
        rows = ctx.store.query(
            "SELECT document_id, fingerprint, message, detail FROM error_logs WHERE group_key = ?"
            " ORDER BY logged_at DESC LIMIT %d" % _SEARCHED,
            (group["group_key"],),
        )
        for row in rows:
            if row["fingerprint"] == fingerprint:
                detail = load(row["detail"]) or {}
                return {
                    "document_id": row["document_id"],
                    "message": row["message"],
                    "stack": str(detail.get("stack") or ""),
                    "error_class": str(detail.get("error_class") or ""),
                }
    raise NotFound(
        "no stored error has the fingerprint %s; error_pattern_list shows those there are, and"
        " retention may have removed its documents: give the message instead"
        % one_line(fingerprint, 64)
    )
