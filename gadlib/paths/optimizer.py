"""The intrinsic reaction coordinate as one of ASE's optimizers, as users of Sella know it.

The steps are those of `gadlib.solver.downhill`; log, trajectory, `attach`, `run` and `irun` are
ASE's own.

Reference: Hermes, Sargsyan, Najm, Zador, J. Chem. Theory Comput. 18, 6974 (2022),
doi:10.1021/acs.jctc.2c00395 (Sella, whose arguments these are).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import torch
from ase.calculators.calculator import CalculationFailed
from ase.optimize.optimize import DEFAULT_MAX_STEPS, Optimizer

from gadlib.ase.systems import batch_of, move_atoms, potential_of
from gadlib.settings.reading import InputError
from gadlib.solver.downhill.descent import LENGTH_MAX, depart, lowest_mode, step_down
from gadlib.solver.downhill.relaxation import RADIUS, relax_step
from gadlib.solver.points import begin
from gadlib.solver.state import State, displacement

DIRECTIONS = {"forward": 1.0, "reverse": -1.0}

_MAX_TAKEN_BACK = 12
"""Trials of one step, each half as long as the one before; a last one goes 1e-5 amu^1/2 A."""


class IRC(Optimizer):
    """An ASE optimizer that goes downhill from a saddle along the reaction coordinate.

        irc = IRC(atoms, trajectory="irc.traj", dx=0.1)
        irc.run(fmax=0.05, steps=200, direction="forward")
        irc.run(fmax=0.05, steps=200, direction="reverse")

    Each run begins at the saddle where the atoms were at first, whose Hessian is computed once, and
    has converged where every atomic force is below `fmax` and the updated Hessian curves up. Along
    the forward direction the first atom that moves goes towards positive coordinates. Near the
    minimum quasi-Newton steps take over. Masses are ASE's standard ones.

    Args:
        atoms: at a saddle, with an ASE calculator or one of gadlib's; atoms may be frozen by
            FixAtoms, and cells periodic.
        restart: must be None; there are no restart files.
        logfile: as every ASE optimizer takes it; `-` is the terminal.
        trajectory: likewise.
        dx: the longest step along the coordinate, in amu^1/2 A.
        displacement: of central differences in A, where the calculator has no Hessian of its own.
        options: what ASE's optimizers take besides.

    Raises:
        InputError: when there is no calculator, or a value can't be used.

    Attributes:
        path_length: the arc from the saddle to where the atoms are, in amu^1/2 A.
        n_gradient: energies with their gradients computed; those inside the Hessian not counted.
        n_hessian: Hessians computed, one in all.
    """

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = "-",
        trajectory: Any = None,
        *,
        dx: float = 0.1,
        displacement: float = 0.01,
        **options: Any,
    ) -> None:
        if restart is not None:
            raise InputError("restart: a path writes no restart files; expected None")
        if not _SHORTEST <= dx <= LENGTH_MAX:
            raise InputError(f"dx = {dx:g}: expected {_SHORTEST} .. {LENGTH_MAX} amu^1/2 A")
        self.dx = float(dx)
        self.potential = potential_of(atoms, displacement)
        self._batch = batch_of(atoms)
        self._top: State | None = None
        self._state: State | None = None
        self._sign = 1.0
        self._radius = torch.full((1,), RADIUS, dtype=torch.float64)
        self._spent = (0, 0)
        super().__init__(atoms, None, logfile, trajectory, **options)

    @property
    def n_gradient(self) -> int:
        """Energies with their gradients computed; those inside the Hessian are not counted."""
        return self._spent[0] + self._now()[0]

    @property
    def n_hessian(self) -> int:
        """Hessians computed."""
        return self._spent[1] + self._now()[1]

    @property
    def path_length(self) -> float:
        """The arc from the saddle to where the atoms are, in amu^1/2 A."""
        if self._state is None or self._state.memory is None:
            return 0.0
        return float(self._state.memory.travelled[0])

    def irun(
        self,
        fmax: float = 0.05,
        steps: int = DEFAULT_MAX_STEPS,
        direction: str = "forward",
    ) -> Generator[bool, None, None]:
        """Whether it has converged, at the saddle and after each step.

        Args:
            fmax: in eV/A.
            steps: at most that many more.
            direction: `forward` or `reverse`.

        Raises:
            InputError: when there is no such direction, or the atoms are at no saddle.
            CalculationFailed: when the saddle can't be computed.
        """
        if direction not in DIRECTIONS:
            raise InputError(f"direction {direction!r}: expected {' or '.join(DIRECTIONS)}")
        self.fmax = fmax
        top = self._saddle()
        self._spent = (self.n_gradient, self.n_hessian)
        moves = displacement(top, lowest_mode(top))[0]
        first = moves[moves.abs() > 1e-6][0]
        self._sign = DIRECTIONS[direction] * float(torch.sign(first))
        self._radius = torch.full_like(top.energy, RADIUS)
        self._enter(replace(top, cost=top.cost.none(top.batch)))
        return super().irun(fmax=fmax, steps=steps)  # type: ignore[return-value]

    def run(
        self,
        fmax: float = 0.05,
        steps: int = DEFAULT_MAX_STEPS,
        direction: str = "forward",
    ) -> bool:
        """Whether it has converged, after as many steps as that took, or all of them."""
        is_converged = False
        for is_converged in self.irun(fmax, steps, direction):  # noqa: B007
            pass
        return is_converged

    def step(self) -> None:
        """Make one step down; what is taken back on the way is no step.

        Raises:
            CalculationFailed: when the calculator could not compute a point.
        """
        here = self._state
        assert here is not None
        there = here
        for _ in range(_MAX_TAKEN_BACK):
            there = self._down(there)
            if there.message[0] or not torch.equal(there.batch.positions, here.batch.positions):
                break
        self._enter(there)

    def converged(self, forces: Any = None, **_: Any) -> bool:
        """Whether the atoms have left the saddle and are at a minimum within `fmax`."""
        state = self._state
        if state is None or state.memory is None:
            return False
        return float(state.max_force[0]) < (self.fmax or 0.05) and int(state.order[0]) == 0

    def gradient_converged(self, gradient: Any) -> bool:
        """The same, as ASE asks for it."""
        return self.converged()

    def _now(self) -> tuple[int, int]:
        if self._state is None:
            return 0, 0
        cost = self._state.cost
        return int(cost.n_gradient[0]), int(cost.n_hessian[0])

    def _saddle(self) -> State:
        """Where the atoms were at first, with its exact Hessian."""
        if self._top is None:
            top = begin(self._batch, self.potential)
            if top.message[0]:
                raise CalculationFailed(top.message[0])
            if int(top.order[0]) == 0:
                raise InputError(
                    "the atoms are at no saddle, no vibration is imaginary; expected one"
                )
            self._top = self._state = top
        return self._top

    def _down(self, state: State) -> State:
        """The state after one trial of a step."""
        if state.memory is None:
            sign = torch.full_like(state.energy, self._sign)
            there = depart(self.potential, state, sign, longest_step=self.dx)
            return replace(there, cost=there.cost.plus(n_gradient=state.cost.n_gradient))
        if not bool(state.memory.is_down[0]):
            return step_down(self.potential, state, None, longest_step=self.dx)
        there, self._radius = relax_step(self.potential, state, self._radius)
        gone = (there.batch.positions - state.batch.positions)[0]
        arc = (there.batch.masses[0].sqrt()[:, None] * gone).norm()
        walk = replace(state.memory, travelled=state.memory.travelled + arc)
        return replace(there, memory=walk)

    def _enter(self, state: State) -> None:
        move_atoms(self.atoms, state)
        self._state = state


_SHORTEST = 0.01
"""amu^1/2 A: steps of a path are not shorter, since noise of the potential would turn them."""
