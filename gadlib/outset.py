"""What a search sets out with, as settings ask: hyperparameters, a calculator, starting points.

What can't be followed is refused here, before anything is computed. Floor 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from gadlib import calculators, reactions
from gadlib.batch import Calculator
from gadlib.criteria import CRITERIA
from gadlib.directions import wanted
from gadlib.hyperparameters import SOLVERS, Hyperparameters
from gadlib.input import InputError, explain
from gadlib.reactions import Start
from gadlib.settings import SearchSettings


def hyperparameters_of(settings: SearchSettings) -> Hyperparameters:
    """The hyperparameters that the settings ask for.

    Raises:
        InputError: when the solver or a knob is unknown, or a value is out of its range.
    """
    if settings.solver not in SOLVERS:
        raise InputError(f"solver {settings.solver!r}: expected one of {', '.join(SOLVERS)}")
    try:
        return SOLVERS[settings.solver](**settings.hyperparameters)
    except ValidationError as error:
        raise InputError(explain(error)) from None


def calculator_of(settings: SearchSettings, starts: Sequence[Start]) -> Calculator:
    """The calculator that the settings ask for, after it was asked whether it knows the elements.

    Raises:
        InputError: when the calculator, its method, a package or an element is not available, or
            the criterion is unknown.
    """
    if settings.criterion not in CRITERIA:
        raise InputError(f"criterion {settings.criterion!r}: expected one of {', '.join(CRITERIA)}")
    try:
        calculator = calculators.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None
    for start in starts:
        wanted(settings.mode, start.atomic_numbers, start.positions, start.ends)
    calculators.require_elements(calculator, {s.name: s.atomic_numbers for s in starts})
    return calculator


def starts_of(settings: SearchSettings) -> list[Start]:
    """The starting points that the settings ask for.

    Raises:
        InputError: when the file, the split or the start can't be used.
    """
    found = reactions.read(settings.h5_path, split=settings.split, max_samples=settings.max_samples)
    if not found:
        raise InputError(
            f"{settings.h5_path or 'the embedded set'}: no reaction in split {settings.split!r}"
        )
    return reactions.starts(found, settings.start_from, settings.noise_seed)
