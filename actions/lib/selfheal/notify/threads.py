"""What follows a message in its thread: somebody has acknowledged it, it is over, nobody has
answered yet.

`about` names the message it is about (the key of the escalation), `thread` the letter that told the
same channel first. Pure.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from selfheal import document
from selfheal.document import Document
from selfheal.notify import layout
from selfheal.text import counted, iso, one_line

ESCALATION = "escalation"
ACKNOWLEDGED = "acknowledged"
RESOLVED = "resolved"
RETURNED = "returned"
MAX_TEXT = 12000
_ABOUT_INCIDENT = ("id", "title", "severity")


def first(payload: Mapping[str, Any], about: str) -> Dict[str, Any]:
    """The payload with what it is about."""
    return dict(payload, about=about)


def again(payload: Mapping[str, Any], about: str, thread: str, minutes: float) -> Dict[str, Any]:
    """The whole message once more, because nobody has acknowledged it for `minutes`."""
    words = "Nobody has acknowledged this for %s." % counted(round(minutes), "minute")
    message = layout.of(payload)
    title = one_line("%s (not acknowledged)" % payload.get("title"), 400)
    rest = message[1:] if message and message[0].kind == document.HEADING else message
    begins = _lines_of(rest[:1])
    told = (document.heading(title), document.text(words, *begins), *rest[1 if begins else 0:])
    found = layout.with_document(dict(payload, title=title), told, MAX_TEXT)
    return dict(found, about=about, thread=thread, unacknowledged_minutes=round(minutes))


def acknowledged(
    payload: Mapping[str, Any], about: str, thread: str, by: str, note: str = ""
) -> Dict[str, Any]:
    """Somebody has it: nobody else need get up."""
    words = "Acknowledged by %s%s." % (by, ": %s" % note if note else "")
    return _following(payload, about, thread, words, {"by": by, "note": note})


def resolved(payload: Mapping[str, Any], about: str, thread: str, how: str) -> Dict[str, Any]:
    """It is over."""
    return _following(payload, about, thread, "Resolved: %s." % how.rstrip("."), {"how": how})


def returned(payload: Mapping[str, Any], about: str, thread: str) -> Dict[str, Any]:
    """What was over is back; nobody is woken for it, but the thread must not end with a wrong
    word.
    """
    words = "It is back. It keeps going away and coming back; somebody is called if it stays."
    return _following(payload, about, thread, words, {})


def keeps_returning(
    payload: Mapping[str, Any],
    about: str,
    thread: str,
    times: int,
    every_min: float,
    away_min: float,
) -> Dict[str, Any]:
    """It is back so often that the thread does not follow each time any more, and says so."""
    words = (
        "It keeps going away and coming back, %s by now. From here on this thread does not follow "
        "each time: at most every %s it says how often it came back, and when it has stayed away "
        "for %s that it is over. Somebody is called if it stays."
    ) % (counted(times, "time"), minutes_of(every_min), minutes_of(away_min))
    return _following(payload, about, thread, words, {"returns": times})


def returned_often(
    payload: Mapping[str, Any],
    about: str,
    thread: str,
    times: int,
    since: float,
    is_open: bool,
    now: float,
) -> Dict[str, Any]:
    """How often it came back since it was told, and how it was when that was said."""
    words = "Opened again %s since %s, and it keeps going away and coming back; at %s it was %s."
    words %= (counted(times, "time"), iso(since), iso(now), "open" if is_open else "away")
    return _following(payload, about, thread, words, {"returns": times})


def told_anew(payload: Mapping[str, Any], about: str, thread: str) -> Dict[str, Any]:
    """It is not over, but what there is to say of it stands elsewhere."""
    words = (
        "This thread ends here: it was opened anew, became worse, or is back and stays. When "
        "somebody is needed, a message of its own says so."
    )
    return _following(payload, about, thread, words, {})


def minutes_of(minutes: float) -> str:
    """So many minutes, in words."""
    return counted(round(minutes), "minute")


def _following(
    payload: Mapping[str, Any], about: str, thread: str, words: str, more: Dict[str, Any]
) -> Dict[str, Any]:
    title = one_line(str(payload.get("title") or ""), 400)
    incident = payload.get("incident")
    known = incident.get("id") if isinstance(incident, Mapping) else None
    message: Document = (
        document.heading(title),
        document.text(words),
        *_see(known),
    )
    found = {"title": title, "about": about, "thread": thread, "words": words, **more}
    if payload.get("severity"):
        found["severity"] = payload["severity"]
    if isinstance(incident, Mapping):
        found["incident"] = {
            name: incident[name] for name in _ABOUT_INCIDENT if name in incident
        }
    return layout.with_document(found, message, MAX_TEXT)


def _see(incident_id: Optional[Any]) -> Document:
    if not incident_id:
        return ()
    words = "All of it: st2 run selfheal.incident_timeline incident_id=%s" % incident_id
    return (document.text(words),)


def _lines_of(blocks: Document) -> Any:
    return blocks[0].lines if blocks and blocks[0].kind == document.TEXT else ()
