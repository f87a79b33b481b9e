"""The saddles of reactions from reactants and products: files of one's own, or all of a set.

What is done for a reaction is said in `finding`; the loop over many, on several processes and
resumable, is `gadlib.screening.screen`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from gadlib.evaluation import Calculator
from gadlib.molecules import geometries, starting_points
from gadlib.molecules.ends import ends_problem
from gadlib.molecules.geometries import Geometry
from gadlib.molecules.interpolation import require_interpolation
from gadlib.molecules.pairs import Pair, match_atoms, paired, require_same_atoms
from gadlib.molecules.recipes import is_portfolio
from gadlib.molecules.starting_points import Start, hill_formula, require_some
from gadlib.paths.ends import within
from gadlib.paths.finding import find_each
from gadlib.paths.plans import Plan
from gadlib.screening.records import Record
from gadlib.screening.screen import screen
from gadlib.screening.setup import reactions_of
from gadlib.settings.reading import InputError, shown
from gadlib.settings.searches import FindSettings
from gadlib.systems.batch import atom_label

End = str | Path | Atoms
"""A file with one molecule, or ASE's atoms."""

GUESS = "guess"
"""What records name in the place of a recipe, where a guess of one's own was given."""


def find(
    reactant: End | None = None,
    product: End | None = None,
    settings: FindSettings | None = None,
    *,
    guess: End | None = None,
    calculator: Calculator | str | None = None,
    out: str | Path | None = None,
    **given: Any,
) -> list[Record]:
    """A record for each reaction, with the saddle that joins its reactant and product.

    `verdict` says what it joins, `n_gradient` what ends, images and searches cost,
    `n_path_gradient` what the way downhill did. A reaction whose saddle is not found is a record
    that says so.

    Args:
        reactant: one molecule; without both ends, the reactions that the settings name.
        product: the same atoms, in whatever order.
        settings: what to do and how, by default the defaults.
        guess: of the saddle, the same atoms in whatever order; searches begin there, and go on
            from images where that leads to another saddle. Of a set `start_from` says it.
        calculator: one of gadlib's, or its name; by default the one that the settings name.
        out: result file, as of `gadlib.search`.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when a setting or a file can't be used, or the ends are no reaction.
    """
    settings = FindSettings.read({}) if settings is None else settings
    if isinstance(guess, str | Path):
        given, guess = given | {"guess": str(guess)}, None
    if isinstance(calculator, str):
        given, calculator = given | {"calculator": calculator}, None
    asked = {name: getattr(settings, name) for name in settings.model_fields_set} | given
    settings = FindSettings.read(asked)
    require_interpolation(settings.interpolation)
    if (reactant is None) != (product is None):
        lacking = "reactant" if reactant is None else "product"
        raise InputError(f"the {lacking} is not given; expected both ends, or neither for a set")
    images = f"{settings.interpolation}_rp"
    recipe = str(asked.get("start_from", images))
    guess = settings.guess if guess is None else guess
    if reactant is None or product is None:
        if guess is not None:
            raise InputError("a guess without ends: expected reactant and product, or start_from")
        starts = _of_set(settings, recipe, images)
    else:
        if recipe != images:
            raise InputError(
                f"start_from {shown(recipe)}: expected none with files, whose guess is `guess`"
            )
        name = images if guess is None else GUESS
        starts = [replace(_of_ends(reactant, product, guess, settings), start=name)]
    plan = Plan(
        settings.n_images,
        settings.budget,
        settings.relax_ends,
        settings.interpolation,
        has_guess=guess is not None or recipe != images,
    )
    return screen(
        settings,
        starts=starts,
        calculator=calculator,
        out=out,
        compute=partial(find_each, plan=plan),
        desc="finding",
    )


def _of_set(settings: FindSettings, recipe: str, images: str) -> list[Start]:
    """The reactions of a set; at a recipe's points where these are guesses, and no image's."""
    at = "reactant" if recipe == images else recipe
    if is_portfolio(recipe):
        raise InputError(
            f"start_from {shown(recipe)}: a search from several starts in turn; expected one guess,"
            " as searches go on from images anyway"
        )
    found = starting_points.starts(reactions_of(settings), at, settings.noise_seed)
    return [replace(within(start), start=recipe) for start in found]


def _of_ends(reactant: End, product: End, guess: End | None, settings: FindSettings) -> Start:
    """The reaction of one's own ends; at the guess, if there is one."""
    start = pair(_end(reactant, settings, "reactant"), _end(product, settings, "product"))
    require_some([start], "these ends")
    return start if guess is None else _from_guess(start, _end(guess, settings, "guess"))


