"""What is wrong and what could help: is the signal still there, which runbook fits, how it went
before.
"""
