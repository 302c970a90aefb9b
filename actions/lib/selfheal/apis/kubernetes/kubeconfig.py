"""A kubeconfig file: where the API server is, whom we trust there and who we are.

Reads what kubectl reads, for one context. What we could only ignore at a risk (an impersonation
that we do not know, an authentication provider that Kubernetes has dropped) is an error instead.
Paths in the file are relative to the file.
"""

from __future__ import annotations

import os
from base64 import b64decode
from typing import Any, Dict, List, Mapping, Optional, Tuple

from selfheal.apis.kubernetes.access import Access, proxy_at, server_at
from selfheal.apis.kubernetes.connection import Headers, Identity
from selfheal.apis.kubernetes.credentials import Credentials, Hide, TokenFile, bearer
from selfheal.config import basic_credentials
from selfheal.exceptions import ConfigError
from selfheal.text import one_line

_LARGEST = 4 * 1024 * 1024


def access_in_file(key: str, path: str, context: str, hide: Optional[Hide] = None) -> Access:
    """How the server of `context` (the file's current one when empty) in the kubeconfig at `path`
    is reached. `key` names the target's settings. Raises ConfigError naming what is missing.
    """
    path = os.path.abspath(os.path.expanduser(path))
    content = _load(key, path)
    where = "%s.kubeconfig %s" % (key, path)
    name = context or str(content.get("current-context") or "")
    if not name:
        raise ConfigError(
            "%s has no current-context: set %s.context to one of %s"
            % (where, key, _names(content, "contexts"))
        )
    chosen = _entry(content, "contexts", "context", name, where)
    cluster_name, user_name = chosen.get("cluster"), chosen.get("user")
    cluster = _entry(content, "clusters", "cluster", str(cluster_name or ""), where)
    user = _entry(content, "users", "user", str(user_name), where) if user_name else {}
    folder = os.path.dirname(path)
    about = "%s, user %r" % (where, one_line(str(user_name), 80))
    return Access(
        _server(key, cluster, folder, "%s, cluster %r" % (where, one_line(str(cluster_name), 80))),
        _credentials(user, cluster, folder, about, hide),
    )


def _load(key: str, path: str) -> Mapping[str, Any]:
    import yaml

    try:
        with open(path, "rb") as file:
            text = file.read(_LARGEST + 1)
        if len(text) > _LARGEST:
            raise ValueError("it is larger than %d bytes" % _LARGEST)
        content = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)  # the error's words quote the file: tokens
        line = " (line %d)" % (mark.line + 1) if mark else ""
        raise ConfigError("%s.kubeconfig %s is no YAML%s" % (key, path, line)) from None
    except (OSError, ValueError, RecursionError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise ConfigError("%s.kubeconfig %s cannot be read: %s" % (key, path, words)) from error
    if not isinstance(content, Mapping):
        raise ConfigError("%s.kubeconfig %s is no kubeconfig: it holds no map" % (key, path))
    return content


def _entry(
    content: Mapping[str, Any], kind: str, inner: str, name: str, where: str
) -> Mapping[str, Any]:
    """The part `inner` of the entry `name` among `kind`."""
    entries = content.get(kind)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, Mapping) and entry.get("name") == name:
            found = entry.get(inner)
            return found if isinstance(found, Mapping) else {}
    raise ConfigError(
        "%s has no %s %r; there are %s"
        % (where, inner, one_line(name, 80), _names(content, kind))
    )


def _names(content: Mapping[str, Any], kind: str) -> str:
    entries = content.get(kind)
    found = [
        str(entry.get("name"))
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, Mapping)
    ]
    return one_line(", ".join(sorted(found)), 300) or "none"


def _server(key: str, cluster: Mapping[str, Any], folder: str, where: str) -> Any:
    if not cluster.get("server"):
        raise ConfigError("%s has no server" % where)
    tls: Dict[str, Any] = {
        "verify": cluster.get("insecure-skip-tls-verify") is not True,
        "tls_name": str(cluster.get("tls-server-name") or ""),
    }
    if cluster.get("certificate-authority-data"):
        tls["ca_data"] = _decoded(cluster, "certificate-authority-data", where)
    elif cluster.get("certificate-authority"):
        tls["ca_file"] = _resolved(folder, cluster["certificate-authority"])
    if cluster.get("proxy-url"):
        tls["proxy"] = proxy_at(str(cluster["proxy-url"]), "%s: proxy-url" % where)
    try:
        return server_at(key, str(cluster["server"]), **tls)
    except ConfigError as error:
        raise ConfigError("%s (%s)" % (error, where)) from None


