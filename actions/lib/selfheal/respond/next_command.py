"""What a person types next about an incident: one chat command, by the state that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from selfheal.incidents import model, registry

if TYPE_CHECKING:
    from selfheal.context import Context


def after(ctx: Context, incident_id: str, status: str) -> str:
    """The command that goes on with an incident in `status`. Raises StoreError."""
    if status == model.AWAITING_APPROVAL:
        # Which shows the whole plan; its code stands nowhere else.
        return "heal approvals %s" % incident_id
    if status in model.ACTIVE:
        return "heal timeline %s" % incident_id
    if status == model.ESCALATED and not registry.taken_by(ctx.store, incident_id):
        return "heal ack %s" % incident_id
    words = {
        model.ESCALATED: "heal runbooks for %s",
        model.RESOLVED: "heal report %s",
        model.TICKETED: "heal runbooks for %s",
    }
    return words.get(status, "heal respond %s") % incident_id
