"""The contract finds what it should: each test breaks a sound calculator in one way."""

import doctest
from dataclasses import replace

import pytest
import torch
from clusters import POTENTIAL, clusters
from scipy.spatial.transform import Rotation

from gadlib.calculators import ContractError, check, contract
from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch

BATCH = clusters(0)


def broken(change):
    """The sound potential with its answer changed: `change(told, batch)`."""

    def calculator(batch: Batch, *, hessian: bool = True) -> Evaluation:
        return change(POTENTIAL(batch, hessian=hessian), batch)

    return calculator


def field(centre):
    """A change that adds the potential of a field: sum over atoms of |r - centre|^2 / 2."""

    def change(told: Evaluation, batch: Batch) -> Evaluation:
        arm = torch.where(batch.mask[..., None], batch.positions - centre(batch), 0.0)
        energy = told.energy + arm.square().sum((1, 2)) / 2
        diagonal = torch.diag_embed(batch.mask.repeat_interleave(3, -1).double())
        hessian = None if told.hessian is None else told.hessian + diagonal
        return Evaluation(energy, told.forces - arm, hessian, told.failures)

    return change


def the_first_atom_counts_twice(told: Evaluation, batch: Batch) -> Evaluation:
    """A spring between the first two atoms, whatever they are."""
    arm = batch.positions[:, 0] - batch.positions[:, 1]
    forces = told.forces.clone()
    forces[:, 0] -= arm
    forces[:, 1] += arm
    hessian = told.hessian
    if hessian is not None:
        spring = torch.kron(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]), torch.eye(3)).double()
        spring = torch.nn.functional.pad(spring, (0, hessian.shape[1] - 6) * 2)
        hessian = hessian + spring
    return Evaluation(told.energy + arm.square().sum(-1) / 2, forces, hessian, told.failures)


def with_one(name: str, index: tuple, amount: float):
    def change(told: Evaluation, batch: Batch) -> Evaluation:
        tensor = getattr(told, name)
        if tensor is None:
            return told
        tensor = tensor.clone()
        tensor[index] += amount
        return replace(told, **{name: tensor})

    return change


def scaled(name: str):
    def change(told: Evaluation, batch: Batch) -> Evaluation:
        tensor = getattr(told, name)
        return told if tensor is None else replace(told, **{name: 1.01 * tensor})

    return change


def by_neighbours(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=told.energy + 0.01 * len(batch))


def by_width(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=told.energy + 0.01 * batch.positions.shape[1])


def by_place(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=told.energy + 0.01 * torch.arange(len(batch)) * (len(batch) > 1))


def unwilling_to_name(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, failures={})


def failing_with_numbers(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=told.energy.nan_to_num(0.0))


def contagious(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=told.energy + 0.01 * bool(told.failures))


def raising(told: Evaluation, batch: Batch) -> Evaluation:
    if told.failures:
        raise RuntimeError("no such place")
    return told


def never_a_hessian(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, hessian=None)


def always_a_hessian(told: Evaluation, batch: Batch) -> Evaluation:
    return POTENTIAL(batch)


def moving(told: Evaluation, batch: Batch) -> Evaluation:
    batch.positions.add_(1e-3)
    return told


def of_two_systems(told: Evaluation, batch: Batch) -> Evaluation:
    hessian = None if told.hessian is None else told.hessian[:2]
    return Evaluation(told.energy[:2], told.forces[:2], hessian)


def in_float32(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, forces=told.forces.float())


def attached(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=told.energy.clone().requires_grad_())


def silently_nan(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, energy=torch.where(batch.n_atoms == 5, torch.nan, told.energy))


def failing(told: Evaluation, batch: Batch) -> Evaluation:
    return replace(told, failures={1: "too large"})


