from __future__ import annotations

import pytest
from faulty import Springs
from little_reactions import write_h5
from little_searches import STARTS, start_of

from gadlib.screening.jobs import Job
from gadlib.screening.setup import (
    describe_sample,
    differences,
    identity_of,
    mark_unknown,
    require_reactions,
    starts_of,
)
from gadlib.settings.hyperparameters import GadHyperparameters, TrustHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.searches import SearchSettings


@pytest.fixture
def h5_path(tmp_path):
    return str(write_h5(tmp_path / "l.h5", {"train": {"H2O": ("rxn", "H2O")}}))


def test_split_without_a_reaction_is_refused_with_the_file(h5_path):
    settings = SearchSettings(h5_path=h5_path, split="val")
    with pytest.raises(InputError, match=f"{h5_path}: no reaction in split 'val'"):
        starts_of(settings)
    with pytest.raises(InputError, match=f"{h5_path}: no reaction in split 'val'"):
        require_reactions(settings)
    require_reactions(SearchSettings(h5_path=h5_path, split="train"))


@pytest.mark.parametrize(
    ("max_samples", "sample", "told"),
    [
        (3, "first", ""),
        (2, "first", "2 of 3 reactions (split train), the first ones"),
        (2, "seeded", "2 of 3 reactions (split train), drawn with sample_seed 5"),
    ],
)
def test_a_sample_is_described_where_it_is_not_all(tmp_path, max_samples, sample, told):
    settings = SearchSettings(
        h5_path=str(write_h5(tmp_path / "l.h5")),
        split="train",
        max_samples=max_samples,
        sample=sample,
        sample_seed=5,
    )
    assert describe_sample(settings) == told


def test_starts_with_an_element_that_a_calculator_lacks_have_a_problem():
    sparrow = pytest.importorskip("gadlib.calculators.sparrow").Sparrow("DFTB0")
    noble = start_of("H2O", atomic_numbers=STARTS[1].atomic_numbers * 0 + 54)
    broken = start_of("H2O", atomic_numbers=noble.atomic_numbers, problem="unreadable")
    sound, marked, kept = mark_unknown(sparrow, [STARTS[0], noble, broken])
    assert sound is STARTS[0]
    assert "Xe" in marked.problem and kept.problem == "unreadable"


def test_a_difference_tells_both_values_and_each_part_of_a_table():
    now = SearchSettings(criterion="strict")
    before = {"criterion": "index1", "hyperparameters": {"dt_max": 0.05, "dt_min": 1e-6}}
    later = {"criterion": "strict", "hyperparameters": {"dt_max": 0.02, "dt_min": 1e-6}}
    assert differences(before, later, now) == [
        "criterion was 'index1', now 'strict'",
        "hyperparameters of dt_max was 0.05, now 0.02",
    ]
    assert differences(later, later, now) == []


def test_what_was_not_kept_had_its_default():
    settings = SearchSettings(mode="reaction")
    assert differences({}, {"mode": "reaction"}, settings) == [
        "mode was 'lowest' (its default; it was not kept), now 'reaction'"
    ]
    assert differences({}, {"mode": "lowest"}, settings) == []


def test_an_identity_has_all_hyperparameters():
    told = identity_of(SearchSettings(hyperparameters={"dt_max": 0.02}))
    assert told["hyperparameters"] == GadHyperparameters(dt_max=0.02).model_dump()
    assert "hyperparameters" not in identity_of(SearchSettings(), without=("hyperparameters",))


def test_a_job_is_what_the_settings_ask_for():
    settings = SearchSettings(
        solver="trust",
        criterion="bound",
        n_steps_per_sample=7,
        batch_size=3,
        mode="reaction",
        calculator="surface",
        surface_name="muller_brown",
    )
    calculator = Springs()
    job = Job.of(settings, STARTS[:2], calculator, tag="mine")
    assert job == Job(
        calculator, tuple(STARTS[:2]), TrustHyperparameters(), "bound", 7, "mine", 3, "reaction"
    )
    given = GadHyperparameters(dt_max=0.02)
    assert Job.of(settings, STARTS[:2], calculator, given).hyperparameters is given


def test_a_cheap_potential_is_part_of_the_identity_only_where_the_solver_uses_it():
    for solver in ("gad", "trust"):
        found = identity_of(SearchSettings(solver=solver, cheap="scine:PM6"))
        assert found == identity_of(SearchSettings(solver=solver))
    found = identity_of(SearchSettings(solver="delta", cheap="scine:PM6"))
    assert found["cheap"] == "scine:PM6"
