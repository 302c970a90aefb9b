"""What an error is, in one call: its fingerprint, type, severity and the rule that said so.

Promises the same answer for the same document, whatever was judged before; the caches only save
work. Nothing that the template masks can change the class.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Dict, Optional, Tuple

from selfheal.errors.classify import Rules
from selfheal.errors.fingerprint import Fingerprinter
from selfheal.errors.record import UNREADABLE, Document, Judgement

UNREADABLE_RULE = "unreadable"
_MAX_KNOWN = 20_000
_LONGEST_KNOWN = 4000
# All at once, which costs a third of asking for each by its name.
_ASKED = itemgetter(
    *map(
        Document._fields.index,
        ("message", "level", "program", "namespace", "pod", "error_class", "stack", "trouble"),
    )
)


class Judge:
    """Judges documents. Not for several threads at once."""

    def __init__(
        self, rules: Optional[Rules] = None, fingerprinter: Optional[Fingerprinter] = None
    ) -> None:
        self._rules = Rules.load() if rules is None else rules
        self._of = (Fingerprinter() if fingerprinter is None else fingerprinter).of
        self._known: Dict[Tuple[Tuple[str, str], str, str, str, bool], Judgement] = {}

    def judge(self, document: Document) -> Judgement:
        """The judgement on `document`. One whose trouble says unreadable is judged by that trouble:
        its message is only a sample.
        """
        message, level, program, namespace, pod, error_class, stack, trouble = _ASKED(document)
        if trouble and trouble.startswith(UNREADABLE):
            return self._unreadable(document)
        said = self._of(message, stack, error_class)
        has_kubernetes = bool(pod or namespace)
        key = said, error_class, level, program, has_kubernetes
        known = self._known.get(key)
        if known is None:
            fingerprint, template = said
            error_type, severity, rule = self._rules.classify(
                template, error_class, level, program, has_kubernetes
            )
            known = Judgement(fingerprint, template, error_type, severity, rule)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            if len(template) <= _LONGEST_KNOWN:
                self._known[key] = known
        return known

    def _unreadable(self, document: Document) -> Judgement:
        fingerprint, template = self._of(document.trouble)
        return Judgement(fingerprint, template, UNREADABLE, "warning", UNREADABLE_RULE)
