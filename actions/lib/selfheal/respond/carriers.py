"""Who carries letters: the module of each channel's carrier, imported when a letter needs it.

Here and not in the outbox, because carriers know systems and tables that the outbox does not.
"""

from __future__ import annotations

from typing import Dict

CARRIERS: Dict[str, str] = {
    "webhook": "selfheal.notify.webhook",
    "slack": "selfheal.notify.slack",
    "pagerduty": "selfheal.notify.pagerduty",
    "email": "selfheal.notify.mail",
    "ticket": "selfheal.tickets.carrier",
    "servicenow": "selfheal.tickets.servicenow_carrier",
    "jira": "selfheal.tickets.jira_carrier",
    "alertmanager": "selfheal.notify.silences",
}
