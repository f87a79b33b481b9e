"""The embedded reaction sets, on DFTB0 and on GFN2-xTB, and the scripts that made them.

Never: a solver that the set on DFTB0 is there to test; what `trust` found for the other says so.
"""
