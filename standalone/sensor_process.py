"""Runs one sensor of a pack in a process of its own: the counterpart of StackStorm's sensor
wrapper.

Started as `python -u sensor_process.py --pack=P --file-path=F --class-name=C [--poll-interval=N]
[--once]` with the configuration as JSON on stdin and the API's address and token in the
environment. Promises production's import path (the pack's actions/lib is not on it), and that an
exception in poll() ends the process.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    import lifeline  # found beside this file, as long as the path still begins here

    lifeline.watch()
    _HERE = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or os.getcwd()) != _HERE]
    sys.path.append(os.path.join(_HERE, "stand_ins"))

import json
import logging
import signal
import typing as t
import urllib.error
import urllib.request

TIMEOUT_S = 30


class SensorService:
    """What a sensor calls `self.sensor_service`: triggers and the datastore, both over the API."""

    def __init__(self, pack: str, class_name: str, logger: logging.Logger) -> None:
        self._pack = pack
        self._class_name = class_name
        self._logger = logger
        self._datastore: t.Any = None

    @property
    def datastore_service(self) -> t.Any:
        if self._datastore is None:
            from st2common.services.datastore import ActionDatastoreService

            self._datastore = ActionDatastoreService(
                logger=self._logger,
                pack_name=self._pack,
                class_name=self._class_name,
                auth_token=os.environ.get("ST2_ACTION_AUTH_TOKEN"),
            )
        return self._datastore

    def get_logger(self, name: str) -> logging.Logger:
        return logging.getLogger("%s.%s" % (self._logger.name, name))

    def get_user_info(self) -> t.Any:
        return self.datastore_service.get_user_info()

    def dispatch(self, trigger: str, payload: t.Any = None, trace_tag: t.Any = None) -> None:
        """Hand over a trigger instance; one that does not fit is dropped with a warning."""
        self.dispatch_with_context(trigger, payload)

    def dispatch_with_context(
        self, trigger: str, payload: t.Any = None, trace_context: t.Any = None
    ) -> None:
        body = json.dumps({"trigger": trigger, "payload": payload or {}}).encode("utf-8")
        request = urllib.request.Request(
            os.environ["ST2_ACTION_API_URL"].rstrip("/") + "/webhooks/st2",
            data=body,
            method="POST",
            headers={
                "X-Auth-Token": os.environ.get("ST2_ACTION_AUTH_TOKEN", ""),
                "Content-Type": "application/json",
            },
        )
        # No proxy ever: the API is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            opener.open(request, timeout=TIMEOUT_S).close()
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            self._logger.warning(
                'Failed to validate payload (%s) for trigger "%s": %s',
                payload,
                trigger,
                error.read().decode("utf-8", "replace"),
            )

    def list_values(
        self, local: bool = True, prefix: t.Any = None, limit: t.Any = None, offset: t.Any = None
    ) -> t.Any:
        return self.datastore_service.list_values(
            local=local, prefix=prefix, limit=limit, offset=offset
        )

    def get_value(
        self, name: str, local: bool = True, scope: str = "system", decrypt: bool = False
    ) -> t.Any:
        return self.datastore_service.get_value(name, local=local, scope=scope, decrypt=decrypt)

    def set_value(
        self,
        name: str,
        value: t.Any,
        ttl: t.Any = None,
        local: bool = True,
        scope: str = "system",
        encrypt: bool = False,
    ) -> t.Any:
        return self.datastore_service.set_value(
            name, value, ttl=ttl, local=local, scope=scope, encrypt=encrypt
        )

    def delete_value(self, name: str, local: bool = True, scope: str = "system") -> t.Any:
        return self.datastore_service.delete_value(name, local=local, scope=scope)


def sensor_class(file_path: str, class_name: str) -> t.Any:
    """The class of that name in the sensor's file, whose directory becomes importable last."""
    from importlib.machinery import ModuleSpec, SourceFileLoader

    directory = os.path.dirname(os.path.realpath(file_path))
    if directory not in sys.path:
        sys.path.append(directory)
    name = os.path.splitext(os.path.basename(file_path))[0]
    loader = SourceFileLoader(name, file_path)
    module = type(sys)(name)
    module.__file__ = file_path
    module.__spec__ = ModuleSpec(name, loader, origin=file_path)
    # Not put into sys.modules, as on StackStorm: what relies on it must fail here too.
    loader.exec_module(module)
    found = getattr(module, class_name, None)
    if found is None:
        raise ValueError('Sensor module is missing a class with name "%s"' % class_name)
    return found


def main(argv: t.Sequence[str]) -> int:
    """Run the sensor until it ends; the exit code for the process."""
    given = dict(part.lstrip("-").partition("=")[::2] for part in argv)
    config = json.loads(sys.stdin.read() or "{}")
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
    pack, class_name = given["pack"], given["class-name"]
    logger = logging.getLogger("SensorWrapper.%s.%s" % (pack, class_name))
    cls = sensor_class(given["file-path"], class_name)
    arguments: t.Dict[str, t.Any] = {
        "sensor_service": SensorService(pack, class_name, logger),
        "config": config,
    }
    if given.get("poll-interval") and hasattr(cls, "poll"):
        arguments["poll_interval"] = int(given["poll-interval"])
    sensor = cls(**arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sensor.setup()
    try:
        if "once" not in given:
            sensor.run()
        elif hasattr(sensor, "poll"):
            sensor.poll()
        else:
            logger.error("%s does not poll, so it cannot be run once", class_name)
            return 2
    finally:
        sensor.cleanup()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
