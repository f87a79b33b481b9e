"""Figures and tables of `gadlib.benchmarks`."""
