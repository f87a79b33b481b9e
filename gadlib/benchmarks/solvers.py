"""Solvers compared: the same starts, calculator, criteria and budget for gadlib's and their peers.

Every last point is judged alike, from an exact Hessian computed after the search and counted with
none, as downhill is. Each solver has a result file of its own, resumable as those of `screen`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gadlib.benchmarks import sella
from gadlib.benchmarks.sella import PEERS
from gadlib.evaluation import Calculator
from gadlib.files.writing import require_writable
from gadlib.molecules import starting_points
from gadlib.molecules.alignment import rmsd
from gadlib.molecules.reactions import Reaction
from gadlib.molecules.starting_points import Start
from gadlib.screening import screen
from gadlib.screening.ends import downhill_of
from gadlib.screening.jobs import Job, describe, search_each
from gadlib.screening.nearness import from_start
from gadlib.screening.records import Record, read_records, without_proof
from gadlib.screening.references import Key, keep_intended, key_of, reference_plan
from gadlib.screening.setup import calculator_of, describe_sample, reactions_of
from gadlib.settings.benchmarks import BenchmarkSettings
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings
from gadlib.solver.criteria import judge
from gadlib.solver.points import begin
from gadlib.solver.state import Status
from gadlib.systems.batch import Batch

RECOVERED_TOL = 0.1
"""A saddle is the reference one when its atoms are this close to it (RMSD in A), superposed, with
like atoms exchangeable and mirror images the same."""

_REFERENCE = "reference"


@dataclass(frozen=True)
class Results:
    """What was measured.

    Attributes:
        records: of each solver, in the order of the starts; `n_hessian` without the one that proves
            a strict saddle.
        references: for each reaction by split and name the saddle that a search from its reference
            transition state itself ends at on this potential, where there is one.
    """

    records: dict[str, list[Record]]
    references: dict[Key, Record]

    def deviation(self, record: Record) -> float | None:
        """The RMSD of a last point from the reference saddle in A, None where that is unknown.

        Infinite for a search that failed, which has recovered nothing.
        """
        reference = self.references.get(key_of(record))
        if reference is None:
            return None
        if record.order is None:
            return math.inf
        numbers, here, there = (
            torch.tensor(values).numpy()
            for values in (record.atomic_numbers, record.positions, reference.positions)
        )
        return rmsd(numbers, here, there, with_mirror=True)


def compare(settings: BenchmarkSettings) -> Results:
    """What the solvers found, one after the other, with progress bars; files in `out_dir`.

    Raises:
        InputError: when the settings can't be followed, Sella is asked for and not installed, or
            there are results which `resume` does not allow to continue.
    """
    names = solver_names(settings)
    found = reactions_of(settings)
    if sentence := describe_sample(settings):
        print(sentence, flush=True)
    starts = starts_of(settings, found)
    calculator = calculator_of(_search_settings(settings, "trust"), starts)
    folder = require_writable(settings.out_dir)
    plans = {name: _search_settings(settings, name) for name in names}
    for name, plan in plans.items():  # before anything is computed
        screen.read_earlier(_file(folder, name), plan)
    proved = _references(settings, found, calculator, folder)
    if CRITERIA[settings.criterion].is_asked:
        starts = keep_intended(starts, proved)
    records = {}
    for name, plan in plans.items():
        print(f"{name}: {len(starts)} starts", flush=True)
        with warnings.catch_warnings():
            # Sella's compiled functions look like a leak to loky, which then renews the process.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
            records[name] = screen.screen(
                plan,
                starts=starts,
                calculator=calculator,
                out=_file(folder, name),
                hyperparameters=PEERS.get(name),
                compute=_search_peer if name in PEERS else _search,
                desc=f"searching, {name}",
            )
    return Results(records, _bound(proved))


def read_results(out_dir: str | Path) -> Results:
    """What an earlier run left in a folder.

    Raises:
        InputError: when there is nothing.
    """
    folder = Path(out_dir)
    known = [name for name in (*SOLVERS, *PEERS) if _file(folder, name).is_file()]
    if not known:
        raise InputError(f"{folder}: no results of a benchmark in it; expected one like trust.json")
    records = {name: read_records(_file(folder, name))[1] for name in known}
    references = _file(folder, _REFERENCE)
    proved = read_records(references)[1] if references.is_file() else []
    return Results(records, _bound(proved))


def solver_names(settings: BenchmarkSettings) -> list[str]:
    """Who is compared.

    Raises:
        InputError: when a name is unknown, or a peer's package is missing.
    """
    names = list(dict.fromkeys(part.strip() for part in settings.solvers.split(",")))
    known = (*SOLVERS, *PEERS)
    for name in names:
        if name not in known:
            raise InputError(f"solver {name!r}: expected some of {', '.join(known)}")
    if any(name in PEERS for name in names):
        sella.require_installed()
    return names


def starts_of(settings: BenchmarkSettings, found: Sequence[Reaction]) -> list[Start]:
    """The starts by all recipes, one recipe after the other.

    Raises:
        InputError: when a recipe is unknown.
    """
    recipes = dict.fromkeys(part.strip() for part in settings.starts.split(","))
    seed = settings.noise_seed
    return [start for recipe in recipes for start in starting_points.starts(found, recipe, seed)]


def certify(
    record: Record,
    start: Start,
    calculator: Calculator,
    criterion: str,
    *,
    check_ends: bool = False,
) -> Record:
    """The record judged at its last point, from an exact Hessian that is not counted.

    With `check_ends`, or the criterion `intended`, a bound saddle is followed downhill.
    """
    if record.status in (Status.BAD_START, Status.PROCESS_ENDED, Status.TIMED_OUT):
        return record
    state = begin(Batch.of([record]), calculator)
    pieces = torch.tensor([start.max_fragments], device=state.index.device)
    verdict = judge(state, pieces)
    if state.message[0]:
        verdicts = {"converged": False, "criteria": dict.fromkeys(record.criteria)}
        reason = "" if state.message[0] in record.message else f" {state.message[0]}"
        return replace(record, **verdicts, message=record.message + reason)
    ends = downhill_of(calculator, [start], criterion, check_ends=check_ends)
    if ends is not None:
        ends.see(verdict, [0])
        verdict = judge(state, pieces, torch.tensor(ends(state), device=state.index.device))
    is_met = bool(verdict.meets(criterion)[0])
    ending: dict[str, Any] = {}
    if is_met and record.status == Status.STOPPED:
        found = Status.SADDLE if bool(verdict.meets("strict")[0]) else Status.ORDER_ONE
        ending = {"status": str(found), "message": found.sentence}
    record = replace(
        record,
        converged=is_met,
        **describe(verdict, 0),
        **ending,
    )
    return from_start(record if ends is None else ends.told(record, 0), start)


def _search(job: Job) -> Iterator[tuple[int, Record]]:
    """What gadlib's solver found; the Hessian that it proves a strict saddle with is set apart."""
    for place, record in search_each(job):
        yield place, without_proof(record)


