"""Calculators by name, and whether they know the elements at hand. Floor 3."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import chemical_symbols

from gadlib.batch import Calculator
from gadlib.calculators.sparrow import Sparrow
from gadlib.calculators.surfaces import SURFACES
from gadlib.settings import InputError

NAMES = ("scine", "surface")


def get(name: str, *, functional: str = "DFTB0") -> Calculator:
    """The calculator of that name.

    Args:
        name: one of `NAMES`.
        functional: the method of the scine calculator; of an analytic surface its name.

    Raises:
        ValueError: when the name or the functional is unknown.
        ImportError: when its package is missing; the message says what to install.
    """
    if name == "scine":
        return Sparrow(functional)
    if name != "surface":
        raise ValueError(f"calculator {name!r}: expected one of {', '.join(NAMES)}")
    if functional not in SURFACES:
        raise ValueError(f"surface {functional!r}: expected one of {', '.join(SURFACES)}")
    return SURFACES[functional]


def require_elements(calculator: Calculator, molecules: Mapping[str, np.ndarray]) -> None:
    """Nothing, when the calculator knows all elements, or has no `unsupported` to ask.

    Raises:
        InputError: naming the element, a molecule that has it, and the calculator's reason.
    """
    ask = getattr(calculator, "unsupported", None)
    if ask is None:
        return
    reasons = ask({int(z) for numbers in molecules.values() for z in numbers})
    for z, reason in reasons.items():
        name = next(name for name, numbers in molecules.items() if z in numbers)
        raise InputError(
            f"{name}: the calculator does not know element {chemical_symbols[z]} ({reason})"
        )
