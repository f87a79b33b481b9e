"""The gain proved: defaults against tuned values on reactions that tuning never saw.

What is made of the records is `report`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gadlib.files.writing import require_writable
from gadlib.molecules.starting_points import Start
from gadlib.screening.inherited import inherit_calculator, take
from gadlib.screening.records import Record
from gadlib.screening.screen import intended_starts, screen
from gadlib.screening.setup import (
    describe_sample,
    hyperparameters_of,
    read_best,
    require_tuned_for,
    starts_of,
    transfers,
)
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import ValidateSettings
from gadlib.tuning.choices import require_words


@dataclass(frozen=True)
class Validation:
    """The same starting points, in the same order, searched with the defaults and tuned.

    Attributes:
        transfer: in what the values were tuned for something else, a part for each.
        choices: the tuned words of settings, as of mode, with which the defaults are not searched.
    """

    hyperparameters: dict[str, float | int | str]
    default: list[Record]
    tuned: list[Record]
    transfer: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)


def validate(settings: ValidateSettings) -> Validation:
    """Defaults and tuned values on reactions that tuning never saw; both sets are resumable.

    Raises:
        InputError: when the tuned values can't be read, or were tuned for something else and
            `allow_transfer` is not set, or the reactions are among those that tuning saw.
    """
    settings = as_tuned(settings)
    tuned, seen = tuned_values(settings)
    choices = tuned_choices(settings)
    require_values(settings, tuned)
    transfer = transfer_of(settings)
    starts = starts_of(settings)
    if note := describe_sample(settings):
        print(note, flush=True)
    known = sorted({s.name for s in starts} & seen)
    if known:
        names = ", ".join(known[:5]) + (", ..." if len(known) > 5 else "")
        raise InputError(
            f"split {settings.split!r} has reactions that tuning saw ({names});"
            " expected a split of others"
        )
    out = require_writable(settings.out_dir)
    plain = SearchSettings.read(
        {name: getattr(settings, name) for name in SearchSettings.model_fields}
    )
    starts = intended_starts(plain, starts, out / "default.json")

    def search(name: str, values: dict[str, Any], words: Mapping[str, str]) -> list[Record]:
        asked = plain.model_copy(update={"hyperparameters": values, **words})
        return screen(
            asked,
            starts=_from_there(asked, starts),
            out=out / f"{name}.json",
            notes={"transfer": transfer},
            desc=f"searching, {name}",
        )

    if transfer:
        print(f"these values were tuned for something else: {'; '.join(transfer)}", flush=True)
    default, best = search("default", {}, {}), search("tuned", tuned, choices)
    return Validation(tuned, default, best, tuple(transfer), choices)


def as_tuned(settings: ValidateSettings) -> ValidateSettings:
    """The settings, with those that the values in `best` were tuned with where none are given.

    What is taken is said on stderr: the calculator, the solver, the start, what ends a search. A
    profile, which knows a checkpoint by its content and not where it lies, gives no calculator.

    Raises:
        InputError: when `best` is not a results file.
    """
    if (path := settings.best) is None:
        return settings
    best = read_best(path)
    about = best.about.model_dump(exclude={"reactions", "easy"})
    earlier = {name: best.settings.get(name, value) for name, value in about.items()}
    if best.settings:
        settings = inherit_calculator(settings, earlier, path)
    kinds = SearchSettings.model_fields.keys() - CalculatorSettings.model_fields.keys()
    taken = {
        name: value
        for name, value in earlier.items()
        if name in kinds - settings.model_fields_set and value != getattr(settings, name)
    }
    if not taken:
        return settings
    try:
        return take(settings, taken, path)
    except InputError as error:
        raise InputError(f"{path}: about: {error}") from None


def _from_there(asked: SearchSettings, starts: Sequence[Start]) -> list[Start]:
    """The starting points of the same reactions by the recipe that is asked for."""
    wanted = {(start.name, start.formula, start.split) for start in starts}
    if {start.start for start in starts} == {asked.start_from}:
        return [*starts]
    return [s for s in starts_of(asked) if (s.name, s.formula, s.split) in wanted]


def tuned_choices(settings: ValidateSettings) -> dict[str, str]:
    """The tuned words of settings, as of mode, by name.

    Raises:
        InputError: when `best` is not a results file, or a word can't be used.
    """
    if settings.best is None:
        return {}
    found = dict(read_best(settings.best).best_choices)
    require_words(found, settings.best)
    return found


def require_values(settings: ValidateSettings, tuned: Mapping[str, float | int | str]) -> None:
    """Raise InputError, with the file, unless the solver may have these hyperparameters."""
    try:
        hyperparameters_of(settings.model_copy(update={"hyperparameters": dict(tuned)}))
    except InputError as error:
        raise InputError(f"{settings.best}: {error}" if settings.best else str(error)) from None


def transfer_of(settings: ValidateSettings) -> list[str]:
    """In what the values in `best` were tuned for something else, which has to be allowed.

    Raises:
        InputError: when it is not.
    """
    if settings.best is None:
        return []
    best = read_best(settings.best)
    if not settings.allow_transfer:
        require_tuned_for(best, settings.best, settings)
    return transfers(best, settings)


def tuned_values(settings: ValidateSettings) -> tuple[dict[str, float | int | str], set[str]]:
    """The tuned hyperparameters, and the names of the reactions that tuning saw.

    Raises:
        InputError: when `best` is not a results file with a completed trial, or there is nothing to
            validate.
    """
    if settings.best is None:
        if not settings.hyperparameters:
            raise InputError(
                "nothing to validate: expected --best hpo_results.json, or hyperparameters"
            )
        return dict(settings.hyperparameters), set()
    found = read_best(settings.best)
    raced = [] if found.race is None else found.race.samples
    return dict(found.best_params) | settings.hyperparameters, {
        *found.about.reactions,
        *found.about.easy,
        *raced,
    }
