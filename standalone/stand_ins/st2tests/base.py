"""Stand-in: the test base classes under the name that packs import them by."""

from st2tests.action_aliases import BaseActionAliasTestCase
from st2tests.actions import BaseActionTestCase
from st2tests.sensors import BaseSensorTestCase

__all__ = [
    "BaseActionAliasTestCase",
    "BaseActionTestCase",
    "BaseSensorTestCase",
]
