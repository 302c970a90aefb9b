"""What the polling sensors share: they outlive every failure, ask what fails less and less often,
and say how they fare.

StackStorm ends a sensor that raises, and gives up on one that raises early: so nothing leaves a
look, and nothing is connected before the first one. This is no sensor itself; the entry files
beside it are.
"""

import os
import random
import sys

# StackStorm puts only the sensors' own directory on a sensor's path.
sys.path.append(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "actions", "lib")
)

SHORTEST_INTERVAL_S = 10
MAX_SKIPPED_POLLS = 15


class Backoff:
    """How many polls to leave out after failures: 0, 1, 3, 7 and so on up to `most`, by target.

    A part of what is left out (`jitter`, 0 to 1) is a matter of chance, so that several sensors do
    not all come back in the same moment.
    """

    def __init__(self, most=MAX_SKIPPED_POLLS, jitter=0.5):
        self._most = most
        self._jitter = jitter
        self._failures = {}
        self._skip = {}

    def is_due(self, name):
        """Whether `name` is to be asked in this poll; each call is one poll."""
        if self._skip.get(name, 0) > 0:
            self._skip[name] -= 1
            return False
        return True

    def failed(self, name):
        """(failures in a row, polls until the next look) now that `name` has failed."""
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        skip = min(2 ** min(failures - 1, 10) - 1, self._most)
        self._skip[name] = skip - int(skip * self._jitter * random.random())
        return failures, self._skip[name] + 1

    def succeeded(self, name):
        """How many failures in a row have ended with this."""
        self._skip[name] = 0
        return self._failures.pop(name, 0)


class Polling:
    """The library as a sensor uses it: configuration, store, log, state in system_status."""

    def __init__(self, service, config, name, clock=None):
        self.log = service.get_logger(name=name)
        self._dispatch = service.dispatch
        self._config = config
        self._clock = clock
        self._context = None
        self._hidden = set()

    def hide(self, secret):
        """Keep a secret that was learned since, a token from a file say, out of every log."""
        self._hidden.add(str(secret))

    def interval_s(self, default):
        """The configured seconds between two polls, or `default` when they cannot be used."""
        try:
            return max(int(self.config.number("monitoring.check_interval")), SHORTEST_INTERVAL_S)
        except Exception as error:  # whatever is configured must not end the sensor
            self.log.error("monitoring.check_interval cannot be used: %s", self.shown(error))
            return default

    @property
    def config(self):
        """The configuration as it is now."""
        from selfheal.config import Config

        return Config(self._config)

    @property
    def context(self):
        """What the library is given; its store stays open from look to look."""
        if self._context is None:
            from selfheal.context import Context
            from selfheal.platform import SensorPlatform

            self._context = Context(
                self.config,
                clock=self._clock,
                log=self.log,
                platform=SensorPlatform(self._dispatch),
            )
        return self._context

    def forget_store(self):
        """Let the next look open its own connection; the old one may be broken."""
        context, self._context = self._context, None
        if context is not None:
            try:
                context.close()
            except Exception as error:
                self.log.error("closing the database failed: %s", self.shown(error))

    def note(self, component, status, detail):
        """Keep the state of one target for people and for check_config; whether that was
        possible.
        """
        try:
            from selfheal.store import status as states

            states.note(self.context.store, component, status, detail)
            return True
        except Exception as error:
            self.log.error("the sensor's state could not be stored: %s", self.shown(error))
            self.forget_store()
            return False

    def shown(self, error):
        """The error fit for a log: nothing secret in it, nothing a terminal would act on."""
        try:
            from selfheal.text import printable, scrub, truncate
        except Exception:  # the pack's files are being replaced, say: the next look may find them
            return type(error).__name__
        try:
            secrets = [*self.config.secrets(), *self._hidden]
            text = scrub("%s: %s" % (type(error).__name__, error), secrets)
        except Exception:  # without a readable configuration nobody knows what is secret
            text = type(error).__name__
        return truncate(printable(text), 1000)