def _search_peer(job: Job) -> Iterator[tuple[int, Record]]:
    for place, record in sella.search_each(job):
        yield (
            place,
            certify(
                record,
                job.starts[place],
                job.calculator,
                job.criterion,
                check_ends=job.check_ends,
            ),
        )


def _search_settings(settings: BenchmarkSettings, solver: str) -> SearchSettings:
    """The settings of one solver's searches, with those hyperparameters that it declares."""
    declared = {name: set(kind.model_fields) for name, kind in SOLVERS.items()}
    asked = [name for name in solver_names(settings) if name in SOLVERS]
    for given in settings.hyperparameters:
        if not any(given in declared[name] for name in asked):
            raise InputError(f"{given}: no hyperparameter of {', '.join(asked) or 'these solvers'}")
    own = declared.get(solver, set())
    shared = settings.model_dump(exclude={"solvers", "starts", "hyperparameters"})
    return SearchSettings(
        **shared,
        solver=solver,
        start_from=settings.starts,
        hyperparameters={k: v for k, v in settings.hyperparameters.items() if k in own},
    )


def _references(
    settings: BenchmarkSettings,
    found: Sequence[Reaction],
    calculator: Calculator,
    folder: Path,
) -> list[Record]:
    """The searches for the reference saddles of this potential, from the transition states."""
    check_ends = settings.check_ends or CRITERIA[settings.criterion].is_asked
    print(f"{_REFERENCE}: {len(found)} transition states", flush=True)
    return screen.screen(
        reference_plan(settings, check_ends=check_ends),
        starts=starting_points.starts(found, "ts"),
        calculator=calculator,
        out=_file(folder, _REFERENCE),
        desc=f"searching, {_REFERENCE}",
    )


def _bound(records: Sequence[Record]) -> dict[Key, Record]:
    return {key_of(record): record for record in records if record.bound}


def _file(folder: Path, solver: str) -> Path:
    return folder / f"{solver}.json"
