"""When the Hessian of a climb is probed, computed or replaced by a model, and what that costs."""

from dataclasses import replace

import pytest
import torch
from hand_made import flat, pulled, search_state

from gadlib.evaluation import Evaluation
from gadlib.hessians.frames import Carried
from gadlib.hessians.springs import model_hessian
from gadlib.hessians.tension import tension_hessian
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.state import State
from gadlib.solver.trust.constants import APPROACH_ROUNDS, FEW_SOFT
from gadlib.solver.trust.curvature import (
    has_stalled,
    sharpen,
    spares_hessians,
    update_hessian,
)
from gadlib.solver.trust.half_made import likely_directions
from gadlib.solver.trust.memory import is_aiming, most_aimed
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.probing import Curvature, _choose_modes, _rounds, map_vectors
from gadlib.systems.batch import Batch

H = TrustHyperparameters(exact_hessians="proof")


class Springs:
    """Every coordinate on a spring of its own, pulled at as a state is, where that is."""

    def __init__(self, state: State, lost: tuple[int, ...] = (), stiffness: float = 1.0):
        self.rest, self.pull, self.lost = state.batch.positions[0], state.forces[0], lost
        width = 3 * state.batch.positions.shape[1]
        self.stiffness = stiffness * torch.linspace(1.0, 3.0, width).double()
        self.n_gradient = self.n_hessian = 0

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        self.n_gradient += len(batch) * (not hessian)
        self.n_hessian += len(batch) * hessian
        off = (batch.positions - self.rest).flatten(1)
        forces = self.pull - (self.stiffness * off).unflatten(1, (-1, 3))
        energy = (self.stiffness * off.square()).sum(-1) / 2
        second = self.stiffness.diag().expand(len(batch), -1, -1) if hessian else None
        failures = dict.fromkeys((i for i in self.lost if i < len(batch)), "lost")
        return Evaluation(energy, forces, second, failures)


