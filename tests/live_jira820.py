"""jira820, a stateful imitation of Jira Data Center 8.20 that others wrote: a second opinion on
what the strict stand-in says. It checks little: no credentials, no screens, no lengths.
"""

from __future__ import annotations

import os
import sys

from tests import needs
from tests.live_server import Server


class Jira820(Server):
    """The server. `config` is its YAML, such as a workflow of its own."""

    ready_path = "/rest/api/2/serverInfo"
    project = "OPS"

    def __init__(self, directory, config=""):
        needs.python(3, 9)
        needs.module("jira820")
        super().__init__(directory)
        self.config = self.directory / "jira820.yaml"
        self.config.write_text("project_key: %s\n%s" % (self.project, config))

    def command(self):
        return [sys.executable, "-m", "jira820"]

    def start(self):
        """Start it; its settings go by the environment."""
        before = dict(os.environ)
        os.environ.update(
            JIRA820_HOST="127.0.0.1", JIRA820_PORT=str(self.port), JIRA820_CONFIG=str(self.config),
            JIRA820_PROJECT_KEY=self.project,
        )
        try:
            return super().start()
        finally:
            os.environ.clear()
            os.environ.update(before)

    def settings(self, **more):
        """The section `jira` of a configuration that reaches it."""
        return {
            "url": self.url, "flavour": "datacenter", "token": "any", "project": self.project,
            **more,
        }


__all__ = ["Jira820"]
