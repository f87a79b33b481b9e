"""Searches of many molecules: one Record each, on several processes, resumable.

Never: which hyperparameters are best, nor where a saddle leads.
"""
