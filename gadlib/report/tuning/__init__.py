"""Figures and tables of `gadlib.tuning`: a study's history, space, importances, samples."""
