"""How many eigenvalues of a Hessian are negative, asked by few products: none, one, or more.

An inquiry asks for directions and is given what the Hessian makes of them (`davidson`). First the
lowest two modes are looked for, until the bounds of both have one sign; then a random vector tells
whether one was missed (`missed`). Whoever asks makes the products; nothing is called here.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.hessians.davidson import Products, Ritz
from gadlib.hessians.missed import Rest

FIRST = 2
"""Modes of the model that are asked for first. At 46 saddles of `delta`
(docs/measurements/proofs.md, "Proof by products") the order is proved by 6.7, 5.9, 6.4 gradients on
average with 1, 2, 3."""

CHANCE = 1e-2
"""That a negative eigenvalue is missed where there is one beside those found, and the model takes
it for `missed.TAKEN_FOR`. Of 241 points of `trust` 23 have one by then; asked with three random
vectors each, none is called a saddle in error. With 0.03 a proof takes 0.9 gradients less."""

FLAT = 4e-4
"""eV/(A^2 amu), 10 cm-1: what differences to both sides leave open, by which soft modes are known.
Of 1029 inquiries at points of DFTB0 one is wrong about a mode softer than 20 cm-1, with 2e-4 two;
whole Hessians by differences along Cartesian coordinates are off by 5e-4."""

BESIDE_SOFT = 1.5e-3
"""eV/(A^2 amu), 20 cm-1: where the second eigenvalue is below, more modes are soft, and what the
model takes for stiffer may be soft too. Then a tenth of the chance is asked for: of 366 inquiries
one had missed an eigenvalue of -5e-4, now none, for 0.2 gradients."""

SOFT = 0.05
"""eV/(A^2 amu), 117 cm-1: a softer Ritz value is computed anew by differences to both sides; those
to one side are off by 0.01 at times, for atoms that turn stretch their bonds, by 0.04 once."""

KEPT_SHARE = 0.7
"""Of a positive Ritz value that the corrected model keeps: then what lies beside is small, and the
random vector is left to tell. With residuals alone 13 % of the points stay open, with this share
1 %; with a half the random vector was wrong once in 1366 at a chance of 0.01, and nothing is saved
at points of `delta`."""

LIMIT_SHARE = 0.25
"""Of the second Ritz value: the lower bound of the second eigenvalue, so that its wavenumber is at
least half of what it seems. With 0 a proof takes 0.1 gradients less on average."""

_HIGHEST = 1.0  # eV/(A^2 amu), 521 cm-1, of the bound: none is asked for beyond it

_SAME = 0.95  # of a soft Ritz vector within what was computed to both sides: it is known

_ROUNDS = 8  # of looking for modes and for what was missed; two are enough nearly always


class Order(StrEnum):
    """What is known of the number of negative eigenvalues."""

    OPEN = "open"
    NONE = "none"
    ONE = "one"
    MORE = "more"


@dataclass(frozen=True)
class Wish:
    """What is asked of a Hessian next.

    Attributes:
        directions: orthonormal.
        is_central: whether to compute it by differences to both sides.
    """

    directions: Float[Tensor, "n L"]
    is_central: bool = False

    @property
    def n_gradient(self) -> int:
        """Gradients that it takes."""
        return self.directions.shape[1] * (1 + self.is_central)


@dataclass(frozen=True)
class Finding:
    """What an inquiry has found.

    Attributes:
        order: of the Hessian.
        products: made for it.
        lowest: the lowest eigenvalue as far as it is known: of the model, corrected.
        second_least: a lower bound of the second eigenvalue, zero where no better one is known.
    """

    order: Order
    products: Products
    lowest: float = 0.0
    second_least: float = 0.0


Asking = Generator[Wish, Float[Tensor, "n L"], Finding]
"""An inquiry under way: give it the images of each wish."""


def inquire(model: Float[Tensor, "n n"], seed: int, n_most: int, chance: float = CHANCE) -> Asking:
    """The inquiry into a Hessian of which a model is known, in coordinates of its vibrations.

    Args:
        model: nearly right where it is soft, in eV/(A^2 amu).
        seed: of the random vector.
        n_most: gradients, beyond which no further direction is asked for.
        chance: that a negative eigenvalue is missed where there is one beside those found.
    """
    return (yield from _Inquiry(model, seed, n_most, chance).all())


class _Inquiry:
    """An inquiry, and what it knows so far."""

    def __init__(self, model: Float[Tensor, "n n"], seed: int, n_most: int, chance: float) -> None:
        self.model, self.n_most, self.chance, self.n_gradient = model, n_most, chance, 0
        self.generator = torch.Generator().manual_seed(seed)
        self.products = Products.none(model)
        self.central: list[tuple[Tensor, Tensor]] = []

    def all(self) -> Asking:
        """Looking for the lowest modes and for what was missed, until both agree."""
        yield from self._begin()
        for _ in range(_ROUNDS):
            order = yield from self._look()
            if order is not None:
                return self._found(order)
            if (yield from self._make_central()):
                continue
            least = yield from self._test()
            if least is not None and (yield from self._stays()):
                return self._found(self._order(), min(least, self._two[1]))
        return self._found(Order.OPEN)

    def _begin(self) -> Generator[Wish, Float[Tensor, "n L"], None]:
        """The model's lowest modes; soft ones to both sides at once, which saves asking again."""
        values, modes = torch.linalg.eigh(self.model)
        is_soft = values[:FIRST].abs() < SOFT
        yield from self._ask(modes[:, :FIRST][:, ~is_soft])
        yield from self._ask(modes[:, :FIRST][:, is_soft], is_central=True)

    def _found(self, order: Order, least: float = 0.0) -> Finding:
        values = torch.linalg.eigvalsh(self.products.corrected(self.model))
        return Finding(order, self.products, float(values[0]), least)

    @property
    def _two(self) -> list[float]:
        """The two lowest Ritz values; infinite where there are fewer."""
        return [*self.products.ritz.values[:2].tolist(), torch.inf, torch.inf][:2]

    @property
    def _limit(self) -> float:
        """The lower bound of the second eigenvalue that is to be proved."""
        return min(max(FLAT / 2, LIMIT_SHARE * self._two[1]), _HIGHEST)

    @property
    def _is_flat(self) -> bool:
        return min(abs(value) for value in self._two) < FLAT

    def _order(self) -> Order:
        lowest, second = self._two
        return Order.MORE if second < 0 else Order.ONE if lowest < 0 else Order.NONE

    def _ask(
        self, vectors: Float[Tensor, "n L"], *, is_central: bool = False
    ) -> Generator[Wish, Float[Tensor, "n L"], bool]:
        """Whether vectors added anything to what is known."""
        if not vectors.shape[1]:
            return False
        directions = self.products.independent(vectors)
        wish = Wish(directions, is_central)
        if not directions.shape[1] or self.n_gradient + wish.n_gradient > self.n_most:
            return False
        self.n_gradient += wish.n_gradient
        images = yield wish
        self.products = self.products.grown(directions, images)
        if is_central:
            self.central += zip(directions.unbind(1), images.unbind(1), strict=True)
        self._keep_sharp()
        return True

    def _is_sharp(self, vector: Float[Tensor, " n"]) -> bool:
        """Whether a unit vector lies within what was computed to both sides."""
        if not self.central:
            return False
        basis = torch.linalg.qr(torch.stack([known for known, _ in self.central], 1)).Q
        return float((basis.mT @ vector).norm()) > _SAME

    def _keep_sharp(self) -> None:
        """What differences to both sides have shown counts where those to one side say else."""
        for vector, image in self.central:
            self.products = self.products.with_image(vector, image)

    def _make_central(self) -> Generator[Wish, Float[Tensor, "n L"], bool]:
        """Whether a soft one of the lowest Ritz vectors was computed to both sides."""
        is_new = False
        for place in range(min(2, self.products.number)):
            ritz: Ritz = self.products.ritz
            vector = self.products.directions @ ritz.vectors[:, place]
            if self._is_sharp(vector) or abs(float(ritz.values[place])) > SOFT:
                continue
            wish = Wish(vector[:, None], is_central=True)
            self.n_gradient += wish.n_gradient
            image = yield wish
            self.central.append((vector, image[:, 0]))
            self._keep_sharp()
            is_new = True
        return is_new

    def _look(self) -> Generator[Wish, Float[Tensor, "n L"], Order | None]:
        """The order, where it is known to be no saddle's or stays open; else None."""
        while True:
            is_soft = self._is_flat or -SOFT < self._two[1] < 0
            if is_soft and (yield from self._make_central()):
                continue
            if self._two[1] < 0 and not self._is_flat:
                return Order.MORE
            values, modes = torch.linalg.eigh(self.products.corrected(self.model))
            if self._is_flat and float(values[:2].abs().min()) < FLAT:
                return Order.OPEN
            wanted = self._wanted(values)
            if not wanted:
                return Order.OPEN if self._is_flat else None
            if not (yield from self._ask(modes[:, wanted])):
                return Order.OPEN

    def _wanted(self, values: Float[Tensor, " n"]) -> list[int]:
        """The modes of the corrected model, with these eigenvalues, that are to be known better.

        Below a Ritz value below zero there is an eigenvalue. One above has its residual's bound, or
        the corrected model's word. That is to have as many eigenvalues below the limit, beyond
        which the random vector is asked.
        """
        ritz, n_below = self.products.ritz, int((values < self._limit).sum())
        is_same = n_below == int((ritz.values < self._limit).sum())
        wanted = []
        for place in range(min(2, len(ritz.values))):
            value, error = float(ritz.values[place]), float(ritz.errors[place])
            is_kept = is_same and float(values[place]) > KEPT_SHARE * value > 0
            if not (value < 0 or value - error > 0 or is_kept):
                wanted.append(place)
        return wanted or ([] if is_same else [max(0, n_below - 1)])

    def _stays(self) -> Generator[Wish, Float[Tensor, "n L"], bool]:
        """Whether all is as it was before a test, when soft values were computed to both sides."""
        while (yield from self._make_central()):
            pass
        values = torch.linalg.eigvalsh(self.products.corrected(self.model))
        return not (self._is_flat or self._two[1] < 0 or self._wanted(values))

    def _test(self) -> Generator[Wish, Float[Tensor, "n L"], float | None]:
        """A lower bound of the second eigenvalue, when no negative one is likely to be missed.

        None where the lowest two are to be looked for again.
        """
        if self._is_complete:
            return self._two[1] if min(map(abs, self._two)) > SOFT else None
        limit = self._limit
        chance = self.chance * (0.1 if self._two[1] < BESIDE_SOFT else 1)
        rest = Rest.of(self.model, self.products, self.generator, limit)
        while rest is not None:
            residual = rest.residual(self.products)
            if rest.chance(residual) < chance:
                return limit
            if not (yield from self._ask(rest.towards(residual))):
                break
            if self._two[1] < limit or self._is_complete:
                break
        return None

    @property
    def _is_complete(self) -> bool:
        return self.products.number == len(self.model)
