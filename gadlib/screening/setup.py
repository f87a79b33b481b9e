"""What a search sets out with, as settings ask: hyperparameters, a calculator, starting points.

What can't be followed is refused here, before anything is computed; what is wrong with one start is
named with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from gadlib import calculators
from gadlib.evaluation import Calculator
from gadlib.files.reading import read_json
from gadlib.files.shapes import TuningFile, fit
from gadlib.molecules import reactions, starting_points
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.recipes import parse_starts
from gadlib.molecules.starting_points import Start, require_some
from gadlib.screening import remembered
from gadlib.screening.ends import mark_without_ends
from gadlib.settings.calculators import identity
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.profiles import path_of
from gadlib.settings.reading import InputError, explain, shown
from gadlib.settings.searches import SearchSettings, SetSettings
from gadlib.solver.mode_following import read_aim, require_mode

Named = TypeVar("Named", Reaction, Start)


def hyperparameters_of(settings: SearchSettings) -> Hyperparameters:
    """The hyperparameters that the settings ask for.

    Raises:
        InputError: when the solver or a hyperparameter is unknown, or a value is out of its range.
    """
    if settings.solver not in SOLVERS:
        raise InputError(
            f"solver {settings.solver!r}: expected one of {', '.join((*SOLVERS, 'auto'))}"
        )
    try:
        return SOLVERS[settings.solver](**settings.hyperparameters)
    except ValidationError as error:
        raise InputError(explain(error)) from None


def identity_of(settings: SetSettings, *, without: Collection[str] = ()) -> dict[str, Any]:
    """What results depend on, as the settings declare it.

    The one answer to what a study, a cached sample and a file of results are about; a checkpoint is
    named by its content, hyperparameters in full, a cheap potential only where one is used.

    Args:
        settings: of a run.
        without: what is compared otherwise, "starts" or "hyperparameters".

    Raises:
        InputError: when a hyperparameter or a checkpoint can't be used.
    """
    found = identity(settings, without=without) | calculators.identity(settings)
    kind = SOLVERS.get(getattr(settings, "solver", ""))
    is_peer = kind is None  # it has no hyperparameters, or none of ours
    if kind is None or not kind.needs_cheap:
        found.pop("cheap", None)
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
    changes = []
    fields = type(settings).model_fields
    for name, value in now.items():
        is_kept = name in before or name not in fields
        earlier = before.get(name) if is_kept else fields[name].get_default()
        if earlier == value:
            continue
        if isinstance(earlier, Mapping) and isinstance(value, Mapping):
            keys = [k for k in {**value, **earlier} if earlier.get(k) != value.get(k)]
            parts = [(f"{name} of {k}", earlier.get(k), value.get(k)) for k in keys]
        else:
            parts = [(name, earlier, value)]
        silent = "" if is_kept else " (its default; it was not kept)"
        changes += [f"{n} was {shown(was)}{silent}, now {shown(is_)}" for n, was, is_ in parts]
    return changes


def read_best(path: str | Path) -> TuningFile:
    """The tuned values in an `hpo_results.json` or a profile, and what they were tuned for.

    Args:
        path: of the file, or the name of a shipped profile.

    Raises:
        InputError: when it is no such file, or no trial in it is complete.
    """
    path = path_of(str(path))
    found = fit(TuningFile, read_json(path), path, expected="an hpo_results.json with best_params")
    if not found.best_params:
        raise InputError(f"{path}: no completed trial in it, so there are no best values")
    numbers = {h.name for kind in SOLVERS.values() for h in kind.tunable()}
    for name, value in found.best_params.items():
        if isinstance(value, str) and name in numbers:
            raise InputError(f"{path}: best_params.{name} = {shown(value)}: expected a number")
    return found


def transfers(best: TuningFile, settings: SetSettings) -> list[str]:
    """In what the tuning was about something else than the settings are, a part for each.

    A file that does not say what it is about tells nothing. A word that the study itself chose, as
    of mode, is what it was tuned for, whatever its defaults ran with.
    """
    about = best.about.model_dump(exclude={"easy"})
    if len(about) < 2:  # `reactions` alone: written by hand, or by another program
        return []
    now = identity_of(settings, without=("starts", "hyperparameters"))
    chosen = {name for name, word in best.best_choices.items() if now.get(name) == word}
    return differences(about, {k: v for k, v in now.items() if k not in chosen}, settings)


def require_tuned_for(best: TuningFile, path: str | Path, settings: SetSettings) -> None:
    """Raise InputError, with what differs, unless the values were tuned for what is asked for."""
    if changes := transfers(best, settings):
        raise InputError(
            f"{path} was tuned for something else: {'; '.join(changes)};"
            " expected the same settings, or --allow-transfer (a job: ALLOW_TRANSFER=1)"
        )


def require_usable(settings: SetSettings) -> None:
    """Raise InputError unless all that the settings choose by a word is there.

    Nothing is built or read but the list of reactions.
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
        parse_starts(settings.start_from)
    if calculators.KINDS[settings.calculator].is_quick:  # others may load a model
        try:
            remembered.build(settings)
        except (ValueError, ImportError) as error:
            raise InputError(str(error)) from None
    require_reactions(settings)


