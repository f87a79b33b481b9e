"""Where a further try begins: the start disturbed, gently first where it was a molecule.

What was one molecule with the forces of a molecule is disturbed along its soft modes, a little and
then more: its bonds stay as they are, and so does what the start tells of the reaction. What noise
has made of a molecule, and what such tries did not help, is shaken in all coordinates and rebuilt;
a large molecule at one place at a time, so that it is lifted no more than a small one.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.springs import model_hessian
from gadlib.hessians.trust_region import matvec
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.repair import mended
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    GENTLE_GROWTH,
    GENTLE_KICK,
    GENTLE_TRIES,
    LARGE,
    LOCAL_ATOMS,
    SETTLED_FORCE,
    SOFTEST,
)
from gadlib.solver.trust.memory import TrustMemory
from gadlib.systems.batch import Batch, longest
from gadlib.systems.rows import pick, put

_GOLDEN = (5**0.5 - 1) / 2

_BLOCK, _BLOCKS_APART = 1000, 10**6  # atoms whose noise is drawn together; their seeds


def disturbed(state: State, number: Int[Tensor, " B"], h: TrustHyperparameters) -> Batch:
    """The molecules at their origins, disturbed in the way of that number; by 0 only rebuilt.

    Args:
        state: searches whose try is over.
        number: of the disturbance, for each.
        h: the kick of those that are shaken in all coordinates.
    """
    memory: TrustMemory = state.memory
    size = state.batch.positions.shape[1]
    noise = torch.stack([draw_noise(n, size) * min(n, 1) for n in number.tolist()])
    noise = noise.to(state.batch.positions)
    start = state.batch.moved_to(memory.origin.positions)
    near = is_near(start, number)[:, :, None]
    shaken = start.moved_to(start.positions + h.kick * noise * near)
    gentle = is_gentle(state) & (number > 0)
    batch = put(shaken, (~gentle).nonzero().flatten(), mended)
    if not gentle.any():
        return batch
    farthest = GENTLE_KICK * GENTLE_GROWTH ** (number - 1).clamp(min=0).to(noise.dtype)
    softly = start.positions + along_soft_modes(start, noise, farthest)
    return batch.moved_to(pick(gentle, softly, batch.positions))


def is_gentle(state: State) -> Bool[Tensor, " B"]:
    """Which searches began at one molecule at peace, and have gentle tries left."""
    memory: TrustMemory = state.memory
    origin = state.batch.moved_to(memory.origin.positions)
    is_calm = longest(memory.origin.forces.flatten(1)) < SETTLED_FORCE
    is_whole = n_fragments(origin) <= state.max_fragments
    is_as_given = memory.n_rebuilt <= memory.n_tries  # else it was rebuilt before its first climb
    is_early = memory.n_rebuilt < GENTLE_TRIES
    return is_calm & is_whole & is_as_given & is_early & state.batch.is_free


def is_near(batch: Batch, number: Int[Tensor, " B"]) -> Bool[Tensor, "B N"]:
    """Which atoms a disturbance of that number shakes: all, of a large molecule those of one place.

    With each number the place is another one; the multiples of the golden ratio fill any molecule
    evenly, however many there are. Of two atoms as near the first counts.
    """
    n_atoms = batch.n_atoms
    place = (number.double() * _GOLDEN % 1 * n_atoms).long()
    rows = torch.arange(len(place), device=place.device)
    distance = (batch.positions - batch.positions[rows, place][:, None]).norm(dim=-1)
    distance = torch.where(batch.mask, distance, torch.inf)
    rank = distance.argsort(dim=-1, stable=True).argsort(dim=-1)
    is_all = (n_atoms < LARGE) | (not batch.is_free)
    return batch.mask & (is_all[:, None] | (rank < LOCAL_ATOMS))


def along_soft_modes(
    batch: Batch, noise: Float[Tensor, "B N 3"], farthest: Float[Tensor, " B"]
) -> Float[Tensor, "B N 3"]:
    """Displacements (A) that cost every mode of the model as much, so that soft ones go far.

    As the amplitudes of a classical molecule at some temperature, 1 / sqrt(eigenvalue).

    Args:
        batch: the molecules.
        noise: which displacement.
        farthest: how far the atom goes that goes farthest, in A.
    """
    here = spectrum(model_hessian(batch), batch)
    reach = here.eigenvalues.clamp(min=SOFTEST).rsqrt()
    reach = torch.where(here.eigenvalues.isfinite(), reach, 0.0)
    drawn = matvec(here.modes.mT, batch.sqrt_masses * noise.flatten(1))
    move = batch.inverse_sqrt_masses * matvec(here.modes, reach * drawn)
    move = move * (farthest / longest(move).clamp(min=1e-6))[:, None]
    return move.unflatten(1, (-1, 3))


def draw_noise(number: int, n_atoms: int) -> Float[Tensor, "N 3"]:
    """The disturbance of that number for so many atoms; that of fewer is the beginning of it."""
    blocks = [_block(number, place) for place in range(-(-n_atoms // _BLOCK))]
    return torch.cat(blocks)[:n_atoms]


@lru_cache(maxsize=64)
def _block(number: int, place: int) -> Float[Tensor, "M 3"]:
    generator = torch.Generator().manual_seed(number + _BLOCKS_APART * place)
    return torch.randn(_BLOCK, 3, generator=generator, dtype=torch.float64)
