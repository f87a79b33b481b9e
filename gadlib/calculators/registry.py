"""Calculators by name. Floor 3."""

from __future__ import annotations

from gadlib.batch import Calculator
from gadlib.calculators.sparrow import Sparrow

NAMES = ("scine",)


def get(name: str, *, functional: str = "DFTB0") -> Calculator:
    """The calculator of that name.

    Args:
        name: one of `NAMES`.
        functional: the method of the scine calculator.

    Raises:
        ValueError: when the name or the functional is unknown.
        ImportError: when its package is missing; the message says what to install.
    """
    if name == "scine":
        return Sparrow(functional)
    raise ValueError(f"calculator {name!r}: expected one of {', '.join(NAMES)}")
