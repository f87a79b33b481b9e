"""What a study tunes beside numbers: words, of settings that may be drawn and of the solver.

Which settings may be is declared beside them (`effects.DRAWABLE`). Hyperparameters that act only
under some of a solver's words say so in their declarations (`Hyperparameter.acts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import Trial

from gadlib.evaluation import Calculator
from gadlib.molecules.recipes import parse_starts
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError, shown
from gadlib.settings.searches import SearchSettings
from gadlib.settings.studies import TuneSettings
from gadlib.solver.mode_following import require_mode
from gadlib.solver.trust.curvature import is_hessian_costly

STARTS = "start_from"
"""The setting that chooses where searches begin."""

_CHECKS = {"mode": require_mode, STARTS: parse_starts}


def drawable() -> tuple[str, ...]:
    """The settings of a search that a study may choose."""
    fields = SearchSettings.model_fields
    return tuple(name for name in fields if SearchSettings.extra(name).get("is_drawable"))


def choices_in(settings: TuneSettings) -> dict[str, tuple[str, ...]]:
    """The words that trials choose from, by name; trial 0 takes that of the settings.

    Raises:
        InputError: when a name may not be chosen, a word is unknown, or there is no choice.
    """
    words = {choice.name: choice for choice in SOLVERS[settings.solver].choices()}
    found: dict[str, tuple[str, ...]] = {}
    for name, given in settings.choices.items():
        where = f"choices: {name} = {shown(list(given))}"
        if name not in words and name not in drawable():
            known = ", ".join((*drawable(), *words))
            raise InputError(f"{where}: expected one of {known} for solver {settings.solver!r}")
        if name in settings.hyperparameters:
            raise InputError(f"choices: {name}: has choices and one value; expected one of them")
        if len(set(given)) < max(2, len(given)):
            raise InputError(f"{where}: expected two words or more, each once")
        for word in given:
            if name in words and word not in words[name].values:
                allowed = ", ".join(words[name].values)
                raise InputError(f"{where}: {shown(word)}: expected some of {allowed}")
            if name in _CHECKS:
                _CHECKS[name](word)
        if (own := _own(settings, name)) not in given:
            raise InputError(
                f"{where}: expected {own} among them, which trial 0, the defaults, runs with"
            )
        found[name] = tuple(given)
    return found


def _own(settings: TuneSettings, name: str) -> str:
    """The word that the settings have."""
    words = {choice.name: choice.default for choice in SOLVERS[settings.solver].choices()}
    return words[name] if name in words else str(getattr(settings, name))


def own_choices(settings: TuneSettings) -> dict[str, str]:
    """The words of trial 0."""
    return {name: _own(settings, name) for name in choices_in(settings)}


def choose(trial: Trial, choices: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The words that the trial draws, by name."""
    return {name: str(trial.suggest_categorical(name, of)) for name, of in choices.items()}


def require_words(words: Mapping[str, str], where: str) -> None:
    """Raise InputError unless a file's words are such as settings may have; it names the file."""
    for name, word in words.items():
        if name not in drawable():
            known = ", ".join(drawable())
            raise InputError(f"{where}: best_choices.{name}: expected some of {known}")
        try:
            _CHECKS[name](word)
        except ValueError as error:
            raise InputError(f"{where}: {error}") from None


def of_settings(params: Mapping[str, Any]) -> dict[str, str]:
    """Of what a trial has drawn the words that are settings of its searches."""
    return {name: str(params[name]) for name in drawable() if name in params}


def of_solver(params: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a trial has drawn the values that are its solver's: numbers and words."""
    return {name: value for name, value in params.items() if name not in drawable()}


def words_in_force(
    settings: TuneSettings, chosen: Mapping[str, str], calculator: Calculator | None = None
) -> dict[str, str]:
    """The solver's words with which a trial is searched.

    Args:
        settings: of the study.
        chosen: by the trial.
        calculator: which says what `exact_hessians` auto stands for; None leaves it auto.
    """
    found = {
        choice.name: str(chosen.get(choice.name, settings.hyperparameters.get(choice.name)))
        if choice.name in chosen or choice.name in settings.hyperparameters
        else choice.default
        for choice in SOLVERS[settings.solver].choices()
    }
    if found.get("exact_hessians") == "auto" and calculator is not None:
        found["exact_hessians"] = "proof" if is_hessian_costly(calculator) else "often"
    return found
