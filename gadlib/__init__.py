"""Transition states by gentlest-ascent dynamics, screened, tuned and proved on real molecules."""

__version__ = "0.1.0"
