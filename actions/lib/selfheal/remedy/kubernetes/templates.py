"""What restart, rollback and set_resources make of a workload's pod template. Pure functions of
objects; each answers with edits, or Refused with the reason.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from selfheal.exceptions import InvalidInput, Refused
from selfheal.remedy.kubernetes import memory, quantities
from selfheal.remedy.kubernetes.edits import ABSENT, Edit, at, edit, is_same
from selfheal.remedy.kubernetes.memory import Kill
from selfheal.remedy.kubernetes.operations import CAUSE, STEP, TEMPLATE
from selfheal.text import iso
from selfheal.workloads import shape

Json = Mapping[str, Any]

# The mark that kubectl sets, so that one history shows whoever restarted.
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"


def refuse_without_rollout(workload: Json, what: str) -> None:
    """Raises Refused where a new template would not reach the pods by itself."""
    spec = shape.mapping(workload, "spec")
    if spec.get("paused") is True:
        raise Refused(
            "it is paused, so its pods would not follow; resume it (kubectl rollout resume), then "
            "%s it" % what
        )
    strategy = shape.text(shape.mapping(spec, "updateStrategy"), "type")
    if strategy == "OnDelete":
        raise Refused(
            "its update strategy is OnDelete, so its pods would not follow; delete the pods instead"
        )
    partition = shape.number(shape.mapping(spec, "updateStrategy", "rollingUpdate"), "partition")
    if partition and partition >= shape.replicas_wanted(workload):
        raise Refused(
            "its partition (%d) keeps all of its pods as they are, so they would not follow; lower "
            "it, or delete the pods instead" % partition
        )


def restarted(workload: Json, now: float) -> Tuple[Edit, ...]:
    """The template with the mark by which a rollout restarts all pods."""
    template = _template(workload)
    about = dict(shape.mapping(template, "metadata"))
    about["annotations"] = {
        **shape.mapping(about, "annotations"), RESTARTED_AT: iso(now)[:19] + "Z",
    }
    template["metadata"] = about
    return (edit(workload, TEMPLATE, template),)


def previous_of_deployment(
    workload: Json, replica_sets: Sequence[Json], fine: str = ""
) -> Tuple[Tuple[Edit, ...], str]:
    """The template of the revision before, from the workload's ReplicaSets, and that revision's
    name. With it go the words that its history has for it. `fine` names the ReplicaSet that is
    known to be fine, where one is.
    """
    uid = shape.text(shape.metadata(workload), "uid")
    own = [one for one in replica_sets if _owner_uid(one) == uid]
    live = _template(workload)
    revisions = sorted(
        ((_revision_of(one), shape.text(shape.metadata(one), "name"), one) for one in own),
        key=lambda found: found[:2],
    )
    older = [
        (revision, one)
        for revision, _, one in revisions
        if revision and not _is_alike(_without_hash(one), live)
    ]
    current = [
        revision for revision, _, one in revisions if is_same(_without_hash(one), live)
    ]
    if not current:
        raise Refused("the rollout of its newest template has not begun yet; try again in a moment")
    older = [found for found in older if found[0] < max(current)]
    if not older:
        raise _no_history("ReplicaSet")
    named = [one for one in older if shape.place(one[1])[1] == fine]
    revision, found = (named or older)[-1]
    notes = shape.mapping(shape.metadata(found), "annotations")
    edits = [edit(workload, TEMPLATE, _without_hash(found))]
    cause = edit(workload, CAUSE, notes.get(CAUSE[-1]) or ABSENT)
    if not is_same(cause.before, cause.after):
        edits.append(cause)
    return tuple(edits), "revision %d" % revision


def previous_of_set(
    workload: Json, revisions: Sequence[Json], fine: str = ""
) -> Tuple[Tuple[Edit, ...], str]:
    """The template of the revision before of a StatefulSet or DaemonSet, from its
    ControllerRevisions, and that revision's name. `fine` as for `previous_of_deployment`.
    """
    uid = shape.text(shape.metadata(workload), "uid")
    own = sorted(
        (one for one in revisions if _owner_uid(one) == uid),
        key=lambda one: shape.number(one, "revision"),
    )
    live = _template(workload)
    templates = [(shape.number(one, "revision"), one, _stored(one)) for one in own]
    current = [number for number, _, one in templates if is_same(one, live)]
    if not current:
        raise Refused("the rollout of its newest template has not begun yet; try again in a moment")
    older = [
        (number, one, template)
        for number, one, template in templates
        if template and number < max(current) and not _is_alike(template, live)
    ]
    if not older:
        raise _no_history("ControllerRevision")
    # In the middle of a rollout the revision that the pods come from is the one before.
    running = shape.text(shape.mapping(workload, "status"), "currentRevision")
    names = [name for name in (fine, running) if name]
    named = [found for name in names[:1] for found in older if shape.place(found[1])[1] == name]
    number, _, template = (named or older)[-1]
    return (edit(workload, TEMPLATE, template),), "revision %d" % number


def with_resources(
    workload: Json, pods: Iterable[Json], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> Tuple[Tuple[Edit, ...], str]:
    """The template with other limits and requests, and what that changes in words.

    `memory: step` raises the memory limit of each container that was killed for want of memory by
    `memory_step`, up to `max_memory`. A request is left alone unless it would exceed its limit.
    """
    template = _template(workload)
    spec = shape.mapping(template, "spec")
    containers, early = (shape.mappings(spec, key) for key in memory.IN_TEMPLATES)
    wanted, killed = options.get("container"), memory.killed(pods)
    names, more = ([shape.text(one, "name") for one in each] for each in (containers, early))
    if wanted and wanted not in (*names, *more):
        raise Refused(
            "it has no container %s (it has: %s)"
            % (wanted, ", ".join(sorted((*names, *more))) or "none")
        )
    chosen = [wanted] if wanted else _chosen(names, more, list(killed), options)
    words = []
    for container in (*containers, *early):
        name = shape.text(container, "name")
        if name in chosen:
            kills = killed.get(name, ())
            words.append(_set(container, options, settings, kills))  # type: ignore[arg-type]
    return (edit(workload, TEMPLATE, template),), "; ".join(words)


def _chosen(
    names: Sequence[str], early: Sequence[str], killed: Sequence[str], options: Mapping[str, Any]
) -> List[str]:
    if options.get("memory") == STEP:
        found = [name for name in killed if name in names or name in early]
        if killed and not found:
            memory.refuse_added(killed)
        if not killed:
            raise Refused(
                "none of its containers was killed for want of memory, so raising a limit would "
                "not help; name the container if it is meant all the same"
            )
        return found
    if len(names) != 1:
        raise Refused(
            "it has the containers %s; say which is meant (container)" % ", ".join(sorted(names))
        )
    return list(names)


def _set(
    container: Dict[str, Any], options: Mapping[str, Any], settings: Json, kills: Sequence[Kill]
) -> str:
    name = shape.text(container, "name")
    resources = copy.deepcopy(dict(shape.mapping(container, "resources")))
    limits, requests = (dict(shape.mapping(resources, key)) for key in ("limits", "requests"))
    before = (dict(limits), dict(requests))
    most = quantities.parsed(settings["max_memory"])
    limit = options.get("memory")
    if limit == STEP:
        had = memory.at_limit(name, str(limits.get("memory") or ""), kills)
        limit = _step_of(name, had.limit, settings)
        _keep_request(requests, had)
    for key, value in (("memory", limit), ("cpu", options.get("cpu"))):
        if value is not None:
            limits[key] = value
    for key in ("memory", "cpu"):
        value = options.get(key + "_request")
        if value is not None:
            requests[key] = value
        if key in limits and key in requests:
            if quantities.parsed(requests[key]) > quantities.parsed(limits[key]):
                if value is not None:
                    raise Refused(
                        "container %s would ask for more %s (%s) than its limit allows (%s)"
                        % (name, key, requests[key], limits[key])
                    )
                requests[key] = limits[key]
    for value in (limits.get("memory"), requests.get("memory")):
        is_new = value not in (before[0].get("memory"), before[1].get("memory"))
        if value is not None and is_new and quantities.parsed(value) > most:
            raise Refused(
                "container %s would get %s of memory, more than kubernetes.max_memory (%s)"
                % (name, value, settings["max_memory"])
            )
    resources.update({key: one for key, one in (("limits", limits), ("requests", requests)) if one})
    if (limits, requests) == before:
        raise Refused("container %s has these resources already" % name)
    container["resources"] = resources
    return "container %s: %s" % (name, _difference(before, (limits, requests)))


def _keep_request(requests: Dict[str, Any], had: Kill) -> None:
    """Ask for as much as the namespace gave by default: with a limit of its own and no request a
    container asks for all of its limit.
    """
    if had.request:
        requests.setdefault("memory", had.request)


def _step_of(name: str, limit: str, settings: Json) -> str:
    most = quantities.parsed(settings["max_memory"])
    try:
        number = quantities.parsed(limit)
    except InvalidInput as error:
        raise Refused("the memory limit of container %s: %s" % (name, error)) from error
    if number <= 0:
        raise Refused("the memory limit of container %s is %s" % (name, limit))
    if number >= most:
        raise Refused(
            "container %s has a memory limit of %s, and kubernetes.max_memory (%s) allows no more"
            % (name, limit, settings["max_memory"])
        )
    step = quantities.parsed(str(settings["memory_step"]))
    raised = quantities.mebibytes(number * step)
    return raised if quantities.parsed(raised) <= most else str(settings["max_memory"])


def _difference(before: Tuple[Json, Json], after: Tuple[Json, Json]) -> str:
    words = []
    for what, old, new in zip(("limit", "request"), before, after):
        for key in sorted(set(old) | set(new)):
            if old.get(key) != new.get(key):
                words.append(
                    "%s %s from %s to %s" % (key, what, old.get(key) or "none", new.get(key))
                )
    return ", ".join(words)


def _template(workload: Json) -> Dict[str, Any]:
    found = at(workload, TEMPLATE)
    if not isinstance(found, Mapping):
        raise Refused("it has no pod template")
    return copy.deepcopy(dict(found))


def _without_hash(replica_set: Json) -> Dict[str, Any]:
    """A ReplicaSet's template without what the Deployment's controller has put there."""
    template = _template(replica_set)
    labels = shape.mapping(template, "metadata").get("labels")
    if isinstance(labels, dict):
        labels.pop(_HASH, None)
    return template


def _stored(revision: Json) -> Dict[str, Any]:
    """The template that a ControllerRevision keeps, without the word that says how it is put in."""
    found = copy.deepcopy(dict(shape.mapping(revision, "data", "spec", "template")))
    found.pop("$patch", None)
    return found


def _is_alike(one: Json, other: Json) -> bool:
    """Whether two templates differ in nothing but when they were restarted: who was restarted in
    vain must not be rolled back to where he was before that.
    """
    return is_same(_unmarked(one), _unmarked(other))


def _unmarked(template: Json) -> Dict[str, Any]:
    found = copy.deepcopy(dict(template))
    about = found.get("metadata")
    if isinstance(about, dict):
        notes = dict(shape.mapping(about, "annotations"))
        notes.pop(RESTARTED_AT, None)
        about.pop("annotations", None)
        if notes:
            about["annotations"] = notes
    return found


def _owner_uid(value: Json) -> str:
    for owner in shape.mappings(shape.metadata(value), "ownerReferences"):
        if owner.get("controller") is True:
            return shape.text(owner, "uid")
    return ""


def _revision_of(replica_set: Json) -> int:
    found = shape.text(shape.mapping(shape.metadata(replica_set), "annotations"), _REVISION)
    return int(found) if found.isdigit() and len(found) < 18 else 0


def _no_history(what: str) -> Refused:
    return Refused(
        "there is no revision before this one to go back to (no older %s is kept); deploy the "
        "version that is wanted" % what
    )
