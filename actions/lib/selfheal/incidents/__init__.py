"""Incidents: one per cause, with a state machine, a timeline, and one response at a time."""
