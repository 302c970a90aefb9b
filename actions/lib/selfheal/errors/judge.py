"""What an error is, in one call: its fingerprint, type, severity and the rule that said so.

Promises the same answer for the same document, whatever was judged before; the caches only save
work. Nothing that the template masks can change the class.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from selfheal.errors.classify import Rules
from selfheal.errors.fingerprint import Fingerprinter
from selfheal.errors.record import UNREADABLE, Document, Judgement

UNREADABLE_RULE = "unreadable"
_MAX_KNOWN = 20_000
_LONGEST_KNOWN = 4000


class Judge:
    """Judges documents. Not for several threads at once."""

    def __init__(
        self, rules: Optional[Rules] = None, fingerprinter: Optional[Fingerprinter] = None
    ) -> None:
        self._rules = Rules.load() if rules is None else rules
        self._of = (Fingerprinter() if fingerprinter is None else fingerprinter).of
        self._known: Dict[Tuple[str, str, str, str, str, bool], Judgement] = {}

    def judge(self, document: Document) -> Judgement:
        """The judgement on `document`. One whose trouble says unreadable is judged by that trouble:
        its message is only a sample.
        """
        if document.trouble and document.trouble.startswith(UNREADABLE):
            return self._unreadable(document)
        error_class = document.error_class
        fingerprint, template = self._of(document.message, document.stack, error_class)
        key = (
            fingerprint,
            template,
            error_class,
            document.level,
            document.program,
            not (document.pod or document.namespace),
        )
        known = self._known.get(key)
        if known is None:
            error_type, severity, rule = self._rules.classify(
                template, error_class, document.level, document.program, not key[5]
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
