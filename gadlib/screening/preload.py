"""What the server imports once that processes of searches are forked from; imported by nobody else.

What is not installed is left to the calculator that needs it to say.
"""

import contextlib
import gc
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the program's to answer, not its forks'

import gadlib.calculators.sparrow  # noqa: E402
import gadlib.screening.processes  # noqa: E402, F401

with contextlib.suppress(ImportError):
    import scine_sparrow  # noqa: F401
    import scine_utilities  # noqa: F401

gc.freeze()  # what is here is everybody's: collecting would copy it into each process
