"""Asking a person: what is asked and shown, who may answer, whether the answer counts, and for
what.

`asking` puts the question, `answering` takes a person's answer, `settling` says what it means for
the response, `listing` shows what waits; `record` holds the state of a question. A yes counts for
the plan that was shown, in time, once; everything else is no.
"""

from selfheal.respond.approval.record import is_approved, refusal, use

__all__ = ["is_approved", "refusal", "use"]
