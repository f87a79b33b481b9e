"""What a proof's products say is known to the surrogate of the solver delta."""

from __future__ import annotations

import pytest
import torch

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.hessians.normal_modes import spectrum
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.settings.hyperparameters import DeltaHyperparameters
from gadlib.solver.delta.learning import with_surrogate
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.points import begin
from gadlib.solver.products import PRODUCT_LENGTH
from gadlib.solver.search import search
from gadlib.solver.state import State
from gadlib.systems.batch import Batch

pytest.importorskip("scine_sparrow")

PM6, DFTB0 = (get("scine", functional=name) for name in ("PM6", "DFTB0"))
CALCULATOR = Paired(PM6, DFTB0)


@pytest.fixture(scope="module")
def ended() -> State:
    (guess,) = (s for s in starts(read(split="all"), "ts") if s.name == "rxn0062")
    frames = search(
        CALCULATOR,
        Batch.of([guess]),
        DeltaHyperparameters(proof="products"),
        criterion="strict",
        n_steps=40,
    )
    *_, frame = frames
    assert frame.status[0].is_met
    return frame.state


def test_gradients_of_the_proof_are_among_what_was_seen(ended):
    (proof,) = ended.proof
    assert proof is not None and len(proof.beside.energies) == proof.n_gradient
    (seen,) = seen_by(ended) or ()
    ways = seen.distances(ended.batch.positions[0])
    assert int((ways <= PRODUCT_LENGTH + 1e-9).sum()) >= 1 + proof.n_gradient
    assert len(seen) == int(ended.cost.n_gradient[0])


def test_they_are_what_the_potential_says_there(ended):
    (proof,) = ended.proof
    assert proof is not None
    beside = proof.beside
    many = ended.batch.take(torch.zeros(len(beside.energies), dtype=torch.int64))
    there = begin(many.moved_to(beside.positions), PM6)
    assert torch.allclose(there.energy, beside.energies, atol=1e-5)
    assert torch.allclose(there.forces, beside.forces, atol=1e-4)


def test_the_surrogate_has_the_curvature_that_was_proved(ended):
    learned = with_surrogate(CALCULATOR, ended)
    exact = begin(ended.batch, PM6)
    found, expected = (
        float(spectrum(state.hessian, ended.batch).eigenvalues[0, 0]) for state in (learned, exact)
    )
    assert found == pytest.approx(expected, rel=0.05)
