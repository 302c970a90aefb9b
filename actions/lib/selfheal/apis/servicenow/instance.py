"""Where a ServiceNow instance is, and how we show it who we are, by the settings of one target."""

from __future__ import annotations

import re
from typing import Any, Mapping
from urllib.parse import urlsplit

from selfheal.exceptions import ConfigError
from selfheal.text import one_line

_INSTANCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}\Z")


def base_url(key: str, instance: Any) -> str:
    """https://acme.service-now.com for acme; a URL stays as it is. Raises ConfigError."""
    text = str(instance or "").strip().rstrip("/")
    if _INSTANCE.match(text):
        return "https://%s.service-now.com" % text
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url or "@" in text or parts.query or parts.fragment or re.search(r"\s", text):
        raise ConfigError(
            "%s.instance must be the instance's name, such as acme for "
            "https://acme.service-now.com, or a URL without user and query, not %r"
            % (key, one_line(re.sub(r"//.*@", "//***@", text), 80))
        )
    return text


def grant(settings: Mapping[str, Any]) -> str:
    """How we show who we are: basic, client_credentials, refresh_token or password. Raises
    ConfigError when there is nothing to show.
    """
    if settings.get("client_id"):
        if not settings.get("client_secret"):
            raise ConfigError("servicenow.client_id is set, but client_secret is not")
        if settings.get("refresh_token"):
            return "refresh_token"
        return "password" if settings.get("username") else "client_credentials"
    if settings.get("username") and settings.get("password"):
        return "basic"
    raise ConfigError(
        "servicenow has no credentials: set username and password, or client_id and client_secret"
    )
