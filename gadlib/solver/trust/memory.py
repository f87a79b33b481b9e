"""What a trust search carries from step to step: its current try, and what outlives a try."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gadlib.hessians.normal_modes import Spectrum, within
from gadlib.molecules.bonds import n_fragments
from gadlib.molecules.contacts import gap
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.aim import Aim
from gadlib.solver.state import State
from gadlib.solver.trust.constants import (
    AIMED_TRIES,
    DOWN_BONUS,
    DOWN_EIGENVALUE,
    SOFT_EIGENVALUE,
)
from gadlib.solver.trust.phases import Phase
from gadlib.solver.trust.wall import Wall
from gadlib.systems.batch import Batch


@dataclass(frozen=True)
class Try:
    """All that a new try resets.

    Attributes:
        phase: a `Phase`.
        steps: of this phase.
        radius: the trust radius in A.
        age: steps since the last exact Hessian, or model of one.
        poor: badly predicted steps in a row.
        n_certificates: exact Hessians spent on stationary points that it climbed to.
        wall: the wall here.
        n_pieces: connected pieces here, of bonds and what counts as bonds (`half_made`).
        torn_steps: steps in a row in more pieces than allowed, or with pieces that have gone from
            one another.
        anchor: where the try was at its beginning, and then every eighth step, in A.
        is_circling: whether a step of full length led back there.
        is_arrived: whether this climb has come near a point of order one.
    """

    phase: Int[Tensor, " B"]
    steps: Int[Tensor, " B"]
    radius: Float[Tensor, " B"]
    age: Int[Tensor, " B"]
    poor: Int[Tensor, " B"]
    n_certificates: Int[Tensor, " B"]
    wall: Wall
    n_pieces: Int[Tensor, " B"]
    torn_steps: Int[Tensor, " B"]
    anchor: Float[Tensor, "B N 3"]
    is_circling: Bool[Tensor, " B"]
    is_arrived: Bool[Tensor, " B"]

    @classmethod
    def begin(cls, batch: Batch, phase: Phase, h: TrustHyperparameters) -> Try:
        """A try that begins at these geometries."""
        zero = torch.zeros_like(batch.atomic_numbers[:, 0])
        no = zero.bool()
        return cls(
            phase=torch.full_like(zero, phase),
            steps=zero,
            radius=torch.full_like(batch.positions[:, 0, 0], h.radius_start),
            age=zero,
            poor=zero,
            n_certificates=zero,
            wall=Wall.none(batch),
            n_pieces=n_fragments(batch),
            torn_steps=zero,
            anchor=batch.positions,
            is_circling=no,
            is_arrived=no,
        )


@dataclass(frozen=True)
class Origin:
    """The point that a search begins its first climb at, and every other try from.

    Attributes:
        positions, energy, forces: there.
        gap: the longest link there (`contacts.gap`), where more pieces than one are allowed.
    """

    positions: Float[Tensor, "B N 3"]
    energy: Float[Tensor, " B"]
    forces: Float[Tensor, "B N 3"]
    gap: Float[Tensor, " B"]

    @classmethod
    def at(cls, state: State) -> Origin:
        """Where the searches are now."""
        link = gap(state.batch, state.max_fragments > 1)
        return cls(state.batch.positions, state.energy, state.forces, link)


@dataclass(frozen=True)
class TrustMemory:
    """What a search carries from step to step.

    Attributes:
        spares_hessians: whether exact ones are spared: modelled, probed along soft modes, updated.
        current: the try under way.
        n_tries: tries before it; a start that does not settle at first is not one.
        n_rebuilt: how often the molecule was rebuilt.
        lowest: the lowest energy met so far in eV.
        origin: where the first climb began; until then the start.
        half_made: pairs of atoms that are half bonded at the start (`half_made`).
    """

    spares_hessians: Bool[Tensor, " B"]
    current: Try
    n_tries: Int[Tensor, " B"]
    n_rebuilt: Int[Tensor, " B"]
    lowest: Float[Tensor, " B"]
    origin: Origin
    half_made: Bool[Tensor, "B N N"]

    @property
    def radius(self) -> Float[Tensor, " B"]:
        """The trust radius in A."""
        return self.current.radius

    @property
    def is_climbing(self) -> Bool[Tensor, " B"]:
        """Whether a system climbs."""
        return self.current.phase == Phase.CLIMBING

    @property
    def is_settling(self) -> Bool[Tensor, " B"]:
        """Whether a system goes downhill, or is about to, until it is a molecule at peace."""
        return self.current.phase != Phase.CLIMBING

    @property
    def is_rebuilt(self) -> Bool[Tensor, " B"]:
        """Whether a molecule was just rebuilt, so that nothing is computed where it is."""
        return self.current.phase == Phase.REBUILT


def is_aiming(state: State) -> Bool[Tensor, " B"]:
    """Which systems climb towards an aim: in the first tries, until near a point of order one."""
    if not state.wanted.is_set.any():
        return state.wanted.is_set
    memory: TrustMemory = state.memory
    is_on_the_way = memory.is_climbing & ~memory.current.is_arrived
    return state.wanted.is_set & is_on_the_way & (memory.n_tries < AIMED_TRIES)


def most_aimed(wanted: Aim, batch: Batch, spectrum: Spectrum) -> Int[Tensor, " B"]:
    """The place of the mode with most of the aim.

    Of two modes with as much of it the softer one is taken, and one that curves down before all:
    the aim tells the reaction, the soft mode the way in. Where no mode has much of the aim, a climb
    goes on along the mode by which it is at a ridge already.
    """
    eigenvalues = spectrum.eigenvalues
    parts = within(spectrum.modes, wanted.directions(batch))
    worth = parts / (1 + eigenvalues.clamp(min=0) / SOFT_EIGENVALUE)
    worth = worth * (1 + DOWN_BONUS * (-eigenvalues / DOWN_EIGENVALUE).clamp(min=0, max=1))
    return torch.where(eigenvalues.isfinite(), worth, -1.0).argmax(-1)
