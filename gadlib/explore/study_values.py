"""What a study found best, for the widgets: numbers, words of its solver, words of settings.

Nothing here draws anything; `controls` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gadlib.files.reading import read_json
from gadlib.files.shapes import StudyKept, TuningFile, fit
from gadlib.screening.setup import read_best, transfers
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.profiles import path_of
from gadlib.settings.reading import InputError, shown
from gadlib.settings.searches import SearchSettings
from gadlib.tuning import tune
from gadlib.tuning.choices import of_settings, of_solver, require_words
from gadlib.tuning.ranges import AtEnd, at_ends, read_at_ends
from gadlib.tuning.tried import Words, words_in, words_of


class StudyValues(NamedTuple):
    """The best values of a study.

    Attributes:
        hyperparameters: the solver's numbers, filled up with defaults, and what words it chose.
        words: chosen for settings of the search, as `mode` and `start_from`.
        tried: every word that its trials could choose, of settings and of the solver.
        at_ends: values that lie at an end of the range that they were drawn from.
    """

    hyperparameters: dict[str, float | str]
    words: dict[str, str]
    tried: Words
    at_ends: tuple[AtEnd, ...] = ()


def study_best(where: str, study_name: str | None, solver: str) -> StudyValues:
    """The best values of a study.

    Args:
        where: its `hpo_results.json`, a profile by its file or name, its SQLite file or its URL.
        study_name: where several are in one storage.
        solver: that it is of.

    Raises:
        InputError: when there is no such study, no completed trial, or it is of another solver.
    """
    if not where.strip():
        raise InputError("no study: expected a path of hpo_results.json, or of the study's SQLite")
    where = _place(where)
    found = _from_results(where) if where.endswith(".json") else _from_study(where, study_name)
    where, own = _shown(where), found.hyperparameters
    strange = sorted(own.keys() - _declared(solver))
    if other := [name for name in SOLVERS if strange and own.keys() <= _declared(name)]:
        raise InputError(
            f"{where}: a study of solver {other[0]!r}; expected one of {solver!r}, or that solver"
            " chosen"
        )
    if strange:
        raise InputError(f"{where}: {', '.join(strange)} is no hyperparameter of solver {solver!r}")
    _require_values(own, solver, where)
    require_words(found.words, where)
    defaults = {declared.name: declared.default for declared in SOLVERS[solver].tunable()}
    return found._replace(hyperparameters={**defaults, **own})


def tuned_for_else(where: str, study_name: str | None, settings: SearchSettings) -> str:
    """A sentence on what the study was tuned for that the settings are not; empty if there is none.

    Raises:
        InputError: when there is no such study.
    """
    where = _place(where)
    if where.endswith(".json"):
        best = read_best(where)
    else:
        study = tune.load(where if "://" in where else f"sqlite:///{where}", study_name)
        trial = tune.preferred(study)
        stored = {
            "best_params": {"": 0},
            "best_choices": of_settings({} if trial is None else trial.params),
            "about": study.user_attrs.get("gadlib", {}),
        }
        best = fit(TuningFile, stored, _shown(where))
    changes = transfers(best, settings)
    return f"It was tuned for something else: {'; '.join(changes)}." if changes else ""


def _declared(solver: str) -> set[str]:
    kind = SOLVERS[solver]
    return {declared.name for declared in (*kind.tunable(), *kind.choices())}


def _from_results(where: str) -> StudyValues:
    best = read_best(where)
    kept = fit(StudyKept, read_json(where), where)
    at_end = read_at_ends(kept)
    return StudyValues(dict(best.best_params), dict(best.best_choices), words_in(kept), at_end)


def _from_study(where: str, study_name: str | None) -> StudyValues:
    study = tune.load(where if "://" in where else f"sqlite:///{where}", study_name)
    where, best = _shown(where), tune.preferred(study)
    if best is None:
        raise InputError(f"{where}: no completed trial in it, so there are no best values")
    return StudyValues(
        of_solver(best.params), of_settings(best.params), words_of(study), at_ends(best)
    )


def _place(where: str) -> str:
    where = where.strip()
    return where if "://" in where else str(path_of(where))


def _shown(where: str) -> str:
    return tune.without_password(where) if "://" in where else where


def _require_values(found: Mapping[str, Any], solver: str, where: str) -> None:
    words = {choice.name: choice.values for choice in SOLVERS[solver].choices()}
    for name, value in found.items():
        is_number = isinstance(value, int | float)
        if name in words and value not in words[name]:
            expected = f"one of {', '.join(words[name])}"
        elif name not in words and not is_number:
            expected = "a number"
        else:
            continue
        raise InputError(f"{where}: {name} = {shown(value)}: expected {expected}")
