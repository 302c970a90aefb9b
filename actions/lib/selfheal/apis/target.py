"""What the settings of one named target say about how it is asked: who we are, how long, which
certificates.
"""

from __future__ import annotations

import base64
from typing import Any, Dict, Mapping

from selfheal.exceptions import ConfigError

_DEFAULT_TIMEOUT_S = 10.0


def request_options(target: Mapping[str, Any]) -> Dict[str, Any]:
    """The keyword arguments of `HttpClient.request` for `target`: headers, timeout_s, verify_tls,
    ca_file. Raises ConfigError for a time that is none.
    """
    timeout_s = target.get("timeout_s") or _DEFAULT_TIMEOUT_S
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or timeout_s <= 0:
        raise ConfigError("timeout_s must be a number of seconds, not %r" % (timeout_s,))
    return {
        "headers": _credentials(target),
        "timeout_s": float(timeout_s),
        "verify_tls": target.get("verify_tls", True) is not False,
        "ca_file": target.get("ca_file") or None,
    }


def _credentials(target: Mapping[str, Any]) -> Dict[str, str]:
    if target.get("token"):
        return {"Authorization": "Bearer %s" % target["token"]}
    if target.get("username"):
        pair = "%s:%s" % (target["username"], target.get("password") or "")
        encoded = base64.b64encode(pair.encode("utf-8")).decode("ascii")
        return {"Authorization": "Basic %s" % encoded}
    return {}
