"""What a search sets out with, as settings ask: hyperparameters, a calculator, starting points.

What can't be followed is refused here, before anything is computed; what is wrong with one start is
told with it. Floor 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import ValidationError

from gadlib import calculators, reactions
from gadlib.batch import Calculator
from gadlib.criteria import CRITERIA
from gadlib.directions import wanted
from gadlib.hyperparameters import SOLVERS, Hyperparameters
from gadlib.input import InputError, explain
from gadlib.reactions import Reaction, Start, require_some
from gadlib.settings import SearchSettings, SetSettings


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
        InputError: when the calculator, its method or a package is not available, the criterion is
            unknown, or no start can be searched with it.
    """
    if settings.criterion not in CRITERIA:
        raise InputError(f"criterion {settings.criterion!r}: expected one of {', '.join(CRITERIA)}")
    try:
        calculator = calculators.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None
    usable = known_to(calculator, starts)
    for start in usable:
        if not start.problem:
            wanted(settings.mode, start.atomic_numbers, start.positions, start.ends)
    require_some(usable, settings.calculator)
    return calculator


def known_to(calculator: Calculator, starts: Sequence[Start]) -> list[Start]:
    """The starts; those with an element that the calculator lacks have this for their problem."""
    lacking = calculators.lacking(calculator, [start.atomic_numbers for start in starts])
    return [
        replace(start, problem=reason) if reason and not start.problem else start
        for start, reason in zip(starts, lacking, strict=True)
    ]


def starts_of(settings: SearchSettings) -> list[Start]:
    """The starting points that the settings ask for.

    Raises:
        InputError: when the file, the split or the start can't be used.
    """
    return reactions.starts(reactions_of(settings), settings.start_from, settings.noise_seed)


def reactions_of(settings: SetSettings) -> list[Reaction]:
    """The reactions that the settings ask for.

    Raises:
        InputError: when the file, the split or the sample can't be used, or there is none.
    """
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    found = reactions.read(
        settings.h5_path, split=settings.split, max_samples=settings.max_samples, sample_seed=seed
    )
    if not found:
        raise InputError(
            f"{settings.h5_path or 'the embedded set'}: no reaction in split {settings.split!r};"
            " expected at least one"
        )
    return found


def told_sample(settings: SetSettings) -> str:
    """Which of the reactions are taken, in a sentence; empty where all are.

    Raises:
        InputError: when the file or the split can't be used.
    """
    n = reactions.count(settings.h5_path, split=settings.split)
    if n <= settings.max_samples:
        return ""
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    how = "the first ones" if seed is None else f"drawn with sample_seed {seed}"
    return f"{settings.max_samples} of {n} reactions (split {settings.split}), {how}"
