"""Searches of many molecules: one Record each, on several processes, resumable.

Never: which hyperparameters are best, nor what a path is like beyond its ends.
"""
