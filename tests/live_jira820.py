"""jira820, a stateful imitation of Jira Data Center 8.20 that others wrote: a second opinion on
what the strict stand-in says. It checks little: no credentials, no screens, no lengths.
"""

from __future__ import annotations

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
        told = {
            "HOST": "127.0.0.1", "PORT": self.port, "CONFIG": self.config,
            "PROJECT_KEY": self.project,
        }  # its settings go by the environment
        given = ["JIRA820_%s=%s" % one for one in told.items()]
        return [needs.tool("env"), *given, sys.executable, "-m", "jira820"]

    def settings(self, **more):
        """The section `jira` of a configuration that reaches it."""
        return {
            "url": self.url, "flavour": "datacenter", "token": "any", "project": self.project,
            "timeout_s": 120, **more,
        }


__all__ = ["Jira820"]
