"""Deeds for tests of budgets, waits, storms, clocks and groups, and a store in which they are
judged.
"""

from __future__ import annotations

from selfheal.guard import budgets
from selfheal.guard.verdict import Deed
from tests import scene


def deed(execution_id="exe-1", **fields):
    """A deed that changes something, in cluster prod, namespace shop."""
    values = {
        "incident_id": "inc-1",
        "group_key": "web is down",
        "remedy": "runbook:restart",
        "risk": "reversible",
        "scope": "prod/shop/web",
        "cluster": "prod",
        "namespace": "shop",
        "alert_type": "ServiceDown",
        "labels": {"alertname": "ServiceDown"},
    }
    values.update(fields)
    return Deed(execution_id=execution_id, **values)


def context(url, clock=None, **safety):
    """A context on the store at `url` whose section `safety` is given."""
    return scene.context(url, clock or scene.Clock(), safety=safety)


def begin(ctx, one):
    """Permit `one` as the gate does, by its budgets alone; the objection, or None."""
    with ctx.store.transaction("guard"):
        refused = budgets.objection(ctx, one)
        if refused is None:
            budgets.charge(ctx, one)
    return refused
