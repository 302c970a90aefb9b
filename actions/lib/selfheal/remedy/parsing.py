"""A runbook's YAML, read strictly: what is not understood is an error that names file, step and
key, never skipped.

There are no templates in a runbook. Text from outside reaches a step as an environment variable and
in no other way, so a `{{` in the file is a misunderstanding and refused.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, List, Mapping, Sequence, Tuple

from selfheal.exceptions import InvalidInput
from selfheal.remedy.fields import (
    one_of,
    only_keys,
    reference_of,
    seconds_of,
    text_of,
    texts_of,
)
from selfheal.remedy.model import DEFAULT_CONFIDENCE, RISKS, Reference, Runbook, Step
from selfheal.remedy.parsing_steps import parse_step
from selfheal.verify.model import DEFAULT_CHECKS, parse_checks

MAX_BYTES = 256 * 1024
_SEVERITIES = ("critical", "error", "warning", "info")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,99}\Z")
# Names that change what a program is or does, whatever their value.
_RESERVED_VARIABLE = re.compile(
    r"(PATH|HOME|USER|LOGNAME|SHELL|IFS|ENV|PS4|CDPATH|GLOBIGNORE|PWD|OLDPWD|TMPDIR|LANG|TZ|"
    r"EDITOR|VISUAL|PAGER)\Z|"
    r"(LD_|LC_|DYLD_|BASH|SHELLOPTS|PYTHON|PERL|RUBY|_?JAVA_|GIT_|SSH_|SUDO_|SELFHEAL_|ST2_|GCONV|"
    r"MALLOC_|SSL_|SSLKEYLOG|OPENSSL_|NODE_|NPM_|PM2_|JDK_JAVA|CLASSPATH|GLIBC_|GNUPG|XDG_|CURL_|"
    r"WGETRC|LESS|TERM|POSIXLY|GREP_|GZIP|SYSTEMD_|DBUS_|LVM_|ZPOOL_|DOCKER_|COMPOSE_|CONTAINERS_|"
    r"CONTAINER_(HOST|SSHKEY|CONNECTION|RUNTIME)|KUBECONFIG|KUBECTL_|KUBERC|KUBERNETES_|HELM_|"
    r"ARGOCD_|ANSIBLE_|AWS_|CLOUDSDK_|GOOGLE_|AZURE_|PG[A-Z]|PSQL|MYSQL|REDISCLI|KAFKA_|RABBITMQ_|"
    r"ERL_|ETCDCTL_|CONSUL_|VAULT_|NOMAD_|PROMPT_COMMAND|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|"
    r"[A-Z0-9_]*_PROXY\Z)"
)
_KEYS = (
    "name",
    "description",
    "metadata",
    "risk",
    "confidence",
    "timeout_s",
    "values",
    "steps",
    "verify",
)


def parse(content: bytes, path: str) -> Runbook:
    """The runbook in `content`, the bytes of the file `path`. Raises InvalidInput naming the file
    and what is wrong.
    """
    try:
        document = _load(content)
        return _runbook(document, path, digest_of(content))
    except InvalidInput as error:
        raise InvalidInput("runbook %s: %s" % (path, error)) from error


def digest_of(content: bytes) -> str:
    """What tells this file content from any other."""
    return hashlib.sha256(content).hexdigest()


def _load(content: bytes) -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """A key written twice is an error: YAML itself would silently take the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key_node, _value in getattr(node, "value", ()):
                key = self.construct_object(key_node, deep=True)
                if isinstance(key, str) and key in seen:
                    raise InvalidInput(
                        "the key %r is written twice (line %d)"
                        % (key, key_node.start_mark.line + 1)
                    )
                if isinstance(key, str):
                    seen.add(key)
            return super().construct_mapping(node, deep=deep)

    if len(content) > MAX_BYTES:
        raise InvalidInput(
            "it is %d bytes long; a runbook holds at most %d" % (len(content), MAX_BYTES)
        )
    try:
        text = content.decode("utf-8")
        if "{{" in text:
            raise InvalidInput(
                "it contains the template marker {{; runbooks have no templates: pass values to "
                "a step through `values`, as environment variables"
            )
        return yaml.load(text, Loader=Loader)
    except (UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput(
            "it is not YAML that can be read: %s" % " ".join(str(error).split())
        ) from error


def _runbook(document: Any, path: str, digest: str) -> Runbook:
    only_keys(document, _KEYS, ("name", "metadata", "risk", "steps"), "the file")
    name = document["name"]
    if not isinstance(name, str) or not _NAME.match(name):
        raise InvalidInput(
            "name must be letters, digits, '.', '_' or '-' (at most 100), not %r" % (name,)
        )
    alert_types, severities, labels = _metadata(document["metadata"])
    steps = _steps(document["steps"])
    checks = document.get("verify", list(DEFAULT_CHECKS))
    if not isinstance(checks, list) or not checks:
        raise InvalidInput(
            "verify must be a list of at least one check; leave it out for [{alert: resolved}]"
        )
    parse_checks(checks)
    return Runbook(
        name=name,
        path=path,
        digest=digest,
        description=text_of(document.get("description", ""), "description"),
        alert_types=alert_types,
        severities=severities,
        labels=labels,
        risk=one_of(document["risk"], RISKS, "risk"),
        confidence=_confidence(document.get("confidence")),
        timeout_s=seconds_of(document.get("timeout_s"), "timeout_s"),
        values=_values(document.get("values", {}), steps),
        steps=steps,
        verify=tuple(checks),
    )


def _metadata(value: Any) -> Tuple[Tuple[str, ...], Tuple[str, ...], Tuple[Tuple[str, str], ...]]:
    only_keys(value, ("alert_type", "severity", "labels"), ("alert_type",), "metadata")
    alert_types = texts_of(value["alert_type"], "metadata.alert_type")
    severities = texts_of(value.get("severity", []), "metadata.severity", may_be_empty=True)
    for severity in severities:
        one_of(severity, _SEVERITIES, "metadata.severity")
    labels = value.get("labels", {})
    if not isinstance(labels, Mapping):
        raise InvalidInput("metadata.labels must be a map of label to pattern, not %r" % (labels,))
    pairs = tuple(
        sorted(
            (text_of(key, "metadata.labels"), text_of(item, "metadata.labels.%s" % key))
            for key, item in labels.items()
        )
    )
    for pattern in alert_types:
        if not _says_something(pattern) and not any(_says_something(item) for _, item in pairs):
            raise InvalidInput(
                "metadata.alert_type %r matches every alert: name some, or narrow it by a label"
                % pattern
            )
    return alert_types, severities, pairs


def _says_something(pattern: str) -> bool:
    """Whether a character of `pattern` stands for itself: [!x]* is * in disguise."""
    return bool(re.sub(r"\[!?\]?[^\]]*\]", "", pattern).strip("*? "))


def _confidence(value: Any) -> float:
    if value is None:
        return DEFAULT_CONFIDENCE
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise InvalidInput("confidence must be a number from 0 to 1, not %r" % (value,))
    return float(value)


def _steps(value: Any) -> Tuple[Step, ...]:
    if not isinstance(value, list) or not value:
        raise InvalidInput("steps must be a list of at least one step")
    steps: List[Step] = []
    for number, entry in enumerate(value, 1):
        label = entry.get("name") if isinstance(entry, Mapping) else None
        where = "step %d%s" % (number, " (%s)" % label if isinstance(label, str) else "")
        try:
            step = parse_step(entry, {step.name: step for step in steps})
        except InvalidInput as error:
            raise InvalidInput("%s: %s" % (where, error)) from error
        steps.append(step)
    return tuple(steps)


def _values(value: Any, steps: Sequence[Step]) -> Tuple[Tuple[str, Reference], ...]:
    if not isinstance(value, Mapping):
        raise InvalidInput("values must be a map of variable to reference, not %r" % (value,))
    found = []
    for variable, reference in value.items():
        if not isinstance(variable, str) or not _VARIABLE.match(variable):
            raise InvalidInput(
                "values: %r is not the name of an environment variable (A-Z, 0-9, _)" % (variable,)
            )
        if _RESERVED_VARIABLE.match(variable):
            raise InvalidInput(
                "values: %s steers programs themselves and must not hold text from outside; "
                "choose another name" % variable
            )
        found.append(
            (
                variable,
                reference_of(
                    reference, "values.%s" % variable, {step.name: step for step in steps}
                ),
            )
        )
    return tuple(found)
