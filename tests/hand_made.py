"""States of trust searches made by hand: what a predicate looks at is set, the rest is at peace."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch

from gadlib.evaluation import Evaluation
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.state import State
from gadlib.solver.trust.memory import Try
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.rule import init
from gadlib.solver.trust.wall import Wall
from gadlib.systems.batch import Batch

H = TrustHyperparameters(exact_hessians="often")
RING = [[0.0, 0.0, 0.0], [1.2, 0.0, 0.0], [1.2, 1.2, 0.0], [0.0, 1.2, 0.1], [0.6, 0.6, 1.0]]
CARBONS = [6] * 5


def ring(n: int = 1) -> Batch:
    """So many copies of five carbon atoms in one piece."""
    return Batch.pack([torch.tensor(RING)] * n, [CARBONS] * n)


def flat(batch: Batch, *, hessian: bool = True) -> Evaluation:
    """A potential without any force."""
    width = 3 * batch.positions.shape[1]
    second = batch.positions.new_zeros(len(batch), width, width) if hessian else None
    return Evaluation(batch.positions.new_zeros(len(batch)), 0 * batch.positions, second)


def search_state(
    batch: Batch | None = None,
    phase: Phase | list[Phase] = Phase.CLIMBING,
    *,
    calculator: Any = flat,
    h: TrustHyperparameters = H,
    **changes: Any,
) -> State:
    """A state in that phase, not exact, with no forces unless others are given.

    Changes of the current try and of the memory are given by the names of their fields, as numbers
    or as lists with one for each system; those of the state as tensors.
    """
    batch = ring() if batch is None else batch
    state = init(calculator, batch, h)
    state = replace(state, forces=0 * state.forces, is_exact=state.steps < 0)
    current = _changed(state.memory.current, {"phase": phase, **_of(Try, changes)})
    memory = _changed(state.memory, _of(type(state.memory), changes))
    own = {name: value for name, value in changes.items() if name not in _of(Try, changes)}
    return _changed(replace(state, memory=replace(memory, current=current)), _of(State, own))


def _of(kind: type, changes: dict[str, Any]) -> dict[str, Any]:
    return {f.name: changes[f.name] for f in fields(kind) if f.name in changes}


def _changed(node: Any, changes: dict[str, Any]) -> Any:
    values = {}
    for name, value in changes.items():
        old = getattr(node, name)
        if isinstance(old, torch.Tensor):
            value = torch.as_tensor(value, dtype=old.dtype) + torch.zeros_like(old)
        values[name] = value
    return replace(node, **values)


def pulled(state: State, *forces: float) -> torch.Tensor:
    """Forces of which each system's first atom feels so much along x."""
    found = torch.zeros_like(state.forces)
    found[:, 0, 0] = torch.tensor(forces, dtype=found.dtype)
    return found


def wall_of(state: State, energy: float, gradient: torch.Tensor | None = None) -> Wall:
    """A wall of that energy."""
    none = Wall.none(state.batch)
    return replace(
        none,
        energy=none.energy + energy,
        gradient=none.gradient if gradient is None else gradient.flatten(1),
    )
