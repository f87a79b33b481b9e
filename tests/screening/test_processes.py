from __future__ import annotations

import contextlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from little_searches import STARTS, job_of

from gadlib.screening.chunks import chunks
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.processes import _written, run
from gadlib.screening.records import Record
from gadlib.solver.state import Status


def found_by(job: Job):
    """Where the first ends at once, and the others after a while."""
    for place, start in enumerate(job.starts):
        if place:
            time.sleep(6)
        yield place, Record.blank(start, Status.OUT_OF_STEPS, "")


def ended_by(job: Job):
    """The process, by the second start."""
    diary = Path(job.tag)
    for place, start in enumerate(job.starts):
        with diary.open("a") as file:
            file.write(f"{start.name} {len(job.starts)}\n")
        if start.name == STARTS[1].name:
            os._exit(3)
        yield place, Record.blank(start, Status.OUT_OF_STEPS, "")


@pytest.mark.parametrize("workers", [0, 1])
def test_jobs_are_drawn_only_when_they_can_run(workers):
    drawn = []

    def jobs():
        for i in range(3):
            drawn.append(i)
            yield job_of(STARTS[0], tag=i)

    for job, _ in run(jobs(), workers=workers):
        assert drawn[-1] == job.tag


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_every_record_comes_once_and_is_that_of_its_start(workers):
    jobs = [job_of(*STARTS[:3], tag=0), job_of(*STARTS[2:], tag=1)]
    told = [(job.tag, place) for job, found in run(jobs, workers) for place in found]
    assert sorted(told) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    places = {
        (job.tag, place): record.positions
        for job, found in run(jobs, workers)
        for place, record in found.items()
    }
    for job in jobs:
        for place, record in enumerate(search_starts(job)):
            assert places[job.tag, place] == record.positions


@pytest.mark.timeout(120)
def test_a_record_comes_while_its_job_goes_on():
    jobs = run([job_of(*STARTS[:2])], workers=1, compute=found_by)
    with contextlib.closing(jobs):
        _, found = next(jobs)
        assert list(found) == [0]
        assert found[0].name == STARTS[0].name


@pytest.mark.timeout(120)
def test_what_a_process_told_before_it_ended_is_not_computed_again(tmp_path):
    diary = tmp_path / "diary"
    parts = list(run([job_of(*STARTS[:3], tag=str(diary))], workers=1, compute=ended_by))
    found = {place: record for _, part in parts for place, record in part.items()}
    assert sum(len(part) for _, part in parts) == 3
    assert [found[i].name for i in range(3)] == [start.name for start in STARTS[:3]]
    assert [found[i].status for i in range(3)] == ["out_of_steps", "process_ended", "out_of_steps"]
    assert diary.read_text().split().count(STARTS[0].name) == 1


@pytest.mark.timeout(120)
def test_only_what_a_process_may_have_been_at_is_computed_apart(tmp_path):
    """Of five searched two at a time, the second brings the process down."""
    diary = tmp_path / "diary"
    starts = [*STARTS, replace(STARTS[3], name="another CO2")]
    job = replace(job_of(*starts, tag=str(diary)), capacity=2)
    parts = list(run([job], workers=1, compute=ended_by))
    found = {place: record for _, part in parts for place, record in part.items()}
    assert sum(len(part) for _, part in parts) == 5
    assert [found[i].name for i in range(5)] == [start.name for start in starts]
    assert [found[i].status == "process_ended" for i in range(5)] == [False, True, *[False] * 3]
    lines = [line.rpartition(" ") for line in diary.read_text().splitlines()]
    together = {name: int(size) for name, _, size in lines}
    assert [together[start.name] for start in starts] == [5, 1, 1, 2, 2]  # apart; in a job again


def test_records_come_in_the_end_where_none_can_be_written(tmp_path):
    found = _written(found_by, job_of(STARTS[0]), tmp_path / "no such folder" / "0.jsonl")
    assert [record.name for record in found.values()] == [STARTS[0].name]


def test_large_molecules_go_first():
    assert chunks([0, 1, 2, 3], STARTS, 3) == [[2, 0, 1], [3]]
