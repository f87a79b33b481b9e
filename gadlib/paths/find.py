"""The saddles of reactions from reactants and products: files of one's own, or all of a set.

What is done for a reaction is said in `finding`; the loop over many, on several processes and
resumable, is `gadlib.screening.screen`'s.
"""

from __future__ import annotations

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
from gadlib.molecules.starting_points import Start, hill_formula, require_some
from gadlib.paths.finding import find_each, within
from gadlib.paths.plans import Plan
from gadlib.screening.records import Record
from gadlib.screening.screen import screen
from gadlib.screening.setup import reactions_of
from gadlib.settings.reading import InputError, shown
from gadlib.settings.searches import FindSettings

End = str | Path | Atoms
"""A file with one molecule, or ASE's atoms."""


def find(
    reactant: End | None = None,
    product: End | None = None,
    settings: FindSettings | None = None,
    *,
    calculator: Calculator | None = None,
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
        calculator: by default the one that the settings name.
        out: result file, as of `gadlib.search`.
        given: settings by name, over those in `settings`.

    Raises:
        InputError: when a setting or a file can't be used, or the ends are no reaction.
    """
    settings = FindSettings.read({}) if settings is None else settings
    asked = {name: getattr(settings, name) for name in settings.model_fields_set} | given
    settings = FindSettings.read(asked)
    require_interpolation(settings.interpolation)
    if "start_from" in asked and asked["start_from"] != f"{settings.interpolation}_rp":
        raise InputError(
            f"start_from {shown(asked['start_from'])}: expected none, as interpolation says what"
            " lies between the ends"
        )
    if (reactant is None) != (product is None):
        lacking = "reactant" if reactant is None else "product"
        raise InputError(f"the {lacking} is not given; expected both ends, or neither for a set")
    if reactant is None or product is None:
        starts = [within(s) for s in starting_points.starts(reactions_of(settings), "reactant")]
    else:
        starts = [pair(_end(reactant, settings, "reactant"), _end(product, settings, "product"))]
        require_some(starts, "these ends")
    starts = [replace(start, start=f"{settings.interpolation}_rp") for start in starts]
    plan = Plan(settings.n_images, settings.budget, settings.relax_ends, settings.interpolation)
    return screen(
        settings,
        starts=starts,
        calculator=calculator,
        out=out,
        compute=partial(find_each, plan=plan),
        desc="finding",
    )


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
