"""Stand-in: the base class of tests of python actions."""

from __future__ import annotations

from typing import Any, Dict, Optional

from st2common.runners.utils import get_action_class_instance
from st2tests.mocks.action import MockActionService, MockActionWrapper
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseActionTestCase"]


class BaseActionTestCase(BasePackResourceTestCase):
    """Set `action_cls`, then take instances from `get_action_instance`."""

    action_cls: Any = None

    def setUp(self) -> None:
        super().setUp()
        wrapper = MockActionWrapper(pack="tests", class_name=self.action_cls.__name__)
        self.action_service = MockActionService(action_wrapper=wrapper)

    def get_action_instance(self, config: Optional[Dict[str, Any]] = None) -> Any:
        """An action as the runner would build it, with a datastore in memory."""
        return get_action_class_instance(
            action_cls=self.action_cls, config=config, action_service=self.action_service
        )
