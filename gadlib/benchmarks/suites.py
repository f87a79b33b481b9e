"""What a suite compares solvers on: its starting points, and the reactions that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gadlib.molecules import reactions, starting_points
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.starting_points import Start
from gadlib.paths.ends import within
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
    if reason := lacks_file(settings):
        raise InputError(f"suite {settings.suite}: {reason}")
    if settings.suite == "calls":
        return _geometries(settings), []
    found = reactions_of(settings)
    if sentence := describe_sample(settings):
        print(sentence, flush=True)
    return starts_of(settings, found), found


def lacks_file(settings: BenchmarkSettings) -> str:
    """What the suite would read and is not given, in words; empty where nothing is missing."""
    file = SUITES[settings.suite].file
    is_given = not file or getattr(settings, file) is not None
    return "" if is_given else f"{file} is not given; expected {_EXPECTED[file]}"


_EXPECTED = {
    "h5_path": "a file in the Transition1x layout",
    "geometries": "a file of saddle guesses, e.g. extxyz",
}


def starts_of(settings: BenchmarkSettings, found: Sequence[Reaction]) -> list[Start]:
    """The starts by all recipes, one recipe after the other.

    Those of suites from ends know nothing of the transition state: a saddle may be in as many
    pieces as the ends are.

    Raises:
        InputError: when a recipe is unknown.
    """
    if SUITES[settings.suite].is_from_ends:
        begun = [within(start) for start in starting_points.starts(found, "reactant")]
        return [replace(start, start="ends") for start in begun]
    recipes = dict.fromkeys(part.strip() for part in settings.starts.split(","))
    seed = settings.noise_seed
    return [start for recipe in recipes for start in starting_points.starts(found, recipe, seed)]


def _geometries(settings: BenchmarkSettings) -> list[Start]:
    found = starting_points.read_geometries(settings.geometries or "", **settings.electrons)
    seed = reactions.seed_of(settings.sample, settings.sample_seed)
    return [found[i] for i in reactions.drawn(len(found), settings.max_samples, seed)]
