"""Kubernetes as a source of incidents: what a look at a cluster sees, grouped by owner and compared
with what fires already.

Who judges objects is `selfheal.workloads`, who speaks to the API is `selfheal.apis.kubernetes`.
"""
