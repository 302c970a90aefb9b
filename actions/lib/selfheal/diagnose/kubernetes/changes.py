"""What changed lately: the revisions of a workload, what the newest changed, who wrote last, which
configuration it reads. Values of variables are compared and never shown. Pure.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from selfheal.diagnose.kubernetes.notebook import Notebook, clock, lasting
from selfheal.text import counted, one_line
from selfheal.workloads import rollouts, shape
from selfheal.workloads.model import Ref

MOST_REVISIONS = 10
MOST_CHANGES = 20
_CAUSE = "kubernetes.io/change-cause"
_OURSELVES = ("kube-controller-manager", "kubelet", "kube-scheduler")
_LATELY_S = 86400.0
_SHOWN = 120  # characters of a value that is shown


def write(
    notes: Notebook, workload: Any, owner: Ref, histories: Sequence[Any], now: float
) -> None:
    """The revisions, the newest first, and what the newest changed. `histories` are ReplicaSets or
    ControllerRevisions.
    """
    read = [(_revision(one), one) for one in histories]
    found = [(revision, one) for revision, one in read if revision and revision.owner == owner]
    found.sort(key=lambda pair: -pair[0].number)
    notes.content["workload"] = _workload(notes, workload)
    notes.content["revisions"] = [
        {
            "revision": revision.number,
            "name": revision.name,
            "created": clock(revision.created),
            "images": images(template_of(one)),
            "replicas": shape.optional_number(shape.mapping(one, "status"), "replicas"),
            "cause": one_line(notes.clean(shape.line(_notes_of(one), _CAUSE, 300)), 300),
        }
        for revision, one in found[:MOST_REVISIONS]
    ]
    _newest(notes, found, now)
    _writers(notes, workload, now)


def _newest(
    notes: Notebook, found: Sequence[Tuple[rollouts.Revision, Any]], now: float
) -> None:
    if not found:
        return
    newest, template = found[0][0], template_of(found[0][1])
    words = "revision %d, %s, of %s" % (
        newest.number,
        "since %s (%s ago)" % (clock(newest.created), lasting(now - newest.created))
        if newest.created
        else "since an unknown time",
        ", ".join(images(template)) or "no image",
    )
    notes.fact("rollout", "%s; %s kept" % (words, counted(len(found), "revision")))
    if len(found) < 2:
        return
    changed = differences(template_of(found[1][1]), template)
    changed = [notes.clean(one) for one in changed]
    notes.content["changed"] = {
        "from_revision": found[1][0].number, "to_revision": newest.number, "what": changed,
    }
    notes.fact(
        "changed by revision %d" % newest.number,
        "; ".join(changed) or "nothing but marks (a restart)",
    )


def _writers(notes: Notebook, workload: Any, now: float) -> None:
    """Who wrote the workload last, other than Kubernetes itself."""
    entries = [
        (
            shape.moment(one, "time"),
            shape.line(one, "manager", 80),
            shape.line(one, "operation", 20),
        )
        for one in shape.mappings(shape.metadata(workload), "managedFields")
        if shape.text(one, "subresource") != "status"
    ]
    people = sorted((one for one in entries if one[1] not in _OURSELVES), reverse=True)
    notes.content["writers"] = [
        {"at": clock(at), "manager": manager, "operation": operation}
        for at, manager, operation in people[:5]
    ]
    if people and people[0][0]:
        at, manager, _ = people[0]
        words = "by %s at %s (%s ago)" % (manager, clock(at), lasting(now - at))
        notes.fact("last changed", words)


def _workload(notes: Notebook, workload: Any) -> Dict[str, Any]:
    meta, spec = shape.metadata(workload), shape.mapping(workload, "spec")
    template = shape.mapping(spec, "template")
    return {
        "generation": shape.number(meta, "generation"),
        "observed_generation": shape.optional_number(
            shape.mapping(workload, "status"), "observedGeneration"
        ),
        "created": clock(shape.moment(meta, "creationTimestamp")),
        "replicas": shape.optional_number(spec, "replicas"),
        "paused": spec.get("paused") is True,
        "images": images(template),
        "template_hash": digest_of(template),
        "conditions": [
            {
                "type": kind,
                "status": shape.line(one, "status", 20),
                "reason": shape.line(one, "reason", 100),
                "message": one_line(notes.clean(shape.line(one, "message", 500)), 500),
            }
            for kind, one in sorted(shape.conditions(workload).items())
        ][:10],
    }


def _revision(history: Any) -> Optional[rollouts.Revision]:
    return rollouts.of_replica_set(history) or rollouts.of_controller_revision(history)


def _notes_of(value: Any) -> shape.Json:
    return shape.mapping(shape.metadata(value), "annotations")


def template_of(history: Any) -> shape.Json:
    """The pod template that a ReplicaSet or a ControllerRevision holds."""
    in_set = shape.mapping(history, "spec", "template")
    return in_set or shape.mapping(history, "data", "spec", "template")


def images(template: Any) -> List[str]:
    """The images of a template's containers."""
    return [
        shape.line(one, "image", 200)
        for one in shape.mappings(shape.mapping(template, "spec"), "containers")
    ]


def digest_of(value: Any) -> str:
    """What tells this JSON from any other, short."""
    written = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(written.encode("utf-8", "replace")).hexdigest()[:12]


