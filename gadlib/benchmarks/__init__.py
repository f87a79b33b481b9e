"""Solvers side by side: gadlib's and their peers on the same starts, and what a step costs.

Never: tuning; nothing here chooses values, and no solver judges itself.
"""
