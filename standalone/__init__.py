"""Runs the pack on one machine without StackStorm: to try it, to show it and to test it.

Reads the same YAML, follows StackStorm's rules for criteria, templates and parameters, and starts
actions in processes of their own. It never claims to be StackStorm: production belongs there.
"""
