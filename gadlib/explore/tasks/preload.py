"""Imported once by the server that search processes are forked from, so that none waits for it.

What is not installed is left to the calculator that needs it to say.
"""

import contextlib

with contextlib.suppress(ImportError):
    import scine_utilities  # noqa: F401
