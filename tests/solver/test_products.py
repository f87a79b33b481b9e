"""Orders proved by products on potentials: what is told, what is left to a Hessian."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule
from hand_made import search_state
from scipy.optimize import minimize

from gadlib.calculators import get
from gadlib.evaluation import Evaluation
from gadlib.hessians.inquiry import CHANCE
from gadlib.hessians.normal_modes import spectrum
from gadlib.hessians.rigid_motions import motions_of, motions_with, rigid_motions
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.delta import rule
from gadlib.solver.points import add_hessian, begin
from gadlib.solver.products import (
    CHANCE_LEARNED,
    MOST_SHARE,
    PRODUCT_LENGTH,
    ask_products,
    is_refuted,
    prove_orders,
)
from gadlib.solver.state import Cost, State
from gadlib.solver.trust.claims import certify
from gadlib.systems.batch import Batch

METHANOL, CARBON_DIOXIDE = molecule("CH3OH"), molecule("CO2")


class Quadratic:
    """E = (x - x0) H (x - x0) / 2 of one system each, counted; it may fail away from x0."""

    def __init__(self, batch: Batch, hessian: torch.Tensor, *, fails=(), hessian_fails=False):
        self.batch, self.hessian, self.fails = batch, hessian, fails
        self.hessian_fails, self.moves = hessian_fails, []
        self.gradients, self.hessians = Counter(), Counter()

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        own = [self._of(batch, i) for i in range(len(batch))]
        second = self.hessian[own]
        apart = (batch.positions - self.batch.positions[own]).flatten(1)
        forces = -(second @ apart[..., None])[..., 0]
        failures = {}
        for i, which in enumerate(own):
            (self.hessians if hessian else self.gradients)[which] += 1
            self.moves += [(which, apart[i])] * (not hessian)
            if which in self.fails and (self.hessian_fails if hessian else apart[i].any()):
                failures[i] = "the SCF did not converge"
        energy = -(forces * apart).sum(-1) / 2
        return Evaluation(energy, forces.unflatten(1, (-1, 3)), second * hessian, failures)

    def _of(self, batch: Batch, i: int) -> int:
        numbers = [set(z.tolist()) for z in self.batch.atomic_numbers]
        alike = [
            k
            for k, z in enumerate(numbers)
            if z | {0} == set(batch.atomic_numbers[i].tolist()) | {0}
        ]
        return alike[0]


def quadratic(atoms, lowest: tuple[float, ...], *, seed: int = 0) -> tuple[Batch, torch.Tensor]:
    """A molecule and a Hessian with these lowest vibrational eigenvalues, stiffer others."""
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    motions = motions_with(rigid_motions(batch), batch)
    n = int(motions.n_left[0])
    values = np.array([*lowest, *np.geomspace(0.2, 8.0, n - len(lowest))])
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]
    assert motions.left is not None
    modes = motions.left[0, :, :n] @ torch.tensor(turn)
    root = batch.sqrt_masses[0][:, None] * modes
    return batch, (root * torch.tensor(values) @ root.mT)[None]


def at_rest(batch: Batch, model: torch.Tensor) -> State:
    """The state there, of which nothing has been computed."""
    state = begin(batch, lambda batch, hessian: Evaluation(*_nothing(batch)), model)
    return replace(state, cost=Cost.none(batch))


def _nothing(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return batch.positions.new_zeros(len(batch)), torch.zeros_like(batch.positions)


def spoilt(hessian: torch.Tensor, seed: int = 1, error: float = 0.1) -> torch.Tensor:
    """A model of it, off by a tenth."""
    noise = torch.tensor(np.random.default_rng(seed).normal(size=hessian.shape))
    values, modes = torch.linalg.eigh(hessian)
    root = modes * (values.abs() + 1e-3).sqrt()[:, None, :]
    return hessian + error * root @ (noise + noise.mT) @ root.mT / hessian.shape[-1] ** 0.5


@pytest.mark.parametrize("atoms", [METHANOL, CARBON_DIOXIDE], ids=["CH3OH", "linear"])
@pytest.mark.parametrize(
    ("lowest", "told"),
    [
        ((0.05, 0.1), "none"),
        ((-0.5, 0.1), "one"),
        ((-0.5, -0.2), "more"),
        ((-0.5, -0.3, -0.2), "more"),
        ((-0.5, 1e-4), None),
    ],
)
def test_orders_of_molecules_are_told_without_rigid_motions(atoms, lowest, told):
    batch, hessian = quadratic(atoms, lowest)
    potential = Quadratic(batch, hessian)
    state = ask_products(potential, at_rest(batch, spoilt(hessian)))
    (proof,) = state.proof
    assert (None if proof is None else proof.order) == told
    assert state.is_exact.tolist() == [told == "one"]
    assert bool(is_refuted(state)[0]) == (told in ("none", "more"))
    rigid = rigid_motions(batch)[0]
    for _, move in potential.moves:  # those to both sides bend, by the square of their length
        bends = float(move.norm()) > 2 * PRODUCT_LENGTH
        least = float(move.square().sum()) if bends else 1e-6
        assert float((rigid.mT @ (batch.sqrt_masses[0] * move)).norm()) < least


def test_a_rotor_of_14_wavenumbers_is_told_by_products():
    atoms, calculator = molecule("isobutene"), get("scine", functional="PM6")
    batch = Batch.pack([atoms.positions], [atoms.numbers])

    def energy_and_gradient(places):
        found = calculator(batch.moved_to(torch.tensor(places).view(1, -1, 3)), hessian=False)
        return float(found.energy), -found.forces.flatten().numpy()

    least = minimize(energy_and_gradient, atoms.positions.ravel(), jac=True, method="BFGS")
    exact = begin(batch.moved_to(torch.tensor(least.x).view(1, -1, 3)), calculator)
    assert 5 < float(exact.spectrum.lowest_cm1[0]) < 20
    (proof,) = ask_products(calculator, replace(exact, cost=Cost.none(exact.batch))).proof
    assert proof is not None
    assert proof.order == "none"
    assert proof.n_gradient < 20


def test_the_state_of_a_proved_saddle_has_its_order_and_lowest_mode():
    batch, hessian = quadratic(METHANOL, (-0.5, 0.1))
    exact = add_hessian(Quadratic(batch, hessian), at_rest(batch, hessian))
    state = ask_products(Quadratic(batch, hessian), at_rest(batch, spoilt(hessian)))
    assert state.order.tolist() == [1]
    assert float(state.spectrum.lowest_cm1[0]) == pytest.approx(
        float(exact.spectrum.lowest_cm1[0]), rel=0.03
    )
    alike = state.spectrum.modes[0, :, 0] @ exact.spectrum.modes[0, :, 0]
    assert abs(float(alike)) > 0.95
    (proof,) = state.proof
    assert proof is not None
    assert 0 < proof.second_least <= 0.1
    assert f"{proof.n_products} products" in proof.sentence


def test_a_second_negative_mode_that_the_model_lacks_is_found():
    orders = []
    for seed in range(8):
        batch, hessian = quadratic(METHANOL, (-0.5, 0.1, -0.3), seed=seed)
        _, model = quadratic(METHANOL, (-0.5, 0.1, 2.0), seed=seed)
        (proof,) = ask_products(Quadratic(batch, hessian), at_rest(batch, model)).proof
        orders.append(proof and proof.order)
    assert orders == ["more"] * 8


def test_gradients_are_counted_as_the_calculator_counts_them():
    batch, hessian = quadratic(METHANOL, (-0.5, 0.02))
    potential = Quadratic(batch, hessian)
    state = ask_products(potential, at_rest(batch, spoilt(hessian)))
    (proof,) = state.proof
    assert proof is not None
    assert state.cost.n_gradient.tolist() == [potential.gradients[0]] == [proof.n_gradient]
    assert state.cost.n_hessian.tolist() == [0]
    assert proof.n_products + 1 <= proof.n_gradient <= MOST_SHARE * 6 * 6
    assert not potential.hessians


def test_delta_whose_model_is_learned_takes_a_greater_chance_and_fewer_gradients():
    batch, hessian = quadratic(METHANOL, (-0.5, 0.1))
    state = at_rest(batch, spoilt(hessian, error=0.3))
    n_gradient = []
    for chance in (CHANCE, CHANCE_LEARNED):
        potential = Quadratic(batch, hessian)
        n_gradient.append(int(ask_products(potential, state, chance).cost.n_gradient[0]))
    proved = rule.certify(Quadratic(batch, hessian), state, by_products=True)
    assert proved.order.tolist() == [1]
    assert n_gradient[1] == int(proved.cost.n_gradient[0]) < n_gradient[0]


def test_where_gradients_fail_a_hessian_proves_and_where_that_fails_a_sentence_says_so():
    batch, hessian = quadratic(METHANOL, (-0.5, 0.1))
    yes = torch.ones(1, dtype=torch.bool)
    potential = Quadratic(batch, hessian, fails=(0,))
    state = prove_orders(potential, at_rest(batch, spoilt(hessian)), yes, by_products=True)
    assert (state.proof, state.is_exact.tolist(), state.order.tolist()) == ((None,), [True], [1])
    assert state.cost.n_gradient.tolist() == [potential.gradients[0]]
    assert state.cost.n_hessian.tolist() == [1]
    potential = Quadratic(batch, hessian, fails=(0,), hessian_fails=True)
    state = prove_orders(potential, at_rest(batch, spoilt(hessian)), yes, by_products=True)
    assert "the SCF did not converge" in state.message[0]


def test_a_chain_bent_a_little_is_left_to_a_whole_hessian():
    atoms = molecule("CO2")
    atoms.positions[0, 0] += 0.01
    batch, hessian = quadratic(atoms, (-0.5, 0.1))
    potential = Quadratic(batch, hessian)
    assert int(motions_of(batch).n_left[0]) == 3
    state = ask_products(potential, at_rest(batch, hessian))
    assert (state.proof, state.is_exact.tolist()) == ((None,), [False])
    assert not potential.gradients


def test_a_batch_is_told_what_each_is_told_alone():
    kinds = [
        ("CH3OH", (-0.5, 0.1)),
        ("C2H4", (-0.5, -0.2)),
        ("CO2", (-0.3, 0.1)),
        ("N2H4", (-0.5, 1e-4)),
    ]
    alone = [quadratic(molecule(name), lowest) for name, lowest in kinds]
    whole = Batch.pack(
        [b.positions[0].numpy() for b, _ in alone], [b.atomic_numbers[0].numpy() for b, _ in alone]
    )
    width = 3 * whole.positions.shape[1]
    hessian = torch.zeros(len(alone), width, width, dtype=torch.float64)
    model = hessian.clone()
    for i, (_, own) in enumerate(alone):
        hessian[i, : own.shape[1], : own.shape[1]] = own[0]
        model[i, : own.shape[1], : own.shape[1]] = spoilt(own)[0]
    together = ask_products(Quadratic(whole, hessian), at_rest(whole, model))
    for i, (batch, own) in enumerate(alone):
        state = ask_products(Quadratic(batch, own), at_rest(batch, spoilt(own)))
        (proof,), found = state.proof, together.proof[i]
        assert int(together.cost.n_gradient[i]) == int(state.cost.n_gradient[0])
        assert (proof is None) == (found is None)
        if proof is not None and found is not None:
            assert (found.order, found.n_products) == (proof.order, proof.n_products)
            assert found.lowest == pytest.approx(proof.lowest, abs=1e-6)


def test_trust_goes_on_from_what_products_refute():
    batch, hessian = quadratic(METHANOL, (-0.5, -0.2))
    _, model = quadratic(METHANOL, (-0.5, 0.2))
    potential = Quadratic(batch, hessian)
    h = TrustHyperparameters(exact_hessians="proof")
    state = search_state(batch, calculator=potential, h=h, age=1, spares_hessians=True)
    state = replace(state, hessian=model, spectrum=spectrum(model, batch))
    assert state.order.tolist() == [1]
    found = certify(potential, state, by_products=True)
    current = found.memory.current
    assert (current.n_certificates.tolist(), current.age.tolist()) == ([1], [0])
    assert (found.is_exact.tolist(), found.order.tolist()) == ([False], [2])
    assert found.cost.n_hessian.tolist() == state.cost.n_hessian.tolist()
