"""Stand-in: the action service of tests."""

from __future__ import annotations

from logging import RootLogger
from typing import Any, List, Optional
from unittest.mock import Mock

from st2tests.mocks.datastore import MockDatastoreService

__all__ = ["MockActionService", "MockActionWrapper"]


class MockActionWrapper:
    """What the base class reads of its wrapper."""

    def __init__(self, pack: str, class_name: str) -> None:
        self._pack = pack
        self._class_name = class_name


class MockActionService:
    """`self.action_service` with a datastore in memory."""

    def __init__(self, action_wrapper: Any) -> None:
        self._action_wrapper = action_wrapper
        self._logger = Mock(spec=RootLogger)
        self.datastore_service = MockDatastoreService(
            self._logger, action_wrapper._pack, action_wrapper._class_name
        )

    def get_user_info(self) -> Any:
        return self.datastore_service.get_user_info()

    def list_values(
        self,
        local: bool = True,
        prefix: Optional[str] = None,
        limit: Any = None,
        offset: Any = None,
    ) -> List[Any]:
        return self.datastore_service.list_values(local=local, prefix=prefix)

    def get_value(
        self, name: str, local: bool = True, scope: str = "system", decrypt: bool = False
    ) -> Any:
        return self.datastore_service.get_value(name, local, scope, decrypt)

    def set_value(
        self,
        name: str,
        value: Any,
        ttl: Any = None,
        local: bool = True,
        scope: str = "system",
        encrypt: bool = False,
    ) -> bool:
        return self.datastore_service.set_value(name, value, ttl, local, scope, encrypt)

    def delete_value(self, name: str, local: bool = True, scope: str = "system") -> bool:
        return self.datastore_service.delete_value(name, local, scope)
