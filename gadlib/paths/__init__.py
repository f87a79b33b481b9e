"""Paths: saddles followed downhill, known ends or not, and kept; from two minima to their saddle.

Never: tuning or benchmarks; a path is judged, not scored.
"""
