"""Tickets: what is written down for people to work on, in the trackers that they use."""
