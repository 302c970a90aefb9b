"""A kubectl command as a typed operation: verb, objects, namespace, options.

Objects are always kind and name; nothing is changed without a name (or a label that must equal a
value), nor in a namespace that holds the cluster up, and a missing namespace is written in.
"""

from __future__ import annotations

from typing import List, Tuple

from selfheal.guard.commands import advice
from selfheal.guard.commands.kinds import Resources
from selfheal.guard.commands.model import Operation, Refusal, new_tuple
from selfheal.guard.commands.reading import Reading
from selfheal.guard.commands.rows import Row

DEFAULT_NAMESPACE = "default"
MAX_OBJECTS = 10
MAX_CHANGES = 5
_NAMESPACE = "--namespace"
_UNNAMED = [("", "")]
_ONE_POD = "Name one pod and perhaps its container, or give -l; no row can allow more."


def typed(found: Reading, row: Row, resources: Resources) -> Operation:
    """The operation that was read, its canonical words put into `found`. Raises Refusal."""
    args = found.args
    changes: List[str] = []
    if resources.pair is not None:
        args, changes = _parted(args, row, resources)
    if resources.shape == "logs":
        args = _logs(found, args, row)
    elif resources.shape == "exec":
        args = [word if "/" in word else "pods/" + word for word in args]
    objects = _objects(args, row, resources) if args else []
    if resources.is_written and not objects:
        _must_say(found, row, resources)
    if resources.names_needed:
        _are_named(found, row, resources, objects)
    if len(objects) > MAX_OBJECTS:
        raise Refusal(
            row.rule,
            args[-1],
            "it names more than %d objects" % MAX_OBJECTS,
            "Name fewer; no row can allow more.",
        )
    if resources.mutates:
        _scope(found, row, resources, objects)
    given = found.given
    found.args = [*_words(objects, resources), *changes] if objects else changes
    return new_tuple(
        Operation,
        (
            row.verb,
            tuple(objects),
            given.get(_NAMESPACE, ""),
            tuple(given.items()),
            tuple(changes),
        ),
    )


def _must_say(found: Reading, row: Row, resources: Resources) -> None:
    if resources.shape != "logs":
        token = row.rule.replace(".", " ")
        raise Refusal(
            row.rule,
            token,
            "it does not say which kind of object",
            "Name the kind, such as pods; no row can allow it without.",
        )
    if "--selector" not in found.given:
        how = "Name a pod, or give -l; no row can allow all."
        raise Refusal(row.rule, "logs", "it does not say whose", how)


def _are_named(
    found: Reading, row: Row, resources: Resources, objects: List[Tuple[str, str]]
) -> None:
    is_named = bool(objects and objects[0][1])
    is_selected = not resources.selectors.isdisjoint(found.given)
    if is_named == is_selected:
        raise Refusal(
            row.rule,
            " ".join(found.args) or row.rule.replace(".", " "),
            "it names objects and chooses them by label as well"
            if is_named
            else "it does not say which objects are meant",
            "Name them as KIND/NAME: nothing is never read as everything, and no row can "
            "allow that.",
        )


def keep_out(found: Reading, row: Row, is_never: object) -> None:
    """Refuse a change where nothing may be changed, and write in a namespace that is missing."""
    namespace = found.given.get(_NAMESPACE)
    if namespace is None:
        namespace = found.given[_NAMESPACE] = DEFAULT_NAMESPACE
        found.levels[0].append("%s=%s" % (_NAMESPACE, namespace))
        found.ask = True
    if callable(is_never) and is_never(namespace):
        raise Refusal(
            "%s.namespace" % row.rule,
            namespace,
            "this namespace holds up the cluster; nothing is changed in it by a command",
            advice.namespace(namespace, row.document),
        )


def _parted(args: List[str], row: Row, resources: Resources) -> Tuple[List[str], List[str]]:
    changes = [word for word in args if "=" in word or ":" in word or word.endswith("-")]
    for word in changes:
        if resources.pair and not resources.pair(word):
            raise Refusal(
                "%s.%s" % (row.rule, resources.pair_spec),
                word,
                "it is not of the form %s in the table's patterns" % resources.pair_spec,
                "Write KEY=VALUE; keys of kubernetes.io are not changed by a command, and no row "
                "can allow it.",
            )
    if not 1 <= len(changes) <= MAX_CHANGES:
        raise Refusal(
            row.rule,
            " ".join(changes) or row.rule.replace(".", " "),
            "it must say 1 to %d changes" % MAX_CHANGES,
            "Write KEY=VALUE; no row can allow more.",
        )
    return [word for word in args if word not in changes], changes


def _logs(found: Reading, args: List[str], row: Row) -> List[str]:
    """Whose logs: POD, KIND/NAME, and perhaps the container after it."""
    if len(args) > 2 or (len(args) == 2 and "--container" in found.given):
        raise Refusal(row.rule, args[-1], "it names more than one pod", _ONE_POD)
    if len(args) == 2:
        flag = row.flags["--container"]
        if not (flag.test and flag.test(args[1])):
            raise Refusal(row.rule, args[1], "it is no name of a container", _ONE_POD)
        found.given["--container"] = args[1]
        found.levels[flag.level] += flag.written(args[1])
    return [args[0] if "/" in args[0] else "pods/" + args[0]] if args else []


def _objects(args: List[str], row: Row, resources: Resources) -> List[Tuple[str, str]]:
    for word in args:
        if "/" in word:
            parted = [one.partition("/") for one in args]
            return [
                (_kind(kind, row, resources), _name(name, row, resources))
                for kind, _slash, name in parted
            ]
    if not resources.is_written:
        return [(resources.only, _name(name, row, resources)) for name in args]
    first = args[0]
    kinds = [_kind(one, row, resources) for one in first.split(",")]
    if len(args) == 1:
        return [(kind, "") for kind in kinds]
    return [(kind, _name(name, row, resources)) for kind in kinds for name in args[1:]]


def _kind(word: str, row: Row, resources: Resources) -> str:
    kind = resources.spellings.get(word)
    if kind is None:
        raise Refusal(
            "%s.kind" % row.rule,
            word,
            "%s is not for objects of this kind" % row.rule.replace(".", " "),
            "It takes %s. %s"
            % (resources.described, advice.kind_of_object(row.path, word, row.document)),
        )
    return kind


def _name(word: str, row: Row, resources: Resources) -> str:
    if not resources.name(word):
        raise Refusal(
            "%s.name" % row.rule,
            word,
            "it is no name of an object",
            "Names are of a-z, 0-9, '-' and '.', and no row can allow others; name each object "
            "by itself.",
        )
    return word


def _scope(
    found: Reading, row: Row, resources: Resources, objects: List[Tuple[str, str]]
) -> None:
    for kind, _name in objects or _UNNAMED:
        if kind not in resources.cluster_wide:
            keep_out(found, row, resources.is_never)
            break
    if len(objects) > 1:
        found.ask = True
    if resources.ranks:
        for kind, _name in objects:
            found.rank = max(found.rank, resources.ranks.get(kind, 0))


def _words(objects: List[Tuple[str, str]], resources: Resources) -> List[str]:
    if not resources.is_written:
        return [name for _kind, name in objects]
    if objects[0][1]:
        return ["%s/%s" % one for one in objects]
    return [",".join(kind for kind, _name in objects)]
