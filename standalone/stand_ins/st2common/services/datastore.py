"""Stand-in: the datastore as actions and sensors see it, over the API's `/v1/keys`.

Promises StackStorm's habits, good and bad: values are `str()`-ed, local keys carry
`<pack>.<Class>:`, a read that fails in any way is None, a delete that fails is False, a write
that fails raises.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Dict, List, Optional

__all__ = ["ActionDatastoreService", "BaseDatastoreService", "KeyValuePair"]

SYSTEM_SCOPE = "system"
_TIMEOUT_S = 30


@dataclass
class KeyValuePair:
    """One key as `list_values` returns it."""

    id: str = ""
    name: str = ""
    value: Any = None
    ttl: Optional[int] = None


class BaseDatastoreService:
    """How keys are named; where they are kept is for subclasses."""

    DATASTORE_NAME_SEPARATOR = ":"

    def __init__(self, logger: Any, pack_name: str, class_name: str) -> None:
        self._logger = logger
        self._pack_name = pack_name
        self._class_name = class_name

    def _get_full_key_name(self, name: str, local: bool) -> str:
        return (self._get_full_key_prefix(True) or "") + name if local else name

    def _get_full_key_prefix(self, local: bool, prefix: Optional[str] = None) -> Optional[str]:
        if not local:
            return prefix
        return "%s.%s%s%s" % (
            self._pack_name,
            self._class_name,
            self.DATASTORE_NAME_SEPARATOR,
            prefix or "",
        )


class ActionDatastoreService(BaseDatastoreService):
    """The datastore behind `self.action_service`, with the token of the execution."""

    def __init__(
        self, logger: Any, pack_name: str, class_name: str, auth_token: Optional[str]
    ) -> None:
        super().__init__(logger, pack_name, class_name)
        self._auth_token = auth_token or ""
        self._api_url = os.environ.get("ST2_ACTION_API_URL", "").rstrip("/")

    def get_user_info(self) -> Any:
        return self._call("GET", "/user")

    def list_values(
        self, local: bool = True, prefix: Optional[str] = None, limit: Any = None, offset: Any = 0
    ) -> List[KeyValuePair]:
        wanted = {"limit": limit or 100, "offset": offset or 0}
        full_prefix = self._get_full_key_prefix(local, prefix)
        if full_prefix:
            wanted["prefix"] = full_prefix
        found = self._call("GET", "/keys?" + urllib.parse.urlencode(wanted))
        return [KeyValuePair(item["name"], item["name"], item["value"]) for item in found]

    def get_value(
        self, name: str, local: bool = True, scope: str = SYSTEM_SCOPE, decrypt: bool = False
    ) -> Optional[str]:
        self._refuse_scope(scope)
        query = urllib.parse.urlencode({"decrypt": str(decrypt).lower(), "scope": scope})
        try:
            found = self._call("GET", "%s?%s" % (self._path(name, local), query))
        except Exception as error:
            self._logger.exception("Reading %s from the datastore failed: %s", name, error)
            return None
        return found.get("value") if found else None

    def set_value(
        self,
        name: str,
        value: Any,
        ttl: Any = None,
        local: bool = True,
        scope: str = SYSTEM_SCOPE,
        encrypt: bool = False,
    ) -> bool:
        self._refuse_scope(scope)
        body: Dict[str, Any] = {
            "name": self._get_full_key_name(name, local),
            "value": str(value),
            "scope": scope,
        }
        if encrypt:
            body["secret"] = True
        if ttl:
            body["ttl"] = ttl
        self._call("PUT", self._path(name, local), body)
        return True

    def delete_value(self, name: str, local: bool = True, scope: str = SYSTEM_SCOPE) -> bool:
        self._refuse_scope(scope)
        try:
            self._call(
                "DELETE",
                "%s?%s" % (self._path(name, local), urllib.parse.urlencode({"scope": scope})),
            )
        except Exception as error:
            self._logger.exception("Deleting %s from the datastore failed: %s", name, error)
            return False
        return True

    @staticmethod
    def _refuse_scope(scope: str) -> None:
        if scope != SYSTEM_SCOPE:
            raise ValueError("Scope %s is unsupported." % scope)

    def _path(self, name: str, local: bool) -> str:
        return "/keys/" + urllib.parse.quote(self._get_full_key_name(name, local), safe="")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self._api_url + path,
            data=json.dumps(body).encode("utf-8") if body is not None else None,
            method=method,
            headers={"X-Auth-Token": self._auth_token, "Content-Type": "application/json"},
        )
        # No proxy ever: the API is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            text = response.read().decode("utf-8")
        return json.loads(text) if text else None
