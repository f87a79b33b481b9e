"""Every setting that the page was given is in what a run is started with."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest
from little_reactions import write_h5
from little_studies import DEFAULTS, make_study

from gadlib.explore.controls import Controls
from gadlib.explore.tasks.choice import molecules_of
from gadlib.settings.searches import ExploreSettings, SearchSettings

GIVEN: dict[str, Any] = {
    "calculator": "hip",
    "scine_functional": "PM6",
    "method": "B3LYP/6-31G*",
    "checkpoint_path": "other.ckpt",
    "hip_source": "elsewhere",
    "trust_checkpoint": True,
    "hip_mean_atoms": 11.5,
    "hip_seed": 3,
    "charge": 2,
    "multiplicity": 3,
    "max_fragments": 2,
    "surface_name": "other",
    "device": "cpu",
    "threads": 3,
    "ase_calculator": "ase.calculators.emt:EMT",
    "ase_options": {"asap_cutoff": True},
    "ase_displacement": 0.02,
    "ase_workers": 2,
    "torchsim_model": "elsewhere:Model",
    "torchsim_options": {"sigma": 2.0},
    "torchsim_displacement": 0.02,
    "hyperparameters": {"dt_max": 0.0123456789},
    "mode": "reaction",
    "criterion": "strict",
    "n_steps_per_sample": 2_000_000,
    "split": "val",
    "noise_seed": 20_251_126,
    "max_samples": 3,
    "sample": "first",
    "search_timeout_s": 90.0,
    "workers": 2,
    "batch_size": 3,
    "resume": True,
    "out_dir": "elsewhere",
    "solver": "trust",
    "cheap": "scine:PM6",
    "keep_calls": "calls.db",
    "start_from": "three_quarter_rt_noise3.1234567A",
}
OF_FILES = {"h5_path", "geometries", "best", "study_name", "only", "profile"}
"""Tried by tests of their own."""


def another(name: str) -> Any:
    """A value of the setting that is not its default."""
    if name in GIVEN:
        return GIVEN[name]
    default = ExploreSettings.model_fields[name].default
    assert isinstance(default, int | float), f"what else may {name} be? say so in GIVEN"
    return not default if isinstance(default, bool) else default + 1


OTHER = {name: another(name) for name in ExploreSettings.model_fields if name not in OF_FILES}


def controls(**given) -> Controls:
    settings = ExploreSettings.read(given)
    return Controls(settings, molecules_of(settings), lambda sentence: None)


def test_what_is_tried_is_not_the_default():
    assert not GIVEN.keys() - OTHER.keys()
    for name, value in OTHER.items():
        assert value != ExploreSettings.model_fields[name].default


@pytest.mark.parametrize("name", OTHER)
def test_setting_arrives_in_the_search(name):
    task = controls(**{name: OTHER[name]}).task()
    found = getattr(task.settings, name)
    if name == "hyperparameters":
        found = {key: found[key] for key in OTHER[name]}
    assert found == OTHER[name]


@pytest.mark.parametrize("name", sorted(OTHER.keys() - {"calculator", "solver", "hyperparameters"}))
def test_setting_stays_when_calculator_and_solver_are_changed(name):
    made = controls(**{name: OTHER[name]})
    made.potential.value = "scine AM1"
    made.solver.value = "trust"
    found = made.task().settings
    assert (found.scine_functional, found.solver) == ("AM1", "trust")
    if name != "scine_functional":
        assert getattr(found, name) == OTHER[name]


def test_settings_that_are_not_given_are_those_declared():
    found = controls().task().settings
    declared = ExploreSettings.read({})
    for name in SearchSettings.model_fields:
        if name != "hyperparameters":
            assert getattr(found, name) == getattr(declared, name)


def test_options_stay_with_the_ase_calculator_that_they_were_given_for():
    given = {"ase_calculator": "ase.calculators.emt:EMT", "ase_options": {"asap_cutoff": True}}
    made = controls(**given, ase_displacement=0.02)
    made.potential.value = "ase ase.calculators.emt:EMT"
    assert made.task().settings.ase_options == {"asap_cutoff": True}
    others = [label for label in made._potentials if label.startswith("ase ")][1:]
    for label in others:
        made.potential.value = label
        assert made.task().settings.ase_options == {}
        assert made.task().settings.ase_displacement == 0.02


def test_values_that_were_changed_on_the_page_are_those_of_the_search():
    made = controls(**{n: OTHER[n] for n in ("start_from", "hyperparameters", "noise_seed")})
    made.noise.value, made.seed.value = 0.35, 7
    made.sliders.sliders["dt_max"].value = 0.03
    found = made.task().settings
    assert (found.start_from, found.noise_seed) == ("three_quarter_rt_noise0.35A", 7)
    assert found.hyperparameters["dt_max"] == 0.03


def test_file_of_geometries_is_what_is_searched(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text("3\n\nO 0 0 0\nH 0.96 0 0\nH -0.3 0.9 0\n")
    assert controls(geometries=str(path)).task().start.formula == "H2O"


def test_file_of_reactions_is_what_is_searched(tmp_path):
    path = write_h5(tmp_path / "little.h5")
    task = controls(h5_path=str(path)).task()
    assert task.settings.h5_path == str(path)
    assert task.start.name == "rxn00"


def test_one_reaction_alone_is_offered():
    made = controls(only="rxn0007", max_samples=2)
    assert [label for label, _ in made.molecule.options] == ["rxn0007 C7H8, 15 atoms"]


def test_study_and_its_name_are_where_the_best_values_come_from(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    for name, dt_max in (("one", 0.02), ("two", 0.03)):
        study = make_study((DEFAULTS | {"dt_max": dt_max}, 0.5))
        study.set_user_attr("gadlib", {})
        optuna.copy_study(
            from_study_name=study.study_name,
            from_storage=study._storage,
            to_storage=url,
            to_study_name=name,
        )
    made = controls(best=str(tmp_path / "study.db"), study_name="two")
    made.best_button.click()
    assert made.task().settings.hyperparameters["dt_max"] == 0.03
    (tmp_path / "results.json").write_text(json.dumps({"best_params": {"dt_max": 0.04}}))
    made = controls(best=str(tmp_path / "results.json"))
    made.best_button.click()
    assert made.task().settings.hyperparameters["dt_max"] == 0.04
    words = {"mode": "reaction", "start_from": "ts_noise0.2A"}
    content = {"best_params": {"dt_max": 0.02}, "best_choices": words}
    (tmp_path / "results.json").write_text(json.dumps(content))
    made.best_button.click()
    found = made.task().settings
    assert (found.mode, found.start_from) == ("reaction", "ts_noise0.2A")
    assert found.hyperparameters["dt_max"] == 0.02


def test_a_portfolio_of_starts_is_shown_as_it_is_and_searched_from():
    several = "ts_noise0.2A+reactant"
    made = controls(start_from=several)
    made.preview()
    assert made.anchor.value == several and made.noise.disabled
    task = made.task()
    assert task.settings.start_from == several
    assert [one.start for one in task.start.each] == ["ts_noise0.2A", "reactant"]
    made.noise.value = 0.4  # which none of its starts has
    assert made.task().settings.start_from == several
    made.anchor.value = "ts"
    assert not made.noise.disabled
    assert made.task().settings.start_from == "ts_noise0.4A"
    made.show(task, made.chosen)
    assert made.task().settings.start_from == several


def test_a_portfolio_that_a_study_chose_is_offered_beside_the_recipes(tmp_path):
    several = "idpp_rp+midpoint_rp_noise0.1A"
    content = {"best_params": {"dt_max": 0.02}, "best_choices": {"start_from": several}}
    (tmp_path / "results.json").write_text(json.dumps(content))
    made = controls(best=str(tmp_path / "results.json"))
    assert several not in made.anchor.options
    made.best_button.click()
    assert several in made.anchor.options
    assert made.task().settings.start_from == several
