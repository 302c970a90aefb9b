"""Why an incident comes to a person, in words, and what that person does first."""

from __future__ import annotations

from typing import Dict, Sequence

from selfheal.text import one_line

BY_HAND = ""

# reason: (why it comes to a person, what to do first)
REASONS: Dict[str, Sequence[str]] = {
    "analysis_failed": (
        "The analysis of the incident failed, so nothing was decided and nothing was touched.",
        "Look at the alert yourself; the timeline below says why the analysis failed.",
    ),
    "strategy": (
        "selfheal decided not to act by itself; its reasons are below.",
        "Decide what to do. If the plan below is right, carry it out or run automated_remediation.",
    ),
    "approval_failed": (
        "The plan needs a person's approval, but the question could not be asked.",
        "Read the plan below and carry it out yourself if it is right.",
    ),
    "rejected": (
        "Somebody answered no to the plan, so nothing was touched.",
        "Find another way; the rejected plan is below.",
    ),
    "expired": (
        (
            "Nobody answered the question whether to carry out the plan in time, so nothing was "
            "touched."
        ),
        "Read the plan below and carry it out yourself if it is right.",
    ),
    "refused": (
        (
            "The remediation was refused before it began: a rule, a lock or a changed runbook "
            "forbids it."
        ),
        "Read the refusal in the timeline below; act yourself if it is safe.",
    ),
    "not_resolved": (
        (
            "The remediation ran, but the signal did not become healthy; what could be undone was "
            "undone."
        ),
        "Look deeper: the usual fix is not enough this time.",
    ),
    "undo_failed": (
        (
            "The remediation did not help, and undoing it failed in part: the system may be half "
            "changed."
        ),
        "First check the steps below that were not undone.",
    ),
    "remediation_failed": (
        "The remediation failed or did not come to its end.",
        "Check in which state the steps below left the system.",
    ),
    "ticket_failed": (
        "The incident was to become a ticket, but the ticket could not be written.",
        "Take it as if it were the ticket.",
    ),
    "observe_failed": (
        "The incident was only to be recorded, but recording it failed.",
        "Usually nothing urgent; check the store with check_config.",
    ),
    "close_failed": (
        "The incident should have been closed, but closing it failed.",
        "Check that the alert is gone, then close it with close_incident.",
    ),
    "workflow_failed": (
        "The response to the incident failed or was cut off before its end.",
        "Check in which state the steps below left the system.",
    ),
    "attempts_used": (
        "All automatic responses that this incident may get are used up (resolver.max_retries).",
        "Look deeper: it comes back or its responses die.",
    ),
    "storm": (
        "More alerts came in at once than are responded to at a time.",
        "Look for one common cause before treating single alerts.",
    ),
    "keeps_coming": (
        "It went away and came back again and again, which was told before; now it stays.",
        "Look at it now: it is no flapping any more.",
    ),
    BY_HAND: (
        "Somebody escalated it by hand.",
        "Ask in your team who did; the timeline below has what is known.",
    ),
}


def why(reason: str) -> str:
    """The reason in words."""
    return REASONS[reason][0] if reason in REASONS else "Reason given: %s" % one_line(reason, 200)
