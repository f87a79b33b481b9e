"""The embedded reaction set, and the script that made it.

Never: the package's own solver, which the set is there to test.
"""
