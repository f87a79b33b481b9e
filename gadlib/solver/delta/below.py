"""Which cheap potential is below each system, and who takes over where it fails or misleads.

A calculator has one (`cheap`), and may have others beside it for what that one fails at (`others`,
with `names` for all). What was seen is set against the next one then: that takes calls of cheap
potentials alone. One that misleads gives way to the one that says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation, evaluate, name_of
from gadlib.solver.delta.observations import Observations, Told
from gadlib.solver.delta.process import likelihood
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

MISLED = 0.2
"""How much likelier, in its logarithm for each value, what was seen has to be without a cheap
potential that misleads. Of 46 searches that end soon, on HF/3-21G, GFN2-xTB and PM6, none gets
beyond 0.19 from six points on; most lose 0.3 to 1. Of five that do not end on HF/3-21G three do
(docs/measurements/delta.md, "Cheap potentials that mislead")."""


def cheap_of(calculator: Calculator) -> Calculator:
    """The cheap potential beside a calculator.

    Raises:
        ValueError: when there is none.
    """
    cheap = getattr(calculator, "cheap", None)
    if cheap is None:
        raise ValueError(
            "solver delta: the calculator has no cheap one beside it; expected one with the"
            " attribute `cheap`, as gadlib.calculators.pair makes it"
        )
    return cheap


def cheaps_of(calculator: Calculator) -> tuple[Calculator, ...]:
    """The cheap potentials beside a calculator, in the order in which they are taken."""
    return (cheap_of(calculator), *getattr(calculator, "others", ()))


def names_of(calculator: Calculator) -> tuple[str, ...]:
    """What they are called in a sentence."""
    return tuple(getattr(calculator, "names", ())) or tuple(map(name_of, cheaps_of(calculator)))


def evaluate_below(calculators: Sequence[Calculator], batch: Batch, *, hessian: bool) -> Evaluation:
    """What each system's own cheap potential says of it, asked once for all that have the same."""
    kinds = {id(one): one for one in calculators}
    if len(kinds) == 1:
        return evaluate(calculators[0], batch, hessian=hessian)[0]
    width = 3 * batch.positions.shape[1]
    energy, forces = batch.positions.new_zeros(len(batch)), torch.zeros_like(batch.positions)
    second = batch.positions.new_zeros(len(batch), width, width) if hessian else None
    failures: dict[int, str] = {}
    for key, one in kinds.items():
        rows = [row for row, other in enumerate(calculators) if id(other) == key]
        part, _ = evaluate(one, batch.take(_places(rows, batch)), hessian=hessian)
        energy[rows], forces[rows] = part.energy, part.forces
        if second is not None and part.hessian is not None:
            second[rows] = part.hessian
        failures |= {rows[place]: why for place, why in part.failures.items()}
    return Evaluation(energy, forces, second, failures)


def observed(
    cheap: Calculator,
    batch: Batch,
    positions: Float[Tensor, "K N 3"],
    answer: Evaluation,
    known: Observations,
) -> Observations:
    """The observations with those at points where both potentials could be computed.

    Args:
        cheap: the potential that the observations are against.
        batch: the one system.
        positions: the points.
        answer: what the costly potential says there.
        known: seen before.
    """
    many = batch.take(torch.zeros(len(positions), dtype=torch.int64)).moved_to(positions)
    below, _ = evaluate(cheap, many, hessian=False)
    n = int(batch.n_atoms[0])
    for row in (answer.energy - below.energy).isfinite().nonzero().flatten().tolist():
        known = known.plus(positions[row, :n], told(answer, row, n), told(below, row, n))
    return known


@dataclass(frozen=True)
class Turn:
    """Another cheap potential below one system.

    Attributes:
        known: what was seen, now against that one.
        here: what it says where the system is, its Hessian too.
        told: why it is another one, in a sentence.
    """

    known: Observations
    here: Evaluation
    told: str


def take_over(calculator: Calculator, system: Batch, known: Observations, why: str) -> Turn | None:
    """The turn to the next cheap potential that answers; None where no other does.

    Args:
        calculator: the potential, with its cheap ones.
        system: a batch of one, where the last one has failed.
        known: seen of it.
        why: the last one has failed.
    """
    names = names_of(calculator)
    for which in range(known.which + 1, len(cheaps_of(calculator))):
        sentence = f"The cheap potential failed ({why}); {names[which]} took its place."
        if (turn := _turn(calculator, system, known, which, sentence)) is not None:
            return turn
    return None


def without_misleading(calculator: Calculator, system: Batch, known: Observations) -> Turn | None:
    """The turn to no cheap potential at all where the own one misleads; None where it does not.

    It does where what was seen is by far likelier on nothing: models are compared by their marginal
    likelihoods (Rasmussen, Williams, Gaussian Processes for Machine Learning, 2006, section 5.2).

    Args:
        calculator: the potential, with its cheap ones.
        system: a batch of one, where it is.
        known: seen of it.
    """
    says_nothing = [getattr(cheap, "says_nothing", False) for cheap in cheaps_of(calculator)]
    if says_nothing[known.which] or not any(says_nothing):
        return None
    name = names_of(calculator)[known.which]
    sentence = f"{name} misled; after {len(known)} points the search began anew without it."
    turn = _turn(calculator, system, known, says_nothing.index(True), sentence)
    if turn is None or likelihood(turn.known) - likelihood(known) < MISLED * known.n_values:
        return None
    return turn


def _turn(
    calculator: Calculator, system: Batch, known: Observations, which: int, sentence: str
) -> Turn | None:
    """The turn to a cheap potential, told in a sentence; None where it does not answer here."""
    cheap = cheaps_of(calculator)[which]
    here, _ = evaluate(cheap, system, hessian=True)
    if here.failures:
        return None
    if not len(known):
        return Turn(replace(known, which=which), here, sentence)
    n, device = known.positions.shape[1], system.positions.device
    places = system.positions.new_zeros(len(known), *system.positions.shape[1:])
    places[:, :n] = known.positions.to(places)
    many = system.take(torch.zeros(len(known), dtype=torch.int64, device=device)).moved_to(places)
    below, _ = evaluate(cheap, many, hessian=False)
    seen = known.against(which, below.energy.cpu(), -below.forces[:, :n].cpu())
    return Turn(seen, here, sentence)


def told(answer: Evaluation | State, row: int, n: int) -> Told:
    """What a potential says of one system of so many atoms."""
    return answer.energy[row], -answer.forces[row, :n]


def _places(rows: Sequence[int], batch: Batch) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64, device=batch.positions.device)
