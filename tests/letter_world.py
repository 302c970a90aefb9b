"""Another system that letters are carried to, and carriers that misbehave as they are told.

It knows what was written, in which order, and whether two carriers were ever at work on one queue
at the same time.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
import types

from selfheal.exceptions import ExternalError
from selfheal.outbox import letters
from selfheal.outbox.carrying import Later, NotTaken

_numbers = itertools.count()
FAULTS = ("", "refused", "rest", "later", "drop_before", "drop_after", "kill_before", "kill_after")
# Besides these: "never", a no for good.


class Killed(BaseException):
    """The worker is dead: nothing of it runs any more."""


class World:
    """What was written: `written` holds (queue, words) in order. `fault_of(letter)` is one of
    FAULTS or "never", asked at each attempt.
    """

    def __init__(self, fault_of=lambda _letter: ""):
        self.written, self.tries, self.overlaps = [], [], []
        self.fault_of = fault_of
        self._marks, self._inside = set(), {}
        self._lock = threading.Lock()

    def carry(self, _ctx, letter):
        with self._lock:
            fault = self.fault_of(letter)
            self.tries.append((letter.id, letter.may_have_arrived))
            self._inside[letter.queue] = self._inside.get(letter.queue, 0) + 1
            if letter.queue and self._inside[letter.queue] > 1:
                self.overlaps.append(letter.id)
        try:
            time.sleep(0)  # lets another worker in, if it can get in
            return self._carry(letter, fault)
        finally:
            with self._lock:
                self._inside[letter.queue] -= 1

    def _carry(self, letter, fault):
        if fault == "kill_before":
            raise Killed
        if fault == "later":
            raise Later(20, "what it needs is not there yet")
        if fault == "drop_before":
            raise ExternalError("no connection")
        if fault == "never":
            raise NotTaken("no such field", is_final=True)
        if fault in ("refused", "rest"):
            raise NotTaken("answered 429", 45.0 if fault == "rest" else 0.0)
        with self._lock:
            is_there = letter.may_have_arrived and letter.id in self._marks
            if not is_there:
                self._marks.add(letter.id)
                self.written.append((letter.queue, letter.payload["words"]))
        if fault == "drop_after":
            raise ExternalError("the connection broke")
        if fault == "kill_after":
            raise Killed
        return {"number": len(self._marks)}


def carriers(monkeypatch, **functions):
    """{"world": module} for `deliver`: a carrier whose module has these (carry, SERVICE,
    problem).
    """
    name = "carrier_%d" % next(_numbers)
    module = types.ModuleType(name)
    module.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, name, module)
    return {"world": name}


def saying(monkeypatch, keep=lambda letter: letter):
    """(carriers, what the carrier raises or answers: each in turn, the last for ever; what it kept
    of the letters it got).
    """
    answers, got = [], []

    def carry(_ctx, letter):
        got.append(keep(letter))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return carriers(monkeypatch, carry=carry), answers, got


def unreached(error):
    """The error as it is when no connection could be made."""
    error.concerns_all = True
    return error


def caused_by(error, cause):
    """The error as `raise error from cause` leaves it."""
    error.__cause__ = cause
    return error


def post(ctx, key, queue="", kind="ticket_comment", channel="world", **more):
    payload = {"words": key, **more.pop("payload", {})}
    return letters.post(
        ctx.store, kind, None, key, payload, channel=channel, queue=queue, **more
    )


def row_of(ctx, outbox_id):
    return letters.get(ctx.store, outbox_id)
