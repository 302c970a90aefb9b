"""One call from a document to what its error is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfheal.errors.judge import Judge
from selfheal.errors.record import UNREADABLE, Document


@pytest.fixture(scope="module")
def judge():
    return Judge()


def document(message="cannot open order 17", **more):
    return Document("prod/i/1", "prod", 0.0, message, **more)


def test_a_document_gets_a_fingerprint_a_class_and_the_name_of_the_rule(judge):
    found = judge.judge(document("read tcp 10.0.0.1:5: connection reset by peer", level="error"))
    assert found.fingerprint.startswith("v1:") and "10.0.0.1" not in found.template
    assert found[2:] == ("network", "error", "network-reset")


def test_values_that_are_masked_change_nothing(judge):
    one = judge.judge(document("order 17 of 10.0.0.1 failed", level="error"))
    other = judge.judge(document("order 18 of 10.0.0.2 failed", level="error"))
    assert one == other


@pytest.mark.parametrize(
    "more", [{"level": "critical"}, {"program": "kubelet"}, {"error_class": "NullPointerException"}]
)
def test_what_the_rules_ask_for_is_told_apart_by_the_memory(judge, more):
    plain = judge.judge(document(level="error"))
    assert judge.judge(document(**{"level": "error", **more})) != plain
    assert judge.judge(document(level="error")) == plain


def test_host_and_namespace_are_no_part_of_what_an_error_is(judge):
    plain = judge.judge(document())
    assert judge.judge(document(host="a", cluster="b", detail={"c": "d"})) == plain


def test_an_unreadable_document_is_judged_by_why_and_not_by_its_sample(judge):
    trouble = "%s: no field has text" % UNREADABLE
    one = judge.judge(document('{"a": "no space left on device"}', trouble=trouble))
    other = judge.judge(document('{"b": "segfault"}', trouble=trouble, level="error"))
    assert one == other
    assert one[2:] == (UNREADABLE, "warning", "unreadable") and "no field has text" in one.template


def test_a_document_with_a_lesser_trouble_is_judged_by_its_message(judge):
    found = judge.judge(document("no space left on device", trouble="no field has a time"))
    assert found.rule == "storage-disk-full"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a %d", "connection refused %d", "oops\n\tat a.b(C.java:%d)"]),
            st.integers(0, 3),
            st.sampled_from(["", "error", "critical"]),
            st.sampled_from(["", "kubelet"]),
            st.sampled_from(["", "shop"]),
        ),
        max_size=8,
    )
)
def test_judgements_do_not_depend_on_what_was_judged_before(judge, rows):
    documents = [
        document(message % number, level=level, program=program, namespace=namespace)
        for message, number, level, program, namespace in rows
    ]
    together = Judge(judge._rules)
    assert [together.judge(one) for one in reversed(documents)] == [
        Judge(judge._rules).judge(one) for one in reversed(documents)
    ]
