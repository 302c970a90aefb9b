"""A small shop that breaks for real, and the pack that mends it: `make demo`."""
