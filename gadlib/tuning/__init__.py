"""Tuning: a study of hyperparameters on difficult reactions, by many workers, validated afterwards.

Never: paths or benchmarks; a trial knows records and their score.
"""
