"""Whether a study can be made as its settings ask, before anything is computed."""

from __future__ import annotations

from gadlib.molecules.recipes import is_portfolio
from gadlib.screening.setup import hyperparameters_of
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.objectives import EASY, bounds_of, objectives_of, require_prefer
from gadlib.settings.reading import InputError
from gadlib.settings.studies import TuneSettings
from gadlib.tuning.choices import STARTS, choices_in
from gadlib.tuning.pruning import WAYS
from gadlib.tuning.samples import n_easy
from gadlib.tuning.space import SAMPLERS, drawn_in, sampler


def require_settings(settings: TuneSettings) -> None:
    """Raise InputError unless a study can be made as the settings ask."""
    hyperparameters_of(settings)
    drawn_in(settings)
    _require_objectives(settings)
    _require_pruning(settings)
    if settings.sampler not in SAMPLERS:
        raise InputError(f"sampler {settings.sampler!r}: expected one of {', '.join(SAMPLERS)}")
    sampler(settings.sampler, settings.seed, settings.n_startup_trials)


def _require_objectives(settings: TuneSettings) -> None:
    names = scored_by(settings)
    require_prefer(settings.prefer)
    for name in names:
        is_asked = name in CRITERIA and CRITERIA[name].is_asked
        if is_asked and settings.criterion != name and not settings.check_ends:
            raise InputError(
                f"objective {name}: nobody asks where saddles lead; expected --criterion {name},"
                " or --check-ends"
            )
    if EASY in names and not n_easy(settings):
        raise InputError(
            f"constraints on easy: easy_share {settings.easy_share:g} of n_samples"
            f" {settings.n_samples} is no reaction; expected one at least"
        )
    several = len(objectives_of(settings.objective, settings.solver)) > 1
    if settings.sampler == "cmaes" and (several or settings.constraints):
        raise InputError(
            "sampler cmaes: knows one objective and no constraints; expected another of"
            f" {', '.join(SAMPLERS)}"
        )


def _require_pruning(settings: TuneSettings) -> None:
    if settings.pruning not in WAYS:
        raise InputError(f"pruning {settings.pruning!r}: expected one of {', '.join(WAYS)}")
    if settings.pruning == "halving_steps" and CRITERIA[settings.criterion].is_asked:
        raise InputError(
            f"pruning halving_steps: with criterion {settings.criterion} it is not kept which"
            " saddles were declined; expected pruning halving, or criterion bound"
        )
    starts = (settings.start_from, *choices_in(settings).get(STARTS, ()))
    if settings.pruning == "halving_steps" and (of := next(filter(is_portfolio, starts), "")):
        raise InputError(
            f"pruning halving_steps: start_from {of} has a search for each of its starts, and how"
            " far several have come is not compared; expected pruning halving, or one start"
        )
    asked = objectives_of(settings.objective, settings.solver)
    if settings.pruning == "wilcoxon" and len(asked) > 1:
        raise InputError(
            f"pruning wilcoxon: knows one objective; expected another of {', '.join(WAYS)}"
        )


def scored_by(settings: TuneSettings) -> set[str]:
    """The objectives that trials are scored by, or have to keep bounds of."""
    asked = objectives_of(settings.objective, settings.solver)
    bounds = bounds_of(settings.constraints, "constraints")
    return {one.name for one in asked} | {bound.name for bound in bounds}
