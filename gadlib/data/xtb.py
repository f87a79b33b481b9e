"""One molecule's surface on GFN2-xTB, with a charge, and with Hessians that are updated.

As `paths` wants it, for molecules too large for an exact Hessian at every step: Bofill's update
carries one along, and exact ones are asked for where a point is judged. Each self-consistent field
begins with the last one's density, so what is kept is computed again from nothing. Needs tblite.

References: Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019),
doi:10.1021/acs.jctc.8b01176.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.constraints import FixAtoms
from ase.optimize import FIRE, LBFGS
from ase.units import Bohr, Hartree

from gadlib.data.paths import RELAXED_FORCE, Point, Surface, Unsuitable, arc_down
from gadlib.hessians import normal_modes as modes
from gadlib.hessians.updates import bofill
from gadlib.systems.batch import Batch

METHOD = "GFN2-xTB"
ACCURACY = 0.1
"""Of tblite, where 1 is its default: with it forces of 0.004 eV/A are far above the noise."""

DISPLACEMENT = 0.01
"""A, of central differences; as in the package's calculators, so that both judge alike."""

MAX_EXACT = 12
"""Exact Hessians of one attempt, after which it is given up; most take four."""

N_STEPS, EXACT_EVERY = 150, 40

HOPELESS = (70, 0.3)
"""A search with so much force (eV/A) on an atom after so many steps did not converge in 150."""

ARC, N_ARCS = 0.1, 80
"""amu^1/2 A of each step of the reaction coordinate, and how many of them."""

RIDGE_STEP = 0.2
"""amu^1/2 A, off a ridge, where no force says which way."""


