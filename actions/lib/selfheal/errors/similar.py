"""Which templates read alike: suggestions for people who merge patterns; nothing acts on them.

Words are compared, not letters, and placeholders of all kinds count as one.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Iterable, List, Tuple

from selfheal.errors.phrases import key_of

LIKE = 0.7  # the share of words, in their order, that two templates must have in common
MAX_SIMILAR = 20


def similar(template: str, templates: Iterable[str]) -> List[Tuple[str, float]]:
    """Those of `templates` that nearly equal `template`, with their likeness in 0..1, the most
    alike first; at most MAX_SIMILAR. `template` itself is not among them.
    """
    matcher: SequenceMatcher[str] = SequenceMatcher(autojunk=False)
    matcher.set_seq2(key_of(template).split())
    found: List[Tuple[str, float]] = []
    for other in dict.fromkeys(templates):
        if other == template:
            continue
        matcher.set_seq1(key_of(other).split())
        # The cheap bounds first: most templates share next to nothing.
        if matcher.real_quick_ratio() >= LIKE and matcher.quick_ratio() >= LIKE:
            likeness = matcher.ratio()
            if likeness >= LIKE:
                found.append((other, round(likeness, 3)))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:MAX_SIMILAR]
