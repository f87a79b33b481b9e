"""The chance that a few products of a Hessian have missed an eigenvalue below a limit.

A residual bound says that some eigenvalue lies near a Ritz value, not that no other lies below. So
one is asked for by a random vector. Let D be known directions, G and R what the Hessian A makes of
them within D and beside it, C the rest. A has as many negative eigenvalues as G and
S = C - R G^-1 R^T have together (Haynsworth, Linear Algebra Appl. 1, 73 (1968)). With S_M of the
model and B = S_M^-1/2 S S_M^-1/2, let u be a unit vector with B u = 0, and x a random one. For
every y is <u, x> = <u, x + B y>, at most |x + B y|: the residual of B y = -x, made as small as
products allow, bounds the part of u in x; and a random vector of m dimensions has so little of a
given direction by a chance below sqrt(2 m / pi) |x + B y|. Where y is of the Krylov space of x, on
which B is positive, the same holds for eigenvalues below zero: the zeros of its orthogonal
polynomials are positive, so that these grow to the left of zero. That a random start misses what
it should find is bounded so by Kuczynski, Wozniakowski, SIAM J. Matrix Anal. Appl. 13, 1094 (1992),
doi:10.1137/0613066, whose bound knows nothing of the residual.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.davidson import Products


@dataclass(frozen=True)
class Rest:
    """What known directions leave of a Hessian and of its model, and a random vector there.

    Attributes:
        known: the products of D.
        basis: of what D leaves.
        root: S_M^-1/2 within the basis.
        sample: x.
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
        return cls(known, basis, root, drawn / drawn.norm(), limit)

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
        best = torch.linalg.lstsq(mapped, -self.sample[:, None], driver="gelsd").solution
        return self.sample + (mapped @ best)[:, 0]

    def chance(self, residual: Float[Tensor, " m"]) -> float:
        """That x would have left so little, were there an eigenvector that was missed."""
        return min(1.0, math.sqrt(2 * len(residual) / math.pi) * float(residual.norm()))

    def towards(self, residual: Float[Tensor, " m"]) -> Float[Tensor, "n 1"]:
        """The direction by which the residual is made shorter: Krylov's next."""
        return (self.basis @ (self.root @ residual))[:, None]
