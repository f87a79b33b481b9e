"""A calculator whose answers are kept in a file: nothing that was paid for is paid for again.

A search begins anew where it was interrupted, and repeats itself from what is kept.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gadlib import calculators
from gadlib.evaluation import Calculator, Evaluation
from gadlib.files.calls import Call, Calls
from gadlib.settings.calculators import MoleculeSettings
from gadlib.systems.batch import Batch

SAME = 1e-7
"""A, to which coordinates are rounded to find a geometry again. A search that begins anew repeats
itself to rounding, some 1e-12 A; over 1e-7 A an energy changes by less than 1e-6 eV."""

NEAR = 0.3
"""A, within which what is carried from a point takes the place of what was carried from another:
steps of a search are shorter, so that one is kept of each search (`calculators.pyscf.NEAR_A`)."""


@dataclass(frozen=True)
class Remembered:
    """The source in all that it says and declares; it is asked for what is not kept.

    Failures are not kept, since the next attempt may succeed; nor is what was computed in cells, on
    external surfaces or with frozen atoms. What `fresh` returns keeps nothing and reads nothing.
    Where the source carries something from point to point, as the density of an SCF, the last of
    that is kept too, so that a search that begins anew goes on with the solution that it had.

    Attributes:
        source: the calculator.
        calls: what is kept.
        about: what the source's answers depend on.
    """

    source: Calculator
    calls: Calls
    about: str
    _taken_up: set[str] = field(default_factory=set, init=False, compare=False)

    def __reduce__(self) -> tuple:
        return Remembered, (self.source, self.calls, self.about)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """What is kept of each system, else what the source says."""
        if not batch.is_free or bool(batch.is_held.any()):
            return self.source(batch, hessian=hessian)
        if carries := hasattr(self.source, "carry"):
            self._take_up(batch)
        names = self._names(batch)
        known = self._known(names)
        rows = [i for i, call in enumerate(known) if _lacks(call, hessian)]
        made: dict[int, Call] = {}
        failures: dict[int, str] = {}
        if rows:
            found = self.source(batch.take(torch.tensor(rows)), hessian=hessian)
            made = {row: _call(found, k, batch, row) for k, row in enumerate(rows)}
            failures = {rows[k]: reason for k, reason in found.failures.items()}
        good = [i for i, call in made.items() if i not in failures and call.is_finite]
        if good:
            self._keep({names[i]: made[i] for i in good})
        if carries:
            self._carry(batch, good)
        return _joined(
            [made.get(i, call) for i, call in enumerate(known)], batch, hessian, failures
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("source", "calls", "about"):  # as while it is unpickled
            raise AttributeError(name)
        return getattr(self.source, name)

    def _molecule(self, batch: Batch, i: int) -> str:
        """The name of a system's molecule, wherever its atoms are."""
        numbers, positions = batch.system(i)
        electrons = int(batch.charges[i]), int(batch.multiplicities[i])
        return name_of(self.about, numbers, np.zeros_like(positions), *electrons)

    def _take_up(self, batch: Batch) -> None:
        """Give the source what was carried from points of the molecules, once in a process."""
        for i in range(len(batch)):
            molecule = self._molecule(batch, i)
            if molecule in self._taken_up:
                continue
            self._taken_up.add(molecule)
            try:
                found = self.calls.carried(molecule)
            except (sqlite3.Error, ValueError) as error:
                self._say(error)
                continue
            for positions, values in found:
                self.source.carry(batch, i, positions, values)  # type: ignore[attr-defined]

    def _carry(self, batch: Batch, rows: list[int]) -> None:
        """Keep what is carried from the points that were computed."""
        try:
            for i in rows:
                values = self.source.carried(batch, i)  # type: ignore[attr-defined]
                if values is not None:
                    place = batch.system(i)[1]
                    self.calls.carry(self._molecule(batch, i), place, values, near=NEAR)
        except sqlite3.Error as error:
            self._say(error)

    def _names(self, batch: Batch) -> list[str]:
        electrons = zip(batch.charges.tolist(), batch.multiplicities.tolist(), strict=True)
        return [name_of(self.about, *batch.system(i), *of) for i, of in enumerate(electrons)]

    def _known(self, names: list[str]) -> list[Call | None]:
        try:
            return self.calls.known(names)
        except sqlite3.Error as error:
            self._say(error)
            return [None] * len(names)

    def _keep(self, found: dict[str, Call]) -> None:
        try:
            self.calls.keep(list(found), list(found.values()))
        except sqlite3.Error as error:
            self._say(error)

    def _say(self, error: Exception) -> None:
        reason = f"keep_calls {self.calls.path}: {error}; going on without, it is tried again"
        print(reason, file=sys.stderr, flush=True)


def build(settings: MoleculeSettings) -> Calculator:
    """The calculator that the settings ask for, with the calls that they keep.

    Raises:
        ValueError: when the name, an option or the file of calls can't be used.
        ImportError: when its package is missing; the message says what to install.
    """
    found = calculators.build(settings)
    if settings.keep_calls is None:
        return found
    about = json.dumps(calculators.identity(settings), sort_keys=True, default=str)
    return Remembered(found, Calls.at(settings.keep_calls), about)


def name_of(
    about: str,
    atomic_numbers: Int[np.ndarray, " n"],
    positions: Float[np.ndarray, "n 3"],
    charge: int,
    multiplicity: int,
) -> str:
    """The name of a call: of the potential, the atoms, where they are to `SAME`, the electrons."""
    found = hashlib.sha256(f"{about} {charge} {multiplicity} ".encode())
    found.update(atomic_numbers.astype("<i8").tobytes())
    is_place = bool(np.isfinite(positions).all())  # else there is no answer that could be kept
    found.update((np.round(positions / SAME).astype("<i8") if is_place else positions).tobytes())
    return found.hexdigest()


def _lacks(call: Call | None, hessian: bool) -> bool:
    return call is None or (hessian and call.hessian is None)


def _call(found: Evaluation, k: int, batch: Batch, row: int) -> Call:
    n = int(batch.n_atoms[row])
    second = None if found.hessian is None else _array(found.hessian[k, : 3 * n, : 3 * n])
    return Call(float(found.energy[k]), _array(found.forces[k, :n]), second)


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()


def _joined(
    calls: list[Call | None],
    batch: Batch,
    hessian: bool,
    failures: dict[int, str],
) -> Evaluation:
    size, width = batch.positions.shape[:2]
    energy = batch.positions.new_zeros(size)
    forces = torch.zeros_like(batch.positions)
    second = batch.positions.new_zeros(size, 3 * width, 3 * width) if hessian else None
    for i, call in enumerate(calls):
        assert call is not None
        n = len(call.forces)
        energy[i] = call.energy
        forces[i, :n] = torch.tensor(call.forces).to(forces)
        if second is not None and call.hessian is not None:
            second[i, : 3 * n, : 3 * n] = torch.tensor(call.hessian).to(forces)
    return Evaluation(energy, forces, second, failures)
