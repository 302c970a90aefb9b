"""Stand-in for StackStorm's base class of python actions.

Promises `config`, `logger` and `action_service` as the real one gives them. The logger is made at
first use, since most actions of a few milliseconds never log through it.
"""

from __future__ import annotations

import abc

from st2common.runners.utils import PackConfigDict, get_logger_for_python_runner_action

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

__all__ = ["Action"]


class Action(abc.ABC):
    """Base class of a python action; subclasses implement `run`."""

    description: Optional[str] = None

    def __init__(self, config: Optional[Dict[str, Any]] = None, action_service: Any = None) -> None:
        wrapper = getattr(action_service, "_action_wrapper", None)
        self._log_level = getattr(wrapper, "_log_level", "debug")
        self._logger: Any = None
        self.action_service = action_service
        self.config = PackConfigDict(getattr(wrapper, "_pack", "unknown"), config or {})

    @property
    def logger(self) -> Any:
        if self._logger is None:
            self._logger = get_logger_for_python_runner_action(
                action_name=type(self).__name__, log_level=self._log_level
            )
        return self._logger

    @logger.setter
    def logger(self, logger: Any) -> None:
        self._logger = logger

    @abc.abstractmethod
    def run(self, **kwargs: Any) -> Any:
        """Do the work; the return value becomes status and result."""
