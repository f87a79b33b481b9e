"""The notebooks where no one looks, as jobs and by papermill: figures, and the right numbers."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import nbformat
import optuna
import pytest
import yaml
from figures import draw_calls, figures
from papermill.cli import papermill

from gadlib.cli import demo, notebooks, slurm
from gadlib.molecules import reactions
from gadlib.screening.records import read_records

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_kernels")]

TINY = {"start_from": "midpoint_rt_noise0.1A", "n_steps_per_sample": 12, "max_samples": 6}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory, warm_kernels):
    """A folder in which the three notebooks were run as jobs, small, and written as HTML."""
    out = tmp_path_factory.mktemp("jobs")
    tiny = TINY | {"workers": 0}
    small = {
        "01_screen": TINY,
        "02_tune": tiny | {"screening_steps": 12, "n_samples": 2, "n_trials": 3, "batch_size": 2},
        "03_results": tiny,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        for name, values in demo.parameters(out, 1).items():
            parameters = out / f"{name}.yaml"
            parameters.write_text(yaml.safe_dump(values | small[name]))
            assert slurm.run(name, parameters) == 0
            notebooks.to_html(out / f"{name}.ipynb")
    return out


def outputs_of(path: Path) -> list[Any]:
    """The outputs of an executed notebook, in which nothing may have warned."""
    found = nbformat.read(path, as_version=4)
    outputs = [o for cell in found.cells if cell.cell_type == "code" for o in cell.outputs]
    assert not [o for o in outputs if o.get("name") == "stderr" and "Warn" in o.text]
    return outputs


class TestJobs:
    @pytest.mark.parametrize("name", demo.NAMES)
    def test_every_draw_call_has_its_figure(self, name, jobs):
        outputs_of(jobs / f"{name}.ipynb")
        found = figures(jobs / f"{name}.ipynb")
        assert len(found) == len(draw_calls(name)) > 0
        assert all(len(png) > 3000 for png in found)  # an empty one has less
        assert "<img" in (jobs / f"{name}.html").read_text(encoding="utf-8")

    def test_screening_holds_a_record_per_reaction(self, jobs):
        settings, records = read_records(jobs / "screening.json")
        wanted = reactions.read(split="all", max_samples=6, sample_seed=0)
        assert [r.name for r in records] == [r.name for r in wanted]
        assert settings["n_steps_per_sample"] == 12
        assert all(r.steps == 12 or r.converged for r in records)

    def test_study_is_in_the_database_and_in_the_results(self, jobs):
        storage = f"sqlite:///{jobs / 'scine_hpo_study.db'}"
        study = optuna.load_study(study_name="gad_hpo", storage=storage)
        results = json.loads((jobs / "hpo_results.json").read_text())
        assert [t.value for t in study.trials] == [t["score"] for t in results["trials"]]
        assert results["best_score"] == max(t.value for t in study.trials)
        assert results["n_trials"]["complete"] >= 3
        for trial in results["trials"]:
            rate, mean_steps = trial["convergence_rate"], trial["mean_steps"]
            assert trial["score"] == pytest.approx(rate - 0.01 * mean_steps / 12)

    def test_comparison_is_of_reactions_that_tuning_never_saw(self, jobs):
        results = json.loads((jobs / "hpo_results.json").read_text())
        default, tuned = (read_records(jobs / f"{s}.json")[1] for s in ("default", "tuned"))
        assert [r.name for r in default] == [r.name for r in tuned]
        assert {r.split for r in default} <= {"val", "test"}
        assert not {r.name for r in default} & set(results["about"]["reactions"])
        comparison = json.loads((jobs / "comparison.json").read_text())
        index1 = comparison["criteria"][0]
        assert index1["n"] == len(default) == 6
        assert index1["tuned"].startswith(f"{sum(r.index1 for r in tuned)} (")
        assert index1["gained"] - index1["lost"] == sum(r.index1 for r in tuned) - sum(
            r.index1 for r in default
        )

    def test_executed_copy_of_an_earlier_job_is_never_overwritten(self, jobs):
        before = (jobs / "01_screen.ipynb").read_bytes()
        parameters = jobs / "01_screen.yaml"
        values = yaml.safe_load(parameters.read_text()) | {"resume": True}
        parameters.write_text(yaml.safe_dump(values))
        assert slurm.run("01_screen", parameters) == 0
        assert (jobs / "01_screen.ipynb").read_bytes() == before
        assert len(figures(jobs / "01_screen.2.ipynb")) == len(draw_calls("01_screen"))


def papermilled(name: str, folder: Path, **values: Any) -> list[Any]:
    """The outputs of a notebook that papermill has run with a backend that shows nothing.

    It holds a figure for every draw call nevertheless.
    """
    executed = folder / "executed.ipynb"
    given = [word for k, v in values.items() for word in ("-p", k, str(v))]
    command = [str(notebooks.notebook(name)), str(executed), "--no-progress-bar", *given]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        patch.chdir(folder)
        papermill(command, standalone_mode=False)
    assert len(figures(executed)) == len(draw_calls(name)) > 0
    return outputs_of(executed)


def test_tour_ends_at_the_saddle_that_its_search_found(tmp_path):
    outputs = papermilled("00_tour", tmp_path)
    told = "".join(o.text for o in outputs if o.get("name") == "stdout")
    assert "rxn0007 (C7H8): The criterion is met." in told
    assert float(told.partition("largest force ")[2].split()[0]) < 0.01
    assert float(told.partition("imaginary frequency ")[2].split("i")[0]) > 50


def test_path_notebook_finds_the_reference_saddles_intended(tmp_path):
    papermilled("05_validate", tmp_path, max_samples=3, out_dir=tmp_path)
    paths = json.loads((tmp_path / "paths.json").read_text())["paths"]
    assert [p["verdict"] for p in paths] == ["intended"] * 3
    for path in paths:
        assert path["barrier"] == pytest.approx(path["reference_barrier"], abs=0.01)
        assert path["imaginary_cm1"] == pytest.approx(path["reference_cm1"], rel=0.01)


def test_benchmark_notebook_tells_what_its_records_say(tmp_path):
    pytest.importorskip("sella")
    small = {"solvers": "trust,sella", "starts": "ts_noise0.1A", "max_samples": 2}
    small |= {"n_steps_per_sample": 60, "out_dir": str(tmp_path)}
    notebooks.require_parameters(notebooks.notebook("04_benchmark"), small)
    notebooks.execute(notebooks.notebook("04_benchmark"), tmp_path / "04_benchmark.ipynb", small)
    rows = {row["solver"]: row for row in json.loads((tmp_path / "comparison.json").read_text())}
    assert list(rows) == ["trust", "sella"]
    for solver, row in rows.items():
        records = read_records(tmp_path / f"{solver}.json")[1]
        assert row["n"] == len(records) == 2
        assert row["bound"].startswith(f"{50 * sum(r.bound for r in records)} % (")
        costs = [
            r.n_gradient + 6 * len(r.atomic_numbers) * r.n_hessian for r in records if r.strict
        ]
        assert row["gradients"] == f"{statistics.median(costs):.0f}"
    assert rows["trust"]["strict"] == "100 % (34-100)"  # Wilson's interval of 2 in 2
    outputs_of(tmp_path / "04_benchmark.ipynb")
    assert len(figures(tmp_path / "04_benchmark.ipynb")) == len(draw_calls("04_benchmark")) == 6


def test_exploration_is_a_page(tmp_path):
    executed = tmp_path / "06.ipynb"
    notebooks.papermill.execute_notebook(
        notebooks.notebook("06_explore"), executed, {}, progress_bar=False
    )
    found = nbformat.read(executed, as_version=4)
    (output,) = [cell for cell in found.cells if cell.cell_type == "code"][-1].outputs
    assert "Hyperparameters" in str(found.metadata.widgets)
    assert "application/vnd.jupyter.widget-view+json" in output["data"]
