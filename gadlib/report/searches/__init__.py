"""Figures and tables of `gadlib.screening` and of single searches."""
