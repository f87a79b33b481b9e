"""Saddles of ions, radicals and large molecules for the set on GFN2-xTB, by the package's `trust`.

The plain search of `paths` and `xtb` finds too few of them for its many Hessians. A set that a
solver has made is no measure of how often that solver succeeds; so each reaction says what found it
(`found_by`), and comparisons of success are to keep to those of `p-rfo`, or begin elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gadlib.data.paths import Unsuitable
from gadlib.data.xtb import Updated
from gadlib.evaluation import Evaluation
from gadlib.settings.hyperparameters import TrustHyperparameters
from gadlib.solver.downhill import irc
from gadlib.solver.mode_following import read_aim
from gadlib.solver.search import search
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

N_STEPS = 120
"""Of a search: one that takes more has left the reaction for another one."""


@dataclass(frozen=True)
class Warm:
    """A calculator of one molecule, each field of which begins with the last one's density."""

    surface: Updated
    is_hessian_costly: bool = True

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians, one geometry after the other."""
        size, n = len(batch), 3 * len(self.surface.numbers)
        energy, forces = np.zeros(size), np.zeros((size, n // 3, 3))
        second = np.zeros((size, n, n)) if hessian else None
        failures = {}
        for i in range(size):
            positions = batch.system(i)[1]
            try:
                if second is not None:
                    second[i] = self.surface.hessian(positions)
                energy[i], forces[i] = self.surface.energy_and_forces(positions)
            except Unsuitable as reason:
                failures[i] = str(reason)
        return Evaluation(
            torch.from_numpy(energy),
            torch.from_numpy(forces),
            None if second is None else torch.from_numpy(second),
            failures,
        )


def saddle_near(
    surface: Updated, guess: np.ndarray, bonds: Sequence[tuple[int, int]], max_pieces: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The bound saddle that `trust` finds, and the minima that it joins, in A.

    Args:
        surface: of the molecule.
        guess: where the search begins.
        bonds: those that change, whose mode is climbed; without any it goes by the guess.
        max_pieces: of the saddle.

    Raises:
        Unsuitable: when there is none, or its ends are not reached.
    """
    calculator, batch = Warm(surface), surface.batch(guess)
    mode = "bonds:" + ",".join(f"{i}-{j}" for i, j in bonds) if bonds else "lowest"
    *_, last = search(
        calculator,
        batch,
        TrustHyperparameters(),
        criterion="bound",
        n_steps=N_STEPS,
        max_fragments=torch.tensor([max_pieces]),
        wanted=read_aim(mode, surface.numbers, guess),
    )
    if last.status[0] is not Status.SADDLE:
        raise Unsuitable("no bound saddle")
    (path,) = irc.follow(calculator, surface.batch(last.state.batch.system(0)[1]))
    if path.reasons:
        raise Unsuitable("path downhill does not end")
    return path.positions.numpy(), [leg.positions[-1].numpy() for leg in path.legs]