def require_reactions(settings: SetSettings) -> None:
    """Raise InputError unless the set can be read and has a reaction in the splits asked for."""
    if not reactions.read(
        settings.h5_path, split=settings.split, max_samples=1, **settings.electrons
    ):
        raise InputError(
            f"{settings.h5_path or 'the embedded set'}: no reaction in split"
            f" {shown(settings.split)}"
        )


def calculator_of(settings: SearchSettings, starts: Sequence[Start]) -> Calculator:
    """The calculator that the settings ask for, after it was asked whether it knows the molecules.

    Raises:
        InputError: when the calculator, its method or a package is not available, the criterion is
            unknown, or no start can be searched with it.
    """
    if settings.criterion not in CRITERIA:
        raise InputError(f"criterion {settings.criterion!r}: expected one of {', '.join(CRITERIA)}")
    try:
        calculator = remembered.build(settings)
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None
    calculator = paired(settings, starts, calculator)
    usable = mark_without_ends(settings.criterion, mark_unknown(calculator, starts))
    for start in usable:
        if not start.problem:
            read_aim(settings.mode, start.atomic_numbers, start.positions, start.ends)
    require_some(usable, settings.calculator)
    return calculator


def paired(settings: SearchSettings, starts: Sequence[Start], calculator: Calculator) -> Calculator:
    """The calculator, with a cheap one beside it where the solver needs that.

    Raises:
        InputError: when there is none that can be used.
    """
    kind = SOLVERS.get(settings.solver)
    if kind is None or not kind.needs_cheap:
        return calculator
    return calculators.pair(calculator, settings.cheap, starts, settings)


def mark_unknown(calculator: Calculator, starts: Sequence[Start]) -> list[Start]:
    """The starts; those with elements or electrons that the calculator does not know say so."""
    lacking = calculators.lacking(calculator, starts)
    return [
        replace(start, problem=reason) if reason and not start.problem else start
        for start, reason in zip(starts, lacking, strict=True)
    ]


def starts_of(settings: SearchSettings) -> list[Start]:
    """The starting points that the settings ask for.

    Raises:
        InputError: when the file, the split or the start can't be used.
    """
    return starting_points.starts(reactions_of(settings), settings.start_from, settings.noise_seed)


def reactions_of(settings: SetSettings) -> list[Reaction]:
    """The reactions that the settings ask for.

    Raises:
        InputError: when the file, the split or the sample can't be used, or there is none.
    """
    if settings.only is not None:
        everything = reactions.read(settings.h5_path, split=settings.split)
        where = f"{settings.h5_path or 'the embedded set'}, split {shown(settings.split)}"
        return named(everything, settings.only, where)
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    found = reactions.read(
        settings.h5_path,
        split=settings.split,
        max_samples=settings.max_samples,
        sample_seed=seed,
        **settings.electrons,
    )
    if not found:
        raise InputError(
            f"{settings.h5_path or 'the embedded set'}: no reaction in split {settings.split!r};"
            " expected at least one"
        )
    return found


def named(found: Sequence[Named], only: str | None, where: str) -> list[Named]:
    """Those of that name, in their order; all where it is None.

    Args:
        found: reactions, or starting points.
        only: the name.
        where: they are from, for a message.

    Raises:
        InputError: when there is none.
    """
    if only is None:
        return list(found)
    if chosen := [each for each in found if each.name == only]:
        return chosen
    names = [each.name for each in found]
    near = get_close_matches(only, names, n=1) or names[:1]
    raise InputError(
        f"only = {shown(only)}: none of that name in {where}; expected one such as {shown(*near)}"
    )


def describe_sample(settings: SetSettings) -> str:
    """Which of the reactions are taken, in a sentence; empty where all are.

    Raises:
        InputError: when the file or the split can't be used.
    """
    n = reactions.count(settings.h5_path, split=settings.split)
    if settings.only is not None or n <= settings.max_samples:
        return ""
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    how = "the first ones" if seed is None else f"drawn with sample_seed {seed}"
    return f"{settings.max_samples} of {n} reactions (split {settings.split}), {how}"
