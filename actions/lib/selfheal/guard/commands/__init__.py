"""The command policy: one decision for every command, whoever wrote it.

`decide` reads one simple command strictly, finds its row in the allow-table and answers allow,
needs_approval or deny, with the words to run instead of the ones that were written. What has no row
is denied. It runs nothing; `second_reading.objection` judges those words once more, by other code.
"""

from __future__ import annotations

from selfheal.guard.commands.judging import decide
from selfheal.guard.commands.model import (
    ALLOW,
    DECISIONS,
    DENY,
    NEEDS_APPROVAL,
    Decision,
    Operation,
    Policy,
)
from selfheal.guard.commands.rows import check, load_policy

__all__ = [
    "ALLOW",
    "DECISIONS",
    "DENY",
    "NEEDS_APPROVAL",
    "Decision",
    "Operation",
    "Policy",
    "check",
    "decide",
    "load_policy",
]
