"""The notebooks are thin, stripped and declared; run small, they write down the right numbers."""

from __future__ import annotations

import ast
import json
import statistics

import nbformat
import optuna
import papermill
import pytest
from figures import draw_calls, figures
from small_hip import small_checkpoint

from gadlib.cli import demo, notebooks
from gadlib.molecules import reactions
from gadlib.screening.records import read_records
from gadlib.settings.benchmarks import BenchmarkSettings, GrowthSettings
from gadlib.settings.results import PathSettings
from gadlib.settings.searches import ExploreSettings, ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings

SETTINGS = {
    "00_tour": (SearchSettings,),
    "01_screen": (ScreenSettings,),
    "02_tune": (TuneSettings,),
    "03_results": (ValidateSettings, TuneSettings),  # where the study is, besides
    "04_benchmark": (BenchmarkSettings, GrowthSettings),
    "05_validate": (PathSettings,),
    "06_explore": (ExploreSettings,),
}
TINY = {"start_from": "midpoint_rt_noise0.1A", "n_steps_per_sample": 12, "max_samples": 6}


def cells(name: str, kind: str = "code") -> list:
    found = nbformat.read(notebooks.notebook(name), as_version=4)
    return [cell for cell in found.cells if cell.cell_type == kind]


def test_all_notebooks_are_tested():
    assert {path.stem for path in notebooks.NOTEBOOKS.glob("*.ipynb")} == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
class TestThin:
    def test_stripped(self, name):
        for cell in cells(name):
            assert cell.outputs == []
            assert cell.execution_count is None

    def test_opens_with_a_title_and_a_question(self, name):
        title, *_ = cells(name, "markdown")[0].source.splitlines()
        assert title.startswith("# ")
        assert title.endswith("?")

    def test_second_cell_holds_the_parameters(self, name):
        tagged = [cell for cell in cells(name) if "parameters" in cell.metadata.get("tags", [])]
        assert tagged == cells(name)[:1]

    def test_parameters_are_annotated_literals_with_comments(self, name):
        source = cells(name)[0].source
        for node, line in zip(ast.parse(source).body, source.splitlines(), strict=True):
            assert isinstance(node, ast.AnnAssign)
            ast.literal_eval(node.value)  # raises for anything else
            assert "  # " in line

    def test_few_short_cells_without_definitions(self, name):
        assert len(cells(name)) <= 15
        for cell in cells(name)[1:]:
            assert len(cell.source.splitlines()) <= 8
            forbidden = (ast.FunctionDef, ast.ClassDef, ast.Try, ast.Lambda)
            assert not any(isinstance(n, forbidden) for n in ast.walk(ast.parse(cell.source)))

    def test_papermill_knows_every_parameter_by_the_name_of_a_setting(self, name):
        fields = {field for kind in SETTINGS[name] for field in kind.model_fields}
        found = papermill.inspect_notebook(str(notebooks.notebook(name)))
        assert len(found) == len(cells(name)[0].source.splitlines())
        assert set(found) <= fields

    def test_defaults_can_be_followed(self, name):
        namespace: dict = {}
        exec(cells(name)[0].source, namespace)
        kind = SETTINGS[name][0]
        settings = kind.from_namespace(namespace)
        assert all(
            getattr(settings, n) == namespace[n] for n in kind.model_fields if n in namespace
        )


def test_notebooks_agree_on_what_is_searched():
    shared = ("calculator", "scine_functional", "solver", "start_from", "noise_seed", "criterion")
    values: list[dict] = [{}, {}, {}]
    for namespace, name in zip(values, demo.NAMES, strict=True):
        exec(cells(name)[0].source, namespace)
    for name in shared:
        assert len({namespace[name] for namespace in values}) == 1
    assert values[0]["n_steps_per_sample"] == values[1]["screening_steps"]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """A folder in which the three notebooks were run, small."""
    out = tmp_path_factory.mktemp("executed")
    small = {
        "01_screen": TINY | {"split": "train"},
        "02_tune": TINY | {"screening_steps": 12, "n_samples": 2, "n_trials": 3, "batch_size": 2},
        "03_results": TINY,
    }
    for name, values in demo.parameters(out, 1).items():
        notebooks.require_parameters(notebooks.notebook(name), small[name])
        notebooks.execute(notebooks.notebook(name), out / f"{name}.ipynb", values | small[name])
        notebooks.to_html(out / f"{name}.ipynb")
    return out


