"""Other processes: forks of one that has imported everything, kept for the next thing to do.

Never: what they compute; none outlives the program that it computes for.
"""
