"""A saddle as ASE's Atoms, from a guess or from a reactant and a product."""

from __future__ import annotations

from typing import Any

from ase import Atoms

from gadlib.ase import saddles
from gadlib.ase.systems import potential_of
from gadlib.paths.find import find
from gadlib.screening.atoms import atoms_of
from gadlib.settings.calculators import DISPLACEMENT
from gadlib.settings.reading import InputError


def find_saddle(
    guess: Atoms,
    product: Atoms | None = None,
    *,
    calculator: Any = None,
    displacement: float = DISPLACEMENT,
    **options: Any,
) -> Atoms:
    """The saddle that a guess leads to, or that joins two minima, as Atoms with energy and forces.

        saddle = find_saddle(guess, calculator=EMT())
        saddle = find_saddle(reactant, product, calculator=EMT())
        saddle.info["status"], saddle.info["imaginary_cm1"], saddle.get_potential_energy()

    From a guess it is as `gadlib.ase.saddles.find_saddle` says. With a product the guess is the
    reactant, and `info` tells besides what the saddle joins (`verdict`), `barrier` and
    `reaction_energy` in eV from the reactant's side, and what was spent (`n_gradient` for images
    and searches, `n_path_gradient` and `n_path_hessian` downhill).

    Args:
        guess: where to begin, or the reactant.
        product: the same atoms, in whatever order.
        calculator: an ASE calculator or one of gadlib's; by default that of the guess.
        displacement: of central differences in A, where the calculator has no Hessian of its own.
        options: for a guess `solver`, `criterion`, `mode`, `max_fragments`, `n_steps`, `cheap`
            and `hyperparameters`; for two minima settings of `gadlib find` by name, as `budget`.

    Raises:
        InputError: when there is no calculator, or the ends or a value can't be used.
    """
    if product is None:
        return saddles.find_saddle(
            guess, calculator=calculator, displacement=displacement, **options
        )
    if not isinstance(guess, Atoms) or not isinstance(product, Atoms):
        given = " and ".join(type(each).__name__ for each in (guess, product))
        raise InputError(f"reactant and product: {given}; expected ASE's Atoms")
    held = guess.copy()
    held.calc = guess.calc if calculator is None else calculator
    potential = potential_of(held, displacement)
    (record,) = find(guess, product, calculator=potential, **{"workers": 0, **options})
    saddle = atoms_of(record)
    saddle.info |= {"message": record.message, "verdict": record.verdict}
    spent = ("n_gradient", "n_hessian", "n_image", "n_path_gradient", "n_path_hessian")
    saddle.info |= {name: getattr(record, name) for name in spent}
    if record.passed:
        first = record.passed[0]
        saddle.info |= {"barrier": first.barrier, "reaction_energy": first.reaction_energy}
    return saddle
