"""Ways into a trio run from other threads: what the fronts for asyncio and for programs without a loop stand on.

Both fronts list the same verbs, once awaited and once not: Python's types cannot say that of one list. A test holds each of
them against the trio front, verb by verb and argument by argument.
"""
