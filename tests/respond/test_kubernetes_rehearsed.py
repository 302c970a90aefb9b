"""What the server has against an operation shows in its dry run: whoever asks before he acts is not
told that it would be done.
"""

from __future__ import annotations

import contextlib

import pytest

from tests import kubernetes_manifests as manifests
from tests.kubernetes_access import Refused
from tests.respond.hand_scene import act, context, ready

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@pytest.fixture
def web(kubernetes, namespace, kubelet):
    """A Deployment of one that is well."""
    kubernetes.create(manifests.deployment(namespace))
    ready(kubernetes, namespace, 1)


@pytest.fixture
def shut(kubernetes, namespace):
    """An admission that lets nobody change Deployments of the namespace: nobody answers there."""
    hook = {
        "name": "shut.selfheal.test",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{
            "operations": ["UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"],
            "resources": ["deployments"],
        }],
        "namespaceSelector": {"matchLabels": {"shut": namespace}},
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    kubernetes.patch("Namespace", namespace, "", {"metadata": {"labels": {"shut": namespace}}})
    kubernetes.ask("POST", HOOKS, {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": namespace},
        "webhooks": [hook],
    })

    def is_shut():
        with contextlib.suppress(Refused):
            kubernetes.patch("Deployment", "web", namespace, {"metadata": {"labels": {"a": "b"}}})
            return False
        return True

    yield is_shut
    kubernetes.ask("DELETE", HOOKS + "/" + namespace)


def test_admission_that_fails_is_an_objection(kubernetes, namespace, tmp_path, web, shut):
    kubernetes.until(shut)
    answer = act(
        context(tmp_path, kubernetes, namespace), "restart_workload",
        namespace=namespace, name="web", dry_run=True,
    )
    (objection,) = answer["objections"]
    assert "failed calling webhook" in objection
    assert "objections: what it would do now is not known" in answer["summary"]


def test_right_that_is_missing_is_an_objection(kubernetes, namespace, tmp_path, web):
    read = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
    token = kubernetes.account(namespace, [read], [read])
    answer = act(
        context(tmp_path, kubernetes, namespace, token=token), "restart_workload",
        namespace=namespace, name="web", dry_run=True,
    )
    (objection,) = answer["objections"]
    assert "the verb patch on deployments.apps in namespace %s" % namespace in objection
