"""The chance that a few products of a Hessian have missed an eigenvalue below a limit.

A residual bound says that some eigenvalue lies near a Ritz value, not that no other lies below. So
one is asked for by a random vector. Let D be known directions, G and R what the Hessian A makes of
them within D and beside it, C the rest. A has as many negative eigenvalues as G and
S = C - R G^-1 R^T have together (Haynsworth, Linear Algebra Appl. 1, 73 (1968)). Let S_M be that of
the model and B = S_M^-1/2 S S_M^-1/2. Let v be a unit vector with S v = 0, which is u = S_M^1/2 v
with B u = 0; let z be a random vector of independent standard normal numbers, and x = S_M^-1/2 z.
For every y is <v, z> = <u, x> = <u, x + B y>, at most |u| |x + B y|: the residual of B y = -x, made
as small as products allow, bounds the part of v in z. Of any given direction a random vector has so
little by a chance below sqrt(2 / pi) |u| |x + B y|. Here |u|^2 = v S_M v is what the model takes
the curvature along v for (`TAKEN_FOR`). Where y is of the Krylov space of x, on which B is
positive, the same holds for eigenvalues below zero: the zeros of its orthogonal polynomials are
positive, so that these grow to the left of zero. That a random start misses what it should find is
bounded so by Kuczynski, Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1094 (1992),
doi:10.1137/0613066, whose bound knows nothing of the residual.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.davidson import Products

TAKEN_FOR = 0.92
"""eV/(A^2 amu), 500 cm-1: what the model takes the curvature along a missed mode for, at which the
chance is the one that is asked for. Of other modes it is in proportion to their wavenumber in the
model. Of 241 points of `trust` 23 have one missed by then, which the model takes for 129 to 1323
cm-1, half of them for less than 500."""

_LEAST_SHARE = 1e-10  # of the largest singular value; a null vector's image is less, by rounding


@dataclass(frozen=True)
class Rest:
    """What known directions leave of a Hessian and of its model, and a random vector there.

    Attributes:
        known: the products of D.
        basis: of what D leaves.
        root: S_M^-1/2 within the basis.
        sample: x, longest along what is soft in the model.
        limit: what is subtracted from the Hessian's diagonal, so that eigenvalues below it count.
    """

    known: Products
    basis: Float[Tensor, "n m"]
    root: Float[Tensor, "m m"]
    sample: Float[Tensor, " m"]
    limit: float

    @classmethod
    def of(
        cls,
        model: Float[Tensor, "n n"],
        known: Products,
        generator: torch.Generator,
        limit: float = 0.0,
    ) -> Rest | None:
        """The rest beside known directions, fewer than n; None where S_M is not positive."""
        bases = torch.linalg.qr(known.directions, mode="complete").Q
        basis = bases[:, known.number :]
        crossed = basis.mT @ known.images
        within = known.within - limit * torch.eye(known.number).to(model)
        schur = basis.mT @ model @ basis - crossed @ torch.linalg.solve(within, crossed.mT)
        schur.diagonal().sub_(limit)
        values, vectors = torch.linalg.eigh((schur + schur.mT) / 2)
        if float(values[0]) <= 0:
            return None
        drawn = torch.randn(len(values), generator=generator, dtype=model.dtype)
        root = (vectors * values.rsqrt()) @ vectors.mT
        return cls(known, basis, root, root @ drawn, limit)

    def residual(self, products: Products) -> Float[Tensor, " m"]:
        """What is left of x + B y, as short as the products beside D make it."""
        more = products.after(self.known.number)
        if not more.number:
            return self.sample
        within = self.known.within - self.limit * torch.eye(self.known.number).to(self.sample)
        crossed = self.known.images.mT @ more.directions
        mapped = self.basis.mT @ (more.images - self.limit * more.directions)
        mapped = mapped - self.basis.mT @ self.known.images @ torch.linalg.solve(within, crossed)
        mapped = self.root @ mapped
        wanted = -self.sample[:, None]
        best = torch.linalg.lstsq(mapped, wanted, rcond=_LEAST_SHARE, driver="gelsd").solution
        return self.sample + (mapped @ best)[:, 0]

    def chance(self, residual: Float[Tensor, " m"]) -> float:
        """That x would have left so little, were there an eigenvector that was missed.

        It is that of one which the model takes for as stiff as `TAKEN_FOR`.
        """
        return min(1.0, math.sqrt(2 * TAKEN_FOR / math.pi) * float(residual.norm()))

    def towards(self, residual: Float[Tensor, " m"]) -> Float[Tensor, "n 1"]:
        """The direction by which the residual is made shorter: Krylov's next."""
        return (self.basis @ (self.root @ residual))[:, None]
