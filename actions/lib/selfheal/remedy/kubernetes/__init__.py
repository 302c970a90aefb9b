"""Remedies on Kubernetes objects: what they are, what they would change, doing it and taking it
back.
"""
