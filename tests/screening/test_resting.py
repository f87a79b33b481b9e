"""Searches that rest and go on end as those that never rested, whatever company they are in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gadlib.calculators import get
from gadlib.calculators.paired import Paired
from gadlib.molecules.reactions import read
from gadlib.molecules.starting_points import starts
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.processes import run
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.solver.state import Status

pytest.importorskip("scine_sparrow")

DFTB0, PM6 = (get("scine", functional=name) for name in ("DFTB0", "PM6"))


def job_of(solver: str, criterion: str, start: str, n_steps: int) -> Job:
    small = starts(read(split="all", max_samples=40), start)
    chosen = sorted(small, key=lambda s: -len(s.positions))[-24::9]  # of 9, 8 and 6 atoms
    chosen = chosen[-1:] if solver == "delta" else chosen
    calculator = Paired(PM6, DFTB0) if solver == "delta" else DFTB0
    mode = "reaction" if solver == "trust" else "lowest"
    return Job(calculator, tuple(chosen), SOLVERS[solver](), criterion, n_steps, mode=mode)


def rested(job: Job, folder: Path, *after: int) -> tuple[Job, list[list[Record]]]:
    files = tuple(folder / str(i) for i in range(len(job.starts)))
    resting = replace(job, rest_files=files)
    return resting, [search_starts(replace(resting, rest_after=n)) for n in after]


def is_same(one: Record, other: Record) -> bool:
    words = ("status", "steps", "escapes", "n_gradient", "n_hessian", "criteria", "order")
    assert np.allclose(one.positions, other.positions, atol=1e-6)
    assert one.energy_start == pytest.approx(other.energy_start, abs=1e-8)
    assert len(one.tries) == len(other.tries)
    return all(getattr(one, word) == getattr(other, word) for word in words)


CASES = [
    ("gad", "index1", "midpoint_rt_noise0.3A", 20),
    ("gad", "bound", "midpoint_rt_noise0.3A", 40),
    ("trust", "bound", "midpoint_rt_noise1.0A", 60),
    ("delta", "strict", "ts_noise0.1A", 14),
]


@pytest.mark.parametrize(("solver", "criterion", "start", "n_steps"), CASES)
def test_a_search_that_rests_twice_ends_as_one_that_never_did(
    solver, criterion, start, n_steps, tmp_path
):
    job = job_of(solver, criterion, start, n_steps)
    whole = search_starts(job)
    resting, (first, second) = rested(job, tmp_path, 4, 9)
    last = search_starts(resting)
    assert all(is_same(one, other) for one, other in zip(last, whole, strict=True))
    assert [r.steps for r in first] == [min(4, r.steps) for r in whole]
    assert [r.status == Status.RESTING for r in first] == [r.steps > 4 for r in whole]
    assert [r.status == Status.RESTING for r in second] == [r.steps > 9 for r in whole]
    assert any(r.status == Status.RESTING for r in first)


def test_a_rest_costs_no_call_and_proves_nothing(tmp_path):
    job = job_of("trust", "bound", "midpoint_rt_noise1.0A", 60)
    (first,) = rested(job, tmp_path, 3)[1]
    whole = search_starts(replace(job, n_steps=3))
    for resting, ended in zip(first, whole, strict=True):
        assert not resting.converged
        assert resting.n_gradient <= ended.n_gradient
        assert resting.n_hessian < ended.n_hessian


def test_a_search_goes_on_in_other_company(tmp_path):
    """In a wider batch, and in a narrower one, than that in which it rested."""
    job = job_of("gad", "index1", "midpoint_rt_noise0.3A", 15)
    whole = search_starts(job)
    resting, _ = rested(job, tmp_path, 5)
    for places in ([1], [2, 0]):
        part = search_starts(resting.part(places))
        assert all(is_same(part[i], whole[place]) for i, place in enumerate(places))


def test_a_search_whose_rest_is_lost_begins_anew(tmp_path):
    job = job_of("gad", "index1", "midpoint_rt_noise0.3A", 15)
    whole = search_starts(job)
    resting, _ = rested(job, tmp_path, 5)
    resting.rest_files[0].unlink()
    resting.rest_files[1].write_bytes(resting.rest_files[1].read_bytes()[:100])
    assert all(is_same(*pair) for pair in zip(search_starts(resting), whole, strict=True))


def test_another_process_goes_on_with_it(tmp_path):
    job = job_of("gad", "index1", "midpoint_rt_noise0.3A", 15)
    whole = search_starts(job)
    files = tuple(tmp_path / str(i) for i in range(3))
    resting = replace(job, rest_files=files, rest_after=5)
    assert {p for _, found in run([resting], 1) for p in found} == {0, 1, 2}
    jobs = [replace(resting.part([i]), rest_after=None, tag=i) for i in range(3)]
    last = {one.tag: found[0] for one, found in run(jobs, 1)}
    assert all(is_same(last[i], whole[i]) for i in range(3))
    assert any(whole[i].steps > 5 for i in range(3))
