"""The face that gadlib shows to ASE: a saddle search that is one of its optimizers, potentials.

`SaddleSearch` stands where another optimizer stood; log, trajectory, `attach`, `run` and `irun`
are ASE's own.

Reference: Hjorth Larsen et al., J. Phys.: Condens. Matter 29, 273002 (2017),
doi:10.1088/1361-648X/aa680e.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from ase.optimize.optimize import DEFAULT_MAX_STEPS, Optimizer

from gadlib.ase.potential import Potential
from gadlib.ase.systems import (
    aim_of,
    batch_of,
    boundary_of,
    fragments_of,
    hyperparameters_of,
    move_atoms,
    potential_of,
    with_cheap,
)
from gadlib.hessians.inquiry import CHANCE
from gadlib.settings.calculators import DISPLACEMENT
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.reading import InputError
from gadlib.solver.criteria import FORCE_TOL, judge
from gadlib.solver.delta.memory import seen_by
from gadlib.solver.goal import Frame
from gadlib.solver.image_step import polish
from gadlib.solver.points import begin
from gadlib.solver.products import CHANCE_LEARNED, ask_products, takes_products
from gadlib.solver.search import search
from gadlib.solver.state import State
from gadlib.systems.boundary import is_same

__all__ = ["Potential", "SaddleSearch"]

_ENDLESS = 2**31


class SaddleSearch(Optimizer):
    """An ASE optimizer that ends at a saddle point of first order.

        atoms.calc = EMT()
        search = SaddleSearch(atoms, trajectory="ts.traj")
        search.run(fmax=0.01, steps=500)

    It has converged where every atomic force is below `fmax` and a Hessian, exact or by central
    differences, has one negative vibrational eigenvalue. Below the 0.01 eV/A at which the solvers
    themselves stop, Newton steps with such Hessians go on to the `fmax` given.

    Atoms that are frozen (FixAtoms) stay where they are, and have no part in Hessians and modes. In
    a periodic cell, which stays as it is, no rotation is removed, and translations only where
    nothing is frozen; distances, so bonds and fragments, are those of the nearest images. Further
    tries of `trust` disturb what moves there, and do not rebuild it as a molecule.

    Args:
        atoms: the system, with an ASE calculator, or one of gadlib's if it is not periodic; no
            other constraint than FixAtoms.
        restart: must be None; there are no restart files.
        logfile: as every ASE optimizer takes it; `-` is the terminal.
        trajectory: likewise.
        solver: `trust`, `gad` or `delta`.
        cheap: potential below the calculator for the solver `delta`, as the setting of that name;
            expected by name where the calculator is GFN2-xTB or DFTB0 itself.
        criterion: `strict`, or `bound`, which goes on searching from saddles that are flat or in
            more pieces than the start.
        mode: which mode is climbed first: `lowest`, `atoms:I,J,...` or `bonds:I-J,...`, the one
            that moves or stretches these most, as the setting of that name; atoms count from 0.
        max_fragments: pieces that the system may have at a bound saddle; by default as many as at
            the start.
        hyperparameters: of the solver, as a mapping or its class.
        displacement: of central differences in A, where the calculator has no Hessian of its own.
        options: what ASE's optimizers take besides (`append_trajectory`, `master`, `comm`,
            `loginterval`), and single hyperparameters by name.

    Raises:
        InputError: when there is no calculator, or none for a periodic cell, or another constraint;
            or when a name or value is unknown or out of range.

    Attributes:
        n_gradient: energies with their gradients computed; those inside a Hessian not counted.
        n_hessian: Hessians computed, certificates included.
    """

    def __init__(
        self,
        atoms: Any,
        restart: Any = None,
        logfile: Any = "-",
        trajectory: Any = None,
        *,
        solver: str = "trust",
        cheap: str = "auto",
        criterion: str = "strict",
        mode: str = "lowest",
        max_fragments: int | None = None,
        hyperparameters: Mapping[str, Any] | Hyperparameters | None = None,
        displacement: float = DISPLACEMENT,
        **options: Any,
    ) -> None:
        if restart is not None:
            raise InputError("restart: a saddle search writes no restart files; expected None")
        if criterion not in ("strict", "bound"):
            raise InputError(f"criterion {criterion!r}: expected strict or bound")
        named = {name: options.pop(name) for name in set(options) - _OF_ASE}
        self.hyperparameters = hyperparameters_of(solver, hyperparameters, named)
        self.criterion: str = criterion
        potential, batch = potential_of(atoms, displacement), batch_of(atoms)
        self.potential = with_cheap(potential, solver, cheap, batch)
        self.mode, self.max_fragments = mode, fragments_of(max_fragments)
        aim_of(mode, batch)  # refused before anything is computed
        self._frames: Iterator[Frame] = iter(())
        self._state: State | None = None
        self._spent = (0, 0)
        self._certificates = 0
        self._refused = np.inf
        super().__init__(atoms, None, logfile, trajectory, **options)

    @property
    def n_gradient(self) -> int:
        """Energies with their gradients computed; those inside a Hessian are not counted."""
        now = 0 if self._state is None else int(self._state.cost.n_gradient[0])
        return self._spent[0] + now + self._certificates

    @property
    def n_hessian(self) -> int:
        """Hessians computed, the one that proves the saddle included."""
        now = 0 if self._state is None else int(self._state.cost.n_hessian[0])
        return self._spent[1] + now + self._certificates

    def irun(
        self, fmax: float = FORCE_TOL, steps: int = DEFAULT_MAX_STEPS
    ) -> Generator[bool, None, None]:
        """Whether it has converged, at the start and after each step.

        Args:
            fmax: in eV/A.
            steps: at most that many more.
        """
        self.fmax = fmax
        self._refused = np.inf
        self._reach()
        return super().irun(fmax=fmax, steps=steps)  # type: ignore[return-value]

    def run(self, fmax: float = FORCE_TOL, steps: int = DEFAULT_MAX_STEPS) -> bool:
        """Whether it has converged, after as many steps as that took, or all of them.

        Args:
            fmax: in eV/A.
            steps: at most that many more.
        """
        is_converged = False
        for is_converged in self.irun(fmax=fmax, steps=steps):  # noqa: B007
            pass
        return is_converged

    def step(self) -> None:
        """Make one step of the solver, or of the polish.

        Raises:
            CalculationFailed: when the calculator could not compute a point.
        """
        state = self._reach()
        frame = next(self._frames, None)
        self._enter(polish(self.potential, state) if frame is None else frame.state)

    def converged(self, forces: Any = None, **_: Any) -> bool:
        """Whether the atoms are where the search is, and that is a saddle within `fmax`."""
        if self._state is None or not self._is_here(self._state):
            return False
        force = float(self._state.max_force[0])
        limit = FORCE_TOL if self.fmax is None else self.fmax
        if force >= limit or int(self._state.order[0]) != 1 or self._state.doubt[0]:
            return False
        if not bool(self._state.is_exact[0]):
            if force > self._refused / 2:  # a Hessian has just said no
                return False
            self._certify(self._state)
        is_saddle = int(self._state.order[0]) == 1 and (
            self.criterion == "strict" or _is_bound(self._state)
        )
        self._refused = np.inf if is_saddle else force
        return is_saddle

    def gradient_converged(self, gradient: Any) -> bool:
        """The same, as ASE asks for it."""
        return self.converged()

    def _certify(self, state: State) -> None:
        """Takes the exact Hessian's spectrum for the search's own, here, and counts it.

        Products take its place where they are to prove saddles.
        """
        if takes_products(self.potential, getattr(self.hyperparameters, "proof", "hessian")):
            chance = CHANCE if seen_by(state) is None else CHANCE_LEARNED
            state = ask_products(self.potential, state, chance)
            if state.proof[0] is not None:
                self._state = state
                return
        exact = begin(state.batch, self.potential)
        self._certificates += 1
        self._state = replace(
            state, hessian=exact.hessian, spectrum=exact.spectrum, is_exact=exact.is_exact
        )

    def _reach(self) -> State:
        """The state of the search, begun anew where there is none or the atoms were moved."""
        if self._state is not None and self._is_here(self._state):
            return self._state
        self._spent = (self.n_gradient, self.n_hessian)
        self._certificates = 0
        batch = batch_of(self.atoms)
        self._frames = search(
            self.potential,
            batch,
            self.hyperparameters,
            criterion=self.criterion,
            n_steps=_ENDLESS,
            max_fragments=self.max_fragments,
            wanted=aim_of(self.mode, batch),
        )
        return self._enter(next(self._frames).state)

    def _is_here(self, state: State) -> bool:
        """Whether the atoms are where a state is, as frozen and in the same cell."""
        is_there = np.allclose(self.atoms.positions, state.batch.system(0)[1], rtol=0, atol=1e-10)
        return is_there and is_same(boundary_of(self.atoms), state.batch.boundary)

    def _enter(self, state: State) -> State:
        move_atoms(self.atoms, state)
        self._state = state
        return state


def _is_bound(state: State) -> bool:
    """Whether a saddle meets what `bound` asks for besides `strict`, whose forces are not asked."""
    return bool(CRITERIA["bound"].is_met(judge(state, state.max_fragments))[0])


_OF_ASE = frozenset({"append_trajectory", "master", "comm", "loginterval"})