BREACHES = [
    (never_a_hessian, "no Hessian was given with hessian=True"),
    (always_a_hessian, "a Hessian was given with hessian=False"),
    (moving, "moved the positions"),
    (of_two_systems, r"energy: \(2,\), expected \(3,\)"),
    (in_float32, "forces: torch.float32, expected torch.float64"),
    (attached, "energy: requires_grad True, expected False"),
    (silently_nan, r"energy: not finite for system 1 \(.*\), nor in failures"),
    (failing, r"system 1 \(.*\) failed: too large; expected none to fail"),
    (with_one("forces", (0, 4, 1), 1e-9), "forces: not zero where a system is padded"),
    (with_one("hessian", (0, 12, 0), 1e-9), "hessian: not zero where a system is padded"),
    (with_one("hessian", (1, 0, 5), 1.0), "not symmetric: system 1 .* by .*off by 1 eV/A"),
    (by_neighbours, "energy changed for system 0 alone"),
    (by_width, "energy changed for system 0 alone"),
    (by_place, "energy changed for system 1 alone: system 0 .* is off by 0.01 eV"),
    (field(lambda b: torch.ones(3)), "energy changed after a translation"),
    (
        field(lambda b: b.positions[:, :1] * torch.tensor([0.0, 0.0, 1.0])),
        "energy changed after a",
    ),
    (the_first_atom_counts_twice, "energy changed after a permutation"),
    (scaled("energy"), "forces are not minus the derivative of the energy: .*atom . [xyz]"),
    (scaled("forces"), "forces are not minus the derivative of the energy"),
    (scaled("hessian"), "hessian is not minus the derivative of the forces: .* by atom"),
    (unwilling_to_name, "failures names none: expected system 2"),
    (failing_with_numbers, "system 2 failed, but its energy or forces are not NaN"),
    (contagious, "energy changed beside a system that failed"),
    (raising, "makes the calculator raise RuntimeError: no such place"),
]


def test_a_sound_calculator_keeps_the_contract():
    check(POTENTIAL, BATCH)


@pytest.mark.parametrize(("change", "sentence"), BREACHES, ids=[s for _, s in BREACHES])
def test_breaches_are_found_and_named(change, sentence):
    fresh = Batch(BATCH.positions.clone(), BATCH.atomic_numbers)
    with pytest.raises(ContractError, match=sentence):
        check(broken(change), fresh)


def test_a_calculator_that_remembers_is_found():
    calls = []

    def forgetful(told: Evaluation, batch: Batch) -> Evaluation:
        calls.append(batch)
        return replace(told, energy=told.energy + 0.01 * (len(calls) > 2))

    with pytest.raises(ContractError, match="energy changed in a second call"):
        check(broken(forgetful), BATCH)


class Remembering:
    """A sound potential whose SCF, as it were, begins with something of the last call."""

    def __init__(self, how: str, amount: float) -> None:
        self.how, self.amount = how, amount
        self.last: dict[object, torch.Tensor] = {}

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = POTENTIAL(batch, hessian=hessian)
        energy = told.energy.clone()
        for i in range(len(batch)):
            numbers, positions = batch.system(i)
            name = {"any": 0, "same": numbers.tobytes(), "other": 0}[self.how]
            last, this = self.last.get(name), torch.from_numpy(positions)
            is_like = last is not None and last.shape == this.shape
            if last is not None and (self.how == "any" or is_like == (self.how == "same")):
                energy[i] += self.amount * float(last.square().nan_to_num(0.0).sum())
            self.last[name] = this.clone()
        return replace(told, energy=energy)


@pytest.mark.parametrize("how", ["any", "same", "other"])
@pytest.mark.parametrize("amount", [1e-2, 2e-6])
def test_a_calculator_that_begins_where_it_ended_is_found(how, amount):
    with pytest.raises(ContractError, match=r"(depend on what was computed before|energy changed)"):
        check(Remembering(how, amount), BATCH)


@pytest.mark.parametrize("how", ["any", "same", "other"])
def test_where_it_depends_on_history_is_told(how):
    sentence = (
        r"results depend on what was computed before: energy of system \d \(.*, off by .* eV,"
    )
    with pytest.raises(ContractError, match=sentence):
        check(Remembering(how, 2e-6), BATCH)
    check(Remembering(how, 1e-9), BATCH)


