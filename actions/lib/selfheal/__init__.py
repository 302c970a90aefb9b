"""selfheal: incidents in, fixes out, everything recorded. The library behind the StackStorm pack.

It imports nothing of StackStorm: `door` builds what a function needs and is the only way in from
the platform.
"""

__version__ = "0.1.0"
