"""Ends of a costly potential relaxed on a surrogate: the same minima, for few of its calls."""

from __future__ import annotations

import pytest
import torch
from clusters import Recorded, spoiled

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.paths.ends import prepare_ends
from gadlib.solver.downhill import on_surrogate
from gadlib.solver.downhill.relaxation import RELAXED_FORCE

pytest.importorskip("scine_sparrow")

PM6, DFTB0 = (get("scine", functional=name) for name in ("PM6", "DFTB0"))


@pytest.fixture(scope="module")
def start():
    return next(s for s in starts(read(split="all"), "midpoint_rp") if s.name == "rxn0054")


@pytest.fixture(scope="module")
def plain(start):
    return prepare_ends(PM6, start, "always")


def require_same(found, plain, start):
    for one, other in zip(found.start.ends, plain.start.ends, strict=True):
        assert rmsd(start.atomic_numbers, one, other) < 0.02
    assert found.energies == pytest.approx(plain.energies, abs=1e-4)
    assert found.told == plain.told and found.problem == plain.problem == ""


def test_ends_are_the_same_minima_for_a_tenth_of_the_calls(start, plain):
    costly = Recorded(PM6)
    found = prepare_ends(Paired(costly, DFTB0), start, "far")
    require_same(found, plain, start)
    assert found.n_hessian == 0 and not any(costly.hessians)
    assert found.n_gradient == sum(map(len, costly.batches))
    n_plain = plain.n_gradient + 6 * len(start.atomic_numbers) * plain.n_hessian
    assert found.n_gradient < n_plain / 8


def test_their_forces_are_those_of_the_costly_potential(start):
    costly = Recorded(PM6)
    found = prepare_ends(Paired(costly, DFTB0), start, "always")
    there = PM6(costly.batches[-1].take(torch.tensor([0])), hessian=False)
    assert float(torch.linalg.vector_norm(there.forces, dim=-1).max()) < RELAXED_FORCE
    apart = [abs(energy - float(there.energy[0])) for energy in found.energies]
    assert min(apart) < 1e-9


def test_where_a_cheap_potential_fails_another_is_taken_or_none(start, plain):
    broken = spoiled(DFTB0, lambda batch: batch.n_atoms > 0, how="raises")
    for calculator in (Paired(PM6, broken, (DFTB0,)), Paired(PM6, broken)):
        found = prepare_ends(calculator, start, "always")
        require_same(found, plain, start)
        assert bool(found.n_hessian) != bool(calculator.others)


@pytest.mark.parametrize("n_calls", [1, 3])
def test_where_the_calls_run_out_the_potential_itself_is_followed(
    n_calls, start, plain, monkeypatch
):
    monkeypatch.setattr(on_surrogate, "MAX_ASKED", n_calls)
    costly = Recorded(PM6)
    found = prepare_ends(Paired(costly, DFTB0), start, "always")
    require_same(found, plain, start)
    assert found.n_hessian > 0
    batches = zip(costly.batches, costly.hessians, strict=True)
    assert found.n_gradient == sum(len(batch) for batch, has_hessian in batches if not has_hessian)


def test_a_costly_potential_that_fails_on_the_way_is_a_sentence(start):
    class Short(Recorded):
        def __call__(self, batch, *, hessian=True):
            if self.batches:
                raise RuntimeError("no more of it")
            return super().__call__(batch, hessian=hessian)

    found = prepare_ends(Paired(Short(PM6), DFTB0), start, "always")
    assert "the reactant could not be relaxed: " in found.problem and "no more" in found.problem
