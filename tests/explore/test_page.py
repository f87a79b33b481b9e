"""The page, driven without a browser."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write
from little_studies import DEFAULTS, foreign, make_study, of_other_parameters, stored

from gadlib.explore.page import Page, page
from gadlib.solver.state import Status

SMALL = {"max_samples": 3, "solver": "trust", "criterion": "bound", "n_steps_per_sample": 60}
STOP_S = 2.0
FIRST_POINT_S = 1.0


@pytest.fixture(scope="module")
def made() -> Page:
    found = page(SMALL)
    assert isinstance(found, Page)
    assert found.wait(60)
    return found


def test_run_draws_curves_and_molecule_and_is_kept(made):
    search = made.search
    empty, n_before = search.curves.value, len(made.runs.runs)
    search.start()
    assert search.wait(60)
    (run,) = made.runs.runs[n_before:]
    assert run.record is not None
    assert search.status.value == f"<b>Run {run.number}.</b> {run.record.message}"
    assert search.curves.value not in (b"", empty)
    assert len(made.view.molecule.positions) == 3 * len(run.atomic_numbers)
    assert made.view.frame.max == run.record.steps
    assert made.runs.compare.value == (run.number,)
    made.view.frame.value = 0
    assert made.view.molecule.caption.startswith("step 0, order")
    assert len(run.record.tries) >= 1
    assert Status(run.record.status).sentence in search.tries.value


def test_runs_are_compared_and_forgotten(made):
    made.search.start()
    assert made.search.wait(60)
    kept = [run.number for run in made.runs.runs]
    assert len(kept) >= 1
    one = made.search.curves.value
    made.runs.compare.value = tuple(kept)
    made.runs.compare.value = (kept[0],)
    assert bytes(made.search.curves.value).startswith(b"\x89PNG")
    told = dict(made.runs.compare.options)
    made.runs.compare.value = (kept[-1],)
    made.runs.forget_button.click()
    assert [run.number for run in made.runs.runs] == kept[:-1]
    assert dict(made.runs.compare.options).items() <= told.items()
    assert made.search.curves.value != one


def test_first_point_of_fifteen_atoms_comes_within_a_second():
    found = page(SMALL | {"max_samples": 60, "sample": "first"})
    assert found.wait(60)
    labels = dict(found.controls.molecule.options)
    found.controls.molecule.value = labels["rxn0007 C7H8, 15 atoms"]
    empty, started = found.search.curves.value, time.monotonic()
    found.search.run_button.click()
    while found.search.curves.value == empty:
        assert time.monotonic() - started < FIRST_POINT_S
        time.sleep(0.01)
    found.search.stop()
    assert found.search.wait(10)


def test_stop_works_inside_a_calculator_call_of_a_minute(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    assert any(Path(p, "slow_calculator.py").is_file() for p in sys.path)
    found = page(SMALL | {"calculator": "ase", "ase_calculator": "slow_calculator:Slow"})
    assert found.wait(60)
    found.search.run_button.click()
    time.sleep(1.5)
    assert found.search.is_running, found.message.value
    started = time.monotonic()
    found.search.stop_button.click()
    assert found.search.wait(STOP_S)
    assert time.monotonic() - started < STOP_S
    assert "Stopped after 0 steps." in found.search.status.value
    assert not found.search.run_button.disabled


def test_sweep_over_two_hyperparameters_is_mapped(made):
    sweep = made.sweep
    sweep.first.hyperparameter.value = "radius_start"
    sweep.second.hyperparameter.value = "hessian_every"
    sweep.first.n.value = sweep.second.n.value = 2
    sweep.run_button.click()
    assert sweep.wait(120)
    assert len(sweep.sweep.records) == sweep.progress.value == 4
    assert bytes(sweep.map.value).startswith(b"\x89PNG")
    assert sweep.status.value.startswith("4 of 4 searches ended")


def test_sweep_is_cancelled_with_what_it_found(made):
    sweep = made.sweep
    sweep.first.n.value, sweep.second.n.value = 20, 20
    sweep.run_button.click()
    while not sweep.progress.value:
        assert sweep.is_running
        time.sleep(0.02)
    sweep.cancel_button.click()
    assert sweep.wait(STOP_S)
    assert 1 <= len(sweep.sweep.records) < 400
    assert sweep.status.value.startswith("Cancelled: ")


def test_the_saddle_between_the_ends_of_the_chosen_reaction_is_found(made):
    empty = made.find.figure.value
    made.find.find_button.click()
    assert made.find.wait(120)
    assert made.find.record is not None
    assert made.find.record.verdict == "intended"
    assert "<b>intended.</b>" in made.find.status.value
    assert made.find.figure.value not in (b"", empty)
    assert not made.find.find_button.disabled


def test_a_guess_of_a_file_is_searched_before_the_images(made, tmp_path):
    reaction = made.controls.chosen.reaction
    write(tmp_path / "g.xyz", Atoms(reaction.atomic_numbers, reaction.transition_state))
    made.find.guess.value = str(tmp_path / "g.xyz")
    made.find.find_button.click()
    assert made.find.wait(120)
    assert (made.find.record.start, made.find.record.n_image) == ("guess", 0)
    assert made.find.record.verdict == "intended"
    made.find.guess.value = ""


def test_two_files_are_ends_and_one_alone_is_refused(made, tmp_path):
    reaction = made.controls.chosen.reaction
    for name, positions in (("r", reaction.reactant), ("p", reaction.product)):
        write(tmp_path / f"{name}.xyz", Atoms(reaction.atomic_numbers, positions))
    made.find.reactant.value = str(tmp_path / "r.xyz")
    made.find.find_button.click()
    assert "the product is not given: expected two files, or neither" in made.message.value
    made.find.product.value = str(tmp_path / "r.xyz")
    made.find.find_button.click()
    assert made.find.wait(60)
    assert "reactant and product are the same geometry" in made.message.value
    made.find.product.value = str(tmp_path / "p.xyz")
    made.find.find_button.click()
    made.find.stop_button.click()
    assert made.find.wait(60)
    assert made.find.status.value == "Stopped."
    made.find.reactant.value = made.find.product.value = ""


def test_hyperparameters_follow_the_solver(made):
    made.controls.solver.value = "gad"
    assert "dt_max" in made.controls.task().settings.hyperparameters
    assert "dt_max" in made.sweep.first.hyperparameter.options
    made.controls.solver.value = "trust"
    assert "radius_max" in made.sweep.first.hyperparameter.options


class TestSentences:
    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"calculator": "oracle"}, "calculator &#x27;oracle&#x27;: expected one of scine"),
            ({"solver": "newton"}, "solver &#x27;newton&#x27;: expected one of gad, trust"),
            ({"h5_path": "no.h5"}, "no.h5: no such file"),
            ({"geometries": "no.xyz"}, "no.xyz: no such file"),
            ({"start_from": "nowhere"}, "start &#x27;nowhere&#x27;: expected one of"),
            ({"max_samples": 0}, "max_samples = 0"),
        ],
    )
    def test_page_that_cannot_be_made_says_why(self, wrong, sentence):
        assert sentence in page(SMALL | wrong).value

    def test_unreadable_structure(self, tmp_path):
        path = tmp_path / "broken.xyz"
        path.write_text("two\natoms\n")
        told = page(SMALL | {"geometries": str(path)}).value
        assert "line 1, column 1: &#x27;two&#x27;; expected the number of atoms" in told

    def test_molecule_that_cannot_be_searched_says_why_when_it_is_run(self, tmp_path):
        path = tmp_path / "two.xyz"
        water = "O 0 0 0\nH 0 0 0.97\nH 0 0.94 -0.2\n"
        path.write_text(f"3\nname=good\n{water}3\nname=ion multiplicity=2\n{water}")
        found = page(SMALL | {"geometries": str(path)})
        assert found.wait(60)
        found.controls.molecule.value = dict(found.controls.molecule.options)["ion H2O, 3 atoms"]
        found.search.run_button.click()
        assert "ion: 10 electrons and a multiplicity of 2; expected 1" in found.message.value

    def test_missing_study(self, made, tmp_path):
        made.controls.study.value = str(tmp_path / "no.json")
        made.controls.best_button.click()
        assert "can&#x27;t be read" in made.message.value

    @pytest.mark.parametrize(
        ("study", "sentence"),
        [
            (make_study(), "no completed trial in it"),
            (make_study((DEFAULTS, None)), "no completed trial in it"),
            (foreign(), "was not made by gadlib"),
            (of_other_parameters(), "x, y is no hyperparameter of solver"),
        ],
        ids=["empty", "only failed", "foreign", "other parameters"],
    )
    def test_study_without_best_values(self, made, tmp_path, study, sentence):
        before = made.controls.sliders.values
        stored(study, f"sqlite:///{tmp_path}/study.db")
        made.controls.study.value = str(tmp_path / "study.db")
        made.controls.best_button.click()
        assert sentence in made.message.value
        assert made.controls.sliders.values == before

    def test_words_that_a_study_tried_are_a_table_until_the_defaults_are_back(self, made):
        made.controls.study.value = "trust-dftb0-idpp"
        made.controls.best_button.click()
        shown = made.controls.tried.value
        assert made.controls.sliders.choices["proof"].value == "products"
        for cell in ("exact_hessians", "products", "median gradients", "taken"):
            assert f">{cell}</t" in shown
        made.controls.default_button.click()
        assert made.controls.tried.value == ""
        assert made.controls.sliders.choices["proof"].value == "auto"

    def test_search_that_is_refused_in_its_process(self, made):
        settings = dict(made.controls._potentials)
        made.controls._potentials["nonsense"] = {"calculator": "ase", "ase_calculator": "no:No"}
        made.controls.potential.options = list(made.controls._potentials)
        made.controls.potential.value = "nonsense"
        n_runs = len(made.runs.runs)
        made.search.start()
        assert made.search.wait(60)
        assert 'role="alert"' in made.message.value
        assert "no" in made.message.value
        assert len(made.runs.runs) == n_runs
        made.controls.potential.value = next(iter(settings))

    def test_sweep_out_of_range(self, made):
        made.sweep.first.low.value = -1.0
        made.sweep.start()
        assert "expected an interval within" in made.sweep.status.value


def test_geometries_of_a_file_are_searched(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text("3\n\nO 0 0 0\nH 0.96 0 0\nH -0.3 0.9 0\n")
    found = page(SMALL | {"geometries": str(path), "n_steps_per_sample": 3})
    assert found.wait(60)
    assert found.controls.anchor.disabled
    found.search.start()
    assert found.search.wait(60)
    assert found.runs.runs[0].name == "water-0 H2O"
    assert len(found.runs.runs[0].points) >= 2


def test_run_pressed_as_soon_as_it_can_be_starts_another(made):
    made.search.start()
    while made.search.run_button.disabled:
        time.sleep(0.001)
    before = made.search.shown
    made.search.run_button.click()
    assert made.search.shown.number == before.number + 1
    assert made.search.wait(60)
