"""Paths: downhill from a saddle to its minima, known ends or not; from two minima to their saddle.

Never: tuning or benchmarks; a path is judged, not scored.
"""
