"""Defaults against tuned values: rates, intervals, paired tests."""
