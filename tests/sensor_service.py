"""The part of StackStorm's sensor service that the pack's sensors use, for tests."""

from __future__ import annotations

import logging


class Service:
    """Keeps what is dispatched; refuses it while `down`."""

    def __init__(self):
        self.dispatched = []
        self.down = False

    def get_logger(self, name):
        return logging.getLogger(name)

    def dispatch(self, trigger, payload=None, trace_tag=None):
        if self.down:
            raise RuntimeError("RabbitMQ is down")
        self.dispatched.append((trigger, payload))

    def of(self, trigger):
        """The payloads of `trigger`, oldest first."""
        return [payload for name, payload in self.dispatched if name == trigger]