def _credentials(
    user: Mapping[str, Any],
    cluster: Mapping[str, Any],
    folder: str,
    where: str,
    hide: Optional[Hide],
) -> Credentials:
    if user.get("auth-provider"):
        raise ConfigError(
            "%s uses an auth-provider, which Kubernetes has dropped: use an exec plugin (such as "
            "gke-gcloud-auth-plugin or kubelogin) or a service account's token" % where
        )
    headers = _impersonation(user, where)
    identity = _certificate(user, folder, where)._replace(headers=headers)
    if user.get("exec"):
        from selfheal.apis.kubernetes.plugins import Plugin

        return Plugin(user["exec"], cluster, folder, where, identity, hide)
    if user.get("tokenFile"):
        return TokenFile(_resolved(folder, user["tokenFile"]), identity, hide)
    if user.get("token"):
        token = str(user["token"])
        _hidden(hide, token)
        return Credentials(
            identity._replace(headers=(bearer(token, "the token of %s" % where), *headers)), hide
        )
    if user.get("username"):
        pair = basic_credentials(user["username"], user.get("password") or "")
        _hidden(hide, pair, str(user.get("password") or ""))
        return Credentials(
            identity._replace(headers=(("Authorization", "Basic " + pair), *headers)), hide
        )
    return Credentials(identity, hide)


def _impersonation(user: Mapping[str, Any], where: str) -> Headers:
    """The headers that make us somebody else; left out we would have more rights than meant."""
    if user.get("as-user-extra"):
        raise ConfigError("%s uses as-user-extra, which this client does not know" % where)
    found: List[Tuple[str, str]] = []
    if user.get("as"):
        found.append(("Impersonate-User", str(user["as"])))
    if user.get("as-uid"):
        found.append(("Impersonate-Uid", str(user["as-uid"])))
    groups = user.get("as-groups")
    found += [("Impersonate-Group", str(one)) for one in groups or []]
    if found and not user.get("as"):
        raise ConfigError("%s has as-groups or as-uid without as" % where)
    if not all(value.isascii() and value.isprintable() for _, value in found):
        raise ConfigError("%s impersonates a name that cannot be sent" % where)
    return tuple(found)


def _certificate(user: Mapping[str, Any], folder: str, where: str) -> Identity:
    has_data = user.get("client-certificate-data")
    has_file = user.get("client-certificate")
    if not has_data and not has_file:
        return Identity()
    if has_data and user.get("client-key-data"):
        return Identity(
            certificate=_decoded(user, "client-certificate-data", where),
            certificate_key=_decoded(user, "client-key-data", where),
        )
    if has_file and not has_data and user.get("client-key"):
        return Identity(
            certificate_file=_resolved(folder, has_file),
            key_file=_resolved(folder, user["client-key"]),
        )
    texts = []
    for name in ("client-certificate", "client-key"):
        if user.get(name + "-data"):
            texts.append(_decoded(user, name + "-data", where))
        elif user.get(name):
            texts.append(_text(_resolved(folder, user[name]), where))
        else:
            raise ConfigError("%s has a client certificate without its key" % where)
    return Identity(certificate=texts[0], certificate_key=texts[1])


def _decoded(values: Mapping[str, Any], name: str, where: str) -> str:
    try:
        return b64decode(str(values[name]), validate=False).decode("ascii")
    except ValueError:
        raise ConfigError("%s: %s is not PEM in base64" % (where, name)) from None


def _text(path: str, where: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(_LARGEST)
    except (OSError, ValueError) as error:
        raise ConfigError("%s: cannot read %s: %s" % (where, path, error)) from error


def _resolved(folder: str, path: Any) -> str:
    return os.path.normpath(os.path.join(folder, str(path)))


def _hidden(hide: Optional[Hide], *secrets: str) -> None:
    for secret in secrets:
        if hide is not None and secret:
            hide(secret)
