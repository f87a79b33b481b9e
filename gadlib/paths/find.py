"""The saddles of reactions from reactants and products: files of one's own, or all of a set.

What is done for a reaction is said in `finding`; the loop over many, on several processes and
resumable, is `gadlib.screening.screen`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from gadlib.evaluation import Calculator
from gadlib.molecules import geometries, starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.geometries import Geometry
from gadlib.molecules.pairs import match_atoms, paired, require_same_atoms
from gadlib.molecules.starting_points import Start, hill_formula, require_some
from gadlib.paths.finding import Plan, find_each, within
from gadlib.screening.records import Record
from gadlib.screening.screen import screen
from gadlib.screening.setup import reactions_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import FindSettings

End = str | Path | Atoms
"""A file with one molecule, or ASE's atoms."""

SAME_END = 0.05
"""A (RMSD) within which reactant and product are one geometry, which no path leads away from."""


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

    `verdict` says what it joins, `n_gradient` what images and searches cost, `n_path_gradient` what
    the way downhill did. A reaction whose saddle is not found is a record that says so.

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
    if (reactant is None) != (product is None):
        lacking = "reactant" if reactant is None else "product"
        raise InputError(f"the {lacking} is not given; expected both ends, or neither for a set")
    if reactant is None or product is None:
        starts = [within(s) for s in starting_points.starts(reactions_of(settings), "reactant")]
        starts = [replace(start, start=settings.start_from) for start in starts]
    else:
        starts = [pair(_end(reactant, settings, "reactant"), _end(product, settings, "product"))]
        require_some(starts, "these ends")
    plan = Plan(n_images=settings.n_images, budget=settings.budget)
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
    if rmsd(numbers, reactant.positions, _sorted_as(numbers, product)) < SAME_END:
        raise InputError(
            "reactant and product are the same geometry; expected two different minima"
        )
    order: Sequence[int] | None = None
    if not np.array_equal(numbers, others) or _changes_too_much(reactant, product):
        order = match_atoms(numbers, reactant.positions, others, product.positions)
    both = paired(numbers, reactant.positions, others, product.positions, order=order)
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


def _changes_too_much(reactant: Geometry, product: Geometry) -> bool:
    """Whether the bonds that change in the order as given are more than in another."""
    numbers = reactant.atomic_numbers
    as_given = paired(numbers, reactant.positions, numbers, product.positions)
    n_changed = len(as_given.broken) + len(as_given.made)
    if n_changed <= _USUAL_CHANGES:
        return False
    try:
        order = match_atoms(numbers, reactant.positions, numbers, product.positions)
    except InputError:
        return False
    other = paired(numbers, reactant.positions, numbers, product.positions, order=order)
    return len(other.broken) + len(other.made) < n_changed


_USUAL_CHANGES = 5
"""Bonds broken and made by elementary reactions; where more change, atoms may be misnumbered."""


def _sorted_as(numbers: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The positions with the elements in the order of the numbers."""
    order = np.empty(len(numbers), dtype=int)
    own = geometry.atomic_numbers
    order[np.argsort(numbers, kind="stable")] = np.argsort(own, kind="stable")
    return geometry.positions[order]


def _end(given: End, settings: FindSettings, what: str) -> Geometry:
    """The one molecule of a file, or that of atoms."""
    electrons = {"charge": settings.charge, "multiplicity": settings.multiplicity}
    if isinstance(given, Atoms):
        found = geometries.of_atoms([given], **electrons)
    else:
        found = geometries.read(given, **electrons)
    where = what if isinstance(given, Atoms) else f"{what} {given}"
    if len(found) != 1:
        raise InputError(f"{where}: {len(found)} geometries in it; expected one")
    if found[0].problem:
        raise InputError(f"{where}: {found[0].problem}")
    return found[0]
