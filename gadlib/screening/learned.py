"""What `delta` learns in a search, on a plane that can be seen: hydrogen on its way round C≡N.

Hydrogen cyanide has nearly one degree of freedom besides where its hydrogen is, the length of the
triple bond; at one length the potentials are maps. The search itself is free to change it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator, evaluate, name_of
from gadlib.molecules.geometries import Geometry
from gadlib.molecules.starting_points import at_geometry
from gadlib.screening.setup import calculator_of, hyperparameters_of
from gadlib.settings.hyperparameters import Hyperparameters, TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.delta.learning import surrogate_of
from gadlib.solver.delta.memory import DeltaMemory
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.search import search
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

NUMBERS = (6, 7, 1)

BOND = 1.2
"""Of the guess, from C to N, in A."""

GUESS = (0.5, 1.3)
"""Where its hydrogen is in A, from the middle of C and N, along the bond and across it."""

X_SPAN, Y_SPAN = (-2.1, 2.1), (0.0, 1.9)
"""In A; HCN, HNC and the saddle between them lie within."""

_STEPS = 30
"""After which a search from the guess is given up; those shown take 4 to 17."""


class Learned(NamedTuple):
    """Two potentials of HCN, their difference, and what a search has learned of it.

    All are maps of where the hydrogen is, from the middle of C and N, along the bond and across it,
    at the bond's length in the costly potential's saddle. Energies are in eV, NaN where a potential
    could not be computed.

    Attributes:
        costly_name, cheap_name: what the potentials are called.
        x, y: the coordinates of the grid in A.
        costly: above its saddle.
        cheap: above what it says of the costly one's saddle.
        correction: what was learned of their difference, above that in the saddle; with `cheap`
            it makes the surrogate.
        ends: where C and N are, along x in A.
        calls: where the costly potential was asked, in order.
        saddle: where `delta` ended, proved.
        cheap_saddle: where `trust` ends on the cheap potential, from the same guess.
        surrogate_saddle: where it ends on the surrogate, from there.
    """

    costly_name: str
    cheap_name: str
    x: Float[np.ndarray, " X"]
    y: Float[np.ndarray, " Y"]
    costly: Float[np.ndarray, "Y X"]
    cheap: Float[np.ndarray, "Y X"]
    correction: Float[np.ndarray, "Y X"]
    ends: tuple[float, float]
    calls: Float[np.ndarray, "K 2"]
    saddle: Float[np.ndarray, " 2"]
    cheap_saddle: Float[np.ndarray, " 2"]
    surrogate_saddle: Float[np.ndarray, " 2"]

    @property
    def difference(self) -> Float[np.ndarray, "Y X"]:
        """What there is to learn, above that in the saddle."""
        return self.costly - self.cheap

    @property
    def surrogate(self) -> Float[np.ndarray, "Y X"]:
        """The cheap potential with what was learned."""
        return self.cheap + self.correction


def map_learned(
    settings: SearchSettings, *, guess: tuple[float, float] = GUESS, n: int = 43
) -> Learned:
    """A search by `delta` for the saddle between HCN and HNC, and the maps of what it learned.

    Args:
        settings: the calculator, the cheap potential and hyperparameters of `delta`.
        guess: where the hydrogen is at first.
        n: points of the grid along the bond.

    Raises:
        InputError: when the settings can't be followed, are of another solver, or a potential has
            no saddle that a search from the guess finds.
    """
    if settings.solver != "delta":
        raise InputError(f"solver {settings.solver!r}: expected delta, which learns")
    start = _placed(torch.tensor([guess], dtype=torch.float64), BOND)
    geometry = Geometry("HCN", np.array(NUMBERS), start.positions[0].numpy())
    calculator = calculator_of(settings, [at_geometry(geometry, "guess")])
    end = _saddle(calculator, start, hyperparameters_of(settings))
    memory, at_end = end.memory, end.batch
    assert isinstance(memory, DeltaMemory)
    learned = surrogate_of(calculator, end)
    (cheap,) = learned.cheap
    bond = float((at_end.positions[0, 1] - at_end.positions[0, 0]).norm())
    x, y = np.linspace(*X_SPAN, n), np.linspace(*Y_SPAN, n // 2 + 1)
    places = torch.tensor(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))
    grid = _placed(places, bond)
    above, below = _energies(calculator, grid, at_end), _energies(cheap, grid, at_end)
    both = Surrogate((cheap,) * (len(grid) + 1), learned.processes * (len(grid) + 1))
    correction = _energies(both, grid, at_end) - below
    by_trust = TrustHyperparameters()
    at_cheap = _saddle(cheap, start, by_trust).batch
    at_both = _saddle(learned, at_cheap, by_trust).batch
    return Learned(
        name_of(calculator),
        name_of(cheap),
        x,
        y,
        *(energy.reshape(len(y), len(x)).numpy() for energy in (above, below, correction)),
        ends=(-bond / 2, bond / 2),
        calls=np.array([_in_plane(place) for place in memory.observations[0].positions]),
        saddle=_in_plane(at_end.positions[0]),
        cheap_saddle=_in_plane(at_cheap.positions[0]),
        surrogate_saddle=_in_plane(at_both.positions[0]),
    )


def _placed(places: Float[Tensor, "n 2"], bond: float) -> Batch:
    """The molecule with its hydrogen at each place of the plane."""
    positions = places.new_zeros(len(places), 3, 3)
    positions[:, 0, 0], positions[:, 1, 0] = -bond / 2, bond / 2
    positions[:, 2, :2] = places
    return Batch.pack(list(positions), [list(NUMBERS)] * len(places))


def _in_plane(positions: Float[Tensor, "3 3"]) -> Float[np.ndarray, " 2"]:
    """Where the hydrogen is: along the bond and across it, from its middle, in A."""
    carbon, nitrogen, hydrogen = positions
    axis = (nitrogen - carbon) / (nitrogen - carbon).norm()
    way = hydrogen - (carbon + nitrogen) / 2
    along = way @ axis
    return np.array([float(along), float((way - along * axis).norm())])


def _saddle(calculator: Calculator, start: Batch, hyperparameters: Hyperparameters) -> State:
    """The state at the saddle that a search finds."""
    *_, last = search(calculator, start, hyperparameters, criterion="strict", n_steps=_STEPS)
    if not last.verdict.meets("strict")[0]:
        raise InputError(
            f"{name_of(calculator)}: no saddle from the guess ({last.status[0].sentence}"
            f" {last.state.message[0]}".rstrip()
            + "); expected one between HCN and HNC"
        )
    return last.state


def _energies(calculator: Calculator, grid: Batch, saddle: Batch) -> Float[Tensor, " n"]:
    """Of the grid above the saddle, in eV; NaN where the calculator fails."""
    there = saddle.positions.clone()
    positions = torch.cat([grid.positions, there])
    found, _ = evaluate(
        calculator, Batch.pack(list(positions), [list(NUMBERS)] * len(positions)), hessian=False
    )
    energy = found.energy.clone()
    energy[list(found.failures)] = torch.nan
    return energy[:-1] - energy[-1]
