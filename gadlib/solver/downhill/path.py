"""What a way down is once it is walked: its points, its end, the two ways of a saddle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.vibrations import Vibrations, vibrations_of
from gadlib.solver.downhill.relaxation import RELAXED_FORCE
from gadlib.solver.state import State
from gadlib.systems.rows import take


@dataclass(frozen=True)
class Leg:
    """One way down: K points of the coordinate, and the minimum that it leads to.

    Attributes:
        travelled: the arc from the saddle, in amu^1/2 A.
        energy: at the points, in eV; the last one is that of the minimum.
        positions: at the points, in A.
        max_force: at the end, in eV/A.
        vibrations: there, by an exact Hessian; None where there is no such end.
        n_gradient, n_hessian: calculator calls of this leg.
        message: why it leads nowhere; empty where it ends at a minimum.
    """

    travelled: Float[Tensor, " K"]
    energy: Float[Tensor, " K"]
    positions: Float[Tensor, "K N 3"]
    max_force: float
    vibrations: Vibrations | None
    n_gradient: int
    n_hessian: int
    message: str


@dataclass(frozen=True)
class Path:
    """A saddle as it was sharpened, and the two ways down from it, along and against its mode.

    Attributes:
        energy: in eV.
        positions: in A.
        vibrations: by an exact Hessian, the imaginary one first; None where it failed.
        mode: the Cartesian displacement of the atoms downhill, for a step of 1 amu^1/2 A.
        legs: none where the saddle could not be computed.
        n_gradient, n_hessian: calculator calls at the saddle.
        message: why there are none.
        told: what is to be said of it besides, in sentences.
        is_astray: whether it is a surrogate, and not the potential, for which it leads nowhere.
    """

    energy: float
    positions: Float[Tensor, "N 3"]
    vibrations: Vibrations | None
    mode: Float[Tensor, "N 3"]
    legs: tuple[Leg, ...]
    n_gradient: int
    n_hessian: int
    message: str
    told: str = ""
    is_astray: bool = False

    @property
    def calls(self) -> tuple[int, int]:
        """Gradients and Hessians, at the saddle and on both ways."""
        parts = (self, *self.legs)
        return sum(part.n_gradient for part in parts), sum(part.n_hessian for part in parts)

    @property
    def reasons(self) -> list[str]:
        """Why it does not lead to two minima, a sentence for each; none where it does."""
        return [part.message for part in (self, *self.legs) if part.message]


def exact_vibrations(state: State, i: int) -> Vibrations:
    """Those of one system by its exact Hessian."""
    here = take(state, torch.tensor([i], device=state.index.device))
    return vibrations_of(here.batch, here.hessian, here.forces)[0]


def leg_of(trail: Sequence[tuple[float, float, Tensor]], ends: State, i: int) -> Leg:
    """The leg of a trail of arc, energy and positions, and of where it ended, at row i."""
    n = int(ends.batch.n_atoms[i])
    here = ends.batch.positions[i]
    root = ends.batch.masses[i].sqrt()[:, None]
    rest = float((root * (here - trail[-1][2])).norm())
    trail = [*trail, (trail[-1][0] + rest, float(ends.energy[i]), here)]
    message = ends.message[i]
    if not message and float(ends.max_force[i]) >= RELAXED_FORCE:
        message = f"forces of {float(ends.max_force[i]):.3f} eV/A are left where the steps ran out"
    return Leg(
        travelled=torch.tensor([point[0] for point in trail], dtype=torch.float64),
        energy=torch.tensor([point[1] for point in trail], dtype=torch.float64),
        positions=torch.stack([point[2][:n] for point in trail]),
        max_force=float(ends.max_force[i]),
        vibrations=exact_vibrations(ends, i) if ends.is_exact[i] and not message else None,
        n_gradient=int(ends.cost.n_gradient[i]),
        n_hessian=int(ends.cost.n_hessian[i]),
        message=message,
    )
