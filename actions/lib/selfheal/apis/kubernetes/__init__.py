"""The API of a Kubernetes cluster, asked with the standard library alone."""
