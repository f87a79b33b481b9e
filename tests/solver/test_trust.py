"""The trust solver: what it finds, what it claims and what it never does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import molecule
from clusters import clusters
from scipy.sparse.csgraph import minimum_spanning_tree

from gadlib.calculators import get
from gadlib.calculators.surfaces import double_well, lennard_jones, muller_brown, quadratic
from gadlib.hessians.frames import Carried
from gadlib.hessians.springs import pair_hessian, stretching
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.contacts import push_apart
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.image_step import FLOOR, move_above
from gadlib.solver.mode_following import read_aim, stack
from gadlib.solver.points import begin
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.solver.trust import curvature
from gadlib.solver.trust.constants import SETTLED_FORCE
from gadlib.solver.trust.curvature import is_hessian_costly, update_hessian
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.rule import init
from gadlib.solver.trust.wall import wall
from gadlib.systems.batch import Batch


def _last(calculator, batch, *, criterion="strict", n_steps=300, **changes):
    """The last frame's row of each system: status, state of one system."""
    ends = {}
    hyperparameters = TrustHyperparameters(**{"exact_hessians": "often"} | changes)
    for frame in search(calculator, batch, hyperparameters, criterion=criterion, n_steps=n_steps):
        for i in frame.is_done:
            row = torch.tensor([i])
            ends[int(frame.state.index[i])] = (
                frame.status[i],
                frame.state.batch.take(row).positions[0],
                frame.state.energy[i].item(),
                int(frame.state.steps[i]),
            )
    return [ends[i] for i in range(len(batch))]


@pytest.mark.parametrize("surface", [muller_brown, double_well], ids=lambda s: s.__name__)
def test_known_saddles_of_analytic_surfaces_are_found(surface):
    surface = surface()
    known = [p for p in surface.points if p.order == 1]
    for status, _, energy, _ in _last(surface, surface.start):
        assert status is Status.SADDLE
        assert min(abs(p.energy - energy) for p in known) < 1e-3


def test_a_search_from_every_minimum_climbs_to_a_published_saddle():
    surface = muller_brown()
    known = [p.energy for p in surface.points if p.order == 1]
    minima = [torch.tensor(p.positions) for p in surface.points if p.order == 0]
    numbers = [surface.start.atomic_numbers[0]] * len(minima)
    batch = Batch.pack(minima, numbers, is_free=False)
    for status, _, energy, _ in _last(surface, batch, n_steps=800):
        assert status is Status.SADDLE
        assert min(abs(e - energy) for e in known) < 1e-3


def test_lennard_jones_saddles_are_strict():
    surface = lennard_jones(sigma=2.0)  # bonded as its atoms' radii have it
    for status, *_ in _last(surface, surface.start, n_steps=800):
        assert status is Status.SADDLE


def test_a_quadratic_saddle_is_reached_in_one_newton_step():
    surface = quadratic()
    near = surface.start.moved_to(surface.start.positions * 0.02)
    status, _, energy, steps = _last(surface, near)[0]
    assert (status, steps) == (Status.SADDLE, 1)
    assert energy == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["HCN", "CO2", "C2H2", "NH3"])
def test_symmetric_and_linear_minima_are_escaped(name):
    pytest.importorskip("scine_sparrow")
    atoms = molecule(name)
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    status, *_ = _last(get("scine"), batch, n_steps=600)[0]
    assert status is Status.SADDLE


@pytest.mark.parametrize("exact", ["often", "proof"])
def test_a_batch_gives_what_each_system_gives_alone(exact):
    pytest.importorskip("scine_sparrow")
    names = ["NH3", "H2O", "CH3OH"]
    parts = []
    for i, name in enumerate(names):
        atoms = molecule(name)
        noise = torch.randn(len(atoms), 3, generator=torch.Generator().manual_seed(i))
        parts.append((torch.as_tensor(atoms.positions) + 0.1 * noise, atoms.numbers))
    whole = Batch.pack([p for p, _ in parts], [z for _, z in parts])
    together = _last(get("scine"), whole, n_steps=25, exact_hessians=exact)
    for i, part in enumerate(parts):
        alone = _last(
            get("scine"), Batch.pack([part[0]], [part[1]]), n_steps=25, exact_hessians=exact
        )[0]
        assert together[i][0] is alone[0]
        assert together[i][3] == alone[3]
        assert together[i][2] == pytest.approx(alone[2], abs=1e-5)


