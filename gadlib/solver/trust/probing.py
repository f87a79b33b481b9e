"""Curvature along soft modes, by differences of gradients: a Hessian corrected where it counts.

Each correction changes what is softest, so that the last ones close in on the lowest mode, as in
Davidson's method: J. Comput. Phys. 17, 87 (1975), doi:10.1016/0021-9991(75)90065-0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.evaluation import Calculator
from gadlib.hessians.davidson import find_independent
from gadlib.hessians.normal_modes import Spectrum, spectrum
from gadlib.hessians.updates import probe
from gadlib.solver.aim import Aim
from gadlib.solver.differences import differ, downhill
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    PROBE_LENGTH,
    PROBES_AFTER,
    PROBES_AT_ONCE,
)
from gadlib.solver.trust.memory import is_aiming, most_aimed
from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Curvature:
    """What probing needs of a state, and what it changes of it, so that no more is moved about.

    Attributes:
        is_aimed: whether the mode most along the aim is the first to be probed.
        n_probes: gradients computed.
        seconds: time in the calculator.
    """

    batch: Batch
    wanted: Aim
    is_aimed: Bool[Tensor, " B"]
    forces: Float[Tensor, "B D"]
    wall_hessian: Float[Tensor, "B D D"]
    hessian: Float[Tensor, "B D D"]
    spectrum: Spectrum
    n_probes: Int[Tensor, " B"]
    seconds: Float[Tensor, " B"]

    @classmethod
    def of(cls, state: State) -> Curvature:
        """That of a state, where nothing is probed yet."""
        return cls(
            state.batch,
            state.wanted,
            is_aiming(state),
            state.forces.flatten(1),
            state.memory.current.wall.hessian,
            state.hessian,
            state.spectrum,
            torch.zeros_like(state.steps),
            torch.zeros_like(state.energy),
        )


def probe_modes(calculator: Calculator, curvature: Curvature, number: int) -> Curvature:
    """The Hessians corrected along so many of their softest modes."""
    inverse = curvature.batch.inverse_sqrt_masses
    known = torch.zeros_like(inverse[:, :, None])[:, :, :0]
    found = known
    for size in _rounds(number):
        modes, is_mode = _choose_modes(curvature, size)
        vectors, is_new = find_independent(inverse[:, :, None] * modes, is_mode, known)
        if not is_new.any():
            break
        changes, n_asked, seconds = map_vectors(calculator, curvature, vectors, is_new)
        known = torch.cat([known, vectors], -1)
        found = torch.cat([found, changes], -1)
        hessian = probe(curvature.hessian, known, found)
        curvature = replace(
            curvature,
            hessian=hessian,
            spectrum=spectrum(
                hessian + curvature.wall_hessian, curvature.batch, curvature.spectrum.motions
            ),
            n_probes=curvature.n_probes + n_asked,
            seconds=curvature.seconds + seconds / max(1, len(curvature.batch)),
        )
    return curvature


def _rounds(number: int) -> list[int]:
    """How many modes are probed together, many at first."""
    rounds = [min(PROBES_AT_ONCE, number)]
    while (left := number - sum(rounds)) > 0:
        rounds.append(min(PROBES_AFTER, left))
    return rounds


def _choose_modes(
    curvature: Curvature, size: int
) -> tuple[Float[Tensor, "B D {size}"], Bool[Tensor, "B {size}"]]:
    """The softest modes, before them the one that is climbed towards an aim; which ones exist."""
    eigenvalues, modes = curvature.spectrum.eigenvalues, curvature.spectrum.modes
    if not curvature.is_aimed.any():
        return modes[:, :, :size], eigenvalues[:, :size].isfinite()
    aimed = most_aimed(curvature.wanted, curvature.batch, curvature.spectrum)
    rank = torch.arange(modes.shape[2], device=modes.device).expand(len(aimed), -1)
    is_first = curvature.is_aimed[:, None] & (rank == aimed[:, None])
    chosen = torch.where(is_first, -1, rank).argsort(dim=-1)[:, :size]
    chosen_modes = modes.gather(2, chosen[:, None, :].expand(-1, modes.shape[1], -1))
    return chosen_modes, eigenvalues.gather(1, chosen).isfinite()


def map_vectors(
    calculator: Calculator,
    curvature: Curvature,
    vectors: Float[Tensor, "B D K"],
    is_new: Bool[Tensor, "B K"],
) -> tuple[Float[Tensor, "B D K"], Int[Tensor, " B"], float]:
    """The Hessian times unit vectors, by differences to one side; the calls, the seconds.

    Only what is new is asked for. Where the calculator fails, the Hessian is left as it is along
    that vector.
    """
    changes = torch.bmm(curvature.hessian, vectors)
    system, column = is_new.nonzero(as_tuple=True)
    directions = vectors[system, :, column]
    steps = downhill(curvature.forces[system], directions, PROBE_LENGTH)
    made = differ(calculator, curvature.batch, curvature.forces, system, directions, steps)
    given, evaluation = made.changes, made.evaluation
    for lost in evaluation.failures:
        given[lost] = changes[system[lost], :, column[lost]]
    changes[system, :, column] = given
    return changes, is_new.sum(-1) * evaluation.asked, made.seconds