def test_forces_that_depend_on_history_are_found():
    last = [0.0]

    def change(told: Evaluation, batch: Batch) -> Evaluation:
        before, last[0] = last[0], float(told.energy.nan_to_num(0.0).sum())
        moved = told.forces + 1e-5 * before * batch.mask[..., None]
        return replace(told, forces=moved)

    with pytest.raises(ContractError, match="depend on what was computed before: forces of"):
        check(broken(change), BATCH)


def test_single_precision_may_say_how_much_it_rounds():
    def rounded(batch: Batch, *, hessian: bool = True) -> Evaluation:
        told = POTENTIAL(batch, hessian=hessian)
        noise = 1e-5 * batch.positions.new_tensor(len(batch))
        return replace(told, energy=told.energy + noise)

    with pytest.raises(ContractError, match="depend on what was computed before"):
        check(rounded, BATCH)
    check(rounded, BATCH, history_tolerance=1e-4)
    rounded.rounding = 1e-4
    check(rounded, BATCH)


def test_a_calculator_that_answers_otherwise_without_a_hessian_is_found():
    def change(told: Evaluation, batch: Batch) -> Evaluation:
        return replace(told, forces=told.forces * (1 if told.hessian is None else 1.01))

    with pytest.raises(ContractError, match="forces changed without a Hessian"):
        check(broken(change), BATCH)


def test_a_preferred_direction_is_found():
    def change(told: Evaluation, batch: Batch) -> Evaluation:
        spread = torch.where(batch.mask, batch.positions[..., 2], 0.0)
        centred = spread - spread.sum(1, keepdim=True) / batch.n_atoms[:, None]
        return replace(told, energy=told.energy + (centred * batch.mask).square().sum(1))

    with pytest.raises(ContractError, match="energy changed after a rotation"):
        check(broken(change), BATCH)


@pytest.mark.parametrize("name", ["forces", "hessian"])
def test_forces_and_hessians_that_do_not_turn_with_the_molecule_are_found(name):
    """The energy is right, so that only the covariance of the other two can tell."""
    turn = torch.tensor(Rotation.from_rotvec([0, 0, 0.3]).as_matrix())

    def change(told: Evaluation, batch: Batch) -> Evaluation:
        if name == "forces":
            return replace(told, forces=told.forces @ turn)
        if told.hessian is None:
            return told
        big = torch.kron(torch.eye(told.hessian.shape[1] // 3).double(), turn)
        return replace(told, hessian=big.mT @ told.hessian @ big)

    with pytest.raises(ContractError, match=f"{name} changed after a rotation"):
        check(broken(change), BATCH, differentiable=False)


def test_separate_heads_are_allowed_when_said_so():
    check(broken(scaled("hessian")), BATCH, differentiable=False)
    check(broken(scaled("forces")), BATCH, differentiable=False)


def test_deviations_within_the_tolerance_are_allowed():
    calculator = broken(scaled("energy"))
    with pytest.raises(ContractError):
        check(calculator, BATCH)
    check(calculator, BATCH, tolerance=0.02)


def test_particles_on_a_surface_need_not_be_invariant():
    batch = replace(BATCH, is_free=False)
    check(broken(field(lambda b: torch.ones(3))), batch)


def test_the_default_batch_has_a_linear_molecule_off_the_axes_and_padding():
    batch = contract.molecules()
    assert batch.n_atoms.tolist() == [3, 3, 8]
    bonds = batch.positions[1, 1:3] - batch.positions[1, 0]
    assert torch.linalg.cross(bonds[0], bonds[1]).norm() < 1e-10
    assert (bonds.abs() > 0.1).all()


def test_the_example_in_the_documentation_keeps_the_contract():
    result = doctest.testmod(contract)
    assert result.attempted > 3
    assert result.failed == 0