def test_atoms_upon_each_other_are_pushed_apart():
    positions = torch.randn(9, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    batch = push_apart(Batch.pack([positions], [molecule("CH3CH2OH").numbers]), 0.65)
    assert batch.scaled_distances.amin() > 0.64


def test_no_step_brings_atoms_below_the_floor():
    atoms = molecule("H2O")
    batch = Batch.pack([atoms.positions], [atoms.numbers])
    towards = (batch.positions[:, :1] - batch.positions) * 0.9
    assert move_above(batch, towards, FLOOR).scaled_distances.amin() >= FLOOR


def test_the_wall_is_zero_around_a_whole_molecule_and_differentiates_to_its_gradient():
    one = torch.tensor([1])
    atoms = molecule("CH3OH")
    whole = Batch.pack([atoms.positions], [atoms.numbers])
    assert not wall(whole, n_fragments(whole), one).is_active.any()
    positions = torch.as_tensor(atoms.positions).clone()
    positions[1] += torch.tensor([0.4, 0.9, 0.3])
    torn = Batch.pack([positions], [atoms.numbers])
    two = n_fragments(torn)
    assert two.tolist() == [2]
    barrier = wall(torn, two, one)
    assert barrier.is_active.all()
    step = 1e-5
    for k in range(3 * len(atoms)):
        shift = torch.zeros(1, 3 * len(atoms), dtype=torch.float64)
        shift[0, k] = step
        moved = [torn.moved_to(torn.positions + s * shift.unflatten(1, (-1, 3))) for s in (1, -1)]
        up, down = (wall(batch, two, one) for batch in moved)
        slope = (up.energy - down.energy) / (2 * step)
        assert slope.item() == pytest.approx(barrier.gradient[0, k].item(), abs=1e-5)
        curve = (up.gradient - down.gradient) / (2 * step)
        torch.testing.assert_close(curve[0], barrier.hessian[0, k], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("n_allowed", [1, 2, 3])
def test_the_wall_pulls_on_the_longest_links_of_the_spanning_tree(n_allowed):
    atoms = molecule("CH3CH2OH")
    noise = torch.randn(len(atoms), 3, generator=torch.Generator().manual_seed(n_allowed))
    batch = Batch.pack([torch.as_tensor(atoms.positions) + 2 * noise], [atoms.numbers])
    scaled = batch.scaled_distances[0].numpy()
    lengths = list(minimum_spanning_tree(np.where(np.isfinite(scaled), scaled, 0.0)).data)
    pulled = np.sort(lengths)[::-1][n_allowed - 1 :] - 1.3
    bent = pulled.clip(0, 0.3)
    expected = 45.0 * (bent * (pulled.clip(0) - bent / 2)).sum()
    found = wall(batch, n_fragments(batch), torch.tensor([n_allowed]))
    assert expected > 1
    assert found.energy.item() == pytest.approx(expected)


def test_where_hessians_are_spared_the_only_hessians_are_certificates():
    pytest.importorskip("scine_sparrow")
    sparrow, asked = get("scine"), []

    def counting(batch, *, hessian=True):
        asked.extend([hessian] * len(batch))
        return sparrow(batch, hessian=hessian)

    atoms = molecule("NH3")
    flat = torch.as_tensor(atoms.positions) * torch.tensor([1.0, 1.0, 0.3])
    batch = Batch.pack([flat], [atoms.numbers])
    assert _last(counting, batch, exact_hessians="proof")[0][0] is Status.SADDLE
    assert sum(asked) == 1


@pytest.mark.parametrize(("said", "is_costly"), [({}, True), ({"is_hessian_costly": False}, False)])
def test_whether_a_hessian_is_costly_is_declared_and_asks_nothing(said, is_costly):
    potential, asked = lennard_jones(epsilon=0.3, sigma=1.1), []

    class Declared:
        def __call__(self, batch, *, hessian=True):
            asked.append(hessian)
            return potential(batch, hessian=hessian)

    calculator = Declared()
    vars(calculator).update(said)
    assert is_hessian_costly(calculator) is is_costly
    init(calculator, clusters(0), TrustHyperparameters())
    assert asked == [not is_costly]


def test_a_search_that_runs_out_ends_at_the_strict_saddle_it_met():
    surface = muller_brown()
    impossible = torch.zeros(len(surface.start), dtype=torch.int64)  # nothing has no pieces
    for frame in search(
        surface,
        surface.start,
        TrustHyperparameters(exact_hessians="often"),
        criterion="bound",
        n_steps=60,
        max_fragments=impossible,
    ):
        for i in frame.is_done:
            assert frame.status[i] is Status.OUT_OF_STEPS
            assert frame.verdict.meets("strict")[i]
            assert int(frame.state.steps[i]) == 60


def test_a_distorted_start_settles_before_it_climbs():
    pytest.importorskip("scine_sparrow")
    atoms = molecule("CH3CH2OH")
    noise = torch.randn(len(atoms), 3, generator=torch.Generator().manual_seed(3))
    batch = Batch.pack([torch.as_tensor(atoms.positions) + 0.5 * noise], [atoms.numbers])
    hyperparameters = TrustHyperparameters(exact_hessians="proof")
    frames = list(search(get("scine"), batch, hyperparameters, criterion="strict", n_steps=20))
    settling = [bool(frame.state.memory.is_settling[0]) for frame in frames]
    n = sum(settling)
    assert 2 <= n < 20
    assert settling == [True] * n + [False] * (len(frames) - n)  # once, at the beginning
    energies = [float(frame.state.energy[0]) for frame in frames[:n]]
    assert energies[-1] < energies[0] - 1.0
    assert float(frames[n - 1].state.max_force[0]) < SETTLED_FORCE


def test_a_start_that_is_a_minimum_is_climbed_from_and_claimed_to_be_no_saddle():
    pytest.importorskip("scine_sparrow")
    reaction = read(max_samples=1)[0]
    batch = Batch.pack([reaction.reactant], [reaction.atomic_numbers])
    hyperparameters = TrustHyperparameters(exact_hessians="proof")
    frames = search(get("scine"), batch, hyperparameters, criterion="bound", n_steps=200)
    for frame in frames:
        last = frame
        if int(frame.state.steps[0]) == 1:
            assert not frame.state.memory.is_settling[0]
            assert int(frame.state.cost.n_hessian[0]) == 0
    assert last.status == (Status.SADDLE,)
    assert int(last.state.cost.n_hessian[0]) == 1


def test_an_aim_leads_from_the_reactant_over_the_saddle_of_its_reaction():
    pytest.importorskip("scine_sparrow")
    found = read(max_samples=12)
    ended = {}
    for mode in ("lowest", "reaction"):
        aims = [
            read_aim(mode, r.atomic_numbers, r.reactant, (r.reactant, r.product)) for r in found
        ]
        batch = Batch.pack([r.reactant for r in found], [r.atomic_numbers for r in found])
        frames = search(
            get("scine"),
            batch,
            TrustHyperparameters(exact_hessians="proof"),
            criterion="bound",
            n_steps=200,
            wanted=stack(aims, batch.positions.shape[1]),
        )
        ended[mode] = 0
        for frame in frames:
            for row in frame.is_done:
                reaction = found[int(frame.state.index[row])]
                numbers, here = frame.state.batch.system(row)
                near = rmsd(numbers, here, reaction.transition_state, with_mirror=True) < 0.1
                ended[mode] += near and frame.status[row] is Status.SADDLE
    assert ended["reaction"] >= ended["lowest"] + 2


@pytest.mark.parametrize("mode", ["reaction", "lowest"])
def test_a_search_with_an_aim_climbs_again_from_where_it_began(mode):
    pytest.importorskip("scine_sparrow")
    (start,) = starts(read(max_samples=1), "midpoint_rt_noise0.3A")
    batch = Batch.pack([start.positions], [start.atomic_numbers])
    aims = stack(
        [read_aim(mode, start.atomic_numbers, start.positions, start.ends)],
        batch.positions.shape[1],
    )
    frames = search(
        get("scine"), batch, TrustHyperparameters(try_steps=20), wanted=aims, criterion="bound"
    )
    seen = {}
    for frame in frames:
        memory = frame.state.memory
        if not memory.is_settling[0]:
            seen.setdefault(int(memory.n_tries[0]), frame.state)
        if 1 in seen:
            break
    first, again = seen[0], seen[1]
    moved = (again.batch.positions - first.memory.origin.positions).norm(dim=-1).amax()
    is_climbing = mode == "reaction"
    assert int(again.memory.n_rebuilt[0]) == 1 - is_climbing
    if is_climbing:
        assert 0.01 < moved < 0.2
        assert again.wanted.is_set.all()
        assert again.cost.n_gradient > 20 + 11  # probed anew


def _stepped(*, is_down, length):
    """States at ethanol with its Hessian, made positive on the way down; ends of random steps."""
    calculator = get("scine")
    atoms = molecule("CH3CH2OH")
    batch = Batch.pack([atoms.positions] * 8, [atoms.numbers] * 8)
    state = init(calculator, batch, TrustHyperparameters(exact_hessians="often"))
    hessian = state.hessian
    if is_down:
        values, vectors = torch.linalg.eigh(hessian)
        hessian = vectors * values.clamp(min=0.05)[:, None] @ vectors.mT
    phase = Phase.SETTLING if is_down else Phase.CLIMBING
    current = state.memory.current
    current = replace(current, phase=torch.full_like(current.phase, phase))
    memory = replace(state.memory, current=current)
    random = torch.randn(batch.positions.shape, generator=torch.Generator().manual_seed(1))
    step = length * torch.nn.functional.normalize(random.double(), dim=-1)
    there = begin(batch.moved_to(batch.positions + step), calculator)
    return replace(state, hessian=hessian, memory=memory), there


@pytest.mark.parametrize("is_down", [True, False])
def test_a_hessian_that_follows_the_bonds_is_nearer_the_exact_one(is_down, monkeypatch):
    pytest.importorskip("scine_sparrow")
    state, there = _stepped(is_down=is_down, length=0.05)
    carried = Carried.between(state.batch, there.batch)
    change = carried.covector(state.forces.flatten(1)) - there.forces.flatten(1)
    following = update_hessian(state, there)
    with monkeypatch.context() as patched:
        patched.setattr(curvature, "_carry", lambda state, there, carried: state.hessian)
        staying = update_hessian(state, there)
    assert torch.allclose((following @ carried.step[..., None])[..., 0], change, atol=1e-8)
    error, before = ((h - there.hessian).norm(dim=(1, 2)) for h in (following, staying))
    assert error.mean() < 0.8 * before.mean()


def test_on_the_way_down_the_hessian_stays_positive():
    pytest.importorskip("scine_sparrow")
    state, there = _stepped(is_down=True, length=0.4)
    carried = Carried.between(state.batch, there.batch).form(state.hessian)
    fading = stretching(there.batch) - stretching(state.batch)
    followed = carried + pair_hessian(there.batch, fading)
    assert (torch.linalg.eigvalsh(followed)[:, 0] < 0).any()
    found = update_hessian(state, there)
    assert (torch.linalg.eigvalsh(found)[:, 0] > 0).all()
