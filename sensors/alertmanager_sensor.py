"""The poll behind the webhook: asks each configured Alertmanager what fires, and mends what we
believe.

StackStorm ends a sensor that raises, and gives up on one that raises early: so nothing leaves
`poll`, nothing is connected in `setup`, and after failures the next looks are spaced out. The work
is in `selfheal.intake.reconcile`.
"""

import os
import sys

from st2reactor.sensor.base import PollingSensor

# StackStorm puts only the sensors' own directory on a sensor's path.
sys.path.append(
    os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "actions", "lib")
)

COMPONENT = "alertmanager_sensor"
MAX_SKIPPED_POLLS = 15
SHORTEST_INTERVAL_S = 10


class AlertmanagerSensor(PollingSensor):
    """Reconciles with every target of the setting `alertmanager`; off until one has a url."""

    def __init__(self, sensor_service, config=None, poll_interval=60):
        super().__init__(sensor_service=sensor_service, config=config, poll_interval=poll_interval)
        self._log = sensor_service.get_logger(name=COMPONENT)
        self._context = None
        self._failures = {}
        self._skip = {}

    def setup(self):
        """Take the interval of the configuration. Nothing is connected: what is not reachable yet
        must not end the sensor.
        """
        from selfheal.config import Config

        try:
            seconds = int(Config(self.config).number("monitoring.check_interval"))
            self.set_poll_interval(max(seconds, SHORTEST_INTERVAL_S))
        except Exception as error:  # the interval of the YAML file then stays
            self._log.error("monitoring.check_interval cannot be used: %s", self._shown(error))

    def poll(self):
        """One look at every target. Never raises."""
        try:
            for name, target in self._targets().items():
                self._look(name, target)
        except Exception as error:  # a defect here would otherwise end all polling
            self._log.error("the Alertmanager poll failed: %s", self._shown(error))
            self._forget_store()

    def cleanup(self):
        """Close the database."""
        self._forget_store()

    def add_trigger(self, trigger):
        """Not needed: this sensor has no trigger parameters."""

    def update_trigger(self, trigger):
        """Not needed."""

    def remove_trigger(self, trigger):
        """Not needed."""

    def _targets(self):
        from selfheal.config import Config

        return Config(self.config).targets("alertmanager")

    def _look(self, name, target):
        if self._skip.get(name, 0) > 0:
            self._skip[name] -= 1
            return
        from selfheal.intake.reconcile import reconcile

        try:
            found = reconcile(self._ctx(), name, target)
        except Exception as error:
            self._failed(name, error)
            return
        self._failures[name] = 0
        self._note(name, "ok", found)
        if found["opened"] or found["reopened"] or found["resolved"]:
            self._log.info("Alertmanager %s: %s", name, found)

    def _failed(self, name, error):
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        # 1, 3, 7, 15 polls left out: a server that is down is not asked every minute for hours.
        self._skip[name] = min(2 ** min(failures - 1, 10) - 1, MAX_SKIPPED_POLLS)
        shown = self._shown(error)
        self._log.error(
            "Alertmanager %s could not be compared (%d times now, next look in %d polls): %s",
            name,
            failures,
            self._skip[name] + 1,
            shown,
        )
        self._note(name, "failing", {"error": shown, "failures": failures})
        self._forget_store()

    def _shown(self, error):
        """The error fit for a log: nothing secret in it, nothing a terminal would act on."""
        from selfheal.config import Config
        from selfheal.text import printable, scrub, truncate

        try:
            text = scrub("%s: %s" % (type(error).__name__, error), Config(self.config).secrets())
        except Exception:  # without a readable configuration nobody knows what is secret
            text = type(error).__name__
        return truncate(printable(text), 1000)

    def _note(self, name, status, detail):
        """The state of this sensor for people and for check_config, in table system_status."""
        try:
            from selfheal.store import dump

            store = self._ctx().store
            now = store.now()
            store.execute(
                "INSERT INTO system_status (component, status, detail, since, updated_at) VALUES "
                "(?, ?, ?, ?, ?) "
                "ON CONFLICT (component) DO UPDATE SET since = CASE WHEN system_status.status = "
                "excluded.status "
                "THEN system_status.since ELSE excluded.since END, status = excluded.status, "
                "detail = excluded.detail, updated_at = excluded.updated_at",
                ("%s:%s" % (COMPONENT, name), status, dump(detail), now, now),
            )
        except Exception as error:
            self._log.error("the sensor's state could not be stored: %s", self._shown(error))
            self._forget_store()

    def _ctx(self):
        if self._context is None:
            from selfheal.config import Config
            from selfheal.context import Context
            from selfheal.platform import SensorPlatform

            self._context = Context(
                Config(self.config),
                log=self._log,
                platform=SensorPlatform(self.sensor_service.dispatch),
            )
        return self._context

    def _forget_store(self):
        """Let the next look open its own connection; the old one may be broken."""
        context, self._context = self._context, None
        if context is not None:
            try:
                context.close()
            except Exception as error:
                self._log.error("closing the database failed: %s", self._shown(error))
