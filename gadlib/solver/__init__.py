"""The search for a saddle: one loop, step rules, criteria, proof.

Never: a file, a setting of a run, another process.
"""
