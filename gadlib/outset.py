"""What a search sets out with, as settings ask: hyperparameters, a calculator, starting points.

What can't be followed is refused here, before anything is computed. Floor 3.5.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gadlib import calculators, reactions
from gadlib.batch import Calculator
from gadlib.criteria import CRITERIA
from gadlib.directions import require_mode, wanted
from gadlib.hyperparameters import SOLVERS, Hyperparameters
from gadlib.input import InputError, explain, shown
from gadlib.reactions import Start
from gadlib.records import read_json
from gadlib.settings import SearchSettings, SetSettings, identity
from gadlib.shapes import TuningFile, fit


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


def identity_of(settings: SetSettings, *, without: Collection[str] = ()) -> dict[str, Any]:
    """What results depend on, as the settings declare it.

    The one answer to what a study, a cached sample and a file of results are about; a checkpoint is
    told by its content, hyperparameters in full.

    Args:
        settings: of a run.
        without: what is told otherwise, "starts" or "knobs".

    Raises:
        InputError: when a knob or a checkpoint can't be used.
    """
    found = identity(settings, without=without) | calculators.identity(settings)
    is_peer = getattr(settings, "solver", None) not in SOLVERS  # it has none, or none of ours
    if isinstance(settings, SearchSettings) and "hyperparameters" in found and not is_peer:
        found["hyperparameters"] = hyperparameters_of(settings).model_dump()
    return found


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], settings: SetSettings
) -> list[str]:
    """What differs between the identity of something earlier and that of now, a part for each.

    What the earlier one does not tell, because the setting is newer, had its default then.

    Args:
        before: the earlier identity.
        now: of `identity_of`, with what else it is compared by.
        settings: that `now` is of, which tell defaults.
    """
    told = []
    fields = type(settings).model_fields
    for name, value in now.items():
        is_told = name in before or name not in fields
        earlier = before.get(name) if is_told else fields[name].get_default()
        if earlier == value:
            continue
        if isinstance(earlier, Mapping) and isinstance(value, Mapping):
            keys = [k for k in {**value, **earlier} if earlier.get(k) != value.get(k)]
            parts = [(f"{name} of {k}", earlier.get(k), value.get(k)) for k in keys]
        else:
            parts = [(name, earlier, value)]
        silent = "" if is_told else " (its default; it was not kept)"
        told += [f"{n} was {shown(was)}{silent}, now {shown(is_)}" for n, was, is_ in parts]
    return told


def read_best(path: str | Path) -> TuningFile:
    """The tuned values in an `hpo_results.json`, and what they were tuned for.

    Raises:
        InputError: when it is no such file, or no trial in it is complete.
    """
    found = fit(TuningFile, read_json(path), path, expected="an hpo_results.json with best_params")
    if not found.best_params:
        raise InputError(f"{path}: no completed trial in it, so there are no best values")
    numbers = {knob.name for kind in SOLVERS.values() for knob in kind.knobs()}
    for name, value in found.best_params.items():
        if isinstance(value, str) and name in numbers:
            raise InputError(f"{path}: best_params.{name} = {shown(value)}: expected a number")
    return found


def transfers(best: TuningFile, settings: SetSettings) -> list[str]:
    """In what the tuning was about something else than the settings are, a part for each.

    A file that does not say what it is about tells nothing.
    """
    about = best.about.model_dump()
    if len(about) < 2:  # `reactions` alone: written by hand, or by another program
        return []
    return differences(about, identity_of(settings, without=("starts", "knobs")), settings)


def require_tuned_for(best: TuningFile, path: str | Path, settings: SetSettings) -> None:
    """Nothing, when the values were tuned for what the settings ask for.

    Raises:
        InputError: naming what differs.
    """
    if told := transfers(best, settings):
        raise InputError(
            f"{path} was tuned for something else: {'; '.join(told)}; expected the same settings,"
            " or --allow-transfer (a job: ALLOW_TRANSFER=1)"
        )


def require_usable(settings: SetSettings) -> None:
    """Nothing, when all that the settings choose by a word is there, as far as words tell.

    Nothing is built or read but the list of reactions.

    Raises:
        InputError: naming what is not.
    """
    if settings.calculator not in calculators.NAMES:
        raise InputError(
            f"calculator {shown(settings.calculator)}: expected one of"
            f" {', '.join(calculators.NAMES)}"
        )
    if settings.criterion not in CRITERIA:
        raise InputError(
            f"criterion {shown(settings.criterion)}: expected one of {', '.join(CRITERIA)}"
        )
    require_mode(settings.mode)
    if isinstance(settings, SearchSettings):
        hyperparameters_of(settings)
        reactions.parse_start(settings.start_from)
    if settings.calculator in ("scine", "surface"):  # quick to make; others may load a model
        try:
            calculators.build(settings)
        except (ValueError, ImportError) as error:
            raise InputError(str(error)) from None
    starts_there(settings)


def starts_there(settings: SetSettings) -> None:
    """Nothing, when the set has a reaction in the splits that are asked for.

    Raises:
        InputError: when it has none, or can't be read.
    """
    if not reactions.read(settings.h5_path, split=settings.split, max_samples=1):
        raise InputError(
            f"{settings.h5_path or 'the embedded set'}: no reaction in split"
            f" {shown(settings.split)}"
        )


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
