"""Reactant and product on the potential: the forces left there, and both relaxed to minima."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gadlib.evaluation import Calculator
from gadlib.hessians.springs import model_hessian
from gadlib.molecules.alignment import aligned
from gadlib.molecules.bonds import bond_graph_of, is_same, n_fragments
from gadlib.molecules.descriptions import change_in_words
from gadlib.molecules.ends import ends_problem
from gadlib.molecules.starting_points import Start
from gadlib.progress import signs_of_life
from gadlib.solver.downhill.learned_minimum import relax_learned
from gadlib.solver.downhill.relaxation import RELAXED_FORCE, relax
from gadlib.solver.points import begin
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

REST = 0.05
"""eV/A on any atom, more than which is no minimum: what minimisations in ASE usually leave."""

_NAMES = ("reactant", "product")


@dataclass(frozen=True)
class Ends:
    """Both ends of a reaction on the potential.

    Attributes:
        start: with the ends, relaxed or as given.
        energies: of reactant and product, in eV; NaN where one could not be computed.
        n_gradient, n_hessian: that they have cost.
        told: what is to be said of them, in sentences; empty where they are minima.
        problem: why nothing can be looked for between them; empty where it can.
    """

    start: Start
    energies: tuple[float, float]
    n_gradient: int
    n_hessian: int
    told: str
    problem: str


def prepare_ends(calculator: Calculator, start: Start, relax_ends: str) -> Ends:
    """The ends on the potential: as given, for one gradient each, or relaxed.

    Args:
        calculator: the potential.
        start: with its ends.
        relax_ends: `never`, `always`, or `far` for those with larger forces than minima have.
    """
    assert start.ends is not None
    batch = Batch.of([replace(start, positions=end) for end in start.ends])
    batch = batch.to(getattr(calculator, "device", "cpu"))
    here = begin(batch, calculator, model_hessian(batch))
    signs_of_life.stepped(1, 1)
    if any(here.message):
        return _unusable(start, here, "could not be computed: ", here.message)
    is_far = here.max_force > REST
    if relax_ends == "never" or (relax_ends == "far" and not is_far.any()):
        return _ends(start, here, _forces_in_words(here) if is_far.any() else "")
    there = _relaxed_by(calculator, here)
    if any(there.message):
        return _unusable(start, there, "could not be relaxed: ", there.message)
    return _relaxed(start, here, there)


def _relaxed_by(calculator: Calculator, here: State) -> State:
    """The ends at minima; of a potential with cheap ones beside it for few calls."""
    has_cheap = getattr(calculator, "cheap", None) is not None
    return relax_learned(calculator, here) if has_cheap else relax(calculator, here)


def _relaxed(start: Start, here: State, there: State) -> Ends:
    """The ends relaxed, the product superposed, and how they have changed."""
    assert start.ends is not None
    numbers = start.atomic_numbers
    reactant, product = there.batch.positions.cpu().numpy()
    moved = replace(start, ends=(reactant, aligned(product, reactant)))
    assert moved.ends is not None
    told = ["The ends were relaxed first."] if (here.max_force > REST).any() else []
    forces = there.max_force.tolist()
    for name, before, after, force in zip(_NAMES, start.ends, moved.ends, forces, strict=True):
        if force > RELAXED_FORCE:
            told.append(f"Forces of {force:.3f} eV/A are left at the {name}.")
        graphs = [bond_graph_of(numbers, end) for end in (before, after)]
        if not is_same(*graphs):
            told.append(
                f"The {name} is no minimum of this potential, and became another molecule:"
                f" {change_in_words(*graphs)}."
            )
    problem = ends_problem(numbers, *moved.ends)
    if problem:
        problem = f"on this potential both ends relax to one minimum: {problem}"
    return replace(_ends(moved, there, " ".join(told)), problem=problem)


def _ends(start: Start, state: State, told: str) -> Ends:
    reactant, product = state.energy.tolist()
    n_gradient, n_hessian = (int(n.sum()) for n in (state.cost.n_gradient, state.cost.n_hessian))
    return Ends(start, (reactant, product), n_gradient, n_hessian, told, "")


def _unusable(start: Start, state: State, why: str, reasons: Sequence[str]) -> Ends:
    texts = [f"the {name} {why}{text}" for name, text in zip(_NAMES, reasons, strict=True) if text]
    return replace(_ends(start, state, ""), problem="; ".join(texts))


def _forces_in_words(state: State) -> str:
    """What forces are left at ends that are no minima, and what helps."""
    forces = state.max_force.tolist()
    left = [
        f"{force:.2f} eV/A at the {name}"
        for name, force in zip(_NAMES, forces, strict=True)
        if force > REST
    ]
    are = "The ends are no minima" if len(left) == 2 else "One end is no minimum"
    return f"{are} of this potential: forces of {' and '.join(left)}; relax_ends=far relaxes them."


def fragments_of_ends(start: Start) -> int:
    """In how many pieces a saddle between the ends may be: as many as the end with more."""
    batch = Batch.of([replace(start, positions=end) for end in start.ends or ()])
    return int(n_fragments(batch).max()) if start.ends else start.max_fragments


def within(start: Start) -> Start:
    """The start with the fragments that its ends allow, the product superposed."""
    if start.ends is None or start.problem:
        return start
    reactant, product = start.ends
    problem = ends_problem(start.atomic_numbers, reactant, product)
    start = replace(start, ends=(reactant, aligned(product, reactant)), problem=problem)
    return replace(start, max_fragments=fragments_of_ends(start))
