"""Objects that are not what they should be: whatever a server answers, an operation says no in
words, or changes only what it is for.
"""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.exceptions import InvalidInput, Refused, SelfhealError
from selfheal.remedy.kubernetes import autoscalers, edits, templates, tolls
from selfheal.remedy.kubernetes.edits import at
from selfheal.workloads.model import Health, Ref

KEYS = st.sampled_from(
    "metadata spec template labels annotations containers resources limits requests memory name "
    "ownerReferences uid controller data revision status containerStatuses lastState terminated "
    "reason replicas strategy rollingUpdate maxUnavailable updateStrategy type paused "
    "deployment.kubernetes.io/revision kubectl.kubernetes.io/restartedAt".split()
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["128Mi", "OOMKilled", "main", "1", "u-1", "RollingUpdate", "25%", "OnDelete"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)
OBJECTS = st.dictionaries(KEYS, JSON, max_size=4)


def whole(template):
    """A workload around what may be a template."""
    return {"metadata": {"uid": "u-1", "resourceVersion": "1"}, "spec": {"template": template}}


SETTINGS = {"max_memory": "8Gi", "memory_step": 1.5, "max_replicas": 20}
OPTIONS = [
    {"memory": "step"}, {"memory": "256Mi", "container": "main"}, {"cpu": "1"},
    {"memory_request": "1Gi"},
]


@given(st.one_of(OBJECTS, JSON.map(whole)), st.lists(OBJECTS, max_size=3), st.sampled_from(OPTIONS))
def test_no_shape_of_an_object_is_an_error_of_ours(workload, others, options):
    for plan in (
        lambda: templates.refuse_without_rollout(workload, "restart"),
        lambda: templates.restarted(workload, 1e9),
        lambda: templates.previous_of_deployment(workload, others)[0],
        lambda: templates.previous_of_set(workload, others)[0],
        lambda: templates.with_resources(workload, others, options, SETTINGS)[0],
        lambda: autoscalers.spec_of(Ref("Deployment", "a", "b"), workload, {}, SETTINGS),
    ):
        with contextlib.suppress(SelfhealError):
            found = plan()
            if isinstance(found, tuple):
                assert {one.path[:2] for one in found} <= {
                    ("spec", "template"), ("metadata", "annotations"),
                }
    health = Health(3, 2, 2, 2, True, "")
    for kind in ("Deployment", "StatefulSet", "DaemonSet"):
        assert 0 <= tolls.rolling(workload, kind, health)


@given(OBJECTS, st.lists(KEYS, min_size=1, max_size=3), JSON)
def test_patch_of_what_has_no_version_is_refused(found, path, value):
    found.pop("metadata", None)
    with pytest.raises(InvalidInput):
        edits.patch(found, [edits.edit(found, path, value)])


def test_restart_keeps_all_else_of_the_template():
    template = {"metadata": {"annotations": {"team": "shop"}, "labels": {"a": "b"}}, "spec": {}}
    [change] = templates.restarted(whole(template), 1e9)
    notes = at(change.after, ("metadata", "annotations"))
    assert notes == {"team": "shop", templates.RESTARTED_AT: "2001-09-09T01:46:40Z"}
    notes.pop(templates.RESTARTED_AT)
    assert change.after == change.before == template


@pytest.mark.parametrize("limit", ["lots", "-1", None, [], {}])
def test_limit_that_is_none_is_not_raised(limit):
    container = {"name": "main", "resources": {"limits": {"memory": limit}}}
    pod = {"status": {"containerStatuses": [
        {"name": "main", "lastState": {"terminated": {"reason": "OOMKilled"}}}
    ]}}
    with pytest.raises(Refused):
        templates.with_resources(
            whole({"spec": {"containers": [container]}}), [pod], {"memory": "step"}, SETTINGS
        )
