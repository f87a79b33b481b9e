"""What a search learns at a point: on which cheap potential, and the surrogate that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gadlib.evaluation import Calculator, Evaluation
from gadlib.hessians.inquiry import Order
from gadlib.hessians.normal_modes import spectrum
from gadlib.solver.delta.below import (
    Turn,
    cheaps_of,
    observed,
    take_over,
    told,
    without_misleading,
)
from gadlib.solver.delta.climb import Climb
from gadlib.solver.delta.memory import DeltaMemory
from gadlib.solver.delta.observations import Observations
from gadlib.solver.delta.process import EARLY, learn
from gadlib.solver.delta.surrogate import Surrogate
from gadlib.solver.state import State
from gadlib.systems.batch import Batch
from gadlib.systems.rows import put

NEAR_START = 1.0
"""A from its start within which a search that begins anew keeps what was seen: of five on HF/3-21G
four end in 30 steps. Where all is kept three do; where nothing is, one takes 49 calls, not 15."""

Turning = Callable[[Calculator, Batch, Observations], Turn | None]
"""Another cheap potential for one system, found with the calculator and by what was seen."""


def surrogate_of(calculator: Calculator, state: State) -> Surrogate:
    """What was learned on top of the cheap potential."""
    memory = state.memory
    return Surrogate(below_of(calculator, memory.observations), memory.processes)


def below_of(
    calculator: Calculator, observations: Sequence[Observations]
) -> tuple[Calculator, ...]:
    """The cheap potential of each system."""
    cheaps = cheaps_of(calculator)
    return tuple(cheaps[known.which] for known in observations)


def seen_there(
    observations: tuple[Observations, ...],
    state: State,
    below: Evaluation,
    next_at: Float[Tensor, "B N 3"],
) -> tuple[Observations, ...]:
    """The observations with those at the points of the state, where both potentials answered.

    Of too many those near where the search goes on are kept.
    """
    found = []
    for row, known in enumerate(observations):
        n = known.positions.shape[1]
        if (state.energy[row] - below.energy[row]).isfinite():
            costly, cheap = told(state, row, n), told(below, row, n)
            known = known.plus(state.batch.positions[row, :n], costly, cheap, next_at[row, :n])
        found.append(known)
    return tuple(found)


def failed_below(below: Evaluation, led: Climb, is_nowhere: Bool[Tensor, " B"]) -> dict[int, str]:
    """Why cheap potentials failed where the costly one was asked, or let climbs lead nowhere."""
    ways = zip(is_nowhere.tolist(), led.state.message, strict=True)
    found = {i: why for i, (nowhere, why) in enumerate(ways) if nowhere and why}
    return found | dict(below.failures)


def turned_below(
    calculator: Calculator, state: State, why: Mapping[int, str]
) -> tuple[State, Bool[Tensor, " B"]]:
    """The state with the next cheap potential below systems whose own failed, and which these are.

    Where no other answers either all stays as it was, as where the costly one failed too.
    """
    found = {place: partial(take_over, why=reason) for place, reason in why.items()}
    return _turned(calculator, state, found)


def begun_anew(
    calculator: Calculator, state: State, is_poor: Bool[Tensor, " B"]
) -> tuple[State, Bool[Tensor, " B"]]:
    """The state without the cheap potentials that mislead, and below which systems one did.

    It is asked where forces were predicted badly and enough was seen. These searches go back to the
    start: it is the cheap potential that led them away, and what was seen far from there goes.
    """
    seen = state.memory.observations
    rows = [i for i in is_poor.nonzero().flatten().tolist() if len(seen[i]) >= EARLY]
    state, is_turned = _turned(calculator, state, dict.fromkeys(rows, without_misleading))
    rows = is_turned.nonzero().flatten()
    return put(state, rows, _back_to_start), is_turned


def _back_to_start(state: State) -> State:
    """The state of searches that go back, with what they have seen near their start."""
    memory: DeltaMemory = state.memory
    near = [
        known.within(NEAR_START, start[: known.positions.shape[1]].cpu())
        for known, start in zip(memory.observations, memory.start, strict=True)
    ]
    is_stuck = torch.ones_like(memory.is_stuck)
    return replace(state, memory=replace(memory, observations=tuple(near), is_stuck=is_stuck))


def _turned(
    calculator: Calculator, state: State, ways: Mapping[int, Turning]
) -> tuple[State, Bool[Tensor, " B"]]:
    """The state with the cheap potentials that are found below some systems, and below which."""
    is_turned = torch.zeros_like(state.is_exact)
    for place, find in ways.items():
        if state.message[place]:
            continue
        row = torch.tensor([place], device=state.index.device)
        known = state.memory.observations[place]
        turn = find(calculator, state.batch.take(row), known)
        if turn is not None:
            state = put(state, row, lambda part, turn=turn: _on_next(part, turn))
            is_turned[place] = True
    return state, is_turned


def _on_next(state: State, turn: Turn) -> State:
    """The state of one system on another cheap potential, which was asked where it is."""
    memory: DeltaMemory = state.memory
    assert turn.here.hessian is not None
    here = state.batch.positions
    memory = replace(
        memory,
        observations=seen_there((turn.known,), state, turn.here, here),
        processes=(None,),
        below=turn.here.hessian,
        origin=here,
        is_stuck=torch.zeros_like(memory.is_stuck),
        told=(f"{memory.told[0]} {turn.told}".strip(),),
    )
    return replace(state, memory=memory)


def with_products(calculator: Calculator, state: State) -> State:
    """The state with the gradients of proofs among what was seen; learned where searches go on.

    The Hessian there is the one that the products have corrected.
    """
    memory: DeltaMemory = state.memory
    cheaps = below_of(calculator, memory.observations)
    seen, processes = list(memory.observations), list(memory.processes)
    for place, proof in enumerate(state.proof):
        if proof is None:
            continue
        system = state.batch.take(torch.tensor([place], device=state.index.device))
        width, n = state.batch.positions.shape[1], proof.beside.positions.shape[1]
        points = torch.nn.functional.pad(proof.beside.positions, (0, 0, 0, width - n))
        forces = torch.nn.functional.pad(proof.beside.forces, (0, 0, 0, width - n))
        answer = Evaluation(proof.beside.energies, forces)
        seen[place] = observed(cheaps[place], system, points, answer, seen[place])
        if proof.order != Order.ONE:
            processes[place] = learn(seen[place], processes[place])
    memory = replace(memory, observations=tuple(seen), processes=tuple(processes))
    return replace(state, memory=memory)


def with_surrogate(calculator: Calculator, state: State) -> State:
    """The state with what is learned, and the Hessian and the spectrum of the surrogate there."""
    memory: DeltaMemory = state.memory
    known = zip(memory.observations, memory.processes, strict=True)
    processes = tuple(learn(one, before) for one, before in known)
    state = replace(state, memory=replace(memory, processes=processes))
    hessian = state.memory.below + surrogate_of(calculator, state).correction(state.batch)
    return replace(state, hessian=hessian, spectrum=spectrum(hessian, state.batch))
