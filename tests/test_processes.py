from __future__ import annotations

from faulty import Springs
from test_screen import STARTS

from gadlib.hyperparameters import GadHyperparameters
from gadlib.processes import chunks, run
from gadlib.searches import Job


def test_jobs_are_drawn_only_when_they_can_run():
    drawn = []

    def jobs():
        for i in range(3):
            drawn.append(i)
            yield Job(Springs(), (STARTS[0],), GadHyperparameters(), "index1", 1, tag=i)

    for job, _ in run(jobs(), workers=0):
        assert drawn[-1] == job.tag


def test_large_molecules_go_first():
    assert chunks([0, 1, 2, 3], STARTS, 3) == [[2, 0, 1], [3]]
