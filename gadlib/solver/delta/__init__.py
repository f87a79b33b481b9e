"""Saddles of a costly potential, sought on a cheap one plus a process of the difference."""
