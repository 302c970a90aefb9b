"""What the settings of one named target say about how it is asked: who we are, how long, which
certificates.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping

from selfheal.config import basic_credentials
from selfheal.exceptions import ConfigError

_DEFAULT_TIMEOUT_S = 10.0
_LONGEST_TIMEOUT_S = 86400.0


def request_options(target: Mapping[str, Any]) -> Dict[str, Any]:
    """The keyword arguments of `HttpClient.request` for `target`: headers, timeout_s, verify_tls,
    ca_file. Raises ConfigError for a time that is none.
    """
    timeout_s = target.get("timeout_s") or _DEFAULT_TIMEOUT_S
    is_number = isinstance(timeout_s, (int, float)) and not isinstance(timeout_s, bool)
    if not is_number or not 0 < timeout_s <= _LONGEST_TIMEOUT_S:
        raise ConfigError(
            "timeout_s must be a number of seconds up to %d, not %r"
            % (_LONGEST_TIMEOUT_S, timeout_s)
        )
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
        pair = basic_credentials(target["username"], target.get("password") or "")
        return {"Authorization": "Basic %s" % pair}
    return {}
