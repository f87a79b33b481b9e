"""Searches on a GPU end where they end on the CPU, whatever is asked of them."""

import pytest
import torch

from gadlib.calculators.paired import Paired
from gadlib.calculators.surfaces import lennard_jones
from gadlib.evaluation import Calculator
from gadlib.hessians.normal_modes import spectrum
from gadlib.settings.hyperparameters import (
    SOLVERS,
    DeltaHyperparameters,
    GadHyperparameters,
    Hyperparameters,
    TrustHyperparameters,
)
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.downhill import irc
from gadlib.solver.downhill.relaxation import RELAXED_FORCE, relax
from gadlib.solver.points import begin
from gadlib.solver.search import search
from gadlib.solver.state import State, Status
from gadlib.systems.batch import Batch
from gadlib.systems.rows import take

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


DEVICE = "cuda"

ARGON = lennard_jones(sigma=2.0)
PAIR = Paired(ARGON, lennard_jones(sigma=2.1))


def shaken_clusters(n: int, noise: float = 0.05) -> Batch:
    """The known saddle of four atoms, n times, each shaken otherwise."""
    saddle = ARGON.stationary(1)
    generator = torch.Generator().manual_seed(7)
    shakes = noise * torch.randn(n, 4, 3, dtype=torch.float64, generator=generator)
    return Batch.pack(list(saddle.positions + shakes), [saddle.atomic_numbers[0]] * n)


def ends_on(
    device: str,
    hyperparameters: Hyperparameters,
    calculator: Calculator = ARGON,
    criterion: str = "strict",
) -> dict[int, tuple[Status, State]]:
    """How each search ended, and its state alone."""
    found = {}
    for frame in search(
        calculator,
        shaken_clusters(5).to(device),
        hyperparameters,
        criterion=criterion,
        n_steps=400,
        capacity=3,
    ):
        for row in frame.is_done:
            state = take(frame.state, torch.tensor([row], device=frame.state.index.device))
            found[int(state.index)] = (frame.status[row], state)
    return found


@pytest.mark.parametrize(
    ("hyperparameters", "criterion"),
    [
        (TrustHyperparameters(), "strict"),
        (TrustHyperparameters(proof="products"), "strict"),
        (GadHyperparameters(), "index1"),
        (GadHyperparameters(integrator="damped"), "index1"),
        (DeltaHyperparameters(), "strict"),
        (DeltaHyperparameters(proof="products"), "strict"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_search_ends_at_the_same_saddle(hyperparameters, criterion):
    calculator = PAIR if isinstance(hyperparameters, DeltaHyperparameters) else ARGON
    here, there = (
        ends_on(device, hyperparameters, calculator, criterion) for device in ("cpu", DEVICE)
    )
    assert len(here) == len(there) == 5
    for which, (status, state) in here.items():
        told, other = there[which]
        assert told == status and told.is_met
        assert other.batch.positions.device.type == DEVICE
        assert float(other.energy) == pytest.approx(float(state.energy), abs=1e-6)
        assert other.order.item() == state.order.item()
        assert abs(int(other.steps) - int(state.steps)) <= 2


@pytest.mark.parametrize("solver", ["trust", "delta"])
def test_the_ways_down_lead_to_the_same_minima(solver):
    ends = {}
    for device in ("cpu", DEVICE):
        hyperparameters = SOLVERS[solver]()
        calculator = PAIR if solver == "delta" else ARGON
        _, saddle = ends_on(device, hyperparameters, calculator)[0]
        seen = seen_by(saddle) if solver == "delta" else None
        (path,) = irc.follow(calculator, saddle.batch, known=seen)
        ends[device] = sorted(float(leg.energy[-1]) for leg in path.legs)
    assert ends[DEVICE] == pytest.approx(ends["cpu"], abs=1e-4)


def test_a_minimum_is_found_from_beside_it():
    batch = shaken_clusters(4, noise=0.2)
    here, there = (relax(ARGON, begin(batch.to(device), ARGON)) for device in ("cpu", DEVICE))
    assert (there.max_force < RELAXED_FORCE).all() and (there.order == 0).all()
    assert there.energy.cpu() == pytest.approx(here.energy, abs=1e-4)


def test_spectrum_is_the_same_in_the_shifted_form():
    batch = shaken_clusters(4)
    hessian = ARGON(batch, hessian=True).hessian
    here = spectrum(hessian, batch).eigenvalues
    there = spectrum(hessian.to(DEVICE), batch.to(DEVICE)).eigenvalues.cpu()
    assert torch.equal(here.isfinite(), there.isfinite())
    is_known = here.isfinite()
    assert there[is_known] == pytest.approx(here[is_known], abs=1e-9)
