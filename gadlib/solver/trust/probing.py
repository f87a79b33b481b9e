"""Curvature along soft modes, by differences of gradients: a Hessian corrected where it counts.

Each correction changes what is softest, so that the last ones close in on the lowest mode, as in
Davidson's method: J. Comput. Phys. 17, 87 (1975), doi:10.1016/0021-9991(75)90065-0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from gadlib.evaluation import Calculator
from gadlib.hessians.davidson import find_independent
from gadlib.hessians.normal_modes import Spectrum, spectrum
from gadlib.hessians.tension import tension_hessian
from gadlib.hessians.trust_region import matvec
from gadlib.hessians.updates import probe
from gadlib.solver.aim import Aim
from gadlib.solver.differences import differ, downhill
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    CLOSED,
    GIVING,
    PROBE_LENGTH,
    PROBES_AFTER,
    PROBES_AT_ONCE,
)
from gadlib.solver.trust.memory import is_aiming, most_aimed
from gadlib.systems.batch import Batch

_NEVER_LOWEST = 1e6  # eV/(A^2 amu); in the place of a vector that is none


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
    inverse = curvature.batch.inverse_sqrt_masses[:, :, None]
    known = torch.zeros_like(inverse)[:, :, :0]
    found = known
    for size in _rounds(number):
        modes, is_mode = _choose_modes(curvature, size)
        vectors, is_new = find_independent(inverse * modes, is_mode, known)
        if not is_new.any():
            break
        curvature, known, found = _learn(calculator, curvature, (known, found), vectors, is_new)
    return curvature


def approach(
    calculator: Calculator, curvature: Curvature, directions: Float[Tensor, "B D K"], rounds: int
) -> Curvature:
    """The Hessians corrected along all that closes in on the lowest mode near some directions.

    The directions are followed as a molecule gives way that is pulled along them; then come, for
    so many rounds at most, the residuals of what is lowest so far, each divided by the Hessian that
    was known, until that is a mode of the potential. Davidson, as above.
    """
    return _closed_in(calculator, curvature, directions, rounds)[0]


def close_in(
    calculator: Calculator, curvature: Curvature, directions: Float[Tensor, "B D K"], rounds: int
) -> Curvature:
    """As `approach`, but corrected along the lowest mode alone, as for large molecules.

    What is left was positive and stays so, since other vectors would bring the half of a coupling.
    """
    closed, known, found, lowest = _closed_in(calculator, curvature, directions, rounds)
    size = vector_norm(known @ lowest, dim=1, keepdim=True).clamp(min=1e-12)
    return _corrected(closed, curvature.hessian, known @ lowest / size, found @ lowest / size)


def _closed_in(
    calculator: Calculator, curvature: Curvature, directions: Float[Tensor, "B D K"], rounds: int
) -> tuple[Curvature, Float[Tensor, "B D L"], Float[Tensor, "B D L"], Float[Tensor, "B L 1"]]:
    """The corrected curvature, vectors, what they are mapped to, what of them the lowest is."""
    before = curvature.spectrum
    inverse = curvature.batch.inverse_sqrt_masses[:, :, None]
    known = torch.zeros_like(inverse)[:, :, :0]
    found, is_open, lowest = known, directions.any(1), known.mT
    wanted = _divided(directions, before, torch.full_like(directions[:, 0], GIVING))
    for _ in range(rounds + 1):
        vectors, is_new = find_independent(inverse * wanted, is_open, known)
        if not is_new.any():
            break
        curvature, known, found = _learn(calculator, curvature, (known, found), vectors, is_new)
        value, residual, lowest = _lowest_within(curvature, known, found)
        is_open = (vector_norm(residual, dim=1) > CLOSED * value.abs()) | (value > 0)
        is_open = is_open[:, None] & is_new.any(-1, keepdim=True)
        shift = (-value).clamp(min=GIVING / 3)[:, None]
        wanted = _divided(residual[:, :, None], before, shift)
    return curvature, known, found, lowest


def _divided(
    vectors: Float[Tensor, "B D K"], spectrum: Spectrum, shift: Float[Tensor, "B K"]
) -> Float[Tensor, "B D K"]:
    """Mass-weighted vectors divided by a Hessian, its eigenvalues positive and with a shift."""
    eigenvalues = spectrum.eigenvalues[:, :, None].abs() + shift[:, None]
    parts = torch.where(eigenvalues.isfinite(), (spectrum.modes.mT @ vectors) / eigenvalues, 0.0)
    return spectrum.modes @ parts


def _lowest_within(
    curvature: Curvature, known: Float[Tensor, "B D L"], found: Float[Tensor, "B D L"]
) -> tuple[Float[Tensor, " B"], Float[Tensor, "B D"], Float[Tensor, "B L 1"]]:
    """The lowest eigenvalue within vectors whose images are known, its residual, its parts.

    Rayleigh's and Ritz's procedure with masses: Parlett (1998), 11.3 and 15.9.
    """
    root, inverse = curvature.batch.sqrt_masses, curvature.batch.inverse_sqrt_masses
    weighted = root[:, :, None] * known
    images = inverse[:, :, None] * (found + curvature.wall_hessian @ known)
    empty = torch.diag_embed((~known.any(1)).to(known.dtype))
    factor = torch.linalg.cholesky(weighted.mT @ weighted + empty)
    small = weighted.mT @ images
    small = (small + small.mT) / 2 + _NEVER_LOWEST * empty
    half = torch.linalg.solve_triangular(factor, small, upper=False)
    small = torch.linalg.solve_triangular(factor, half.mT, upper=False)
    values, turns = torch.linalg.eigh((small + small.mT) / 2)
    lowest = torch.linalg.solve_triangular(factor.mT, turns[:, :, :1], upper=True)
    value = values[:, 0]
    return value, ((images - value[:, None, None] * weighted) @ lowest)[:, :, 0], lowest


def _learn(
    calculator: Calculator,
    curvature: Curvature,
    before: tuple[Float[Tensor, "B D L"], Float[Tensor, "B D L"]],
    vectors: Float[Tensor, "B D K"],
    is_new: Bool[Tensor, "B K"],
) -> tuple[Curvature, Float[Tensor, "B D M"], Float[Tensor, "B D M"]]:
    """The Hessians corrected along new vectors, too; all of them, and what they are mapped to."""
    changes, n_asked, seconds = map_vectors(calculator, curvature, vectors, is_new)
    known, found = (torch.cat(pair, -1) for pair in zip(before, (vectors, changes), strict=True))
    curvature = replace(
        _corrected(curvature, curvature.hessian, known, found),
        n_probes=curvature.n_probes + n_asked,
        seconds=curvature.seconds + seconds / max(1, len(curvature.batch)),
    )
    return curvature, known, found


def _corrected(
    curvature: Curvature,
    hessian: Float[Tensor, "B D D"],
    known: Float[Tensor, "B D K"],
    found: Float[Tensor, "B D K"],
) -> Curvature:
    """The curvature with a Hessian corrected along orthonormal vectors."""
    hessian = probe(hessian, known, found)
    whole = hessian + curvature.wall_hessian
    seen = spectrum(whole, curvature.batch, curvature.spectrum.motions)
    return replace(curvature, hessian=hessian, spectrum=seen)


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

    Without what the forces on bonds make of it (`hessians.tension`). Only what is new is asked
    for. Where the calculator fails, the Hessian is left as it is along that vector.
    """
    changes = torch.bmm(curvature.hessian, vectors)
    system, column = is_new.nonzero(as_tuple=True)
    directions = vectors[system, :, column]
    steps = downhill(curvature.forces[system], directions, PROBE_LENGTH)
    made = differ(calculator, curvature.batch, curvature.forces, system, steps * directions, steps)
    given, evaluation = made.changes, made.evaluation
    strained, place = system.unique(return_inverse=True)
    tension = tension_hessian(
        curvature.batch.take(strained), curvature.forces[strained].unflatten(1, (-1, 3))
    )
    given = given - matvec(tension[place], directions)
    for lost in evaluation.failures:
        given[lost] = changes[system[lost], :, column[lost]]
    changes[system, :, column] = given
    return changes, is_new.sum(-1) * evaluation.asked, made.seconds
