"""Stand-in: a datastore in memory for tests.

As lenient as the original: it neither `str()`s values nor honours ttl or encryption, and never
fails.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from st2common.services.datastore import BaseDatastoreService, KeyValuePair

__all__ = ["MockDatastoreService"]


class MockDatastoreService(BaseDatastoreService):
    """Keys in a dictionary."""

    def __init__(
        self, logger: Any, pack_name: str, class_name: str, api_username: Optional[str] = None
    ) -> None:
        super().__init__(logger, pack_name, class_name)
        self._username = api_username or "admin"
        self._datastore_items: Dict[str, KeyValuePair] = {}

    def get_user_info(self) -> Dict[str, Any]:
        return {
            "username": self._username,
            "rbac": {"is_admin": True, "enabled": True, "roles": ["admin"]},
            "authentication": {"method": "authentication token", "location": "header"},
        }

    def list_values(
        self, local: bool = True, limit: Any = None, prefix: Optional[str] = None, offset: Any = 0
    ) -> List[KeyValuePair]:
        full_prefix = self._get_full_key_prefix(local=local, prefix=prefix) or ""
        return [
            pair for name, pair in self._datastore_items.items() if name.startswith(full_prefix)
        ]

    def get_value(
        self, name: str, local: bool = True, scope: str = "system", decrypt: bool = False
    ) -> Any:
        pair = self._datastore_items.get(self._get_full_key_name(name, local))
        return pair.value if pair else None

    def set_value(
        self,
        name: str,
        value: Any,
        ttl: Any = None,
        local: bool = True,
        scope: str = "system",
        encrypt: bool = False,
    ) -> bool:
        full_name = self._get_full_key_name(name, local)
        self._datastore_items[full_name] = KeyValuePair(full_name, full_name, value, ttl)
        return True

    def delete_value(self, name: str, local: bool = True, scope: str = "system") -> bool:
        return self._datastore_items.pop(self._get_full_key_name(name, local), None) is not None
