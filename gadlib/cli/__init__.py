"""The command line: commands, flags, headless notebooks, cluster jobs, the demonstration.

Never: a computation of its own; every command calls what a notebook calls.
"""
