"""Searches in a process of their own: what they tell, and that they can be ended."""

import os
import time
from itertools import pairwise

import pytest

from gadlib.explore.tasks.background import Background, Ended, Refused, prepare, search_tasks
from gadlib.explore.tasks.choice import molecules_of, task_of
from gadlib.explore.tasks.series import Point, Run, run_row
from gadlib.screening.jobs import Job, search_starts
from gadlib.screening.setup import calculator_of, hyperparameters_of
from gadlib.settings.searches import ExploreSettings

SETTINGS = {"start_from": "midpoint_rt_noise0.1A", "criterion": "bound", "solver": "trust"}


def molecule():
    return molecules_of(ExploreSettings(max_samples=1))[0]


def task(**changed):
    return task_of(molecule(), SETTINGS | {"n_steps_per_sample": 40} | changed)


def all_of(work, timeout_s=60):
    told, until = [], time.monotonic() + timeout_s
    while not work.is_over and time.monotonic() < until:
        told += work.receive(0.5)
    assert work.is_over
    return told


@pytest.fixture(scope="module", autouse=True)
def ready():
    prepare()


def test_tells_every_point_and_the_record_of_the_same_search():
    asked = task()
    *points, ended = all_of(Background(search_tasks, [asked], True))
    assert all(isinstance(point, Point) for point in points)
    assert [point.steps for point in points] == list(range(len(points)))
    settings = asked.settings
    job = Job(
        calculator_of(settings, [asked.start]),
        (asked.start,),
        hyperparameters_of(settings),
        "bound",
        settings.n_steps_per_sample,
    )
    (expected,) = search_starts(job)
    assert isinstance(ended, Ended)
    assert ended.record.energy == expected.energy
    assert points[-1].energy == expected.energy
    assert abs(points[-1].mode).max() <= 1.0 + 1e-9


def test_points_of_a_portfolio_go_on_where_those_of_its_first_search_end():
    asked = task(start_from="reactant+product", n_steps_per_sample=3)
    *points, ended = all_of(Background(search_tasks, [asked], True))
    assert [point.steps for point in points] == [0, 1, 2, 3, 3, 4, 5, 6]
    assert ended.record.steps == 6 and len(ended.record.searches) == 2


def test_a_run_is_a_row_with_what_was_changed():
    asked = task(hyperparameters={"radius_start": 0.3, "torn_steps": 10})
    *points, ended = all_of(Background(search_tasks, [asked], True))
    run = Run(4, asked, molecule(), points, ended.record)
    row = run_row(run)
    assert (row["molecule"], row["start"]) == (molecule().name, "midpoint_rt_noise0.1A")
    assert (row["calculator"], row["energy (eV)"]) == ("scine DFTB0", f"{points[-1].energy:.4f}")
    assert row["hyperparameters"] == "radius_start = 0.3"
    assert row["steps"] == ended.record.steps == len(run.column("energy")) - 1
    assert run.rises("n_tries") == [p.steps for q, p in pairwise(points) if p.n_tries > q.n_tries]


def test_what_cannot_be_followed_is_a_sentence():
    (told,) = all_of(Background(search_tasks, [task(scine_functional="DFTB9")], True))
    assert isinstance(told, Refused)
    assert told.sentence.startswith("scine functional 'DFTB9': expected one of DFTB0")


def test_a_process_that_ends_is_a_sentence():
    (told,) = all_of(Background(end_at_once))
    assert told == Refused("The process that computed this molecule ended (exit code 3).")


def test_stop_ends_what_takes_a_minute():
    work = Background(sleep)
    assert work.receive(20.0) == ["asleep"]
    started = time.monotonic()
    work.stop()
    assert time.monotonic() - started < 1.0
    assert work.is_over
    assert work.receive(0.1) == []


def end_at_once(tell):
    os._exit(3)


def sleep(tell):
    tell("asleep")
    time.sleep(60)
