"""Objects that are not what they should be: whatever is in them, nobody falls over, nothing gets
long, and no time goes backwards.
"""

from __future__ import annotations

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from selfheal.workloads import (
    controllers,
    nodes,
    others,
    owners,
    picture,
    pods,
    protect,
    reading,
    rollouts,
    services,
    shape,
)
from selfheal.workloads.model import Ref
from selfheal.workloads.picture import Neighbours, Picture
from tests.examples import examples
from tests.workloads.objects import (
    CART,
    MINUTE,
    NOW,
    THRESHOLDS,
    ago,
    condition,
    container,
    crashing,
    deployment,
    pod,
    replica_set,
    terminated,
    unready,
    waiting,
)

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod", "Node", "Service")
WHOLE = [
    crashing(),
    unready(20 * MINUTE),
    pod(
        container(waiting("ImagePullBackOff")),
        init=[container(terminated(), terminated(), 3, name="init")],
        init_specs=[{"name": "init", "restartPolicy": "Always"}],
        spec={"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "data"}}]},
        finalizers=["x/y"],
    ),
    deployment(3, ready=1, conditions=[condition("Progressing", "False", 60, "X")]),
    replica_set(2, MINUTE),
    {"kind": "Job", "metadata": {"name": "j"}, "status": {"conditions": [{"type": "Failed"}]}},
    {
        "metadata": {"name": "s", "namespace": "shop"},
        "spec": {"selector": {"app": "cart"}, "scaleTargetRef": {"kind": "X"}, "maxReplicas": 1},
        "subsets": [{"addresses": [{}]}],
        "endpoints": [{"addresses": [], "conditions": {"ready": True}}],
        "status": {"phase": "Pending", "currentReplicas": 1},
    },
]


def places(value, path=()):
    """Every place in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    for key, each in inner:
        yield from places(each, (*path, key))


def spoilt(value, path, junk):
    if not path:
        return junk
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = junk
    return found


@st.composite
def objects(draw):
    value = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 3))):
        value = spoilt(value, draw(st.sampled_from(list(places(value)))), draw(JUNK))
    return value


def judged(value, kind, now):
    """All that this room says of an object, whatever it is."""
    ref = Ref(kind, "shop", "cart")
    found = list(pods.findings_of(value, CART, now, THRESHOLDS, {"app": 9}))
    brief = pods.brief(value, found)
    found += nodes.findings_of(value, now, THRESHOLDS)
    found += controllers.findings_of(value, ref, [brief], now, THRESHOLDS)
    found += others.claim_findings(value, [(ref, 5.0)], True, now, THRESHOLDS)
    found += others.autoscaler_findings(value, now, THRESHOLDS)
    found += others.job_findings([one for one in [others.ended(value)] if one], now)
    found += services.findings_of(value, [value], [(ref, brief)], [], now, THRESHOLDS)
    of_both = [rollouts.of_replica_set(value), rollouts.of_controller_revision(value)]
    revisions = [one for one in of_both if one is not None]
    revisions.append(rollouts.of_replica_set(replica_set(1, 9999)))
    broken = rollouts.broken(value, ref, [brief], revisions, now, THRESHOLDS)
    around = Neighbours(((value, value),), (value,), (value,))
    all_of_it = Picture(
        ref, value, (value,), now, THRESHOLDS, None, (value,), (value,), (value,), neighbours=around
    )
    picture.health(all_of_it)
    found += picture.findings(all_of_it)
    return found + ([broken] if broken is not None else [])


@settings(max_examples=examples(100), deadline=None)
@given(objects(), st.sampled_from(KINDS), st.sampled_from([0.0, NOW, NOW + 1e7]))
def test_spoilt_object_is_judged_without_an_error(value, kind, now):
    for finding in judged(value, kind, now):
        texts = (finding.pod, finding.container, finding.reason, finding.message, finding.words)
        assert all(isinstance(one, str) and len(one) <= 1200 for one in texts)
        assert not any(ch in one for one in texts for ch in "\n\x00\x1b\x7f")
        assert 0.0 <= finding.since <= max(now, 0.0)
        assert finding.exit_code is None or finding.exit_code >= 0


@settings(max_examples=examples(60), deadline=None)
@given(objects() | JUNK)
def test_whoever_reads_a_spoilt_object_gets_an_answer(value):
    assert isinstance(owners.of_pod(value).name, str)
    assert isinstance(owners.is_mirror(value) or owners.is_task(value), bool)
    assert isinstance(pods.restarts_of(value), dict)
    assert isinstance(others.claims_of(value), list)
    assert isinstance(reading.selector_of(value), str)
    assert isinstance(protect.why_not(CART, protect.Protection(), value, [value]), str)
    assert isinstance(protect.is_ignored(value), bool)


STATES = st.one_of(
    st.just(container()),
    st.builds(
        lambda since, restarts, ran, code: container(
            {"running": {"startedAt": ago(since)}},
            terminated("OOMKilled" if code == 137 else "Error", code, ran, since),
            restarts,
            ready=since > 40,
        ),
        st.integers(0, 1500),
        st.integers(0, 9),
        st.integers(0, 900),
        st.sampled_from([0, 1, 137]),
    ),
    st.builds(
        lambda reason, restarts, ended: container(
            waiting(reason), terminated(ended=ended), restarts
        ),
        st.sampled_from(
            ["CrashLoopBackOff", "ErrImagePull", "CreateContainerError", "ContainerCreating"]
        ),
        st.integers(0, 9),
        st.integers(0, 900),
    ),
)
PODS = st.builds(
    lambda containers, phase, age, ready, since, node, deleted: pod(
        *containers,
        phase=phase,
        age=age,
        ready=ready,
        ready_since=min(since, age),
        node=node,
        **({"deletionTimestamp": ago(since)} if deleted else {})
    ),
    st.lists(STATES, min_size=1, max_size=2),
    st.sampled_from(["Pending", "Running", "Failed", "Succeeded", "Unknown"]),
    st.integers(0, 4000),
    st.booleans(),
    st.integers(0, 2000),
    st.sampled_from(["", "node-a"]),
    st.booleans(),
)


@settings(max_examples=examples(100), deadline=None)
@given(PODS, st.integers(0, 5000))
def test_pod_sick_neither_now_nor_much_later_is_not_sick_in_between(value, later):
    def is_sick(at):
        return bool(pods.findings_of(value, CART, at, THRESHOLDS))

    if not is_sick(NOW) and not is_sick(NOW + 1e8):
        assert not is_sick(NOW + later)


@given(st.text(max_size=40) | st.sampled_from(["2026-09-21T13:00:00Z", "9999-99-99T99:99:99Z"]))
def test_time_that_is_none_is_unknown(text):
    assert shape.moment({"at": text}, "at") >= 0.0


def test_times_are_read_as_kubernetes_writes_them():
    written = [
        "2026-09-21T14:13:20Z",
        "2026-09-21T14:13:20.250000Z",
        "2026-09-21T16:13:20+02:00",
        "0001-01-01T00:00:00Z",
        "2026-02-30T25:00:00",
    ]

    assert [shape.moment({"at": one}, "at") for one in written] == [
        1790000000.0,
        1790000000.25,
        1790000000.0,
        0.0,
        0.0,
    ]