@dataclass(frozen=True)
class Updated(Surface):
    """The surface of one molecule, whose Hessians are updated from point to point.

    Attributes:
        charge: in e.
        multiplicity: 2S + 1.
        memory: the last point and its Hessian, and how many exact ones were computed.
    """

    charge: int = 0
    multiplicity: int = 1
    memory: dict[str, Any] = field(default_factory=dict, compare=False)

    def batch(self, positions: np.ndarray) -> Batch:
        """The molecule at these positions."""
        return Batch.pack(
            [positions],
            [self.numbers],
            charges=[self.charge],
            multiplicities=[self.multiplicity],
        )

    def energy_and_forces(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces in eV/A."""
        self._sane(positions)
        self._field.update(positions=positions / Bohr)
        try:
            found = self._field.singlepoint(self.memory.pop("density", None))
        except RuntimeError:  # with the density of another place; then with none
            try:
                found = self._field.singlepoint()
            except RuntimeError:
                raise Unsuitable("calculator failed") from None
        self.memory["density"] = found
        forces = -found.get("gradient") * Hartree / Bohr
        return float(found.get("energy")) * Hartree, forces

    def at(self, positions: np.ndarray) -> Point:
        """Everything up to the vibrations, from the updated Hessian.

        An exact one is computed where there is none to update, and where a search seems to stand
        still, which an updated Hessian with a wrong sign makes it do.
        """
        energy, forces = self.energy_and_forces(positions)
        before = self.memory.get("last")
        is_calm = bool(np.linalg.norm(forces, axis=1).max() < RELAXED_FORCE)
        if before is None or (is_calm and before[3]):
            return self.exact(positions)
        old, old_forces, hessian, _ = before
        step, change = ((a - b).ravel() for a, b in ((positions, old), (old_forces, forces)))
        hessian = bofill(*(torch.from_numpy(x)[None] for x in (hessian, step, change)))[0].numpy()
        self.memory["last"] = positions, forces, hessian, is_calm
        return self._point(positions, energy, forces, hessian)

    def exact(self, positions: np.ndarray) -> Point:
        """Everything up to the vibrations, from an exact Hessian, which is updated from here."""
        self.memory["exact"] = self.memory.get("exact", 0) + 1
        if self.memory["exact"] > MAX_EXACT:
            raise Unsuitable("too many Hessians")
        hessian = self.hessian(positions)
        self.begin(positions, hessian)
        energy, forces = self.energy_and_forces(positions)
        return self._point(positions, energy, forces, hessian)

    def begin(self, positions: np.ndarray, hessian: np.ndarray) -> None:
        """Take this Hessian (eV/A^2) as that of these positions."""
        _, forces = self.energy_and_forces(positions)
        self.memory["last"] = positions, forces, hessian, False

    def hessian(self, positions: np.ndarray) -> np.ndarray:
        """By central differences, in eV/A^2."""
        rows = []
        for step in np.eye(positions.size).reshape(-1, *positions.shape) * DISPLACEMENT:
            (_, on), (_, back) = (self.energy_and_forces(positions + s * step) for s in (1, -1))
            rows.append((back - on).ravel() / (2 * DISPLACEMENT))
        found = np.array(rows)
        return (found + found.T) / 2

    def _point(
        self, positions: np.ndarray, energy: float, forces: np.ndarray, hessian: np.ndarray
    ) -> Point:
        spectrum = modes.spectrum(torch.from_numpy(hessian)[None], self.batch(positions))
        values, vectors = spectrum.eigenvalues[0].numpy(), spectrum.modes[0].numpy()
        vectors, values = vectors[:, np.isfinite(values)], values[np.isfinite(values)]
        gradient = -(vectors.T @ (forces.ravel() / self.root_masses))
        return Point(energy, forces, values, vectors, gradient)

    @cached_property
    def _field(self) -> Any:
        from tblite.interface import Calculator

        unpaired = self.multiplicity - 1
        somewhere = np.arange(3.0 * len(self.numbers)).reshape(-1, 3)
        made = Calculator(METHOD, self.numbers, somewhere, charge=self.charge, uhf=unpaired)
        made.set("verbosity", 0)
        made.set("accuracy", ACCURACY)
        return made


def eased(
    surface: Updated, positions: np.ndarray, held: Sequence[int], *, n_steps: int = 150
) -> np.ndarray:
    """The positions after some steps downhill, the atoms in `held` where they are."""
    from tblite.ase import TBLite

    electrons: Any = {"charge": surface.charge, "multiplicity": surface.multiplicity}
    atoms = Atoms(surface.numbers, positions, constraint=FixAtoms(indices=list(held)))
    atoms.calc = TBLite(method=METHOD, verbosity=0, **electrons)
    silent: Any = {"logfile": None, "maxstep": 0.1}
    try:
        FIRE(atoms, **silent).run(0.3, n_steps // 3)
        LBFGS(atoms, **silent).run(0.03, n_steps)
    except CalculationFailed:
        raise Unsuitable("calculator failed") from None
    return atoms.positions


def climb(
    surface: Updated, positions: np.ndarray, *, order: int, along: np.ndarray | None = None
) -> np.ndarray:
    """The stationary point reached by rational-function steps, as `paths.follow`, for large ones.

    How far an atom may move in a step follows from how well the last step was foreseen.

    Raises:
        Unsuitable: when the search does not converge.
    """
    radius, last, foreseen = 0.08, 0.0, 0.0
    for i in range(N_STEPS):
        here = surface.at(positions)
        if i and i % EXACT_EVERY == 0:
            here = surface.exact(positions)
        if here.max_force < RELAXED_FORCE and here.order == order:
            return positions
        if i == HOPELESS[0] and here.max_force > HOPELESS[1]:
            break
        if i:
            miss = abs(here.energy - last - foreseen)
            is_good = miss < 0.3 * abs(foreseen) + 1e-4
            radius = np.clip(radius * (1.4 if is_good else 0.6), 0.01, 0.15 if order else 0.3)
        values, gradient = here.eigenvalues, here.gradient
        climbed = np.zeros(len(values), dtype=bool)
        if order:
            climbed[0 if along is None else np.abs(along @ here.modes[:, :6]).argmax()] = True
            along = here.modes[:, climbed][:, 0]
        step = -gradient / (values - _shifts(values, gradient, climbed))
        if here.max_force < RELAXED_FORCE and (values[~climbed] < 0).any():  # on a ridge
            step = np.zeros_like(values)
            step[np.flatnonzero(~climbed & (values < 0))[0]] = RIDGE_STEP
        moved = surface.displaced(positions, here.modes @ step)
        step = step * min(1.0, radius / np.linalg.norm(moved - positions, axis=1).max())
        last, foreseen = here.energy, float(gradient @ step + 0.5 * values @ step**2)
        positions = surface.displaced(positions, here.modes @ step)
    raise Unsuitable(f"search of order {order} did not converge")


def _shifts(values: np.ndarray, gradient: np.ndarray, climbed: np.ndarray) -> np.ndarray:
    """The shifts of P-RFO: of the climbed mode its own, of all others one."""
    shift = np.where(climbed, (values + np.hypot(values, 2 * gradient)) / 2, 0.0)
    augmented = np.diag(np.append(values[~climbed], 0.0))
    augmented[-1, :-1] = augmented[:-1, -1] = gradient[~climbed]
    shift[~climbed] = np.linalg.eigvalsh(augmented)[0]
    return shift


def certified(
    surface: Updated, positions: np.ndarray, *, order: int, along: np.ndarray | None = None
) -> tuple[np.ndarray, Point]:
    """The stationary point that `follow` reaches, and what an exact Hessian says there.

    Raises:
        Unsuitable: when no point of this order is reached.
    """
    for _ in range(3):
        positions = climb(surface, positions, order=order, along=along)
        point = surface.exact(positions)
        if point.order == order:
            return positions, point
    raise Unsuitable(f"search of order {order} did not converge")


def down(surface: Updated, saddle: np.ndarray, mode: np.ndarray) -> np.ndarray:
    """Where the intrinsic reaction coordinate that leaves along the mode has come after a while.

    As `paths.descend`, in longer arcs and not to the end: large molecules go on along soft modes
    long after the reaction, and a relaxation takes them there in fewer steps.
    """
    positions = surface.displaced(saddle, ARC * mode)
    for _ in range(N_ARCS):
        here = surface.at(positions)
        values, gradient = here.eigenvalues, here.gradient
        if values[0] > 0 and np.linalg.norm(gradient / values) < 2 * ARC:
            break
        positions = surface.displaced(positions, arc_down(here, ARC))
    return positions


def both_ends(surface: Updated, saddle: np.ndarray, peak: Point) -> list[np.ndarray]:
    """The minima at both ends of the intrinsic reaction coordinate, by exact Hessians."""
    hessian = surface.memory["last"][2]
    found = []
    for sign in (1, -1):
        surface.begin(saddle, hessian)
        end = down(surface, saddle, sign * peak.modes[:, 0])
        found.append(certified(surface, end, order=0)[0])
    return found
