"""The error monitor: looks for errors in every search target and in log files, each minute.

Nothing leaves `poll`, and a target that fails is asked less often while the others go on (see
`selfheal_sources`). The work is in `selfheal.intake.elk` and `selfheal.intake.files`.
"""

from selfheal_sources import SourceSensor


class ElkErrorSensor(SourceSensor):
    """Polls every target of the setting `elasticsearch` and the files of `log_files.paths`."""

    def __init__(self, sensor_service, config=None, poll_interval=60):
        super().__init__(sensor_service, config, poll_interval, "elk_error_sensor")

    def components(self, config):
        """`elk:NAME` for each search target, `log_files`."""
        from selfheal.intake import components

        return components.logs(config)

    def new_sources(self):
        """Searches and followed files."""
        from selfheal.intake.sources import Sources

        return Sources()

    def looked(self, component, found):
        """Say in the log what is new."""
        if found.get("new") or found.get("because"):
            self._log.info("%s: %s", component, found)
