"""The first form of a ticket: one message of kind `ticket` in the outbox per incident and
reopening.

A receiver can make a ticket of it in any system: the fields a ticket system asks for are there, and
the key tells it which ticket it has made already. Sending is the outbox's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from selfheal.text import one_line

if TYPE_CHECKING:
    from selfheal.incidents.model import Incident

KIND = "ticket"
_PRIORITIES = {"critical": 1, "error": 2, "warning": 3, "info": 4}


def key(incident: Incident) -> str:
    """One ticket per incident, and another each time that the incident is reopened."""
    return "ticket:%s:%d" % (incident.id, incident.reopened)


def fields(incident: Incident) -> Dict[str, Any]:
    """{"key", "title", "priority" (1 most urgent to 4), "category", "component"}."""
    return {
        "key": key(incident),
        "title": one_line(incident.title),
        "priority": _PRIORITIES.get(incident.severity, 3),
        "category": one_line(incident.alert_type, 100),
        "component": one_line(
            incident.workload or incident.service or incident.instance or "", 100
        ),
    }
