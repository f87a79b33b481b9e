"""Whole searches whose saddles are proved by products: the same ones, and no Hessian."""

from __future__ import annotations

from collections import Counter

import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.emt import EMT

from gadlib.ase.saddle_search import SaddleSearch
from gadlib.calculators import get
from gadlib.calculators.ase import Held
from gadlib.calculators.paired import Paired
from gadlib.evaluation import Evaluation
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.screening.costs import without_proof
from gadlib.screening.jobs import Job, search_starts
from gadlib.settings.hyperparameters import DeltaHyperparameters, TrustHyperparameters
from gadlib.solver.delta.rule import takes_products
from gadlib.systems.batch import Batch


class Counting:
    """A calculator that counts what each molecule was asked for."""

    def __init__(self, potential, **said):
        self.potential, self.gradients, self.hessians = potential, Counter(), Counter()
        vars(self).update(said)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        for numbers in batch.atomic_numbers:
            kind = tuple(numbers[numbers > 0].tolist())
            (self.hessians if hessian else self.gradients)[kind] += 1
        return self.potential(batch, hessian=hessian)


def reactions(*names: str, recipe: str = "ts_noise0.1A"):
    found = {s.name: s for s in starts(read(split="all"), recipe, 1)}
    return tuple(found[name] for name in names)


def test_trust_ends_at_the_same_saddles_by_products_without_any_hessian():
    pytest.importorskip("scine_sparrow")
    guesses, found = reactions("rxn0010", "rxn0095"), {}
    for proof in ("hessian", "products"):
        h = TrustHyperparameters(exact_hessians="proof", proof=proof)
        calculator = Counting(get("scine"))
        records = search_starts(Job(calculator, guesses, h, "bound", 100))
        found[proof] = records
        for record in records:
            kind = tuple(record.atomic_numbers)
            assert record.n_gradient == calculator.gradients[kind]
            assert record.n_hessian == calculator.hessians[kind]
    for one, other in zip(found["hessian"], found["products"], strict=True):
        assert (one.converged, one.order, one.proof, one.n_proof) == (True, 1, "", 0)
        assert (other.converged, other.order, other.n_hessian) == (True, 1, 0)
        assert other.energy == pytest.approx(one.energy, abs=1e-3)
        assert other.imaginary_cm1 == pytest.approx(one.imaginary_cm1, rel=0.03)
        assert f" {other.n_proof} gradients;" in other.proof
        assert without_proof(other).n_gradient == without_proof(one).n_gradient
        assert other.n_proof < 3 * len(other.atomic_numbers)


def test_delta_takes_products_where_its_calculator_takes_differences():
    pytest.importorskip("scine_sparrow")
    (guess,) = reactions("rxn0095", recipe="ts")
    costly = Counting(get("scine", functional="PM6"), has_hessian=False)
    pair = Paired(costly, get("scine"))
    (record,) = search_starts(Job(pair, (guess,), DeltaHyperparameters(), "bound", 40))
    assert record.converged
    assert (record.n_hessian, sum(costly.hessians.values())) == (0, 0)
    assert 0 < record.n_proof < record.n_gradient == sum(costly.gradients.values())
    atoms = molecule("CH3OH")
    atoms.calc = EMT()
    assert takes_products(Paired(Held(atoms), pair.cheap), "auto")
    assert not takes_products(pair.cheap, "auto")
    assert takes_products(pair.cheap, "products")
    assert not takes_products(pair, "hessian")


def test_an_ase_search_proves_by_products_where_a_looser_force_is_enough():
    pytest.importorskip("scine_sparrow")
    atoms = Atoms("HCN", [[0.35, 1.15, 0.05], [0.0, 0.0, 0.0], [1.18, 0.0, 0.0]])
    atoms.calc = get("scine")
    options = {"proof": "products", "exact_hessians": "proof"}
    search = SaddleSearch(atoms, logfile=None, hyperparameters=options)
    assert search.run(fmax=0.05, steps=300)
    assert search.n_hessian == 0
