"""What an Atoms object asks of a search: its calculator, what is frozen or periodic, the aim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from pydantic import ValidationError

from gadlib import calculators
from gadlib.ase.potential import Potential, pack
from gadlib.calculators.ase import Held
from gadlib.evaluation import Calculator
from gadlib.hessians.rigid_motions import motions_of
from gadlib.molecules.starting_points import Start, hill_formula
from gadlib.settings.hyperparameters import SOLVERS, Hyperparameters
from gadlib.settings.reading import InputError, explain
from gadlib.solver.aim import Aim
from gadlib.solver.mode_following import read_aim
from gadlib.solver.state import State
from gadlib.systems.batch import Batch
from gadlib.systems.boundary import Boundary


def potential_of(atoms: Any, displacement: float) -> Calculator:
    """What computes the atoms: gadlib's calculator itself where it is one, else the ASE one held.

    One of gadlib's is put into a `Potential` first, so that ASE can use it, too.

    Raises:
        InputError: when there is none, or it can't compute such atoms.
    """
    if not isinstance(atoms, Atoms):
        raise InputError(
            f"{type(atoms).__name__}: a saddle search takes Atoms; filters are not supported"
        )
    if atoms.calc is None:
        raise InputError("the atoms have no calculator; set atoms.calc first")
    if isinstance(atoms.calc, SinglePointCalculator):
        raise InputError(
            "the atoms carry results of a calculation, and no calculator; set atoms.calc first"
        )
    if not hasattr(atoms.calc, "get_property"):
        if not isinstance(atoms.calc, Calculator):
            raise InputError(f"atoms.calc is {atoms.calc!r}; expected a calculator")
        atoms.calc = Potential(atoms.calc)
    if not isinstance(atoms.calc, Potential):
        return Held(atoms, displacement=displacement)
    if atoms.pbc.any():
        raise InputError(
            "the atoms are periodic, and gadlib's own calculators compute molecules;"
            " expected an ASE calculator, or atoms.pbc = False if this is one"
        )
    return atoms.calc.potential


def with_cheap(potential: Calculator, solver: str, cheap: str, batch: Batch) -> Calculator:
    """The potential, with a cheap one beside it where the solver needs that.

    Raises:
        InputError: when there is none that can be used, or the atoms are no free molecule.
    """
    if not SOLVERS[solver].needs_cheap:
        return potential
    if batch.boundary is not None:
        raise InputError(f"solver {solver!r}: cells or frozen atoms; expected a free molecule")
    charge, multiplicity = int(batch.charges[0]), int(batch.multiplicities[0])
    numbers, positions = batch.system(0)
    start = Start(
        *("", hill_formula(numbers), "", "", None, numbers, positions, 1),
        charge=charge,
        multiplicity=multiplicity,
    )
    return calculators.pair(potential, cheap, [start], None)


def batch_of(atoms: Atoms) -> Batch:
    """The atoms as a batch of one, with what is frozen or periodic of them.

    Raises:
        InputError: when a constraint is another than FixAtoms, a lattice vector is missing, or too
            little moves for a saddle.
    """
    try:
        batch = pack(atoms, boundary=boundary_of(atoms))
    except ValueError as error:
        raise InputError(str(error)) from None
    if not batch.positions.isfinite().all():
        return batch  # whoever computes it says so
    n_vibrations = int(motions_of(batch).n_left[0])
    if n_vibrations < 2:
        raise InputError(
            f"the atoms have {n_vibrations} vibrations; expected at least two for a saddle"
        )
    return batch


def boundary_of(atoms: Atoms) -> Boundary | None:
    """What is frozen or periodic; None for free molecules.

    Raises:
        InputError: when a constraint is another than FixAtoms, or a lattice vector is missing.
    """
    others = [kind for kind in atoms.constraints if not isinstance(kind, FixAtoms)]
    if others:
        kinds = ", ".join(type(constraint).__name__ for constraint in others)
        raise InputError(f"the atoms are constrained ({kinds}); expected FixAtoms alone")
    if not atoms.constraints and not atoms.pbc.any():
        return None
    lattice = atoms.cell.array[atoms.pbc]
    if np.linalg.matrix_rank(lattice) < len(lattice):
        raise InputError(
            f"the atoms are periodic along {len(lattice)} directions, and their cell is"
            f" {atoms.cell.array.tolist()}; expected as many independent lattice vectors"
        )
    is_frozen = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        is_frozen[constraint.get_indices()] = True
    return Boundary(
        torch.from_numpy(is_frozen)[None],
        torch.from_numpy(atoms.cell.array.copy())[None],
        torch.from_numpy(atoms.pbc.copy())[None],
    )


def move_atoms(atoms: Atoms, state: State) -> None:
    """Put the atoms where the state is; a calculator of gadlib's learns what is known there.

    Raises:
        CalculationFailed: when the state could not be computed.
    """
    if state.message[0]:
        raise CalculationFailed(state.message[0])
    atoms.positions = state.batch.system(0)[1]
    if isinstance(calc := atoms.calc, Potential):
        calc.atoms = atoms.copy()
        forces = state.forces[0].cpu().numpy()
        calc.results = {"energy": float(state.energy[0]), "forces": forces}


def aim_of(mode: str, batch: Batch) -> Aim | None:
    """The aim that a mode names, as the setting `mode` does; None for the lowest.

    Raises:
        InputError: when the mode is unknown, an atom is not there, or what it names is frozen.
    """
    numbers, positions = batch.system(0)
    aim = read_aim(mode, numbers, positions)
    if aim is None or batch.boundary is None:
        return aim
    moves = batch.moves.repeat_interleave(3, dim=-1)
    is_still = (aim.moves != 0).any(-1) & ~moves
    either = batch.moves[:, :, None] | batch.moves[:, None, :]
    is_still_pair = (aim.stretches != 0).any(1) & ~either
    if is_still.any() or is_still_pair.any():
        raise InputError(f"mode {mode!r}: expected atoms that are not frozen (FixAtoms)")
    return aim


def hyperparameters_of(
    solver: str, given: Mapping[str, Any] | Hyperparameters | None, named: Mapping[str, Any]
) -> Hyperparameters:
    """The hyperparameters of a solver, given together and by name.

    Raises:
        InputError: when the solver or a name is unknown, or a value is out of its range.
    """
    if solver not in SOLVERS:
        raise InputError(f"solver {solver!r}: expected one of {', '.join(SOLVERS)}")
    if isinstance(given, Hyperparameters):
        if given.solver != solver:
            raise InputError(f"hyperparameters of {given.solver!r}: expected those of {solver!r}")
        given = given.model_dump()
    try:
        return SOLVERS[solver](**{**(given or {}), **named})
    except ValidationError as error:
        raise InputError(explain(error)) from None


def fragments_of(max_fragments: int | None) -> torch.Tensor | None:
    """The fragments that a bound saddle may have, as a search takes them; None: as the start has.

    Raises:
        InputError: when it is no positive integer.
    """
    if max_fragments is None:
        return None
    if isinstance(max_fragments, bool) or not isinstance(max_fragments, int) or max_fragments < 1:
        raise InputError(f"max_fragments {max_fragments!r}: expected an integer of at least 1")
    return torch.tensor([max_fragments])
