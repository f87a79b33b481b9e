"""The lowest eigenvalues of one Hessian from its products with a few vectors.

Block Davidson: a model is corrected by what products have shown, the lowest modes of the corrected
model are asked for next, and a Rayleigh-Ritz step says what is known by then. Whether something was
missed is asked in `missed`. All is in coordinates of the vibrations alone; products come in from
whoever makes them.

References: Davidson, J. Comput. Phys. 17, 87 (1975), doi:10.1016/0021-9991(75)90065-0; Parlett, The
Symmetric Eigenvalue Problem, SIAM (1998), doi:10.1137/1.9781611971163.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.linalg import vector_norm

from gadlib.hessians.updates import probe

INDEPENDENT_SHARE = 1e-3
"""Of a vector's length; what is left of it beside others is a direction of its own if longer, else
mostly rounding and what projecting leaves."""


@dataclass(frozen=True)
class Ritz:
    """What a Hessian A is within the directions of its products.

    Attributes:
        values: in eV/(A^2 amu), ascending; of K the k-th is no less than the k-th eigenvalue
            (Courant and Fischer).
        vectors: of each the combination s of directions V.
        errors: the norm of the residual A V s - value V s; some eigenvalue is within it of the
            value (Parlett, theorem 4.5.1).
    """

    values: Float[Tensor, " K"]
    vectors: Float[Tensor, "K K"]
    errors: Float[Tensor, " K"]


@dataclass(frozen=True)
class Products:
    """What a Hessian makes of orthonormal directions.

    Attributes:
        directions: V, in mass-weighted coordinates of the n vibrations.
        images: A V in eV/(A^2 amu).
    """

    directions: Float[Tensor, "n K"]
    images: Float[Tensor, "n K"]

    @classmethod
    def none(cls, model: Float[Tensor, "n n"]) -> Products:
        """No product yet."""
        return cls(model[:, :0], model[:, :0])

    @property
    def number(self) -> int:
        """How many there are."""
        return self.directions.shape[1]

    def grown(self, directions: Float[Tensor, "n L"], images: Float[Tensor, "n L"]) -> Products:
        """These and further ones, of directions that are orthogonal to these."""
        return Products(
            torch.cat([self.directions, directions], -1), torch.cat([self.images, images], -1)
        )

    def after(self, number: int) -> Products:
        """Those behind the first ones."""
        return Products(self.directions[:, number:], self.images[:, number:])

    @cached_property
    def within(self) -> Float[Tensor, "K K"]:
        """G = V^T A V, symmetrised."""
        found = self.directions.mT @ self.images
        return (found + found.mT) / 2

    @cached_property
    def ritz(self) -> Ritz:
        """The Ritz values of these directions."""
        values, mixed = torch.linalg.eigh(self.within)
        residual = self.images @ mixed - (self.directions @ mixed) * values
        return Ritz(values, mixed, vector_norm(residual, dim=0))

    def with_image(self, vector: Float[Tensor, " n"], image: Float[Tensor, " n"]) -> Products:
        """The same with this sharper image of a unit vector within the directions.

        What others have along it follows, as a Hessian is symmetric.
        """
        along = vector @ self.directions
        missed = image - self.images @ along
        crossed = image @ self.directions - vector @ self.images - (missed @ vector) * along
        return Products(
            self.directions,
            self.images + missed[:, None] * along + vector[:, None] * crossed,
        )

    def corrected(self, model: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
        """The model, exact now along these directions."""
        return probe(model[None], self.directions[None], self.images[None])[0]

    def independent(self, vectors: Float[Tensor, "n L"]) -> Float[Tensor, "n J"]:
        """What vectors add to the directions and to each other, orthonormal."""
        is_vector = torch.ones_like(vectors[:1], dtype=torch.bool)
        found, is_new = find_independent(vectors[None], is_vector, self.directions[None])
        return found[0][:, is_new[0]]


def find_independent(
    vectors: Float[Tensor, "B D K"], is_vector: Bool[Tensor, "B K"], known: Float[Tensor, "B D L"]
) -> tuple[Float[Tensor, "B D K"], Bool[Tensor, "B K"]]:
    """Orthonormal directions of what vectors add to known ones and each other; which add anything.

    What is left of a vector that lies within the others is rounding. Brought to unit length it
    would be any direction, rigid motions among them, and be probed as one, and what comes after it
    be turned away from it; so it is left out, and zero. Each is projected twice: Parlett, The
    Symmetric Eigenvalue Problem, SIAM (1998), 6.9.
    """
    length = vector_norm(vectors, dim=1)
    rest = torch.where(is_vector[:, None, :], vectors, 0.0)
    for _ in range(2 if known.shape[-1] else 0):
        rest = rest - known @ (known.mT @ rest)
    bases, sizes = torch.linalg.qr(rest)
    is_new = is_vector & (sizes.diagonal(dim1=1, dim2=2).abs() > INDEPENDENT_SHARE * length)
    if is_new.all():
        return bases, is_new
    columns, found = [], []  # one by one, so that what is left out takes no part
    for column in rest.unbind(-1):
        for _ in range(2):
            for other in columns:
                column = column - (other * column).sum(-1, keepdim=True) * other
        size = vector_norm(column, dim=1)
        found.append(size > INDEPENDENT_SHARE * length[:, len(found)].clamp(min=1e-12))
        columns.append(torch.where(found[-1], 1 / size.clamp(min=1e-12), 0.0)[:, None] * column)
    return torch.stack(columns, -1), torch.stack(found, -1) & is_vector
