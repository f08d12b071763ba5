"""Real servers for a machine that has none, and the supervisor that runs the whole stack.

``grid8 up`` and the tests use the same description of the stack (`infra.embedded.stack`).
"""
