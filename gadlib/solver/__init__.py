"""The search for a saddle: one loop, step rules, criteria, proof; and the way down from one.

Never: a file, a setting of a run, another process.
"""
