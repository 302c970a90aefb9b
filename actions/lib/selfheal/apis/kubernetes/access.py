"""From the settings of one target to where its API server is and who we are there.

A target names its server in one of three ways: `url`, `kubeconfig` (with `context`), or
`in_cluster`. Credentials and certificates written in the settings go before those of a kubeconfig.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, NamedTuple, Optional
from urllib.parse import urlsplit

from selfheal.apis.kubernetes.connection import Identity, Server
from selfheal.apis.kubernetes.credentials import Credentials, Hide, TokenFile, bearer
from selfheal.exceptions import ConfigError
from selfheal.text import without_credentials

WAYS = ("url", "kubeconfig", "in_cluster")
POD_FILES = "/var/run/secrets/kubernetes.io/serviceaccount"
_PORTS = {"http": 80, "https": 443}


class Access(NamedTuple):
    """How one API server is reached."""

    server: Server
    credentials: Credentials


def access_of(key: str, settings: Mapping[str, Any], hide: Optional[Hide] = None) -> Access:
    """How the target `key` (such as kubernetes or kubernetes.prod) with `settings` is reached.

    Reads the files that they name. Raises ConfigError naming the setting that cannot be used.
    """
    ways = [way for way in WAYS if settings.get(way)]
    if len(ways) != 1:
        raise ConfigError(
            "%s names its server %s: set one of %s.url, %s.kubeconfig and %s.in_cluster"
            % (key, "in several ways (%s)" % ", ".join(ways) if ways else "nowhere", key, key, key)
        )
    if settings.get("kubeconfig"):
        from selfheal.apis.kubernetes.kubeconfig import access_in_file  # YAML costs as much again

        context = str(settings.get("context") or "")
        access = access_in_file(key, str(settings["kubeconfig"]), context, hide)
        return _overridden(key, access, settings, hide)
    if settings.get("in_cluster"):
        return _overridden(key, _of_pod(key, hide), settings, hide)
    server = server_at(key, str(settings["url"]))
    return _overridden(key, Access(server, Credentials(Identity())), settings, hide)


def server_at(key: str, url: str, **tls: Any) -> Server:
    """The server at `url`; `tls` as in Server. Raises ConfigError."""
    shown = without_credentials(url)
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        raise ConfigError("%s: the address %r: %s" % (key, shown, error)) from None
    if parts.scheme not in _PORTS or not parts.hostname or port is None or not url.isprintable():
        raise ConfigError(
            "%s: %r is no address of an API server: write https://host:6443" % (key, shown)
        )
    if "@" in parts.netloc or parts.query or parts.fragment or " " in url:
        raise ConfigError(
            "%s: %s holds credentials or more than an address: write them into %s.token or a "
            "kubeconfig" % (key, shown.partition("?")[0], key)
        )
    return Server(
        key,
        parts.hostname,
        port,
        parts.path.rstrip("/"),
        parts.scheme == "https",
        **{"proxy": environment_proxy(parts.scheme, parts.hostname, port), **tls},
    )


def environment_proxy(scheme: str, host: str, port: int) -> str:
    """The proxy that the environment names for https (HTTPS_PROXY, NO_PROXY); "" for none."""
    if scheme != "https" or not any(name.lower() == "https_proxy" for name in os.environ):
        return ""
    from urllib.request import getproxies_environment, proxy_bypass  # costs 6 ms

    if proxy_bypass("%s:%d" % (host, port)):
        return ""
    return proxy_at(str(getproxies_environment().get("https") or ""), "HTTPS_PROXY")


def proxy_at(url: str, where: str) -> str:
    """`url` of a proxy that we can speak to, "" for none. Raises ConfigError naming `where`."""
    if not url:
        return ""
    url = url if "://" in url else "http://" + url
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(
            "%s is %r: only proxies with http://host:port can be used"
            % (where, without_credentials(url))
        )
    return url


def own_namespace(settings: Mapping[str, Any]) -> str:
    """The namespace that the pack itself runs in: as set, else as its pod knows it; "" when it runs
    in none.
    """
    found = str(settings.get("own_namespace") or os.environ.get("POD_NAMESPACE") or "")
    if found:
        return found
    try:
        with open(os.path.join(POD_FILES, "namespace"), encoding="utf-8") as file:
            return file.read(256).strip()
    except (OSError, ValueError):
        return ""


def _of_pod(key: str, hide: Optional[Hide]) -> Access:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "") or "443"
    ca_file = os.path.join(POD_FILES, "ca.crt")
    if not host or not os.path.exists(ca_file):
        raise ConfigError(
            "%s.in_cluster is true, but this process runs in no pod with a service account (%s): "
            "set %s.url or %s.kubeconfig instead"
            % (key, "KUBERNETES_SERVICE_HOST is not set" if not host else "no " + ca_file, key, key)
        )
    address = "https://%s:%s" % ("[%s]" % host if ":" in host else host, port)
    server = server_at(key, address, ca_file=ca_file, proxy="")
    return Access(server, TokenFile(os.path.join(POD_FILES, "token"), Identity(), hide))


def _overridden(
    key: str, access: Access, settings: Mapping[str, Any], hide: Optional[Hide]
) -> Access:
    server, credentials = access
    changes: Dict[str, Any] = {}
    if settings.get("ca_file"):
        changes.update(ca_file=_file(settings["ca_file"]), ca_data=None)
    if settings.get("verify_tls") is False:
        changes["verify"] = False
    own = _identity(key, settings)
    if settings.get("token"):
        header = bearer(str(settings["token"]), "%s.token" % key)
        credentials = Credentials(own._replace(headers=(header,)), hide)
    elif settings.get("token_file"):
        credentials = TokenFile(_file(settings["token_file"]), own, hide)
    elif own.certificate_file:
        credentials = Credentials(own, hide)
    return Access(server._replace(**changes) if changes else server, credentials)


def _identity(key: str, settings: Mapping[str, Any]) -> Identity:
    files: List[str] = []
    for name in ("client_cert_file", "client_key_file"):
        files.append(_file(settings[name]) if settings.get(name) else "")
    if files[1] and not files[0]:
        raise ConfigError("%s.client_key_file is set, but %s.client_cert_file is not" % (key, key))
    return Identity(certificate_file=files[0], key_file=files[1])


def _file(path: Any) -> str:
    return os.path.expanduser(str(path))
