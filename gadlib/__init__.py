"""Transition states of molecules by gentlest-ascent dynamics: searched, screened, tuned, proved.

    import gadlib

    records = gadlib.search("guesses.xyz", solver="trust", criterion="bound")
    for record in records:
        print(record.name, record.message, record.imaginary_cm1)

`search` takes guesses of your own or the reactions of a set, and gives one `Record` for each, also
for those that fail. `screen` finds the difficult reactions of a set, `tune` draws hyperparameters
for them, `validate` compares tuned values with the defaults on other reactions. `follow` goes
downhill from saddles to what they join, `compare` sets solvers side by side, `report` draws it all.
Each takes settings of its own (`SearchSettings`, ..., with every field explained in `help`).
`find_saddle` takes a guess as ASE's `Atoms` and gives the saddle as such; `SaddleSearch` is the
search as one of ASE's optimizers, `Potential` a calculator for ASE.

What is here is imported when it is first used.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
