"""The action k8s_diagnose: the close look that a response takes, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from selfheal.diagnose import record
from selfheal.diagnose.kubernetes import asking, bundle
from selfheal.exceptions import ExternalError, NotFound
from selfheal.text import cap, counted

if TYPE_CHECKING:
    from selfheal.context import Context

_LOG_LINES = 20
_EVENTS = 15


def k8s_diagnose(
    ctx: Context, name: str, namespace: str = "", kind: str = "any", cluster: str = ""
) -> Dict[str, Any]:
    """Look closely at one workload, pod or node; nothing is changed. What was found is kept.

    Returns {"diagnosis_id", "subject", "facts": [{"what", "found"}], "missing": [{"part", "why"}],
    "hidden": {kind: count}, "logs": [{"pod", "container", "previous", "lines"}], "events",
    "took_s", "summary"}, secrets hidden, texts bounded. Raises InvalidInput, NotFound, ConfigError
    while Kubernetes is off, ExternalError when the object could not be looked at.
    """
    from selfheal.apis.kubernetes.client import target_name

    about = asking.about(ctx, namespace, name, kind, cluster)
    target_name(ctx, about.cluster)
    found = bundle.collect(ctx, about)
    why = "; ".join(one["why"] for one in found.notes.missing)
    if found.is_gone:
        raise NotFound(why)
    if found.ref is None:
        raise ExternalError("%s could not be looked at: %s" % (found.subject, why))
    diagnosis = found.as_diagnosis()
    sick = list(dict.fromkeys(one.state.alert_type for one in found.findings))
    words = ", ".join(sick) if sick else "nothing is wrong with it"
    return {
        "diagnosis_id": record.keep(ctx.store, diagnosis),
        "subject": diagnosis.subject,
        **_shown(diagnosis),
        "took_s": diagnosis.took_s,
        "summary": "%s: %s (%s%s)"
        % (
            diagnosis.subject,
            words,
            counted(len(diagnosis.facts), "fact"),
            ", %d not found out" % len(diagnosis.missing) if diagnosis.missing else "",
        ),
    }


def _shown(diagnosis: record.Diagnosis) -> Dict[str, Any]:
    content = diagnosis.content
    found: Dict[str, Any] = cap(
        {
            "facts": diagnosis.facts,
            "missing": diagnosis.missing,
            "hidden": diagnosis.hidden,
            "logs": [
                dict(log, lines=log["lines"][-_LOG_LINES:]) for log in content.get("logs", [])
            ],
            "events": content.get("events", [])[:_EVENTS],
            "changed": content.get("changed", {}),
        },
        1000,
        50,
    )
    return found