def pair(reactant: Geometry, product: Geometry) -> Start:
    """The reaction of two molecules, the product's atoms in the reactant's order, superposed.

    Where files number the atoms otherwise, the order follows from the bonds.

    Raises:
        InputError: when they are not of the same atoms and electrons, or the same geometry.
    """
    numbers, others = reactant.atomic_numbers, product.atomic_numbers
    require_same_atoms(numbers, others)
    electrons = [(one.charge, one.multiplicity) for one in (reactant, product)]
    if electrons[0] != electrons[1]:
        told = [f"a charge of {q:+d} and a multiplicity of {m}" for q, m in electrons]
        raise InputError(
            f"the reactant has {told[0]}, the product {told[1]}: expected the same of both"
        )
    both = _paired(numbers, reactant.positions, others, product.positions)
    if problem := ends_problem(numbers, both.reactant, both.product):
        raise InputError(problem)
    start = Start(
        name=reactant.name,
        formula=hill_formula(numbers),
        split="",
        start="idpp_rp",
        noise_seed=None,
        atomic_numbers=numbers,
        positions=both.reactant,
        max_fragments=1,
        ends=(both.reactant, both.product),
        charge=reactant.charge,
        multiplicity=reactant.multiplicity,
    )
    return within(start)


def _from_guess(start: Start, guess: Geometry) -> Start:
    """The reaction with a guess of its saddle, whose atoms are brought into the ends' order.

    Raises:
        InputError: when that is not of the same atoms and electrons, or its order can't be told.
    """
    require_same_atoms(start.atomic_numbers, guess.atomic_numbers, "guess")
    if (guess.charge, guess.multiplicity) != (start.charge, start.multiplicity):
        raise InputError(
            f"the guess has a charge of {guess.charge:+d} and a multiplicity of"
            f" {guess.multiplicity}: expected those of reactant and product"
        )
    order = list(_order_of_guess(start, guess.atomic_numbers, guess.positions))
    return replace(start, positions=guess.positions[order])


def _order_of_guess(start: Start, others: np.ndarray, positions: np.ndarray) -> Sequence[int]:
    """Which atom of a guess stands at each place: as given, or as its bonds tell beside both ends.

    On a way between the ends no more bonds change than from end to end, but for `_HALF_MADE`; where
    more do, another order is looked for as for a product. Of those that either end tells, that with
    the fewest bonds changed to both is taken, then with the least distances: of 100 embedded
    saddles with shuffled atoms 99 are put right.

    Raises:
        InputError: when elements stand otherwise, and bonds tell no order.
    """
    assert start.ends is not None
    numbers, ends = start.atomic_numbers, start.ends
    given = range(len(numbers))

    def apart(order: Sequence[int]) -> tuple[int, float]:
        pairs = [paired(numbers, end, others, positions, order=order) for end in ends]
        off = sum(float(((pair.product - pair.reactant) ** 2).sum()) for pair in pairs)
        return sum(map(_n_changed, pairs)), off

    is_in_order = np.array_equal(numbers, others)
    whole = _n_changed(paired(numbers, ends[0], numbers, ends[1]))
    if is_in_order and apart(given)[0] <= whole + _HALF_MADE:
        return given
    orders: list[Sequence[int]] = [given] if is_in_order else []
    for end in ends:
        with suppress(InputError):
            orders.append(match_atoms(numbers, end, others, positions))
    if not orders:
        place = int(np.flatnonzero(numbers != others)[0])
        raise InputError(
            f"the guess has {atom_label(others, place)} where the reactant has"
            f" {atom_label(numbers, place)}, and its bonds tell no order: expected its atoms in the"
            " reactant's order"
        )
    return min(orders, key=apart)


_HALF_MADE = 2
"""Bonds changed to both ends that a guess may have besides: one that is in neither, or lacks in it.
Two like atoms that have changed places make more."""

_USUAL_CHANGES = 5
"""Bonds broken and made by elementary reactions; where more change, atoms may be misnumbered."""


def _paired(
    numbers: np.ndarray, reactant: np.ndarray, others: np.ndarray, product: np.ndarray
) -> Pair:
    """The pair in the order as given, unless another order makes fewer bonds change.

    Another one is looked for where elements stand otherwise, or more bonds change than usual.
    """
    is_in_order = np.array_equal(numbers, others)
    as_given = paired(numbers, reactant, others, product) if is_in_order else None
    if as_given is not None and _n_changed(as_given) <= _USUAL_CHANGES:
        return as_given
    try:
        order = match_atoms(numbers, reactant, others, product)
    except InputError:
        if as_given is None:
            raise
        return as_given
    matched = paired(numbers, reactant, others, product, order=order)
    if as_given is not None and _n_changed(matched) >= _n_changed(as_given):
        return as_given
    return matched


def _n_changed(pair: Pair) -> int:
    return len(pair.broken) + len(pair.made)


def _end(given: End, settings: FindSettings, what: str) -> Geometry:
    """The one molecule of a file, or that of atoms."""
    if isinstance(given, Atoms):
        return geometries.only(geometries.of_atoms([given], **settings.electrons), what)
    return geometries.only(geometries.read(given, **settings.electrons), f"{what} {given}")
