"""The tests mirror the library. A package, so that `from tests import needs` means ours."""
