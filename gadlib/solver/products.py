"""The order of points proved by a few products of Hessians with vectors, not by all of them.

A product costs a gradient by a difference to one side, a whole Hessian by differences 6N. What is
asked for is `hessians.inquiry`'s; here are the calculator's calls for it, counted, and what comes
of them. Where the order stays open a whole Hessian has to tell it, as it has all frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.linalg import vector_norm

from gadlib.evaluation import Calculator
from gadlib.hessians.frames import bent
from gadlib.hessians.inquiry import CHANCE, Asking, Finding, Order, Wish, inquire
from gadlib.hessians.normal_modes import is_nearly_straight, spectrum
from gadlib.solver.differences import Differences, differ, downhill
from gadlib.solver.points import add_hessian
from gadlib.solver.state import Beside, ProductProof, State
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put

PRODUCT_LENGTH = 0.003
"""A, of the displacements. Atoms that turn about a bond stretch it by the square of that, which a
difference to one side shows as a curvature that is none; what a gradient leaves open, divided by
it, is no less. With 0.001 A as many of 350 points are proved."""

CENTRAL_LENGTH = 0.03
"""A, of displacements to both sides. They go along bent coordinates (`hessians.frames`), in which a
torsion stretches no bond: from 0.003 to 0.03 A soft curvatures of DFTB0 and GFN2-xTB stay the same
to 3e-5 eV/(A^2 amu) mostly, from 0.06 A on one of 122 points has another order. So what a gradient
leaves open is divided by ten times as much as beside one side."""

CHANCE_LEARNED = 3e-2
"""As `CHANCE`, where the model is a cheap potential's Hessian and what was learned: that has none
missed where those of `trust` have one missed at one of ten points (docs/measurements/proofs.md,
"Proof by products"). It saves 0.7 gradients a proof."""

MOST_SHARE = 0.5
"""Of the gradients of a whole Hessian, 6 for each atom that moves; then the order stays open."""


def takes_products(calculator: Calculator, proof: str) -> bool:
    """Whether saddles are proved by products: by word, or by `auto` as Hessians are differences.

    Args:
        calculator: the potential; one that says nothing by `has_hessian` is taken to have its own.
        proof: the hyperparameter.
    """
    is_auto = proof == "auto"
    return not getattr(calculator, "has_hessian", True) if is_auto else proof == "products"


def ask_products(calculator: Calculator, state: State, chance: float = CHANCE) -> State:
    """The state with what a few products say of the order at each point (`State.proof`).

    Its Hessian and spectrum are the model's, corrected by the products; `is_exact` is set where a
    saddle of order one is proved. Each round is one call of the calculator for all systems whose
    order is open. A system for which that fails stays open, and so does a chain that is nearly
    straight, whose second bend only a whole Hessian tells from a rotation.

    Args:
        calculator: the potential.
        state: at points where no force is left, with models of their Hessians.
        chance: that a negative curvature is missed where there is one beside those found.
    """
    work = _Work(calculator, state, chance)
    while any(work.wishes):
        work.make()
    return work.done()


def prove_orders(
    calculator: Calculator,
    state: State,
    is_claimed: Bool[Tensor, " B"],
    *,
    by_products: bool,
    chance: float = CHANCE,
    is_spared: Bool[Tensor, " B"] | None = None,
) -> State:
    """The state with the orders of claimed saddles known: by products, else by exact Hessians.

    `proof` is of this point then; `is_exact` is set where the order is one by either, and where the
    Hessian is the calculator's. Where that `is_spared` an order may stay open.
    """
    rows = is_claimed.nonzero().flatten()
    state = replace(state, proof=(None,) * len(state.batch))
    if by_products:
        state = put(state, rows, lambda part: ask_products(calculator, part, chance))
        rows = (is_claimed & is_open(state)).nonzero().flatten()
    if is_spared is not None:
        rows = rows[~is_spared[rows]]
    state = put(state, rows, lambda part: add_hessian(calculator, part))
    return replace(state, is_exact=state.is_exact.index_fill(0, rows, True))


def is_refuted(state: State) -> Bool[Tensor, " B"]:
    """Whether an exact Hessian, or products, tell that a system is at no saddle of order one."""
    return ~is_open(state) & (state.order != 1)


def is_open(state: State) -> Bool[Tensor, " B"]:
    """Whether neither an exact Hessian nor products tell the order where a system is."""
    is_untold = [proof is None for proof in state.proof]
    return torch.tensor(is_untold, dtype=torch.bool, device=state.index.device) & ~state.is_exact


@dataclass(frozen=True)
class _Asked:
    """One side of the differences that are asked for: of which system, which column, how far.

    Attributes:
        rows: of the batch.
        displacements: in A.
        steps: their length in A, with a sign.
        lengths: of the directions that are asked for, in Cartesian coordinates.
    """

    rows: Int[Tensor, " M"]
    displacements: Float[Tensor, "M D"]
    steps: Float[Tensor, "M 1"]
    lengths: Float[Tensor, "M 1"]


class _Work:
    """Inquiries into a batch, and what each asks for next; None where it has ended."""

    def __init__(self, calculator: Calculator, state: State, chance: float) -> None:
        self.calculator, self.state, self.batch = calculator, state, state.batch
        self.forces = state.forces.flatten(1)
        self.spectrum = spectrum(state.hessian, self.batch)
        self.n_gradient = torch.zeros_like(state.steps)
        self.seconds = torch.zeros_like(state.energy)
        self.made: list[tuple[Tensor, Differences]] = []
        size = len(self.batch)
        self.askings: list[Asking] = [self._begun(row, chance) for row in range(size)]
        self.findings: list[Finding | None] = [None] * size
        self.wishes: list[Wish | None] = [
            None if is_barred else next(asking)
            for asking, is_barred in zip(self.askings, self._barred().tolist(), strict=True)
        ]

    def _n_left(self, row: int) -> int:
        return int(self.spectrum.motions.n_left[row])

    def _barred(self) -> Bool[Tensor, " B"]:
        """Nearly straight chains that are not straight, and what cannot vibrate."""
        n_rigid = 3 * self.batch.n_moving - self.spectrum.motions.n_left
        is_bent = is_nearly_straight(self.batch) & (n_rigid == 6)
        return (is_bent & self.batch.is_free) | (self.spectrum.motions.n_left < 1)

    def _begun(self, row: int, chance: float) -> Asking:
        model = self.spectrum.eigenvalues[row, : self._n_left(row)].cpu()
        most = int(MOST_SHARE * 6 * int(self.batch.n_moving[row]))
        return inquire(torch.diag(model), _seed(self.batch, row), most, chance)

    def _modes(self, row: int) -> Float[Tensor, "D n"]:
        """The model's modes in Cartesian coordinates, by which vectors come and go."""
        modes = self.spectrum.modes[row, :, : self._n_left(row)]
        return self.batch.inverse_sqrt_masses[row][:, None] * modes

    def make(self) -> None:
        """Compute what is asked for, by one call, and give it to those who ask."""
        open_ = [(row, wish) for row, wish in enumerate(self.wishes) if wish is not None]
        sides = [self._side(row, wish) for row, wish in open_]
        both = [self._side(row, wish, -1) for row, wish in open_ if wish.is_central]
        changes, lost = self._differ([*sides, *both])
        others = iter(changes[len(sides) :])
        for (row, wish), side, change in zip(open_, sides, changes, strict=False):
            change = (change + next(others)) / 2 if wish.is_central else change
            images = (self._modes(row).mT @ (side.lengths * change).mT).cpu()
            self._give(row, images, is_lost=row in lost)

    def _give(self, row: int, images: Float[Tensor, "n L"], *, is_lost: bool) -> None:
        self.wishes[row] = None
        if is_lost:
            return
        try:
            self.wishes[row] = self.askings[row].send(images)
        except StopIteration as ended:
            self.findings[row] = ended.value

    def _side(self, row: int, wish: Wish, sign: int = 1) -> _Asked:
        moved = (self._modes(row) @ wish.directions.to(self.forces)).mT
        lengths = vector_norm(moved, dim=1, keepdim=True)
        rows = torch.full_like(self.state.steps[:1], row).expand(len(moved))
        units = moved / lengths
        length = CENTRAL_LENGTH if wish.is_central else PRODUCT_LENGTH
        steps = sign * downhill(self.forces[rows], units, length)
        displacements = steps * units
        if wish.is_central:
            displacements = bent(self.batch.take(rows), displacements)
        return _Asked(rows, displacements, steps, lengths)

    def _differ(self, sides: Sequence[_Asked]) -> tuple[list[Tensor], set[int]]:
        """The Hessian along each, and the systems for which the calculator failed; all counted."""
        rows = torch.cat([side.rows for side in sides])
        made = differ(
            self.calculator,
            self.batch,
            self.forces,
            rows,
            torch.cat([side.displacements for side in sides]),
            torch.cat([side.steps for side in sides]),
        )
        self.made.append((rows, made))
        counted = torch.bincount(rows, minlength=len(self.batch))
        self.n_gradient = self.n_gradient + counted * made.evaluation.asked
        self.seconds = self.seconds + made.seconds * counted / len(rows)
        lost = {int(rows[place]) for place in made.evaluation.failures}
        return list(made.changes.split([len(side.rows) for side in sides])), lost

    def done(self) -> State:
        """The state with what was found, and what it cost."""
        state, proofs = self.state, [self._proof(row) for row in range(len(self.batch))]
        hessian = self._corrected()
        is_one = [proof is not None and proof.order == Order.ONE for proof in proofs]
        return replace(
            state,
            hessian=hessian,
            spectrum=spectrum(hessian, self.batch, self.spectrum.motions),
            is_exact=torch.tensor(is_one, device=state.is_exact.device),
            proof=tuple(proofs),
            cost=state.cost.plus(n_gradient=self.n_gradient, calculator_s=self.seconds),
        )

    def _proof(self, row: int) -> ProductProof | None:
        found = self.findings[row]
        if found is None or found.order == Order.OPEN:
            return None
        return ProductProof(
            order=found.order,
            n_products=found.products.number,
            n_gradient=int(self.n_gradient[row]),
            lowest=found.lowest,
            second_least=found.second_least,
            beside=self._beside(row),
        )

    def _beside(self, row: int) -> Beside:
        """The points beside that a system was computed at."""
        n = int(self.batch.n_atoms[row])
        parts = [
            (made.positions[of], made.evaluation.energy[of], made.evaluation.forces[of])
            for rows, made in self.made
            for of in [rows == row]
        ]
        positions, energies, forces = map(torch.cat, zip(*parts, strict=True))
        return Beside(positions[:, :n], energies, forces[:, :n])

    def _corrected(self) -> Float[Tensor, "B D D"]:
        """The Cartesian models, exact now along what was asked for."""
        hessian = self.state.hessian.clone()
        for row, found in enumerate(self.findings):
            if found is None:
                continue
            n = self._n_left(row)
            model = torch.diag(self.spectrum.eigenvalues[row, :n].cpu())
            change = (found.products.corrected(model) - model).to(hessian)
            root = self.batch.sqrt_masses[row][:, None] * self.spectrum.modes[row, :, :n]
            hessian[row] += root @ change @ root.mT
        return hessian


def _seed(batch: Batch, row: int) -> int:
    """Of a system's random vector: its own, whatever company it is in."""
    places = batch.positions[row, : int(batch.n_atoms[row])].double().cpu()
    return int(1e4 * float(torch.cdist(places, places).sum())) % 2**31
