"""How a command ends, as a number that scripts and schedulers read."""

DONE = 0
FAILED = 1
"""A notebook did not come to its end; it holds what went wrong."""
UNUSABLE = 2
"""What was asked for can't be done; one sentence on stderr says what was expected."""
TRY_AGAIN = 75
"""The storage went away (`EX_TEMPFAIL` of sysexits.h)."""
INTERRUPTED = 130
"""Ctrl-C or SIGTERM, as shells report the former; what was done is kept."""
