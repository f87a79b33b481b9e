"""What a suite compares solvers on: its starting points, and the reactions that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gadlib.molecules import reactions, starting_points
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.starting_points import Start
from gadlib.paths.finding import within
from gadlib.screening.setup import describe_sample, reactions_of
from gadlib.settings.benchmarks import SUITES, BenchmarkSettings
from gadlib.settings.reading import InputError, shown


def starts_and_reactions(settings: BenchmarkSettings) -> tuple[list[Start], list[Reaction]]:
    """The starts by all recipes, one recipe after the other, and their reactions if they have any.

    Raises:
        InputError: when the set, a recipe or the file of geometries can't be used.
    """
    if settings.suite not in SUITES:
        raise InputError(f"suite {shown(settings.suite)}: expected one of {', '.join(SUITES)}")
    if settings.suite == "calls":
        return _geometries(settings), []
    if settings.suite == "rdb7" and settings.h5_path is None:
        raise InputError(
            "suite rdb7: h5_path is not given; expected a file in the Transition1x layout"
        )
    found = reactions_of(settings)
    if sentence := describe_sample(settings):
        print(sentence, flush=True)
    return starts_of(settings, found), found


def starts_of(settings: BenchmarkSettings, found: Sequence[Reaction]) -> list[Start]:
    """The starts by all recipes, one recipe after the other.

    Those of the suite `ends` know nothing of the transition state: a saddle may be in as many
    pieces as the ends are.

    Raises:
        InputError: when a recipe is unknown.
    """
    if settings.suite == "ends":
        begun = [within(start) for start in starting_points.starts(found, "reactant")]
        return [replace(start, start="ends") for start in begun]
    recipes = dict.fromkeys(part.strip() for part in settings.starts.split(","))
    seed = settings.noise_seed
    return [start for recipe in recipes for start in starting_points.starts(found, recipe, seed)]


def _geometries(settings: BenchmarkSettings) -> list[Start]:
    if settings.geometries is None:
        raise InputError(
            "suite calls: geometries is not given; expected a file of saddle guesses, e.g. extxyz"
        )
    found = starting_points.read_geometries(settings.geometries, **settings.electrons)
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    return [found[i] for i in reactions.drawn(len(found), settings.max_samples, seed)]
