"""A sensor that looks at sources of incidents, each with its own back-off.

What it is about is said by its subclasses: which sources there are, and who looks at them. Here is
what must be remembered from look to look, and who hears of it when nobody can look.
"""

from st2reactor.sensor.base import PollingSensor

from selfheal_polling import Backoff, Polling

# A source that is back is noticed within so many polls: what happens meanwhile is not seen.
MAX_SKIPPED_POLLS = 3
TELL_AGAIN_S = 3600.0


class SourceSensor(PollingSensor):
    """Polls every source that its subclass names. Nothing leaves `poll`."""

    def __init__(self, sensor_service, config=None, poll_interval=60, name="sensor"):
        super().__init__(sensor_service=sensor_service, config=config, poll_interval=poll_interval)
        self._polling = Polling(sensor_service, self.config, name)
        self._backoff = Backoff(most=MAX_SKIPPED_POLLS)
        self._log = self._polling.log
        self._sources = None
        self._troubles = {}
        self._dark_since = None
        self._told_at = None
        self._has_ended_removed = False

    def components(self, config):
        """The components in system_status of what is to be looked at now."""
        raise AssertionError("a sensor says what it looks at")

    def new_sources(self):
        """Who looks: an object with look(context, component), forget(component), close()."""
        raise AssertionError("a sensor says who looks")

    def looked(self, component, found):
        """A look has succeeded; `found` is what it says."""

    def setup(self):
        """Take the interval of the configuration. Nothing is connected: what is not reachable yet
        must not end the sensor.
        """
        self.set_poll_interval(self._polling.interval_s(self.get_poll_interval()))

    def poll(self):
        """One look at every source. Never raises."""
        try:
            self._poll()
        except Exception as error:  # a defect here would otherwise end all polling
            self._log.error("the poll failed: %s", self._polling.shown(error))
            self._polling.forget_store()

    def cleanup(self):
        """Close the connections."""
        try:
            if self._sources is not None:
                self._sources.close()
        except Exception as error:  # they end with the process all the same
            self._log.error("closing a connection failed: %s", self._polling.shown(error))
        self._polling.forget_store()

    def add_trigger(self, trigger):
        """Not needed: this sensor has no trigger parameters."""

    def update_trigger(self, trigger):
        """Not needed."""

    def remove_trigger(self, trigger):
        """Not needed."""

    def _poll(self):
        found = self.components(self._polling.config)
        self._sources = self._sources or self.new_sources()
        for component in found:
            if self._backoff.is_due(component):
                self._look(component)
            elif component in self._troubles:
                self._report(component)
        if found:
            self._end_removed()

    def _look(self, component):
        try:
            status, found = self._sources.look(self._polling.context, component)
            self._seen(component)
        except Exception as error:
            self._failed(component, error)
            return
        self._backoff.succeeded(component)
        self._polling.note(component, status, found)
        self.looked(component, found)

    def _seen(self, component):
        """End what was said of its blindness; record one that could not be recorded then."""
        from selfheal.intake import blindness

        dark_since = self._dark_since
        if dark_since is not None and not blindness.is_long(self._polling.context, dark_since):
            dark_since = None
        blindness.end_incident(self._polling.context, component, dark_since)
        self._troubles.pop(component, None)
        if not self._troubles:
            self._dark_since = self._told_at = None

    def _end_removed(self):
        """Once, since the configuration of a sensor is that of its start: no blindness lasts of a
        source that is not configured any more.
        """
        if not self._has_ended_removed:
            from selfheal.intake import blindness, components

            configured = components.components(self._polling.config)
            blindness.end_removed(self._polling.context, configured)
            self._has_ended_removed = True

    def _failed(self, component, error):
        from selfheal.intake.blindness import Trouble

        failures, polls = self._backoff.failed(component)
        shown = self._polling.shown(error)
        self._log.error(
            "%s could not be looked at (%d times now, next look in %d polls): %s",
            component,
            failures,
            polls,
            shown,
        )
        before = self._troubles.get(component)
        since = before.since if before else self._polling.context.clock.now()
        self._troubles[component] = Trouble(since, shown, failures)
        try:
            self._sources.forget(component)
        except Exception as other:
            self._log.error("closing a connection failed: %s", self._polling.shown(other))
        self._polling.forget_store()
        self._report(component)

    def _report(self, component):
        """Say that a source cannot be looked at: in the store, or past it when that is down."""
        from selfheal.intake import blindness

        try:
            blindness.report(self._polling.context, component, self._troubles[component])
            self._dark_since = self._told_at = None
        except Exception as error:
            shown = self._polling.shown(error)
            self._log.error("the state of %s could not be stored: %s", component, shown)
            self._polling.forget_store()
            self._tell_past_the_store(shown)

    def _tell_past_the_store(self, shown):
        from selfheal.intake import blindness

        context = self._polling.context
        now = context.clock.now()
        self._dark_since = self._dark_since or now
        if self._told_at is not None and now - self._told_at < TELL_AGAIN_S:
            return
        try:
            if blindness.is_long(context, self._dark_since):
                blindness.tell_past_the_store(context, "database", self._dark_since, shown)
                self._told_at = now
        except Exception as error:
            self._log.error("nobody could be told: %s", self._polling.shown(error))
