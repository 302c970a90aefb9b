"""What admission refuses is told from a right that is missing, whatever words a policy has."""

from __future__ import annotations

import pytest

from selfheal.apis.kubernetes import failures
from selfheal.apis.kubernetes.failures import Reply

PATH = "/apis/apps/v1/namespaces/shop/deployments/cart"


def refused(message, code=403):
    body = {"kind": "Status", "status": "Failure", "message": message, "code": code}
    return failures.failure(Reply(code, {}, body), "PATCH", PATH)


@pytest.mark.parametrize("message", [
    'admission webhook "policy.io" denied the request: the tag of an image cannot be latest',
    'deployments.apps "cart" is forbidden: unable to create new content in namespace shop',
    'pods "cart-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2',
])
def test_policy_is_no_missing_right(message):
    error = refused(message)
    assert isinstance(error, failures.Forbidden) and not error.is_access
    assert "it is no right that is missing" in str(error)


@pytest.mark.parametrize("message", [
    'deployments.apps "cart" is forbidden: User "me" cannot patch resource "deployments" in shop',
    'forbidden: User "it\'s \\"me\\"" cannot get path "/metrics"',
])
def test_missing_right_is_one(message):
    error = refused(message)
    assert isinstance(error, failures.Forbidden) and error.is_access
    assert "the verb patch on deployments.apps in namespace shop" in str(error)


def test_two_budgets_of_one_pod_are_no_trouble_that_passes():
    error = refused(
        "This pod has more than one PodDisruptionBudget, which the eviction subresource does not "
        "support.", 500,
    )
    assert not error.retryable and "nothing was changed" in str(error)
