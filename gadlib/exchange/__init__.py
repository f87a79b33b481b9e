"""Results for other programs: xyz, extxyz, Molden and tables, from any result file.

Never: a result of its own; what it writes was computed elsewhere.
"""
