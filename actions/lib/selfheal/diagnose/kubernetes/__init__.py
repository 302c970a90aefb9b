"""A close look at a sick workload or node of Kubernetes: everything that an engineer would ask
first.

`bundle.collect` asks; the other modules read what objects, logs and metrics say, each for itself.
"""
