"""Standalone: the pack without StackStorm, half by half."""
