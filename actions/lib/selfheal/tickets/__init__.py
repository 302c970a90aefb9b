"""Tickets: what is written down for somebody to work on in office hours."""
