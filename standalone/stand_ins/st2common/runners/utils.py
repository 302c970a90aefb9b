"""Stand-in: the configuration dictionary, the logger and the construction of an action."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

__all__ = ["PackConfigDict", "get_action_class_instance", "get_logger_for_python_runner_action"]

_loggers: Dict[str, Any] = {}


class PackConfigDict(dict):  # type: ignore[type-arg]
    """A pack's configuration: a missing key raises ValueError (not KeyError) with advice."""

    def __init__(self, pack_name: str, *args: Any) -> None:
        super().__init__(*args)
        self._pack_name = pack_name

    def __getitem__(self, key: str) -> Any:
        try:
            return super().__getitem__(key)
        except KeyError:
            raise ValueError(
                'Config for pack "%s" is missing key "%s". Make sure that the config file exists '
                "on disk and contains that key." % (self._pack_name, key)
            ) from None


def get_logger_for_python_runner_action(action_name: str, log_level: str = "debug") -> Any:
    """A logger that writes to stderr; one per action, whoever asks."""
    import logging

    name = "st2.actions.python.%s" % action_name
    if name not in _loggers:
        level = getattr(logging, log_level.upper(), logging.DEBUG)
        handler = logging.StreamHandler()
        handler.setLevel(level)
        handler.setFormatter(logging.Formatter("%(name)-12s: %(levelname)-8s %(message)s"))
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        _loggers[name] = logger
    return _loggers[name]


def get_action_class_instance(
    action_cls: Any, config: Optional[Dict[str, Any]] = None, action_service: Any = None
) -> Any:
    """An instance; a class whose constructor knows no `action_service` gets it afterwards."""
    try:
        return action_cls(config=config, action_service=action_service)
    except TypeError as error:
        if "unexpected keyword argument 'action_service'" not in str(error):
            raise
    instance = action_cls(config=config)
    instance.action_service = action_service
    return instance
