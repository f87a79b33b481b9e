from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule

from gadlib.calculators.surfaces import SURFACES
from gadlib.settings.criteria import CRITERIA
from gadlib.solver.criteria import judge
from gadlib.solver.points import begin
from gadlib.solver.state import State
from gadlib.systems.batch import Batch
from gadlib.units import CM1_PER_SQRT_EIGENVALUE

IMAGINARY_50 = (50 / CM1_PER_SQRT_EIGENVALUE) ** 2
SADDLE = (-1.0, 0.5, 2.0)
NAMES = ("index1", "strict", "bound")


def state_of(*eigenvalues: tuple[float, ...], force: float = 0.0, apart: float = 0.0) -> State:
    """Water, its hydrogen pulled away and at the given spectrum and force: one row for each."""
    water, n = molecule("H2O"), len(eigenvalues)
    places = water.positions + np.array([[0, 0, 0], [0, 0, 0], [0, apart, 0]])
    batch = Batch.pack([places] * n, [water.numbers] * n)
    state = begin(batch, SURFACES["leps"])
    values = torch.full((n, 9), torch.inf, dtype=torch.float64)
    values[:, :3] = torch.tensor(eigenvalues)
    forces = torch.zeros(n, 3, 3, dtype=torch.float64)
    forces[:, 0, 2] = force
    return replace(state, forces=forces, spectrum=replace(state.spectrum, eigenvalues=values))


def verdict_of(state: State, max_fragments: int = 1) -> dict[str, list[bool]]:
    verdict = judge(state, torch.full((len(state.batch),), max_fragments))
    return {criterion: verdict.meets(criterion).tolist() for criterion in NAMES}


def test_a_criterion_within_another_is_never_met_without_it():
    rough = judge(state_of(SADDLE, force=1.0), torch.tensor([1]))
    for row in CRITERIA.values():
        assert row.sentence
        if row.within:
            assert not (rough.meets(row.name) & ~rough.meets(row.within)).any()
    assert CRITERIA["bound"].within == "strict"


def test_a_stationary_saddle_meets_all_three():
    assert verdict_of(state_of(SADDLE)) == {"index1": [True], "strict": [True], "bound": [True]}


@pytest.mark.parametrize("order", [0, 2, 3])
def test_other_orders_meet_nothing(order):
    values = tuple(-1.0 + 0.1 * k if k < order else 1.0 + k for k in range(3))
    assert not any(met for (met,) in verdict_of(state_of(values)).values())


def test_index1_asks_for_a_product_below_minus_1e_5():
    state = state_of((-1e-3, 0.99e-2, 1.0), (-1e-3, 1.01e-2, 1.0))
    assert verdict_of(state)["index1"] == [False, True]


def test_index1_need_not_be_stationary_and_strict_need():
    for force, is_strict in ((0.0101, False), (0.0099, True)):
        verdict = verdict_of(state_of(SADDLE, force=force))
        assert verdict == {"index1": [True], "strict": [is_strict], "bound": [is_strict]}


def test_strict_asks_for_exactly_one_negative_eigenvalue_however_small():
    state = state_of((-1e-9, 1e-9, 1.0), (-1.0, -1e-9, 1.0), (1e-9, 1.0, 2.0))
    assert verdict_of(state)["strict"] == [True, False, False]


def test_bound_asks_for_an_imaginary_frequency_of_50_wavenumbers():
    state = state_of((-0.99 * IMAGINARY_50, 1.0, 2.0), (-1.01 * IMAGINARY_50, 1.0, 2.0))
    assert verdict_of(state)["strict"] == [True, True]
    assert verdict_of(state)["bound"] == [False, True]


def test_bound_asks_for_no_more_fragments_than_the_reference():
    state = state_of(SADDLE, apart=-3.0)
    assert judge(state, torch.tensor([1])).n_fragments.tolist() == [2]
    assert verdict_of(state) == {"index1": [True], "strict": [True], "bound": [False]}
    assert verdict_of(state, max_fragments=2)["bound"] == [True]


def test_a_failed_system_meets_nothing():
    state = state_of(SADDLE, SADDLE)
    state = replace(state, message=("lost", ""), energy=torch.tensor([torch.nan, 0.0]).double())
    assert verdict_of(state) == {name: [False, True] for name in NAMES}


def test_a_point_in_doubt_meets_nothing():
    state = replace(state_of(SADDLE, SADDLE), doubt=("another solution", ""))
    assert verdict_of(state) == {name: [False, True] for name in NAMES}


def test_imaginary_wavenumbers_are_positive_and_zero_at_a_minimum():
    state = state_of((-IMAGINARY_50, 1.0, 2.0), (1.0, 2.0, 3.0))
    assert judge(state, torch.ones(2).long()).imaginary_cm1.tolist() == pytest.approx([50, 0])


@pytest.mark.parametrize("name", ["muller_brown", "lennard_jones", "leps", "double_well"])
def test_known_saddles_have_one_negative_eigenvalue_and_known_minima_none(name):
    surface = SURFACES[name]
    for order in {point.order for point in surface.points}:
        state = begin(surface.stationary(order), surface)
        assert state.order.tolist() == [order] * len(state.batch)
