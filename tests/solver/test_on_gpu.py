"""Searches on a GPU end where they end on the CPU."""

import pytest
import torch

from gadlib.batch import Batch
from gadlib.calculators.surfaces import lennard_jones
from gadlib.hessians.normal_modes import spectrum
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.solver.search import search
from gadlib.solver.state import Status

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


ARGON = lennard_jones(sigma=2.0)


def shaken_clusters(n: int) -> Batch:
    """The known saddle of four atoms, n times, each shaken otherwise."""
    saddle = ARGON.stationary(1)
    generator = torch.Generator().manual_seed(7)
    noise = 0.05 * torch.randn(n, 4, 3, dtype=torch.float64, generator=generator)
    return Batch.pack(list(saddle.positions + noise), [saddle.atomic_numbers[0]] * n)


def ends_on(device: str, solver: str, criterion: str) -> dict[int, tuple[Status, float, int]]:
    batch = shaken_clusters(5).to(device)
    found = {}
    frames = search(ARGON, batch, SOLVERS[solver](), criterion=criterion, n_steps=400, capacity=3)
    for frame in frames:
        for row in frame.is_done:
            state = frame.state
            found[int(state.index[row])] = (
                frame.status[row],
                float(state.energy[row]),
                int(state.order[row]),
            )
    return found


@pytest.mark.parametrize(("solver", "criterion"), [("trust", "strict"), ("gad", "index1")])
def test_a_search_ends_at_the_same_saddle(solver, criterion):
    here, there = (ends_on(device, solver, criterion) for device in ("cpu", "cuda"))
    assert len(here) == 5
    assert all(status.is_met for status, _, _ in there.values())
    for which, (status, energy, order) in here.items():
        assert there[which][0] == status
        assert there[which][1] == pytest.approx(energy, abs=1e-6)
        assert there[which][2] == order


def test_spectrum_is_the_same_in_the_shifted_form():
    batch = shaken_clusters(4)
    hessian = ARGON(batch, hessian=True).hessian
    here = spectrum(hessian, batch).eigenvalues
    there = spectrum(hessian.cuda(), batch.to("cuda")).eigenvalues.cpu()
    assert torch.equal(here.isfinite(), there.isfinite())
    is_known = here.isfinite()
    assert there[is_known] == pytest.approx(here[is_known], abs=1e-9)
