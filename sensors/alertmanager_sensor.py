"""The poll behind the webhook: asks each configured Alertmanager what fires, and mends what we
believe.

Nothing leaves `poll`, and after failures the next looks are spaced out (see `selfheal_polling`).
The work is in `selfheal.intake.reconcile`.
"""

from st2reactor.sensor.base import PollingSensor

from selfheal_polling import MAX_SKIPPED_POLLS, Backoff, Polling

COMPONENT = "alertmanager_sensor"

__all__ = ["MAX_SKIPPED_POLLS", "AlertmanagerSensor"]


class AlertmanagerSensor(PollingSensor):
    """Reconciles with every target of the setting `alertmanager`; off until one has a url."""

    def __init__(self, sensor_service, config=None, poll_interval=60):
        super().__init__(sensor_service=sensor_service, config=config, poll_interval=poll_interval)
        self._polling = Polling(sensor_service, self.config, COMPONENT)
        self._backoff = Backoff()
        self._log = self._polling.log

    def setup(self):
        """Take the interval of the configuration. Nothing is connected: what is not reachable yet
        must not end the sensor.
        """
        self.set_poll_interval(self._polling.interval_s(self.get_poll_interval()))

    def poll(self):
        """One look at every target. Never raises."""
        try:
            for name, target in self._polling.config.targets("alertmanager").items():
                if self._backoff.is_due(name):
                    self._look(name, target)
        except Exception as error:  # a defect here would otherwise end all polling
            self._log.error("the Alertmanager poll failed: %s", self._polling.shown(error))
            self._polling.forget_store()

    def cleanup(self):
        """Close the database."""
        self._polling.forget_store()

    def add_trigger(self, trigger):
        """Not needed: this sensor has no trigger parameters."""

    def update_trigger(self, trigger):
        """Not needed."""

    def remove_trigger(self, trigger):
        """Not needed."""

    def _look(self, name, target):
        from selfheal.intake.reconcile import reconcile

        try:
            found = reconcile(self._polling.context, name, target)
        except Exception as error:
            self._failed(name, error)
            return
        self._backoff.succeeded(name)
        self._polling.note("%s:%s" % (COMPONENT, name), "ok", found)
        if found["opened"] or found["reopened"] or found["resolved"]:
            self._log.info("Alertmanager %s: %s", name, found)

    def _failed(self, name, error):
        failures, polls = self._backoff.failed(name)
        shown = self._polling.shown(error)
        self._log.error(
            "Alertmanager %s could not be compared (%d times now, next look in %d polls): %s",
            name,
            failures,
            polls,
            shown,
        )
        detail = {"error": shown, "failures": failures}
        self._polling.note("%s:%s" % (COMPONENT, name), "failing", detail)
        self._polling.forget_store()
