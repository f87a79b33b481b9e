"""Starting points, settings and records of the smallest searches that say anything."""

from __future__ import annotations

from dataclasses import replace

from faulty import Springs
from little_reactions import geometries

from gadlib.molecules.starting_points import Start
from gadlib.screening.jobs import Job
from gadlib.screening.records import Record
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.settings.searches import SearchSettings
from gadlib.solver.state import Status


def start_of(molecule: str, **changes) -> Start:
    numbers, (positions, *_) = geometries(molecule)
    return replace(
        Start(molecule, molecule, "test", "reactant", None, numbers, positions, 1), **changes
    )


STARTS = [start_of(name) for name in ("HCN", "H2O", "H2CO", "CO2")]


SPRINGS = SearchSettings(n_steps_per_sample=2, workers=0, batch_size=1)


def record_of(steps: int, *, converged: bool = True):
    record = Record.blank(STARTS[0], Status.OUT_OF_STEPS, "")
    return replace(record, steps=steps, converged=converged, name=f"{steps}")


def job_of(*starts, tag=None) -> Job:
    return Job(Springs(), starts, GadHyperparameters(), "index1", 1, tag=tag)
