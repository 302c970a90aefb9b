"""Whether each Kubernetes target can be reached, and what the pack may do there.

Asks the API server for its version and, right by right, whether it would let us
(SelfSubjectAccessReview): nothing is read of the cluster but the names of its namespaces, and
nothing is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

from selfheal.apis.kubernetes import rights
from selfheal.apis.kubernetes import settings as kubernetes_settings
from selfheal.config import target_key
from selfheal.exceptions import ConfigError, DeadlineExceeded, SelfhealError
from selfheal.text import counted, one_line

if TYPE_CHECKING:
    from selfheal.apis.kubernetes.client import Client
    from selfheal.apis.kubernetes.rights import Right
    from selfheal.context import Context

_MANIFEST = "manifests/rbac.yaml"
_MOST_NAMESPACES = 20  # each costs a request per right
_SHOWN = 5
Row = Tuple[str, str, str, str]


def lines(ctx: Context, longest_wait_s: float) -> List[Row]:
    """(what, state, detail, do) for each target of section kubernetes, as in `check_config`: one
    for the server, one for each level of rights.
    """
    section = kubernetes_settings.SECTION
    try:
        targets = ctx.config.targets(section)
    except ConfigError as error:
        return [(section, "error", str(error), "correct the section %s" % section)]
    if not targets:
        ways = "%s.url, kubeconfig or in_cluster is not set" % section
        return [(section, "off", "%s: no cluster is watched or mended" % ways, "")]
    found: List[Row] = []
    for name, target in sorted(targets.items()):
        what = target_key(section, name)
        try:
            settings = kubernetes_settings.completed(ctx.config, name, target)
        except ConfigError as error:
            found.append((what, "error", str(error), "correct %s" % what))
            continue
        settings["timeout_s"] = min(settings["timeout_s"], longest_wait_s)
        found += _target(ctx, what, name, settings, longest_wait_s)
    return found


def _target(
    ctx: Context, what: str, name: str, settings: Dict[str, Any], longest_wait_s: float
) -> List[Row]:
    from selfheal.apis.kubernetes.client import connect_target

    do = "see what the message advises; until then nothing is seen or mended there"
    try:
        client = connect_target(name, settings, ctx.clock, ctx.config.hide)
    except SelfhealError as error:
        return [(what, "error", str(error), "correct %s" % what)]
    try:
        client.hurry(longest_wait_s)
        version = client.version()
        row: Row = (what, "on", "%s answers, version %s" % (client.url, version), "")
        return [row, *_levels(what, client)]
    except SelfhealError as error:
        return [(what, "error", str(error), do)]
    finally:
        client.close()


def _levels(what: str, client: Client) -> List[Row]:
    watches = bool(client.settings["watch"])
    rows: List[Row] = []
    try:
        rows.append(_observe(what, client, rights.of_level(rights.OBSERVE, watches)))
        rows.append(_heal(what, client, rights.of_level(rights.HEAL)))
        rows.append(_nodes(what, client, rights.of_level(rights.NODES)))
    except DeadlineExceeded:
        detail = "the server answers too slowly to ask for every right"
        rows.append(("%s: rights" % what, "warning", detail, "look at its load, then check again"))
    return rows


def _observe(what: str, client: Client, wanted: Sequence[Right]) -> Row:
    what = "%s: %s" % (what, rights.OBSERVE)
    missing = _missing_everywhere(client, wanted)
    if not missing:
        return what, "on", "may read all that it looks at, in every namespace", ""
    namespaces = [str(one) for one in client.settings["namespaces"]]
    lacking = {"": [one for one in missing if one.resource == "nodes" or not namespaces]}
    # Of a namespace that is named only that one has to be read.
    needed = [one for one in missing if one.is_namespaced or one[2:] == ("namespaces", "", "get")]
    for namespace in namespaces[:_MOST_NAMESPACES]:
        lacking[namespace] = _missing(client, needed, namespace)
    lacking = {place: found for place, found in lacking.items() if found}
    if not lacking:
        where = counted(len(namespaces), "namespace")
        return what, "on", "may read all that it looks at in its %s" % where, ""
    do = "bind the ClusterRole selfheal-observe of %s to this account" % _MANIFEST
    is_about_nodes = bool(namespaces) and list(lacking) == [""]
    state = "warning" if is_about_nodes else "error"
    return what, state, "may not %s" % _places(lacking), do


def _heal(what: str, client: Client, wanted: Sequence[Right]) -> Row:
    what = "%s: %s" % (what, rights.HEAL)
    if not _missing_everywhere(client, wanted):
        return what, "on", "may mend workloads in every namespace but the protected ones", ""
    namespaces = _namespaces(client)
    lacking = {one: _missing(client, wanted, one) for one in namespaces[:_MOST_NAMESPACES]}
    whole = [place for place, found in lacking.items() if not found]
    partly = {place: found for place, found in lacking.items() if 0 < len(found) < len(wanted)}
    rest = len(namespaces) - len(lacking)
    unasked = "; %s not asked for" % counted(rest, "further namespace") if rest else ""
    bind = "bind the ClusterRole selfheal-heal of %s in each namespace to mend" % _MANIFEST
    if partly:
        return what, "warning", "may not %s%s" % (_places(partly), unasked), bind
    if not whole:
        nowhere = "may mend nothing: what is wrong is told to people%s" % unasked
        return what, "off", nowhere, "%s, if it is to" % bind
    others = len(lacking) - len(whole)
    but = "; not in %s" % counted(others, "other namespace") if others else ""
    return what, "on", "may mend workloads in %s%s%s" % (_names(whole), but, unasked), ""


def _nodes(what: str, client: Client, wanted: Sequence[Right]) -> Row:
    what = "%s: %s" % (what, rights.NODES)
    if _missing_everywhere(client, wanted):
        do = "bind the ClusterRole selfheal-nodes of %s, if it is to" % _MANIFEST
        return what, "off", "may not cordon nodes, not even after a person's yes", do
    return what, "on", "may cordon nodes after a person's yes", ""


def _missing_everywhere(client: Client, wanted: Sequence[Right]) -> List[Right]:
    return _missing(client, wanted, "")


def _missing(client: Client, wanted: Sequence[Right], namespace: str) -> List[Right]:
    """Those of `wanted` that we have not in `namespace` ("": in all of them)."""
    return [
        one
        for one in wanted
        if not client.can_i(
            one.verb,
            one.group,
            one.resource,
            one.subresource,
            namespace,
            "" if one.is_namespaced else namespace,
        )
    ]


def _namespaces(client: Client) -> List[str]:
    """Those that are watched: as set, else all of the cluster but the protected ones; none when
    they cannot be listed.
    """
    from selfheal.apis.kubernetes.failures import Forbidden
    from selfheal.workloads import protect

    if client.settings["namespaces"]:
        return [str(one) for one in client.settings["namespaces"]]
    protection = protect.of_settings(client.settings)
    try:
        found = client.items(client.collection("Namespace"))
    except Forbidden:
        return []
    names = [str(one.get("metadata", {}).get("name")) for one in found]
    return sorted(one for one in names if not protect.is_protected_namespace(one, protection))


def _places(lacking: Dict[str, List[Right]]) -> str:
    """What is missing where; places that lack the same are named together."""
    by_words: Dict[str, List[str]] = {}
    for place, found in lacking.items():
        by_words.setdefault(rights.in_words(found), []).append(place)
    parts = []
    for words, places in by_words.items():
        where = "the whole cluster" if places == [""] else _names(places)
        parts.append("%s in %s" % (words, where))
    return one_line("; ".join(parts), 500)


def _names(places: Sequence[str]) -> str:
    shown = ", ".join(place or "the whole cluster" for place in places[:_SHOWN])
    rest = len(places) - _SHOWN
    return "%s and %d more" % (shown, rest) if rest > 0 else shown
