"""Credentials from an exec plugin of a kubeconfig (aws, gke-gcloud-auth-plugin, kubelogin ...).

The program is run without a shell, for a bounded time, and its whole process group is killed when
that is over. What it hands out is kept until it expires, for all clients of this process. Its
output is never shown: it holds the token.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from selfheal.apis.kubernetes.connection import Identity
from selfheal.apis.kubernetes.credentials import Credentials, Hide, bearer
from selfheal.exceptions import ConfigError, ExternalError
from selfheal.text import one_line

LONGEST_RUN_S = 30.0
_LARGEST_OUTPUT = 1024 * 1024
# Used no more shortly before it ends: the request has to arrive, and clocks differ.
_SPARE_S = 10.0
_VERSIONS = re.compile(r"client\.authentication\.k8s\.io/v[0-9a-z]+\Z")


class _Handed(NamedTuple):
    """What a plugin handed out, and when it ends (seconds since the epoch; None: never)."""

    identity: Identity
    ends_at: Optional[float]


_kept: Dict[str, _Handed] = {}


class Plugin(Credentials):
    """The credentials that `spec`, the part `exec` of a kubeconfig's user, hands out."""

    def __init__(
        self,
        spec: Any,
        cluster: Mapping[str, Any],
        folder: str,
        where: str,
        identity: Identity,
        hide: Optional[Hide] = None,
    ) -> None:
        super().__init__(identity, hide)
        self._where = where
        self._command, self._version, self._environment = _checked(spec, folder, where)
        info: Dict[str, Any] = {"interactive": False}
        if spec.get("provideClusterInfo"):
            info["cluster"] = {key: value for key, value in cluster.items() if key != "extensions"}
        self._info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": info}
        self._hint = one_line(str(spec.get("installHint") or ""), 300)
        self._key = json.dumps(
            [self._command, self._info, self._environment, where], sort_keys=True, default=str
        )

    def current(self, longest_s: Optional[float] = None) -> Identity:
        handed = _kept.get(self._key)
        if handed is None or (
            handed.ends_at is not None and handed.ends_at - _SPARE_S <= time.time()
        ):
            handed = _kept[self._key] = self._ask(
                LONGEST_RUN_S if longest_s is None else min(LONGEST_RUN_S, longest_s)
            )
        for name, value in handed.identity.headers:
            if name == "Authorization":
                self._hide(value.partition(" ")[2])
        own = self._identity
        return handed.identity._replace(headers=(*handed.identity.headers, *own.headers))

    def renew(self, longest_s: Optional[float] = None) -> bool:
        _kept.pop(self._key, None)
        self.current(longest_s)
        return True  # whatever it says now is worth one more try

    def _ask(self, longest_s: float) -> _Handed:
        output = self._run(longest_s)
        try:
            found = json.loads(output.decode("utf-8"))
            status = found["status"]
            version = found["apiVersion"]
            if not isinstance(status, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._failed("answered with what is no ExecCredential with a status") from None
        if version != self._version:
            raise self._failed("answered in version %s" % one_line(str(version), 80))
        return _Handed(self._identity_in(status), self._end_of(status.get("expirationTimestamp")))

    def _identity_in(self, status: Mapping[str, Any]) -> Identity:
        token = status.get("token")
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if not token and not (certificate and key):
            raise self._failed("answered with neither a token nor a certificate with its key")
        headers = (bearer(str(token), "the token of %s" % self._where),) if token else ()
        if certificate and key:
            return Identity(headers, certificate=str(certificate), certificate_key=str(key))
        return Identity(headers)

    def _end_of(self, value: Any) -> Optional[float]:
        if value is None:
            return None
        try:
            text = re.sub(r"\.[0-9]+", "", str(value)).replace("Z", "+00:00")
            moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
            return moment.astimezone(timezone.utc).timestamp()
        except (ValueError, OverflowError):
            raise self._failed("answered with an expirationTimestamp that is no time") from None

    def _run(self, longest_s: float) -> bytes:
        environment = {
            **os.environ,
            **self._environment,
            "KUBERNETES_EXEC_INFO": json.dumps(self._info, default=str),
        }
        try:
            process = subprocess.Popen(
                self._command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(
                "%s: the exec plugin %r cannot be run: %s%s"
                % (
                    self._where,
                    self._command[0],
                    getattr(error, "strerror", None) or error,
                    "; " + self._hint if self._hint else "",
                )
            ) from error
        end = time.monotonic() + longest_s
        try:
            output = _output(process, end)
            if output is None:
                raise self._failed("took longer than %.3g s" % longest_s)
            if len(output) > _LARGEST_OUTPUT:
                raise self._failed("answered more than %d bytes" % _LARGEST_OUTPUT)
            code = process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise self._failed("took longer than %.3g s" % longest_s) from None
        finally:
            _end(process)
        if code != 0:
            raise self._failed("ended with code %d" % code)
        return output

    def _failed(self, what: str) -> ExternalError:
        return ExternalError(
            "%s: the exec plugin %r %s; run it by hand as the user that runs StackStorm's actions "
            "(its output is a secret, so it is not shown here)"
            % (self._where, self._command[0], what)
        )


def _checked(spec: Any, folder: str, where: str) -> Tuple[List[str], str, Dict[str, str]]:
    """The command with its arguments, the API version, what to add to the environment. Raises
    ConfigError.
    """
    if not isinstance(spec, Mapping) or not spec.get("command"):
        raise ConfigError("%s: exec names no command" % where)
    version = str(spec.get("apiVersion") or "")
    if not _VERSIONS.match(version):
        raise ConfigError("%s: exec has no apiVersion client.authentication.k8s.io/..." % where)
    if spec.get("interactiveMode") == "Always":
        raise ConfigError("%s: its exec plugin wants to ask somebody, and nobody is here" % where)
    command = os.path.expanduser(str(spec["command"]))
    if os.sep in command:
        command = os.path.normpath(os.path.join(folder, command))
    arguments = spec.get("args") or []
    environment = {}
    for entry in spec.get("env") or []:
        if not isinstance(entry, Mapping) or "name" not in entry:
            raise ConfigError("%s: exec.env must be a list of name and value" % where)
        environment[str(entry["name"])] = str(entry.get("value") or "")
    return [command, *(str(one) for one in arguments)], version, environment


def _output(process: Any, end: float) -> Optional[bytes]:
    """What `process` writes until it closes its output; a little more than the largest when it
    writes more; None when time is up.
    """
    found: List[bytes] = []
    size = 0
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    while size <= _LARGEST_OUTPUT:
        left = end - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return None
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            break
        found.append(piece)
        size += len(piece)
    return b"".join(found)


def _end(process: Any) -> None:
    """Kill what is left of the plugin and of what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass  # nobody is left
    process.stdout.close()
    process.wait()
