"""Downhill from a saddle: the reaction coordinate, the minima, and whether they are the known ends.

Never: tuning or benchmarks; a path is judged, not scored.
"""
