"""A soft wall that keeps the pieces of a molecule together.

The wall is exactly zero wherever the bonds leave no more pieces than allowed, so it moves no
stationary point of a bound molecule, nor where half-made bonds join them; beyond, it pulls on the
shortest links that would join the pieces, as a spanning tree. The idea of joining fragments by an
artificial force: Maeda, Morokuma, J. Chem. Theory Comput. 7, 2335 (2011), doi:10.1021/ct200290m.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.springs import pair_hessian
from gadlib.molecules.bonds import BOND_SCALE
from gadlib.molecules.contacts import longest_links
from gadlib.solver.trust.constants import HARMONIC, STIFFNESS
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put


@dataclass(frozen=True)
class Wall:
    """The wall's energy (eV), gradient (eV/A), Hessian (eV/A^2); all zero where it does not act."""

    energy: Float[Tensor, " B"]
    gradient: Float[Tensor, "B D"]
    hessian: Float[Tensor, "B D D"]

    @classmethod
    def none(cls, batch: Batch) -> Wall:
        """No wall around any molecule."""
        size, width = batch.positions.shape[:2]
        new = batch.positions.new_zeros
        return cls(new(size), new(size, 3 * width), new(size, 3 * width, 3 * width))

    @property
    def is_active(self) -> Bool[Tensor, " B"]:
        """Whether the wall pulls at a molecule."""
        return self.energy > 0


def wall(
    batch: Batch,
    n_pieces: Int[Tensor, " B"],
    max_fragments: Int[Tensor, " B"],
    limits: Float[Tensor, "B N N"] | None = None,
) -> Wall:
    """The wall around molecules that may have so many pieces; links longer than bonds are pulled.

    Args:
        batch: the molecules.
        n_pieces: connected pieces of their bond graphs.
        max_fragments: pieces that they may have.
        limits: scaled distances to which pairs of atoms are joined; by default bonds.
    """
    if limits is None:
        limits = torch.full_like(batch.scaled_distances, BOND_SCALE)
    is_torn = (n_pieces > max_fragments) & batch.is_free
    rows = is_torn.nonzero().flatten()
    none = Wall.none(batch)
    if not len(rows):
        return none
    torn, allowed = batch.take(rows), limits[rows]
    lengths = torn.scaled_distances / allowed
    is_pulled = _links(lengths, max_fragments[rows]) & (lengths > 1)
    return put(none, rows, lambda _: _pull(torn, is_pulled, allowed))


def _links(
    lengths: Float[Tensor, "B N N"], max_fragments: Int[Tensor, " B"]
) -> Bool[Tensor, "B N N"]:
    """The minimal spanning tree of the atoms, without its longest links where pieces are allowed.

    A link belongs to the tree when no way round it has only shorter ones; of equally long ones all
    belong.
    """
    is_link = (lengths <= longest_links(lengths)) & lengths.isfinite()
    for n_open in range(1, int(max_fragments.max())):
        length = torch.where(is_link.triu(), lengths, 0.0).flatten(1)
        is_longest = torch.nn.functional.one_hot(length.argmax(-1), length.shape[1]).bool()
        is_open = (is_longest & (max_fragments > n_open)[:, None]).view_as(is_link)
        is_link = is_link & ~(is_open | is_open.mT)
    return is_link


def _pull(batch: Batch, is_pulled: Bool[Tensor, "B N N"], limits: Float[Tensor, "B N N"]) -> Wall:
    """The wall of links with the energy k (s - s0)^2 / 2 beyond limits s0, linear farther out."""
    radii = batch.radii_sum
    excess = torch.where(is_pulled, batch.scaled_distances - limits, 0.0)
    bent = excess.clamp(max=HARMONIC)
    energy = STIFFNESS / 2 * (bent * (excess - bent / 2)).sum((1, 2))
    slope = STIFFNESS * bent / radii
    is_bent = is_pulled & (excess < HARMONIC)
    along = torch.where(is_bent, STIFFNESS / radii**2, 0.0)
    moves = batch.moves.repeat_interleave(3, -1).to(slope.dtype)
    hessian = pair_hessian(batch, along, slope / batch.distances)
    return Wall(
        energy,
        (slope[:, None] * batch.units).sum(-1).mT.flatten(1) * moves,
        hessian * moves[:, :, None] * moves[:, None, :],
    )
