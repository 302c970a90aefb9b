"""Circuit breakers: what keeps failing is left alone for a while, then tried again with care.

`machine` is the state machine, pure; `rows` keeps its state in SQL for all processes; `service`
puts a breaker before calls of an external service. Those of remedies are asked in `guard.breaker`.
"""