def cage(n: int = 1) -> Batch:
    """Eight carbon atoms, with eighteen vibrations."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.3], dtype=torch.float64)] * 3)
    shaken = corners + 0.05 * torch.sin(torch.arange(24.0).double()).view(8, 3)
    return Batch.pack([shaken] * n, [[6] * 8] * n)


def sparing(n: int = 1, **changes) -> State:
    """Climbs that spare Hessians, with models of them."""
    changes = {"spares_hessians": True, "steps": 5, "age": 1, **changes}
    state = search_state(cage(n), calculator=flat, h=H, **changes)
    return replace(state, steps=torch.zeros_like(state.steps))


def n_asked(state: State, h=H) -> int:
    """How many gradients a potential is asked for that is stiff along whatever is probed."""
    calculator = Springs(state, stiffness=100.0)
    found = sharpen(calculator, state, h)
    assert calculator.n_hessian == 0
    assert (found.cost.n_gradient - state.cost.n_gradient).sum().item() == calculator.n_gradient
    return calculator.n_gradient


# How many probes are due.


@pytest.mark.parametrize(("force", "number"), [(8.0, 11), (8.01, 14)])
def test_a_climb_towards_an_aim_begins_with_eleven_probes_or_fourteen_where_forces_are_large(
    force, number
):
    state = aimed(sparing(steps=0))
    assert n_asked(replace(state, forces=pulled(state, force))) == number


def test_a_climb_begins_at_half_made_bonds_and_soft_modes():
    state = sparing(steps=0)
    n_bonds = likely_directions(state).any(1).sum().item() - FEW_SOFT
    assert n_bonds + FEW_SOFT <= n_asked(state) <= n_bonds + FEW_SOFT + APPROACH_ROUNDS


@pytest.mark.parametrize(("steps", "every", "number"), [(4, 2, 1), (5, 2, 0), (6, 3, 1), (7, 3, 0)])
def test_then_one_is_due_every_few_steps_of_the_search(steps, every, number):
    state = sparing()
    state = replace(state, steps=torch.tensor([steps]))
    assert n_asked(state, TrustHyperparameters(exact_hessians="proof", probe_every=every)) == number


@pytest.mark.parametrize("phase", [Phase.SETTLING, Phase.REBUILT])
def test_on_the_way_down_nothing_is_probed(phase):
    assert n_asked(sparing(phase=phase, steps=0)) == 0


def test_where_hessians_are_not_spared_a_climb_begins_with_an_exact_one():
    state = sparing(3, spares_hessians=False, steps=[0, 0, 1])
    state = replace(state, is_exact=torch.tensor([False, True, False]))
    calculator = Springs(state)
    found = sharpen(calculator, state, H)
    assert (calculator.n_gradient, calculator.n_hessian) == (0, 1)
    assert found.is_exact.tolist() == [True, True, False]
    assert torch.equal(found.hessian[0], calculator.stiffness.diag())
    assert (found.cost.n_hessian - state.cost.n_hessian).tolist() == [1, 0, 0]


def test_a_hessian_that_was_probed_is_exact_no_longer():
    state = sparing(2, phase=[Phase.CLIMBING, Phase.SETTLING])
    state = replace(state, is_exact=torch.tensor([True, True]))
    assert sharpen(Springs(state), state, H).is_exact.tolist() == [False, True]


def test_rounds_of_probes():
    assert [_rounds(n) for n in (1, 8, 9, 11, 14)] == [[1], [8], [8, 1], [8, 3], [8, 3, 3]]


# What a probe tells.


def test_a_probed_hessian_has_the_curvature_of_the_potential_along_what_was_probed():
    state = sparing(steps=0)
    calculator = Springs(state)
    modes = state.spectrum.modes[:, :, :FEW_SOFT]
    found = sharpen(calculator, state, H)
    probed = state.batch.inverse_sqrt_masses[0, :, None] * modes[0]
    probed = torch.nn.functional.normalize(probed, dim=0)
    curvature = (probed * (found.hessian[0] @ probed)).sum(0)
    exact = (probed * (calculator.stiffness.diag() @ probed)).sum(0)
    torch.testing.assert_close(curvature, exact, atol=1e-8, rtol=1e-6)
    assert torch.equal(found.spectrum.motions.rigid, state.spectrum.motions.rigid)


def test_differences_go_downhill_by_a_hundredth_of_an_angstrom():
    state = sparing()
    seen = []

    def noted(batch: Batch, *, hessian: bool = True) -> Evaluation:
        seen.append(batch.positions - state.batch.positions[0])
        return flat(batch, hessian=hessian)

    vectors = torch.eye(24).double()[None, :, :2]
    state = replace(state, forces=pulled(state, -3.0))
    is_new = torch.tensor([[True, True]])
    changes, asked, _ = map_vectors(noted, Curvature.of(state), vectors, is_new)
    assert asked.tolist() == [2]
    assert seen[0][0, 0, 0].item() == pytest.approx(-0.01)  # downhill: the force is negative
    assert seen[0][1, 0, 1].item() == pytest.approx(0.01)
    tension = tension_hessian(state.batch, state.forces)[0, 0, 0].item()
    assert changes[0, 0, 0].item() == pytest.approx((-3.0 - 0.0) / -0.01 - tension)


def test_a_difference_that_fails_leaves_the_hessian_as_it_is_along_it():
    state = sparing()
    vectors = torch.eye(24).double()[None, :, :2]
    lossy = Springs(state, lost=(1,))
    is_new = torch.tensor([[True, True]])
    changes, *_ = map_vectors(lossy, Curvature.of(state), vectors, is_new)
    assert changes[0, 0, 0].item() == pytest.approx(lossy.stiffness[0].item())
    assert torch.equal(changes[0, :, 1], state.hessian[0, :, 1])


def test_what_is_not_new_is_not_asked_for():
    state = sparing()
    calculator = Springs(state)
    vectors = torch.eye(24).double()[None, :, :3]
    is_new = torch.tensor([[False, True, False]])
    changes, asked, _ = map_vectors(calculator, Curvature.of(state), vectors, is_new)
    assert (calculator.n_gradient, asked.tolist()) == (1, [1])
    assert torch.equal(changes[0, :, 0], state.hessian[0, :, 0])


# A climb that no longer moves.


@pytest.mark.parametrize(("age", "radius", "force", "changes", "is_stalled"), [
    (8, 0.01, 0.031, {}, True),
    (7, 0.01, 0.031, {}, False),
    (8, 0.0101, 0.031, {}, False),
    (8, 0.01, 0.03, {}, False),
    (8, 0.01, 0.031, {"spares_hessians": False}, False),
    (8, 0.01, 0.031, {"phase": Phase.SETTLING}, False),
])  # fmt: skip
def test_a_climb_has_stalled(age, radius, force, changes, is_stalled):
    state = sparing(age=age, radius=radius, **changes)
    state = replace(state, forces=pulled(state, force))
    assert has_stalled(state, H).tolist() == [is_stalled]


def test_a_climb_that_has_stalled_begins_again_with_a_probed_model():
    state = sparing(age=8, radius=0.01)
    useless = 100 * torch.eye(24).double()[None]
    state = replace(state, hessian=useless, forces=pulled(state, 0.5))
    assert n_asked(state) == 14
    found = sharpen(Springs(state, lost=tuple(range(8))), state, H)  # what fails changes nothing
    assert found.memory.radius.item() == H.radius_start
    assert found.memory.current.age.item() == 0
    torch.testing.assert_close(found.hessian, model_hessian(state.batch), atol=1e-8, rtol=1e-8)


# Whether Hessians are spared.


@pytest.mark.parametrize(("exact_hessians", "is_costly", "spares"), [
    ("proof", False, True),
    ("often", True, False),
    ("auto", True, True),
    ("auto", False, False),
    ("auto", None, True),
])  # fmt: skip
def test_hessians_are_spared_as_asked_or_as_the_calculator_declares(
    exact_hessians, is_costly, spares
):
    calculator = Springs(sparing())
    if is_costly is not None:
        vars(calculator)["is_hessian_costly"] = is_costly
    assert (
        spares_hessians(calculator, TrustHyperparameters(exact_hessians=exact_hessians)) is spares
    )


# Updates.


@pytest.mark.parametrize("phases", [[1, 1], [2, 2], [1, 2]])
def test_an_updated_hessian_maps_the_step_to_the_change_of_the_gradient(phases):
    state = sparing(2, phase=phases)
    calculator = Springs(state, stiffness=100.0)  # above the model's, so that nothing is damped
    generator = torch.Generator().manual_seed(5)
    step = 0.02 * torch.randn(state.forces.shape, generator=generator).double()
    there = state.batch.moved_to(state.batch.positions + step)
    told = [calculator(batch, hessian=False) for batch in (state.batch, there)]
    state = replace(state, forces=told[0].forces)
    moved = replace(state, batch=there, forces=told[1].forces)
    carried = Carried.between(state.batch, there)
    mapped = (update_hessian(state, moved) @ carried.step[..., None])[..., 0]
    change = carried.covector(told[0].forces.flatten(1)) - told[1].forces.flatten(1)
    torch.testing.assert_close(mapped, change, atol=1e-9, rtol=1e-9)


def test_on_the_way_down_and_up_hessians_are_updated_in_different_ways():
    down, up = (sparing(phase=phase) for phase in (Phase.SETTLING, Phase.CLIMBING))
    there = down.batch.moved_to(down.batch.positions * 1.02)
    found = [update_hessian(s, replace(s, batch=there, forces=pulled(s, 1.0))) for s in (down, up)]
    assert (found[0] - found[1]).abs().max() > 1e-3


# Aims.


def aimed(state: State) -> State:
    moves = torch.zeros(len(state.batch), 24, 1).double()
    moves[:, 5] = 1.0
    width = state.batch.positions.shape[1]
    return replace(state, wanted=Aim(moves, torch.zeros(len(moves), 1, width, width).double()))


@pytest.mark.parametrize(("changes", "is_one"), [
    ({}, True),
    ({"n_tries": 3}, True),
    ({"n_tries": 4}, False),
    ({"is_arrived": True}, False),
    ({"phase": Phase.SETTLING}, False),
])  # fmt: skip
def test_a_climb_is_aimed_in_its_first_four_tries_until_it_has_arrived(changes, is_one):
    assert is_aiming(aimed(sparing(**changes))).tolist() == [is_one]
    assert is_aiming(sparing(**changes)).tolist() == [False]


def test_of_two_modes_with_as_much_of_the_aim_the_softer_one_is_taken():
    state = aimed(sparing())
    direction = state.wanted.directions(state.batch)[:, :, 0]
    modes = torch.zeros_like(state.spectrum.modes)
    modes[:, :, 4] = modes[:, :, 7] = direction
    values = torch.full((1, 24), 1.0).double()
    values[0, 4] = 2.0
    both = replace(state.spectrum, modes=modes, eigenvalues=values)
    assert most_aimed(state.wanted, state.batch, both).tolist() == [7]
    values[0, 7] = 3.0
    assert most_aimed(state.wanted, state.batch, both).tolist() == [4]
    weaker = modes.clone()
    weaker[:, :, 4] *= 0.5**0.5  # half of the aim, at no curvature: as much as all of it at 3
    values[0, 4] = 0.0
    values[0, 7] = 2.9
    assert most_aimed(state.wanted, state.batch, replace(both, modes=weaker)).tolist() == [7]
    values[0, 7] = 3.1
    assert most_aimed(state.wanted, state.batch, replace(both, modes=weaker)).tolist() == [4]


def test_a_mode_that_curves_down_is_climbed_rather_than_one_with_three_times_its_aim():
    """A quarter of the aim is enough at -0.1 eV/(A^2 amu), half of it at a third of that."""
    state = aimed(sparing())
    direction = state.wanted.directions(state.batch)[:, :, 0]
    modes = torch.zeros_like(state.spectrum.modes)
    values = torch.full((1, 24), 1.0).double()
    modes[:, :, 7] = direction
    values[0, 7] = 0.0
    for part, down, chosen in (
        (0.26, -0.1, 4),
        (0.24, -0.1, 7),
        (0.24, -5.0, 7),
        (0.51, -0.1 / 3, 4),
        (0.49, -0.1 / 3, 7),
    ):
        modes[:, :, 4] = part**0.5 * direction
        values[0, 4] = down
        found = replace(state.spectrum, modes=modes.clone(), eigenvalues=values.clone())
        assert most_aimed(state.wanted, state.batch, found).tolist() == [chosen]


def test_the_mode_that_is_climbed_towards_an_aim_is_probed_first():
    state = aimed(sparing())
    curvature = Curvature.of(state)
    place = most_aimed(state.wanted, state.batch, state.spectrum).item()
    assert place > 3
    modes, is_mode = _choose_modes(curvature, 3)
    expected = state.spectrum.modes[:, :, [place, 0, 1]]
    assert torch.equal(modes, expected) and is_mode.all()
    plain, _ = _choose_modes(Curvature.of(sparing()), 3)
    assert torch.equal(plain, sparing().spectrum.modes[:, :, :3])
