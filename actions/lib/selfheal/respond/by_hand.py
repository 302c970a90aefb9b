"""An operation on Kubernetes that a person starts: an incident of its own, and from there the road
that every remedy takes, with its guards, locks, approvals, record and undo.

Names are checked, and the object is looked for, before anything is written. What went wrong is
taken back at once. The incident is closed as manual, or left open with what is still owed.
"""

from __future__ import annotations

import re
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional

from selfheal.config import DEFAULT_TARGET
from selfheal.exceptions import Conflict, InvalidInput
from selfheal.guard import command_check
from selfheal.ids import new_id
from selfheal.incidents import model, registry, timeline
from selfheal.incidents.alerts import BY_HAND, MANUAL_SOURCE
from selfheal.incidents.columns import new_columns
from selfheal.incidents.signal import FIRING, Signal, time_text
from selfheal.records import dataclass
from selfheal.remedy import journal
from selfheal.remedy import plan as plans
from selfheal.remedy.kubernetes import operations
from selfheal.respond import approval, escalate, finish
from selfheal.respond.approval import asking, people, record
from selfheal.respond.remediate import is_for_approvers, remediate, undo_remediation
from selfheal.text import one_line
from selfheal.workloads import named
from selfheal.workloads.subject import NODE

if TYPE_CHECKING:
    from selfheal.context import Context
    from selfheal.incidents.model import Incident
    from selfheal.remedy.model import KubernetesAct

WAITING = "awaiting_approval"
_CLUSTER = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?\Z")


@dataclass(frozen=True)
class Hand:
    """What a person asks for: the operation `do` with `options`, on `kind` `name` in `namespace` of
    `cluster` (a node has no namespace). `who` is how StackStorm or chat knows them.
    """

    do: str
    name: str
    namespace: str = ""
    kind: str = "any"
    cluster: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    who: str = ""


@dataclass(frozen=True)
class _Place:
    """Where it is done, as the API knows it; `cluster` as incidents name it."""

    cluster: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        where = "%s/%s" % (self.namespace, self.name) if self.namespace else self.name
        return "%s %s%s" % (self.kind, where, " of %s" % self.cluster if self.cluster else "")


def carry_out(ctx: Context, hand: Hand) -> Dict[str, Any]:
    """Carry out `hand`, or with its dry_run only show what would be done.

    Returns {"incident_id", "outcome": done|refused|failed|planned|awaiting_approval, "on", "what",
    "detail" (what was or would be done to which), "risk", "reason", "steps", "execution_id",
    "undone": ""|undone|partly, "undo_with", "approval_id", "summary"}. Raises InvalidInput,
    NotFound, Refused (which of two objects?), ConfigError, ExternalError, and Conflict, StoreError
    as `remediate` does.
    """
    act = operations.act_of(hand.do, hand.options, "k8s_" + hand.do)
    place = _place(ctx, hand, act)
    incident = _incident(ctx, hand, act, place)
    answer: Dict[str, Any] = {
        "incident_id": incident.id,
        "on": str(place),
        "what": operations.in_words(act),
        "detail": "",
        "risk": str((incident.plan or {}).get("risk")),
        "undone": "",
        "undo_with": "",
        "approval_id": "",
    }
    if not hand.dry_run and is_for_approvers(ctx, incident.plan or {}):
        waits = asked(ctx, incident)
        if waits is not None:
            return _summed(dict(answer, **waits))
    ended = remediate(ctx, incident.id, dry_run=hand.dry_run)
    answer.update({key: ended[key] for key in ("outcome", "reason", "steps", "execution_id")})
    answer["objections"] = list(ended.get("objections", ()))
    answer["detail"] = _detail(ctx, str(ended["execution_id"]))
    return _summed(_settled(ctx, incident, answer))


def _place(ctx: Context, hand: Hand, act: KubernetesAct) -> _Place:
    """What is meant, once it is known to be there."""
    from selfheal.apis.kubernetes import client as api
    from selfheal.apis.kubernetes import paths

    is_node = operations.operation_of(act).kinds == (NODE,)
    paths.checked_name(hand.name)
    if not is_node:
        paths.checked_namespace(hand.namespace)
    kind = named.kind_of(hand.kind, named.CHANGEABLE)
    cluster = _cluster(ctx, hand.cluster)
    client = api.connect(ctx, cluster or None)
    try:
        if is_node:
            client.get(paths.path(NODE, name=hand.name))
            return _Place(cluster, NODE, "", hand.name)
        from selfheal.workloads import reading

        found = reading.find(client, hand.namespace, hand.name, kind)
        return _Place(cluster, found.kind, found.namespace, found.name)
    finally:
        client.close()


