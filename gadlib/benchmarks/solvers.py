"""Solvers compared: the same starts, calculator, criteria and budget for gadlib's and their peers.

Every last point is judged alike, from an exact Hessian computed after the search and counted with
none, as downhill is. Each solver has a result file of its own, resumable as those of `screen`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gadlib.benchmarks import sella
from gadlib.benchmarks.judging import certify
from gadlib.benchmarks.sella import PEERS
from gadlib.benchmarks.suites import starts_and_reactions
from gadlib.evaluation import Calculator
from gadlib.files.writing import require_writable
from gadlib.molecules import starting_points
from gadlib.molecules.reactions import Reaction
from gadlib.paths.finding import find_each
from gadlib.paths.plans import Plan
from gadlib.screening import screen
from gadlib.screening.costs import without_proof
from gadlib.screening.jobs import Job, search_each
from gadlib.screening.portfolios import search_in_turn
from gadlib.screening.records import Record, read_records
from gadlib.screening.references import (
    Key,
    deviation,
    keep_intended,
    key_of,
    reference_plan,
)
from gadlib.screening.setup import calculator_of
from gadlib.settings.benchmarks import FIND, SUITES, BenchmarkSettings, begins_at_ends
from gadlib.settings.criteria import CRITERIA
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings, SetSettings

KNOWN = (*SOLVERS, *PEERS, FIND)
"""Who can be compared."""

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
        return deviation(record, self.references.get(key_of(record)))


def compare(settings: BenchmarkSettings) -> Results:
    """What the solvers found, one after the other, with progress bars; files in `out_dir`.

    Raises:
        InputError: when the settings can't be followed, Sella is asked for and not installed, or
            there are results which `resume` does not allow to continue.
    """
    solver_names(settings)
    starts, found = starts_and_reactions(settings)
    calculator = calculator_of(_search_settings(settings, "trust"), starts)
    plans = plans_of(settings)
    folder = require_writable(settings.out_dir)
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
                compute=partial(_found, solver=name),
                desc=f"searching, {name}",
            )
    return Results(records, _bound(proved))


def plans_of(settings: BenchmarkSettings) -> dict[str, SearchSettings]:
    """How each solver is run, before anything is computed.

    Raises:
        InputError: when a solver can't be, or has results which `resume` does not allow to
            continue.
    """
    plans = {name: _search_settings(settings, name) for name in solver_names(settings)}
    for name, plan in plans.items():
        screen.read_earlier(_file(Path(settings.out_dir), name), plan)
    return plans


def read_results(out_dir: str | Path) -> Results:
    """What an earlier run left in a folder.

    Raises:
        InputError: when there is nothing.
    """
    folder = Path(out_dir)
    known = [name for name in KNOWN if _file(folder, name).is_file()]
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
    for name in names:
        if name not in KNOWN:
            raise InputError(f"solver {name!r}: expected some of {', '.join(KNOWN)}")
        if begins_at_ends(name) and not SUITES[settings.suite].is_from_ends:
            raise InputError(f"solver {name!r}: begins at a reaction's ends; expected --suite ends")
    if any(name in PEERS for name in names):
        sella.require_installed()
    return names


def _found(job: Job, solver: str) -> Iterator[tuple[int, Record]]:
    """The place of each start and what the solver found there, judged at the last point.

    The Hessian that proves a strict saddle is set apart.
    """
    if solver in PEERS:
        yield from search_in_turn(job, _judged)
        return
    for place, record in find_each(job, plan=Plan()) if solver == FIND else search_each(job):
        yield place, without_proof(record)


def _judged(job: Job, _: Sequence[int]) -> Iterator[tuple[int, Record]]:
    """The place of each start and what Sella found from there, judged at the last point."""
    how = job.calculator, job.criterion
    for place, record in sella.search_each(job):
        yield place, certify(record, job.starts[place], *how, check_ends=job.check_ends)


def _search_settings(settings: BenchmarkSettings, solver: str) -> SearchSettings:
    """The settings of one solver's searches, with those hyperparameters that it declares."""
    declared = {name: set(kind.model_fields) for name, kind in SOLVERS.items()}
    declared[FIND] = declared["trust"]
    asked = [name for name in solver_names(settings) if name in declared]
    for given in settings.hyperparameters:
        if not any(given in declared[name] for name in asked):
            raise InputError(f"{given}: no hyperparameter of {', '.join(asked) or 'these solvers'}")
    own = declared.get(solver, set())
    shared = settings.model_dump(include=set(SetSettings.model_fields) - {"hyperparameters"})
    if solver == FIND:
        shared |= {"mode": "reaction"}
    return SearchSettings(
        **shared,
        solver="trust" if solver == FIND else solver,
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
    if not found:
        return []
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
