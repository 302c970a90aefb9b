"""What travels through the room: a document as it was read, and what was judged of it.

Named tuples, as 40,000 of them are made each second: they cost a third of a frozen dataclass.
"""

from __future__ import annotations

from typing import Dict, NamedTuple

# Why a document could not be read; it is stored and counted all the same, as the type UNREADABLE.
UNREADABLE = "unreadable"


class Document(NamedTuple):
    """One log document in the pack's own terms. Text is as it came, cut to a bounded length;
    "" where there is none.

    `document_id` is its identity for ever: origin, index and _id, or a file's identity and offset.
    `logged_at` is in seconds since the epoch, UTC. `level` is one of errors.severity.LEVELS or "".
    `message` is what the event says, without the stack trace, which is in `stack`. `detail` holds
    what people may want to see and nothing is computed from (JSON). `trouble` says why the document
    could not be read as it should, "" when it could.
    """

    document_id: str
    origin: str
    logged_at: float
    message: str
    level: str = ""
    program: str = ""
    host: str = ""
    cluster: str = ""
    namespace: str = ""
    workload: str = ""
    pod: str = ""
    container: str = ""
    node: str = ""
    error_class: str = ""
    stack: str = ""
    detail: Dict[str, object] = {}  # never changed; most documents share one
    trouble: str = ""


class Judgement(NamedTuple):
    """What an error is. Equal for equal (message, stack, error_class, level, program), whoever asks
    and whenever.

    `fingerprint` is `v1:` and 20 hexadecimal digits; `template` the text it was made of, with typed
    placeholders; `error_type` one of errors.classify.TYPES; `severity` one of the incident's;
    `rule` the name of the classification rule that matched.
    """

    fingerprint: str
    template: str
    error_type: str
    severity: str
    rule: str
