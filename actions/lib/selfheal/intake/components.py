"""Which sources of errors there are, by their component in system_status: cheap to ask, for who
shows or begins them.
"""

from __future__ import annotations

from typing import List

from selfheal.config import Config
from selfheal.intake.elk import reached
from selfheal.intake.elk.settings import SECTION

FILES = "log_files"


def components(config: Config) -> List[str]:
    """What is to be looked at: `elk:NAME` for each search target, `log_files`. Raises ConfigError.
    """
    found = [reached.checkpoint_name(name) for name in config.targets(SECTION)]
    return found + ([FILES] if config.get("log_files.paths") else [])