def _cluster(ctx: Context, name: str) -> str:
    """The cluster as incidents name it: empty for the target `default`. Who names one means that
    one, and not whichever there is.
    """
    if name:
        if not _CLUSTER.match(name):
            raise InvalidInput(
                "cluster must be the name of a Kubernetes target, such as prod, not %s"
                % one_line(repr(name), 80)
            )
        named.check_cluster(ctx.config, name, name)
    found = ctx.config.target_name(named.SECTION, name or None) or ""
    return "" if found == DEFAULT_TARGET else found


def _incident(ctx: Context, hand: Hand, act: KubernetesAct, place: _Place) -> Incident:
    """The incident of this hand with its plan: a new one, or the one in which the same was asked
    for and a person's answer is awaited.

    It is `observed`, which no response takes up; should this process die, housekeeping takes back
    what it left half done.
    """
    store = ctx.store
    now = store.now()
    who = people.shown(hand.who)
    columns = new_columns(
        _signal(ctx, hand, place, who, now), model.OBSERVED, "manual", hand.dry_run, now
    )
    columns.update(cleared_at=None, resolved_at=None, resolution=None)
    incident = model.from_row({**{one.name: None for one in fields(model.Incident)}, **columns})
    plan = _judged(ctx, plans.build_typed(act, incident))
    known = None if hand.dry_run else _awaited(ctx, plans.hash_of(plan))
    if known is not None:
        return registry.get(store, known)
    with store.transaction("incidents"):
        store.insert("incidents", columns)
        words = "asked for by %s: %s, on %s" % (who, operations.in_words(act), place)
        data = {"who": who, "operation": operations.as_dict(act), "on": str(place)}
        timeline.record(store, incident.id, "opened", words, data)
        registry.update(store, incident.id, plan=plan)
    return registry.get(store, incident.id)


def _signal(ctx: Context, hand: Hand, place: _Place, who: str, now: float) -> Signal:
    labels = {"alertname": BY_HAND, "severity": "warning", "workload_kind": place.kind}
    if place.cluster:
        labels[str(ctx.config.get("routing.cluster_label"))] = place.cluster
    is_node = place.kind == NODE
    if is_node:
        labels["node"] = place.name
    else:
        labels.update({"namespace": place.namespace, "workload": place.name})
        labels[place.kind.lower()] = place.name
    key = new_id("hand", now)
    what = hand.do.replace("_", " ")
    return Signal(
        fingerprint=key,
        starts_at=time_text(now),
        status=FIRING,
        alert_name=BY_HAND,
        severity="warning",
        title="%s of %s, by %s" % (what, place, who),
        source=MANUAL_SOURCE,
        group_key="hand:%s" % key,
        labels=labels,
        annotations={"who": who},
        cluster=place.cluster or None,
        namespace=place.namespace or None,
        workload=None if is_node else place.name,
        instance=place.name if is_node else None,
    )


def _judged(ctx: Context, plan: Dict[str, Any]) -> Dict[str, Any]:
    return command_check.in_plan(plan, command_check.judge(ctx.config, plans.reload(plan)))


def _awaited(ctx: Context, plan_hash: str) -> Optional[str]:
    """The incident in which this very plan waits for a yes, or has one that may still hold."""
    found = ctx.store.value(
        "SELECT a.incident_id FROM approvals a JOIN incidents i ON i.id = a.incident_id "
        "WHERE a.plan_hash = ? AND a.status IN (?, ?) AND 2 * a.expires_at - a.requested_at > ? "
        "AND i.status <> ? AND i.source = ? AND i.alert_type = ? "
        "ORDER BY a.requested_at DESC LIMIT 1",
        (
            plan_hash, *record.LIVING, ctx.store.now(), model.RESOLVED, MANUAL_SOURCE, BY_HAND,
        ),
    )
    return None if found is None else str(found)


