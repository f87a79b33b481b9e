"""Paths on one molecule's surface: to minima and saddles, down from a saddle, along driven bonds.

Just what the making of the embedded reaction set needs, with exact Hessians at every step: slow and
plain, and apart from the package's solver, which the set is there to test. Beside the stairs.

References: rational functions (P-RFO), Banerjee et al., J. Phys. Chem. 89, 52 (1985); the reaction
coordinate by local quadratic steps, Page and McIver, J. Chem. Phys. 88, 922 (1988).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
from ase.data import covalent_radii
from numpy.random import Generator
from scipy.optimize import minimize

from gadlib.evaluation import Calculator
from gadlib.hessians import normal_modes as modes
from gadlib.molecules import bonds
from gadlib.molecules.bonds import is_same
from gadlib.systems.batch import Batch

RELAXED_FORCE = 0.004
"""eV/A on any atom, where searches stop."""

MIN_DISTANCE = 0.4
"""A between any two atoms on the way."""

BONDS_ALLOWED = {1: (1, 1), 6: (2, 4), 7: (1, 4), 8: (1, 2)}  # per atom of a driven bond graph
BREAK_AND_FORM = [(1, 1)] * 4 + [(2, 2), (2, 1)] * 2 + [(1, 2), (0, 1), (1, 0)]


class Unsuitable(Exception):
    """An attempt that ends without a reaction; the text is the reason, and is counted."""


@dataclass(frozen=True)
class Point:
    """The surface at one geometry: `gradient` and `modes` (columns) are mass-weighted."""

    energy: float
    forces: np.ndarray
    eigenvalues: np.ndarray
    modes: np.ndarray
    gradient: np.ndarray

    @property
    def max_force(self) -> float:
        """The largest force on an atom, in eV/A."""
        return float(np.linalg.norm(self.forces, axis=1).max())

    @property
    def order(self) -> int:
        """The number of negative vibrational eigenvalues."""
        return int((self.eigenvalues < 0).sum())


@dataclass(frozen=True)
class Surface:
    """The potential energy surface of one molecule."""

    calculator: Calculator
    numbers: np.ndarray

    def batch(self, positions: np.ndarray) -> Batch:
        """The molecule at these positions."""
        return Batch.pack([positions], [self.numbers])

    @cached_property
    def root_masses(self) -> np.ndarray:
        """The square root of the mass of each coordinate, in amu^1/2."""
        return self.batch(np.zeros((len(self.numbers), 3))).sqrt_masses[0].numpy()

    def energy_and_forces(self, positions: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy in eV and forces in eV/A."""
        evaluation = self.calculator(self._sane(positions), hessian=False)
        return float(evaluation.energy[0]), evaluation.forces[0].numpy()

    def at(self, positions: np.ndarray) -> Point:
        """Everything up to the vibrations."""
        batch = self._sane(positions)
        evaluation = self.calculator(batch, hessian=True)
        if evaluation.failures or evaluation.hessian is None:
            raise Unsuitable("calculator failed")
        spectrum = modes.spectrum(evaluation.hessian, batch)
        values, vectors = spectrum.eigenvalues[0].numpy(), spectrum.modes[0].numpy()
        vectors = vectors[:, np.isfinite(values)]
        forces = evaluation.forces[0].numpy()
        gradient = -(vectors.T @ (forces.ravel() / self.root_masses))
        values = values[np.isfinite(values)]
        return Point(float(evaluation.energy[0]), forces, values, vectors, gradient)

    def graph(self, positions: np.ndarray) -> nx.Graph:
        """The bond graph, its nodes labelled by atomic number."""
        return bonds.bond_graph(self.batch(positions))

    def displaced(self, positions: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The positions after a mass-weighted step."""
        return positions + (step / self.root_masses).reshape(-1, 3)

    def _sane(self, positions: np.ndarray) -> Batch:
        batch = self.batch(positions)
        if not np.isfinite(positions).all() or batch.closest_pair[0] < MIN_DISTANCE:
            raise Unsuitable("atoms collide")
        return batch


def follow(
    surface: Surface,
    positions: np.ndarray,
    *,
    order: int,
    along: np.ndarray | None = None,
    max_step: float = 0.1,
    n_steps: int = 80,
) -> np.ndarray:
    """The stationary point reached by rational-function steps: a minimum (order 0) or saddle (1).

    Args:
        surface: where to search.
        positions: the start, in angstrom.
        order: the number of modes to climb.
        along: the mass-weighted direction that the climbed mode first resembles; then it is
            tracked by overlap.
        max_step: no atom moves further in a step, in angstrom; a quarter of it in the latter half.
        n_steps: how many steps before giving up.

    Raises:
        Unsuitable: when the search does not converge.
    """
    for i in range(n_steps):
        here = surface.at(positions)
        if here.max_force < RELAXED_FORCE and here.order == order:
            return positions
        values, gradient = here.eigenvalues, here.gradient
        climbed = np.zeros(len(values), dtype=bool)
        if order:
            climbed[0 if along is None else np.abs(along @ here.modes[:, :6]).argmax()] = True
            along = here.modes[:, climbed][:, 0]
        shift = np.where(climbed, (values + np.hypot(values, 2 * gradient)) / 2, 0.0)
        augmented = np.diag(np.append(values[~climbed], 0.0))
        augmented[-1, :-1] = augmented[:-1, -1] = gradient[~climbed]
        shift[~climbed] = np.linalg.eigvalsh(augmented)[0]
        moved = surface.displaced(positions, here.modes @ (-gradient / (values - shift)))
        longest = np.linalg.norm(moved - positions, axis=1).max()
        bound = max_step if i < n_steps // 2 else max_step / 4
        positions = positions + (moved - positions) * min(1.0, bound / longest)
    raise Unsuitable(f"search of order {order} did not converge")


def descend(
    surface: Surface,
    saddle: np.ndarray,
    mode: np.ndarray,
    *,
    arc: float = 0.08,
    n_steps: int = 300,
) -> np.ndarray:
    """The minimum at the end of the intrinsic reaction coordinate that leaves along the mode.

    On the local quadratic model the path of steepest descent is known for every parameter t,
    -g (1 - exp(-lambda t)) / lambda in each mode; t is chosen so that the step is `arc` long, in
    amu^1/2 A. Where the minimum of the model is closer than that, the rest is a relaxation.
    """
    positions = surface.displaced(saddle, arc * mode)
    for _ in range(n_steps):
        here = surface.at(positions)
        values, gradient = here.eigenvalues, here.gradient
        if values[0] > 0 and np.linalg.norm(gradient / values) < arc:
            return follow(surface, positions, order=0, max_step=0.05)
        positions = surface.displaced(positions, arc_down(here, arc))
    raise Unsuitable("path downhill does not end")


def arc_down(here: Point, arc: float) -> np.ndarray:
    """The step down the path of steepest descent on the local model that is so long.

    The parameter t of that path, see `descend`, is found by bisection of its logarithm.
    """
    values, gradient = here.eigenvalues, here.gradient
    low, high = -12.0, 12.0
    step = np.zeros_like(gradient)
    for _ in range(40):
        exponent = np.clip(-values * 10 ** ((low + high) / 2), -700, 50)
        step = gradient * np.expm1(exponent) / values
        is_short = np.linalg.norm(step) < arc
        low, high = ((low + high) / 2, high) if is_short else (low, (low + high) / 2)
    return here.modes @ step


def propose(graph: nx.Graph, rng: Generator) -> tuple[list, list]:
    """Bonds to break and to form, drawn at random: neighbouring ones, within usual valences."""
    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    edges = sorted(graph.edges)
    elements = nx.get_node_attributes(graph, "z")
    pairs = [(i, j) for i in graph for j in graph if i < j and 2 <= lengths[i].get(j, 99) <= 5]
    pairs = [(i, j) for i, j in pairs if (elements[i], elements[j]) != (1, 1)]
    for _ in range(2000):
        n_break, n_form = BREAK_AND_FORM[rng.integers(len(BREAK_AND_FORM))]
        if n_break > len(edges) or n_form > len(pairs):
            continue
        broken = [edges[k] for k in rng.choice(len(edges), n_break, replace=False)]
        formed = [pairs[k] for k in rng.choice(len(pairs), n_form, replace=False)]
        trial = graph.copy()
        trial.remove_edges_from(broken)
        trial.add_edges_from(formed)
        allowed = [BONDS_ALLOWED[z] for z in elements.values()]
        if not all(a <= trial.degree[i] <= b for i, (a, b) in enumerate(allowed)):
            continue
        is_concerted = nx.is_connected(nx.Graph(broken + formed))
        if is_concerted and nx.is_connected(trial) and not is_same(trial, graph):
            return broken, formed
    raise Unsuitable("no bonds to drive")


def drive(
    surface: Surface,
    start: np.ndarray,
    broken: Sequence[tuple[int, int]],
    formed: Sequence[tuple[int, int]],
    *,
    stiffness: float = 20.0,
    n_points: int = 20,
) -> tuple[np.ndarray, np.ndarray]:
    """The highest point of a driven path, and the mass-weighted direction of the path there.

    Harmonic springs (eV/A^2) pull the distances to 1.9 and 1.05 times the sum of covalent radii,
    point by point, while all else relaxes a little.
    """
    i, j = np.array([*broken, *formed]).T
    end = covalent_radii[surface.numbers[i]] + covalent_radii[surface.numbers[j]]
    end = end * np.array([1.9] * len(broken) + [1.05] * len(formed))
    begin = np.linalg.norm(start[i] - start[j], axis=1)

    def pulled(flat: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        positions = flat.reshape(-1, 3)
        energy, forces = surface.energy_and_forces(positions)
        apart = positions[i] - positions[j]
        length = np.linalg.norm(apart, axis=1)
        pull = (stiffness * (1 - target / length))[:, None] * apart
        np.subtract.at(forces, i, pull)
        np.add.at(forces, j, pull)
        return energy + 0.5 * stiffness * ((length - target) ** 2).sum(), -forces.ravel()

    path, energies = [start], [surface.energy_and_forces(start)[0]]
    for part in np.linspace(0, 1, n_points + 1)[1:]:
        target = begin + part * (end - begin)
        flat = path[-1].ravel()
        options = {"maxiter": 15}
        found = minimize(pulled, flat, (target,), "L-BFGS-B", jac=True, options=options)
        path.append(found.x.reshape(-1, 3))
        energies.append(surface.energy_and_forces(path[-1])[0])
        if energies[-1] < max(energies) - 1.0:
            break
    top = int(np.argmax(energies))
    if not 0 < top < len(path) - 1:
        raise Unsuitable("no maximum on the driven path")
    return path[top], (path[top + 1] - path[top - 1]).ravel() * surface.root_masses


def aligned(positions: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """The positions moved rigidly, without reflection, as close as they come (Kabsch)."""
    centred = positions - positions.mean(0)
    left, _, right = np.linalg.svd(centred.T @ (onto - onto.mean(0)))
    left[:, -1] *= np.sign(np.linalg.det(left @ right))
    return centred @ (left @ right) + onto.mean(0)
