"""Many workers on one storage: places, claims, retries, databases in trouble.

Never: chemistry; it does not know what a trial is about.
"""
