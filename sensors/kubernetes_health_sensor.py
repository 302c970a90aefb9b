"""The health of Kubernetes: looks at every cluster each minute, and watches its pods in between
where that is set.

Nothing leaves `poll`, and a cluster that fails is asked less often while the others go on (see
`selfheal_sources`). The work is in `selfheal.intake.kubernetes`.
"""

from selfheal_sources import SourceSensor

# How much of an interval is spent watching; the rest is for the looks of the next one.
WATCHED_SHARE = 0.9
LEAST_PAUSE_S = 1.0


class KubernetesHealthSensor(SourceSensor):
    """Looks at every target of the setting `kubernetes`."""

    def __init__(self, sensor_service, config=None, poll_interval=60):
        super().__init__(sensor_service, config, poll_interval, "kubernetes_health_sensor")
        self._interval_s = poll_interval

    def components(self, config):
        """`kubernetes:NAME` for each cluster."""
        from selfheal.intake import components

        return components.clusters(config)

    def new_sources(self):
        """The clusters."""
        from selfheal.intake.kubernetes.clusters import Clusters

        return Clusters(self._polling.hide)

    def setup(self):
        """As of every source; the interval is from the beginning of a poll to that of the next."""
        super().setup()
        self._interval_s = self.get_poll_interval()

    def looked(self, component, found):
        """Say in the log what has changed."""
        if found.get("opened") or found.get("resolved") or found.get("because"):
            self._log.info("%s: %s", component, found)

    def _poll(self):
        clock = self._polling.context.clock
        began = clock.monotonic()
        self.set_poll_interval(self._interval_s)  # should this poll fail as a whole
        super()._poll()
        self._watch(began + WATCHED_SHARE * self._interval_s)
        pause_s = self._interval_s
        if self._watched():
            pause_s = max(LEAST_PAUSE_S, began + self._interval_s - clock.monotonic())
        self.set_poll_interval(pause_s)

    def _watched(self):
        """The clusters whose pods can be watched now."""
        return [one for one in self._sources.watched() if one not in self._troubles]

    def _watch(self, end):
        """Watch until the monotonic time `end`, each cluster in turn."""
        while end - self._polling.context.clock.monotonic() > LEAST_PAUSE_S:
            watched = self._watched()
            if not watched:
                return
            for component in watched:
                try:
                    self._sources.watch(self._polling.context, component, end)
                except Exception as error:
                    self._failed(component, error)
