"""The table of rights: what the manifest grants, no more than the pack uses and no less."""

from __future__ import annotations

from pathlib import Path

import yaml

from selfheal.apis.kubernetes import paths, rights
from selfheal.apis.kubernetes.rights import RIGHTS, Right

MANIFEST = Path(__file__).resolve().parent.parent.parent / "manifests" / "rbac.yaml"


def granted():
    """{level: the rights that its ClusterRole grants}"""
    found = {}
    for one in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")):
        if one["kind"] != "ClusterRole":
            continue
        level = one["metadata"]["name"].replace("selfheal-", "")
        found[level] = {
            Right(level, group, *(resource + "/").split("/")[:2], verb)
            for rule in one["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
    return found


def test_the_manifest_grants_what_each_level_uses():
    levels = granted()
    for level in rights.LEVELS:
        missing = set(rights.of_level(level)) - levels[level]
        assert not missing, rights.in_words(missing)


def test_the_manifest_lets_change_nothing_that_the_pack_does_not():
    for level in (rights.HEAL, rights.NODES):
        assert granted()[level] == set(rights.of_level(level))


def test_every_right_is_listed_once_and_of_a_kind_that_is_known():
    assert len(set(RIGHTS)) == len(RIGHTS)
    known = {(resource.group, resource.plural) for resource in paths.KINDS.values()}
    for one in RIGHTS:
        assert (one.group, one.resource) in known
        assert one.verb in ("get", "list", "watch", "create", "patch", "delete")
        assert one.level in rights.LEVELS
    for resource in paths.KINDS.values():
        for one in RIGHTS:
            if (one.group, one.resource) == (resource.group, resource.plural):
                assert one.is_namespaced == resource.is_namespaced


def test_observing_changes_nothing():
    assert {one.verb for one in rights.of_level(rights.OBSERVE)} == {"get", "list", "watch"}
    without = rights.of_level(rights.OBSERVE, watches=False)
    assert {one.verb for one in without} == {"get", "list"}


def test_rights_read_as_people_write_them():
    some = [one for one in RIGHTS if one.level == rights.HEAL and one.resource == "pods"]
    assert rights.in_words(some) == "delete pods; create pods/eviction"
    some = [one for one in rights.of_level(rights.HEAL) if one.group == "autoscaling"]
    assert rights.in_words(some) == "create, patch, delete horizontalpodautoscalers.autoscaling"
