"""Models of TorchSim as others might write them: for the tests of what adapts them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch_sim.models.interface import ModelInterface

CALLED: list[str] = []


class Network(torch.nn.Module):
    """Random weights: pairs of atoms by their elements and distances, then sums of atoms."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> torch.nn.Parameter:
            return torch.nn.Parameter(torch.randn(*shape, generator=generator).to(dtype))

        self.elements, self.first, self.last = drawn(20, 8), drawn(8, 8), drawn(8)

    def forward(self, positions, numbers, owner) -> dict[str, torch.Tensor]:
        i, j = (owner[:, None] == owner[None]).fill_diagonal_(False).nonzero().unbind(-1)
        distance = torch.linalg.vector_norm(positions[i] - positions[j], dim=-1)
        pair = torch.exp(-distance)[:, None] * self.elements[numbers[j]]
        atoms = self.elements[numbers].index_add(0, i, torch.tanh(pair @ self.first))
        each = torch.tanh(atoms @ self.first) @ self.last
        energy = each.new_zeros(int(owner.max()) + 1).index_add(0, owner, each)
        return {"energy": energy, "forces": None}


class Wrapper(ModelInterface):
    """As TorchSim's wrappers of networks: what it returns was cut from its graph."""

    def __init__(
        self,
        seed: int = 0,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        self._device, self._dtype = device or torch.device("cpu"), dtype
        self._compute_forces, self._compute_stress = True, True
        self.model = Network(seed, dtype).to(self._device)
        self.n_calls = 0

    def forward(self, state, **_):
        self.n_calls += 1
        CALLED.append(f"{int(state.system_idx.max()) + 1}")
        positions = state.positions.requires_grad_()
        out = self.model(positions, state.atomic_numbers, state.system_idx)
        found = {"energy": out["energy"].detach()}
        if self.compute_forces:
            (slope,) = torch.autograd.grad(out["energy"].sum(), positions)
            found["forces"] = -slope.detach()
        return found


class Closed(Wrapper):
    """One that computes with a copy of the positions, so that only its forces are at hand."""

    def forward(self, state, **_):
        state = state.clone()
        state.positions = state.positions.detach()
        return super().forward(state)


class Odd(Network):
    """One that is infinite for nitrogen."""

    def forward(self, positions, numbers, owner):
        found = super().forward(positions, numbers, owner)
        is_odd = torch.zeros_like(found["energy"]).index_add(0, owner, (numbers == 7).double())
        return found | {"energy": torch.where(is_odd > 0, torch.inf, found["energy"])}


class Choosy(Wrapper):
    """One that knows no fluorine, and is infinite for nitrogen."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.model = Odd(seed, self.dtype)

    def forward(self, state, **_):
        if (state.atomic_numbers == 9).any():
            raise ValueError("no fluorine here")
        return super().forward(state)


class Charged(Wrapper):
    """One whose energy depends on charge and spin."""

    def forward(self, state, **_):
        found = super().forward(state)
        found["energy"] = found["energy"] + 10 * state.charge + state.spin
        return found


class Keeping(Wrapper):
    """One that keeps which system each atom of the last atoms was of, as MACE's wrapper does."""

    def forward(self, state, **_):
        known = getattr(self, "atomic_numbers", torch.zeros(0))
        if not torch.equal(known, state.atomic_numbers):
            self.atomic_numbers, self.owner = state.atomic_numbers, state.system_idx
        state.system_idx = self.owner
        return super().forward(state)


def made(seed: int = 0) -> Wrapper:
    """A model made by a function."""
    return Wrapper(seed)


def elsewhere(seed: int = 0) -> Wrapper:
    """A model that was put somewhere, whatever was asked for."""
    return Wrapper(seed, device=torch.device("meta"))


def not_declared(seed: int = 0):
    """A function that does not say what it returns."""
    CALLED.append("not_declared")
    return Wrapper(seed)


def small_mace(
    seed: int = 0,
    *,
    elements: Sequence[int] = (1, 6, 8),
    channels: int = 8,
    max_ell: int = 2,
    correlation: int = 2,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float64,
) -> ModelInterface:
    """A MACE of random weights, small where nothing else is said; it needs mace-torch."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        from mace.modules import ScaleShiftMACE, interaction_classes  # isort: skip, before e3nn
        from e3nn import o3
        from torch_sim.models.mace import MaceModel

        torch.manual_seed(seed)
        usual = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        block = interaction_classes["RealAgnosticResidualInteractionBlock"]
        try:
            network = ScaleShiftMACE(
                r_max=4.0,
                num_bessel=4,
                num_polynomial_cutoff=5,
                max_ell=max_ell,
                interaction_cls=block,
                interaction_cls_first=block,
                num_interactions=2,
                num_elements=len(elements),
                hidden_irreps=o3.Irreps(f"{channels}x0e+{channels}x1o"),
                MLP_irreps=o3.Irreps("8x0e"),
                gate=torch.nn.functional.silu,
                atomic_energies=np.zeros(len(elements)),
                avg_num_neighbors=4.0,
                atomic_numbers=list(elements),
                correlation=correlation,
                atomic_inter_scale=1.0,
                atomic_inter_shift=0.0,
            )
        finally:
            torch.set_default_dtype(usual)
        where = device or torch.device("cpu")
        return MaceModel(network, device=where, dtype=dtype, compute_stress=False)
