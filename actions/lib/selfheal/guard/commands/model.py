"""What the command policy hands over: the decision, the typed operation behind a kubectl command,
and the policy itself.

Named tuples where one is made per decision (a frozen dataclass takes four times as long to make).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

from selfheal.records import dataclass
from selfheal.remedy.model import DESTRUCTIVE

if TYPE_CHECKING:
    from selfheal.guard.commands.rows import Row

ALLOW = "allow"
NEEDS_APPROVAL = "needs_approval"
DENY = "deny"
DECISIONS = (ALLOW, NEEDS_APPROVAL, DENY)
_SHOWN = 80
# Makes a named tuple of all its fields in a third of the time that its own constructor takes.
new_tuple = tuple.__new__


class Operation(NamedTuple):
    """What a kubectl command does, typed. `resources` are (kind, name) pairs, name "" for all of
    the kind; `options` are (flag, value) pairs, value "" for a switch, the namespace among them.
    """

    verb: str
    resources: Tuple[Tuple[str, str], ...]
    namespace: str = ""
    options: Tuple[Tuple[str, str], ...] = ()
    changes: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        """As a plan holds it: {"verb", "resources": [[kind, name]], "namespace", "options":
        [[flag, value]], "changes"}.
        """
        return {
            "verb": self.verb,
            "resources": [list(one) for one in self.resources],
            "namespace": self.namespace,
            "options": [list(one) for one in self.options],
            "changes": list(self.changes),
        }

    @property
    def container(self) -> str:
        """The container it is about, or ""."""
        return dict(self.options).get("--container", "")

    @property
    def selector(self) -> str:
        """The labels that choose the objects, or ""."""
        return dict(self.options).get("--selector", "")


class Decision(NamedTuple):
    """One judged command. `argv` (empty when denied) is what may be run, in place of what was
    written; `token` is what was refused and `advice` how to allow it (`reason` ends with it);
    `inverse` takes the command back, empty when nothing does.
    """

    decision: str
    risk: str
    rule: str
    reason: str
    argv: Tuple[str, ...] = ()
    operation: Optional[Operation] = None
    token: str = ""
    inverse: Tuple[str, ...] = ()
    advice: str = ""

    @property
    def is_denied(self) -> bool:
        """Whether it must not run, not even with a person's consent."""
        return self.decision == DENY


class Refusal(Exception):
    """Ends the reading of a command: which rule refuses which token, why, and what to do."""

    def __init__(self, rule: str, token: str, why: str, how: str, risk: str = "") -> None:
        self.args = (why,)
        self.rule = rule
        self.token = token
        self.why = why
        self.how = how
        self.risk = risk


def refused(refusal: Refusal) -> Decision:
    """The decision that `refusal` makes."""
    token, rule, how = refusal.token, refusal.rule, refusal.how
    shown = token if len(token) <= _SHOWN else token[:_SHOWN - 1] + "~"
    reason = f"Refused {shown!a}: {refusal.why} (rule {rule}). {how}"
    return new_tuple(Decision, (DENY, DESTRUCTIVE, rule, reason, (), None, token, (), how))


@dataclass(frozen=True)
class Policy:
    """The allow-table, ready to be asked. `document` is the merged YAML, read as it is needed;
    `rows` fills as programs are asked for. Made by `load_policy`.
    """

    document: Mapping[str, Any]
    rows: Dict[str, Row]
    safe_mode: bool = True
