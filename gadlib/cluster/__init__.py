"""Many workers on one storage: slots, workers and their heartbeats, retries, databases in trouble.

Never: chemistry; it does not know what a trial is about.
"""
