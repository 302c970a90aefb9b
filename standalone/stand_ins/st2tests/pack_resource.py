"""Stand-in: fixtures of a pack, found from where the test file lies (`<pack>/tests/`)."""

from __future__ import annotations

import inspect
import os
import unittest

__all__ = ["BasePackResourceTestCase"]


class BasePackResourceTestCase(unittest.TestCase):
    """Base of the other test cases."""

    def get_fixture_content(self, fixture_path: str) -> str:
        """The text of a file under tests/fixtures/."""
        path = os.path.join(self._get_base_pack_path(), "tests", "fixtures", fixture_path)
        with open(path, encoding="utf-8") as stream:
            return stream.read()

    def _get_base_pack_path(self) -> str:
        return os.path.abspath(os.path.join(os.path.dirname(inspect.getfile(type(self))), ".."))
