"""Solvers side by side: gadlib's and their peers on the same starts, and what a step costs.

Never: tuning or paths; nothing here chooses values, or follows a saddle downhill.
"""