@pytest.mark.slow
class TestExecuted:
    def test_screening_holds_a_record_per_reaction(self, executed):
        settings, records = read_records(executed / "screening.json")
        wanted = reactions.read(split="train", max_samples=6, sample_seed=0)
        assert [r.name for r in records] == [r.name for r in wanted]
        assert settings["n_steps_per_sample"] == 12
        assert all(r.steps == 12 or r.converged for r in records)

    def test_study_is_in_the_database_and_in_the_results(self, executed):
        storage = f"sqlite:///{executed / 'scine_hpo_study.db'}"
        study = optuna.load_study(study_name="gad_hpo", storage=storage)
        results = json.loads((executed / "hpo_results.json").read_text())
        assert [t.value for t in study.trials] == [t["score"] for t in results["trials"]]
        assert results["best_score"] == max(t.value for t in study.trials)
        assert results["n_trials"]["complete"] >= 3
        for trial in results["trials"]:
            rate, mean_steps = trial["convergence_rate"], trial["mean_steps"]
            assert trial["score"] == pytest.approx(rate - 0.01 * mean_steps / 12)

    def test_comparison_is_of_reactions_that_tuning_never_saw(self, executed):
        results = json.loads((executed / "hpo_results.json").read_text())
        default, tuned = (read_records(executed / f"{s}.json")[1] for s in ("default", "tuned"))
        assert [r.name for r in default] == [r.name for r in tuned]
        assert {r.split for r in default} <= {"val", "test"}
        assert not {r.name for r in default} & set(results["about"]["reactions"])
        comparison = json.loads((executed / "comparison.json").read_text())
        index1 = comparison["criteria"][0]
        assert index1["n"] == len(default) == 6
        assert index1["tuned"].startswith(f"{sum(r.index1 for r in tuned)} (")
        assert index1["gained"] - index1["lost"] == sum(r.index1 for r in tuned) - sum(
            r.index1 for r in default
        )

    def test_every_figure_is_in_the_executed_notebooks(self, executed):
        for name in demo.NAMES:
            notebook = nbformat.read(executed / f"{name}.ipynb", as_version=4)
            outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
            drawn = figures(executed / f"{name}.ipynb")
            assert len(drawn) == len(draw_calls(name)) > 0, name
            assert "<img" in (executed / f"{name}.html").read_text(encoding="utf-8")
            assert not [o for o in outputs if o.get("name") == "stderr" and "Warn" in o.text]


@pytest.mark.slow
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
    notebook = nbformat.read(tmp_path / "04_benchmark.ipynb", as_version=4)
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 6
    assert not [o for o in outputs if o.get("name") == "stderr" and "Warn" in o.text]


def _tblite(folder) -> dict:
    pytest.importorskip("tblite")
    options = {"method": "GFN2-xTB", "verbosity": 0}
    return {"calculator": "ase", "ase_calculator": "tblite.ase:TBLite", "ase_options": options}


def _hip(folder) -> dict:
    checkpoint = small_checkpoint(folder / "small.ckpt")
    return {"calculator": "hip", "checkpoint_path": str(checkpoint), "device": "cpu"}


@pytest.mark.slow
@pytest.mark.parametrize("potential", [_tblite, _hip], ids=["ase", "hip"])
def test_notebooks_take_any_calculator_by_parameters_alone(potential, tmp_path):
    chosen = potential(tmp_path)
    tiny = {"max_samples": 3, "n_steps_per_sample": 2} | chosen
    small = {
        "01_screen": tiny | {"split": "train"},
        "02_tune": tiny | {"screening_steps": 2, "n_samples": 2, "n_trials": 2},
        "03_results": tiny,
    }
    study = tmp_path / "study.db"
    small["02_tune"]["storage"] = small["03_results"]["storage"] = f"sqlite:///{study}"
    for name, values in demo.parameters(tmp_path, 1).items():
        notebooks.require_parameters(notebooks.notebook(name), small[name])
        notebooks.execute(
            notebooks.notebook(name), tmp_path / f"{name}.ipynb", values | small[name]
        )
    for stem in ("screening", "default", "tuned"):
        settings, records = read_records(tmp_path / f"{stem}.json")
        assert settings["calculator"] == chosen["calculator"]
        assert len(records) == 3
        assert all(r.energy is not None for r in records)


@pytest.mark.slow
def test_path_notebook_finds_the_reference_saddles_intended(tmp_path):
    small = {"max_samples": 3, "out_dir": str(tmp_path)}
    notebooks.require_parameters(notebooks.notebook("05_validate"), small)
    notebooks.execute(notebooks.notebook("05_validate"), tmp_path / "05_validate.ipynb", small)
    paths = json.loads((tmp_path / "paths.json").read_text())["paths"]
    assert [p["verdict"] for p in paths] == ["intended"] * 3
    for path in paths:
        assert path["barrier"] == pytest.approx(path["reference_barrier"], abs=0.01)
        assert path["imaginary_cm1"] == pytest.approx(path["reference_cm1"], rel=0.01)
    notebook = nbformat.read(tmp_path / "05_validate.ipynb", as_version=4)
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 2
    assert not [o for o in outputs if o.get("name") == "stderr" and "Warn" in o.text]


@pytest.mark.slow
def test_tour_ends_at_the_saddle_that_its_search_found(tmp_path):
    notebooks.execute(notebooks.notebook("00_tour"), tmp_path / "00_tour.ipynb", {})
    notebook = nbformat.read(tmp_path / "00_tour.ipynb", as_version=4)
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 3
    told = "".join(o.text for o in outputs if o.get("name") == "stdout")
    assert "rxn0007 (C7H8): The criterion is met." in told
    assert float(told.partition("largest force ")[2].split()[0]) < 0.01
    assert float(told.partition("imaginary frequency ")[2].split("i")[0]) > 50


@pytest.mark.slow
def test_exploration_is_a_page_or_a_sentence(tmp_path):
    for values, shown in (({}, "Hyperparameters"), ({"h5_path": "no.h5"}, "no.h5: no such file")):
        executed = papermill.execute_notebook(
            notebooks.notebook("06_explore"), tmp_path / "06.ipynb", values, progress_bar=False
        )
        (output,) = [cell for cell in executed.cells if cell.cell_type == "code"][-1].outputs
        assert shown in str(executed.metadata.widgets)
        assert "application/vnd.jupyter.widget-view+json" in output["data"]
