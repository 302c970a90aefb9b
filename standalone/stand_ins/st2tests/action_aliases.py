"""Stand-in: the base class of tests of chat aliases."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence

from st2tests.pack_resource import BasePackResourceTestCase

_REPOSITORY = str(Path(__file__).resolve().parents[3])
if _REPOSITORY not in sys.path:
    sys.path.append(_REPOSITORY)

from standalone import aliases, packs

__all__ = ["BaseActionAliasTestCase"]


class AliasRecord:
    """An alias with the attributes that tests read from StackStorm's record."""

    def __init__(self, alias: packs.Alias) -> None:
        self.ref = alias.ref
        self.name = alias.name
        self.pack = alias.pack
        self.action_ref = alias.action_ref
        self.formats: List[Any] = list(alias.formats)
        self.description = alias.description
        self.enabled = alias.enabled
        self.ack = alias.ack
        self.result = alias.result
        self.extra = alias.extra
        self.immutable_parameters = alias.immutable_parameters
        self._alias = alias

    def get_format_strings(self) -> List[str]:
        return aliases.format_strings(self._alias)


class BaseActionAliasTestCase(BasePackResourceTestCase):
    """Set `action_alias_name`; the alias is then at `self.action_alias_db`."""

    action_alias_name: Any = None
    action_alias_db: Any = None

    def setUp(self) -> None:
        super().setUp()
        if not self.action_alias_name:
            raise ValueError('"action_alias_name" class attribute needs to be provided')
        pack = packs.load_pack(Path(os.path.abspath(self._get_base_pack_path())))
        found = [alias for alias in pack.aliases.values() if alias.name == self.action_alias_name]
        if not found:
            raise ValueError('Alias with name "%s" not found' % self.action_alias_name)
        self.action_alias_db = AliasRecord(found[0])

    def assertCommandMatchesExactlyOneFormatString(
        self, format_strings: Sequence[str], command: str
    ) -> None:
        matched = []
        for format_string in format_strings:
            try:
                aliases.extract(format_string, command)
            except aliases.NoMatch:
                continue
            matched.append(format_string)
        if not matched:
            raise AssertionError(
                'Command "%s" didn\'t match any of the provided format strings' % command
            )
        if len(matched) > 1:
            raise AssertionError(
                'Command "%s" matched multiple format strings: %s' % (command, ", ".join(matched))
            )

    def assertExtractedParametersMatch(
        self, format_string: str, command: str, parameters: Dict[str, Any]
    ) -> None:
        if format_string not in self.action_alias_db.get_format_strings():
            raise ValueError(
                'Format string "%s" is not available on the alias "%s"'
                % (format_string, self.action_alias_db.name)
            )
        self.assertEqual(aliases.extract(format_string, command), parameters)
