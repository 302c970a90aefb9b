"""Thin clients of the systems that the pack asks: each function one request, answers checked,
errors typed.
"""