def asked(ctx: Context, incident: Incident) -> Optional[Dict[str, Any]]:
    """What is awaited where not even a hand may do it without a yes; None when there is one."""
    plan_hash = plans.hash_of(incident.plan or {})
    if not approval.refusal(ctx.store, incident, plan_hash):
        return None
    pending = ctx.store.value(
        "SELECT id FROM approvals WHERE incident_id = ? AND plan_hash = ? AND status = ? "
        "AND expires_at > ?",
        (incident.id, plan_hash, record.PENDING, ctx.store.now()),
    )
    approval_id = str(pending or asking.request_approval(ctx, incident.id)["approval_id"])
    return {
        "outcome": WAITING,
        "approval_id": approval_id,
        "reason": "one of safety.approvers must say yes to %s first (heal approvals shows the plan "
        "and how); then run the same action again" % approval_id,
        "steps": [],
        "execution_id": "",
    }


def _settled(ctx: Context, incident: Incident, answer: Dict[str, Any]) -> Dict[str, Any]:
    """Take back what went wrong, then close the incident or leave it to people."""
    execution_id = str(answer["execution_id"])
    if answer["outcome"] == journal.FAILED:
        answer["undone"] = taken_back(ctx, incident.id, execution_id)
    if answer["undone"] == "partly":
        escalate.escalate_to_oncall(ctx, incident.id, reason="undo_failed")
        return answer
    finish.close_incident(ctx, incident.id)
    if answer["outcome"] == journal.DONE and owes(ctx, execution_id):
        answer["undo_with"] = "heal undo %s" % incident.id
    return answer


def taken_back(ctx: Context, incident_id: str, execution_id: str) -> str:
    """Take back what went wrong; what came of it (see `undone_of`). What cannot have its turn on
    the target is still owed, and the caller tells that.
    """
    try:
        undo_remediation(ctx, incident_id)  # what was undone already is left alone
    except Conflict as error:
        ctx.log.warning("nothing of %s was taken back: %s", incident_id, error)
    return undone_of(ctx, execution_id)


def undone_of(ctx: Context, execution_id: str) -> str:
    """What came of taking the execution back: undone, partly, or empty for nothing."""
    rows = ctx.store.query("SELECT status FROM undo_log WHERE execution_id = ?", (execution_id,))
    found = {str(row["status"]) for row in rows}
    if found & set(journal.OWED):
        return "partly"
    return journal.UNDONE if journal.UNDONE in found else ""


def owes(ctx: Context, execution_id: str) -> bool:
    """Whether there is something that could be taken back."""
    found = ctx.store.value(
        "SELECT 1 FROM undo_log WHERE execution_id = ? AND status = ?",
        (execution_id, journal.PENDING),
    )
    return found is not None


def _detail(ctx: Context, execution_id: str) -> str:
    """What the execution did, or would do now, to which; empty when it came to nothing."""
    found = journal.ending(ctx.store, execution_id)
    steps = found["outcome"].get("steps") if found else None
    if not steps:
        return ""
    return str(steps[0].get("detail") or steps[0].get("preview", {}).get("now") or "")


def objections_and_undo(answer: Mapping[str, Any]) -> str:
    """What the line for chat adds: the objections to a dry run, what became of undoing."""
    words = ""
    if answer["outcome"] == journal.PLANNED and answer["objections"]:
        words += "; objections: %s" % "; ".join(answer["objections"])
    if answer["undone"]:
        words += {
            journal.UNDONE: "; what it had done was undone",
            "partly": "; what it had done could NOT all be undone, on-call was told",
        }[str(answer["undone"])]
    return words


def _summed(answer: Dict[str, Any]) -> Dict[str, Any]:
    """The answer with one line for chat."""
    words = {
        journal.DONE: "done, on %(on)s: %(told)s",
        journal.PLANNED: "dry run, nothing was touched; on %(on)s it would %(told)s",
        WAITING: "not yet: %(reason)s",
    }.get(str(answer["outcome"]), "%(outcome)s, on %(on)s: %(reason)s")
    words %= dict(answer, told=answer["detail"] or answer["what"])
    words += objections_and_undo(answer)
    if answer["undo_with"]:
        words += "; to take it back: %s" % answer["undo_with"]
    return dict(answer, summary="%s (%s)" % (words, answer["incident_id"]))
