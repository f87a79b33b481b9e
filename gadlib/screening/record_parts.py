"""What a record holds several of, besides tries: saddles on the way, searches of a portfolio."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Passed:
    """A saddle on the way from a reactant to a product, followed downhill; energies in eV.

    Attributes:
        verdict: what it joins.
        change: what happens to the bonds.
        energy: of the saddle.
        imaginary_cm1: its imaginary wavenumber.
        barrier, reaction_energy: from the end on the reactant's side.
        positions, ends: the saddle, and the minima on the reactant's and the product's side, in A.
    """

    verdict: str
    change: str
    energy: float
    imaginary_cm1: float
    barrier: float
    reaction_energy: float
    positions: list[list[float]]
    ends: list[list[list[float]]]


@dataclass(frozen=True)
class Searched:
    """One of the searches that were made of a portfolio.

    Attributes:
        start: the recipe.
        status: how it ended.
        steps, n_gradient, n_hessian: what it cost.
        is_kept: whether the record is its, for all but the costs.
    """

    start: str
    status: str
    steps: int
    n_gradient: int
    n_hessian: int
    is_kept: bool
