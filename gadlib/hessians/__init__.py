"""Algebra of Hessians: normal modes, model springs, updates, trust-region steps.

Never: a calculator's call; Hessians come in and steps go out.
"""
