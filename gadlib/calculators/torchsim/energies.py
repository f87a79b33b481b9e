"""What a model says of a state, and whether its energy can be differentiated.

Where it can, forces are minus the derivative of the energy and Hessians their derivative: exact, of
one another, and of every molecule of a batch at once. Many of TorchSim's wrappers give an energy
that was cut from its graph; that of the network within still has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

CHUNK = 32
"""Rows of Hessians at a time, each with the memory of a gradient."""

_PROBES = (1, 6, 14, 18, 29)
"""Elements of which a model is asked for two atoms, where it does not say which it knows."""

_APART, _STEP = 1.1, 0.005
"""A between the two, and by which they are moved."""

_RELATIVE, _ABSOLUTE = 0.05, 0.02
"""By how much (the latter in eV/A) a derivative may differ from a difference, in single precision
of energies of some 1000 eV too."""

StateOf = Callable[[Tensor, Tensor], Any]
"""A state of atomic numbers and positions in A."""


@dataclass(frozen=True)
class Said:
    """What a model says of a state of L atoms.

    Attributes:
        energy: of the systems, in eV; with its graph where it has one.
        forces: the model's own in eV/A, where they were asked for.
    """

    energy: Float[Tensor, " B"]
    forces: Float[Tensor, "L 3"] | None


def said(model: torch.nn.Module, state: Any, *, own_forces: bool) -> Said:
    """What the model says; the attributes that it sets meanwhile are put back.

    MACE's wrapper keeps what it made of the last atoms, and takes it for other molecules of the
    same atoms in the same order.

    Raises:
        KeyError: when the model gives no energy, or no forces where they are asked for.
    """
    seen: list[Tensor] = []
    within = getattr(model, "model", None)
    hook = None
    if isinstance(within, torch.nn.Module) and not isinstance(within, torch.jit.ScriptModule):
        hook = within.register_forward_hook(lambda _1, _2, out: seen.extend(_energy_of(out)))
    before = dict(vars(model))
    model._compute_forces = own_forces  # type: ignore[assignment]  # as its interface declares it
    model._compute_stress = False  # type: ignore[assignment]
    try:
        found = model(state)
    finally:
        vars(model).clear()
        vars(model).update(before)
        if hook is not None:
            hook.remove()
    energy = found["energy"].reshape(-1)
    if not energy.requires_grad:
        graphs = [one.reshape(-1) for one in seen if one.numel() == energy.numel()]
        same = [one for one in graphs if _is_same(one.detach(), energy.detach())]
        energy = next(iter(same), energy)
    return Said(energy, found["forces"].detach() if own_forces else None)


def _is_same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _energy_of(out: Any) -> list[Tensor]:
    energy = out.get("energy") if isinstance(out, Mapping) else None
    return [energy] if isinstance(energy, Tensor) and energy.requires_grad else []


def gradient(energy: Float[Tensor, " B"], positions: Float[Tensor, "L 3"]) -> Float[Tensor, "L 3"]:
    """The derivative in eV/A with its graph; zero where the energy does not depend on them."""
    (found,) = torch.autograd.grad(energy.sum(), positions, create_graph=True, allow_unused=True)
    return torch.zeros_like(positions) if found is None else found


def curvature(
    slope: Float[Tensor, "L 3"], positions: Float[Tensor, "L 3"], place: Tensor
) -> Float[Tensor, "K L 3"]:
    """The derivatives of all systems' gradients by their k-th atom's coordinates, in eV/A^2.

    Row 3 k + i is of coordinate i of every system's atom k: systems do not see each other, so that
    one row of each is had from one derivative.

    Args:
        slope: the gradient, with its graph.
        positions: that it depends on.
        place: of each atom among those of its system.
    """
    size = 3 * (int(place.max()) + 1)
    if not slope.requires_grad:
        return slope.new_zeros(size, *slope.shape)
    which = 3 * place[:, None] + torch.arange(3, device=place.device)
    found = []
    for first in range(0, size, CHUNK):
        rows = torch.arange(first, min(first + CHUNK, size), device=place.device)
        wanted = (which == rows[:, None, None]).to(slope)
        found.append(_rows(slope, positions, wanted))
    return torch.cat(found)


def _rows(slope: Tensor, positions: Tensor, wanted: Float[Tensor, "K L 3"]) -> Tensor:
    """Derivatives, all at once where the model's operations allow that."""
    options = {"retain_graph": True, "allow_unused": True}
    try:
        (rows,) = torch.autograd.grad(slope, positions, wanted, is_grads_batched=True, **options)
    except RuntimeError:  # an operation that can't be batched
        one_by_one = [torch.autograd.grad(slope, positions, one, **options)[0] for one in wanted]
        rows = None if one_by_one[0] is None else torch.stack(one_by_one)
    return torch.zeros_like(wanted) if rows is None else rows


def order_of(model: torch.nn.Module, state_of: StateOf, elements: tuple[int, ...]) -> int:
    """How often the model's energy can be differentiated: 2, 1, or 0 where it has no graph.

    Args:
        model: asked for two atoms.
        state_of: makes a state of atomic numbers and positions.
        elements: that it knows; empty where it does not say.
    """
    for element in (elements or _PROBES)[: len(_PROBES)]:
        try:
            return _order_of_pair(model, lambda at, z=element: state_of(torch.tensor([z, z]), at))
        except Exception:  # such as an element that it does not know
            continue
    return 0


def _order_of_pair(model: torch.nn.Module, state_at: Callable[[Tensor], Any]) -> int:
    """As `order_of`, of a pair of atoms.

    A network within may have a graph that ends at a copy of the positions. So the derivative is
    compared with a difference.
    """
    apart = torch.tensor([[0.0, 0.0, 0.0], [0.48, 0.64, 0.6]], dtype=torch.float64)
    state = state_at(_APART * apart)
    energy = said(model, state, own_forces=False).energy
    if not energy.requires_grad:
        return 0
    (slope,) = torch.autograd.grad(
        energy.sum(), state.positions, retain_graph=True, allow_unused=True
    )
    if slope is None:  # the graph is of a copy of the positions
        return 0
    ahead, behind = (
        float(said(model, state_at((_APART + h) * apart), own_forces=False).energy.detach())
        for h in (_STEP, -_STEP)
    )
    expected, found = (ahead - behind) / (2 * _STEP), float(slope[1] @ apart[1].to(slope))
    if abs(found - expected) > _RELATIVE * abs(expected) + _ABSOLUTE:
        return 0
    try:
        slope = gradient(energy, state.positions)
        curvature(slope, state.positions, torch.arange(2, device=slope.device))
    except Exception:  # operations that have no second derivative
        return 1
    return 2