def differences(old: Any, new: Any) -> List[str]:
    """What makes the template `new` another than `old`, at most MOST_CHANGES of it, what explains
    most first. Of variables, arguments and annotations only the names.
    """
    before, after = shape.mapping(old, "spec"), shape.mapping(new, "spec")
    found: List[str] = []
    for key, what in (("containers", "container"), ("initContainers", "init container")):
        found += _containers(_by_name(before, key), _by_name(after, key), what)
    known = ("containers", "initContainers")
    found += _changed_keys("", _without(before, known), _without(after, known))
    for part in ("annotations", "labels"):
        found += _marks(old, new, part)
    return found[:MOST_CHANGES]


def _containers(
    old: Mapping[str, shape.Json], new: Mapping[str, shape.Json], what: str
) -> List[str]:
    found = ["%s %s is new" % (what, name) for name in new if name not in old]
    found += ["%s %s is gone" % (what, name) for name in old if name not in new]
    for name, after in new.items():
        before = old.get(name)
        if before is None or before == after:
            continue
        if before.get("image") != after.get("image"):
            was, now = shape.line(before, "image", _SHOWN), shape.line(after, "image", _SHOWN)
            found.append("image of %s: %s -> %s" % (name, was, now))
        for kind in ("limits", "requests"):
            was_given = shape.mapping(before, "resources", kind)
            is_given = shape.mapping(after, "resources", kind)
            for resource in sorted({*was_given, *is_given}):
                pair = was_given.get(resource, "none"), is_given.get(resource, "none")
                if pair[0] != pair[1]:
                    shown = tuple(one_line(str(one), 40) for one in pair)
                    words = "%s %s of %s: %s -> %s" % (resource, kind[:-1], name, *shown)
                    found.append(one_line(words, 200))
        found += _variables(name, before, after)
        seen = ("image", "resources", "env", "name")
        found += _changed_keys("%s: " % name, _without(before, seen), _without(after, seen))
    return found


def _variables(name: str, before: shape.Json, after: shape.Json) -> List[str]:
    old, new = _by_name(before, "env"), _by_name(after, "env")
    changed = sorted(
        key for key in {*old, *new} if old.get(key) != new.get(key)
    )
    if not changed:
        return []
    shown = ", ".join(one_line(key, 60) for key in changed[:8])
    return ["variables of %s: %s%s" % (name, shown, " ..." if len(changed) > 8 else "")]


def _changed_keys(prefix: str, old: shape.Json, new: shape.Json) -> List[str]:
    return [
        prefix + one_line(str(key), 60)
        for key in sorted({*old, *new}, key=str)
        if old.get(key) != new.get(key)
    ]


def _marks(old: Any, new: Any, part: str) -> List[str]:
    before = shape.mapping(shape.metadata(old), part)
    after = shape.mapping(shape.metadata(new), part)
    names = [
        one_line(str(key), 80)
        for key in sorted({*before, *after}, key=str)
        if before.get(key) != after.get(key) and key != "pod-template-hash"
    ]
    return ["%s: %s" % (part, ", ".join(names[:8]))] if names else []


def _by_name(value: shape.Json, key: str) -> Dict[str, shape.Json]:
    return {shape.line(one, "name", 80): one for one in shape.mappings(value, key)}


def _without(value: shape.Json, keys: Sequence[str]) -> Dict[str, Any]:
    return {key: one for key, one in value.items() if key not in keys}


def newest_set(histories: Sequence[Any], owner: Ref) -> str:
    """The name of the newest ReplicaSet of `owner`, or empty."""
    read = [rollouts.of_replica_set(one) for one in histories]
    found = [one for one in read if one is not None and one.owner == owner]
    return max(found, key=lambda one: one.number).name if found else ""


def config_words(entry: Mapping[str, Any], before: Optional[str], now: float) -> str:
    """What is to be told of a ConfigMap: that it changed since the last look, or lately."""
    words = []
    if before and before != entry["hash"]:
        words.append("it is another than at the last look (%s -> %s)" % (before, entry["hash"]))
    changed_at = float(entry["changed_at"])
    if 0 < now - changed_at < _LATELY_S and changed_at:
        words.append("changed at %s (%s ago)" % (clock(changed_at), lasting(now - changed_at)))
    return "; ".join(words)


def config_maps(template: Any) -> List[str]:
    """The names of the ConfigMaps that a template reads, in order. Secrets are never asked for."""
    spec = shape.mapping(template, "spec")
    names: Set[str] = set()
    for container in shape.mappings(spec, "containers") + shape.mappings(spec, "initContainers"):
        for one in shape.mappings(container, "envFrom"):
            names.add(shape.text(shape.mapping(one, "configMapRef"), "name"))
        for one in shape.mappings(container, "env"):
            names.add(shape.text(shape.mapping(one, "valueFrom", "configMapKeyRef"), "name"))
    for volume in shape.mappings(spec, "volumes"):
        names.add(shape.text(shape.mapping(volume, "configMap"), "name"))
        for one in shape.mappings(shape.mapping(volume, "projected"), "sources"):
            names.add(shape.text(shape.mapping(one, "configMap"), "name"))
    return sorted(name for name in names if name)
