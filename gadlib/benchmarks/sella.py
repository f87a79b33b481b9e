"""Sella's saddle searches on gadlib's potentials, as records.

A peer is given the same starts, calculator and budget; what its last point is worth is judged
by `gadlib.benchmarks.judging`, from an exact Hessian, with gadlib's own criteria.

Reference: Hermes, Sargsyan, Najm, Zador, J. Chem. Theory Comput. 18, 6974 (2022),
doi:10.1021/acs.jctc.2c00395.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import CalculationFailed
from ase.calculators.emt import EMT

from gadlib.ase.potential import Potential
from gadlib.benchmarks.guesses import highest_image, top_of_band
from gadlib.molecules.starting_points import Start, problem_of
from gadlib.progress import signs_of_life
from gadlib.screening.jobs import Job
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.reading import InputError
from gadlib.solver.criteria import FORCE_TOL
from gadlib.solver.state import Status

GUESSES = {"idpp": highest_image, "neb": top_of_band}
"""What makes a guess from the ends of a start; each needs atoms with the calculator."""

_TIGHTENING = (1.0, 0.7, 0.5, 0.3)


class SellaHyperparameters(Hyperparameters):
    """How Sella is run; everything else is as it comes."""

    solver = "sella"

    coordinates: Literal["cartesian", "internal"] = "cartesian"
    """In which it steps."""

    hessian: Literal["own", "exact"] = "own"
    """Whether it makes do with its own Davidson steps and updates, or is handed the calculator's
    Hessian at every step."""

    guess: Literal["start", "idpp", "neb"] = "start"
    """Where it begins: at the start, or, knowing the reaction's ends alone, at the highest of seven
    images on a path of even distances, or of a climbing nudged elastic band."""


PEERS: dict[str, SellaHyperparameters] = {
    "sella": SellaHyperparameters(),
    "sella-internal": SellaHyperparameters(coordinates="internal"),
    "sella-hessian": SellaHyperparameters(hessian="exact"),
    "idpp+sella": SellaHyperparameters(guess="idpp"),
    "neb+sella": SellaHyperparameters(guess="neb"),
}
"""The peers by the name under which they are compared."""


def require_installed() -> None:
    """Raise InputError unless Sella can be imported.

    Raises:
        InputError: when it can't.
    """
    if importlib.util.find_spec("sella") is None:
        raise InputError(
            "Sella is not installed: pip install 'gadlib[compare]', or leave it out of the solvers"
        )


def search_each(job: Job) -> Iterator[tuple[int, Record]]:
    """The place of each start and the record of where Sella ended, at what cost; not judged yet.

    A start that no search can begin at is a record at once; Sella never sees it.
    """
    for place, start in enumerate(job.starts):
        yield place, _search_one(job, start)


def _search_one(job: Job, start: Start) -> Record:
    if reason := problem_of(start, job.hyperparameters.closest_pair):
        return Record.blank(start, Status.BAD_START, f"{Status.BAD_START.sentence} {reason}")
    hyperparameters: Any = job.hyperparameters
    _warm_up(hyperparameters.coordinates)
    calc = Potential(job.calculator)
    electrons = {"charge": start.charge, "multiplicity": start.multiplicity}
    atoms = Atoms(start.atomic_numbers, start.positions, calculator=calc, info=electrons)
    np.random.seed(start.noise_seed or 0)  # noqa: NPY002 - Sella draws from numpy's global state
    search: Any = None
    energy_start, n_image = None, 0
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # foreign code; what matters is where it ends
            if (guess := GUESSES.get(hyperparameters.guess)) is not None:
                atoms.positions = guess(atoms, start)
            n_image = calc.n_gradient
            energy_start = float(atoms.get_potential_energy())
            search = _sella(atoms, hyperparameters)
            search.attach(lambda: signs_of_life.stepped(1, 1))
            status = _run(search, atoms, job.n_steps)
        reason = status.sentence
    except CalculationFailed as error:
        status, reason = Status.CALCULATOR_FAILED, f"{Status.CALCULATOR_FAILED.sentence} {error}"
    except Exception as error:  # foreign code may raise anything; it costs one record
        status, reason = Status.SOLVER_FAILED, f"Sella failed: {type(error).__name__}: {error}"
    return replace(
        Record.blank(start, status, reason),
        steps=getattr(search, "nsteps", 0),
        n_energy=calc.n_gradient,
        n_gradient=calc.n_gradient,
        n_hessian=calc.n_hessian,
        elapsed_s=round(time.perf_counter() - started, 6),
        calculator_s=round(calc.elapsed_s, 6),
        n_image=n_image or calc.n_gradient * (hyperparameters.guess != "start"),
        energy_start=energy_start,
        positions=atoms.positions.tolist(),
    )


def _sella(atoms: Atoms, hyperparameters: Any) -> Any:
    """Sella on the atoms, whose calculator knows Hessians."""
    from sella import Sella

    is_internal = hyperparameters.coordinates == "internal"
    options: dict[str, Any] = {"logfile": None, "internal": is_internal}
    if hyperparameters.hessian == "exact":
        calc: Any = atoms.calc
        options["hessian_function"] = lambda moved: calc.get_property("hessian", moved)
        options["diag_every_n"] = 0
    return Sella(atoms, order=1, **options)


def _run(search: Any, atoms: Atoms, n_steps: int) -> Status:
    """How the search ended: out of steps, or by itself.

    Sella judges projected forces. Where those hide larger ones on the atoms, it is asked for more,
    so that it does not miss the criterion by a definition.
    """
    for tightening in _TIGHTENING:
        is_converged = search.run(fmax=FORCE_TOL * tightening, steps=n_steps - search.nsteps)
        if not is_converged:
            return Status.OUT_OF_STEPS
        if np.linalg.norm(atoms.get_forces(), axis=1).max() < FORCE_TOL:
            break
    return Status.STOPPED


@cache
def _warm_up(coordinates: Literal["cartesian", "internal"]) -> None:
    """Load and compile Sella's functions, so that no search is charged with it.

    What depends on the size of a molecule is compiled anew for it, and charged.
    """
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    atoms.calc = EMT()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _sella(atoms, SellaHyperparameters(coordinates=coordinates)).run(steps=3)
